"""Tokenizer files that a stranger wrote to cost time or memory: they are refused in one line, and soon."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.json_file import BULK
from template_fix.text.json_nodes import Bulk, JsonError, Object, python_value
from template_fix.text.json_spans import MOST_VALUES, parse, read_entries

pytestmark = pytest.mark.children

CONFIG, TOKENIZER, ADDED = "tokenizer_config.json", "tokenizer.json", "added_tokens.json"


def read(path: Path, **files: str) -> Checkpoint:
    """Write files, whose names have two underscores for the dot, and read the directory."""
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return Checkpoint.read(path, "model")


@contextmanager
def within(seconds: float, megabytes: float = 0) -> Iterator[None]:
    """Bound the computing time of a block, which is far below that where it is linear; or else its memory."""
    if megabytes:
        tracemalloc.start()
    start = time.process_time()
    try:
        yield
        taken, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1] if megabytes else 0
        assert taken < seconds
        assert peak <= megabytes * 2**20
    finally:
        tracemalloc.stop()


MANY = 100_000
NUMBERED = ",".join(f'"{number}": {number}' for number in range(MANY))


@pytest.mark.parametrize("again", [pytest.param(0, id="the first key"), pytest.param(MANY - 1, id="the last key")])
def test_a_key_that_stands_twice_is_found_at_the_end_of_many(tmp_path: Path, again: int) -> None:
    with within(3), pytest.raises(CheckpointError, match=f'^model/added_tokens.json:1:.* the key "{again}" stands'):
        read(tmp_path, added_tokens__json=f'{{{NUMBERED}, "{again}": 1}}')


def test_as_many_pairs_of_keys_as_you_like_cost_no_more(tmp_path: Path) -> None:
    with within(3), pytest.raises(CheckpointError, match='the key "0" stands twice'):
        read(tmp_path, added_tokens__json=f"{{{NUMBERED}, {NUMBERED}}}")


VALUES = ("{}", "1", "[[]]")
PLACES = {
    "in a member that nobody reads": ('{"a":[', "]}", CONFIG),
    "in added_tokens": ('{"added_tokens":[', "]}", TOKENIZER),
    "in added_tokens_decoder": ('{"added_tokens_decoder":[', "]}", CONFIG),
}


@pytest.mark.parametrize(
    ("before", "after", "file", "value"),
    [
        # Each place and each value once; all pairs of them are slow.
        pytest.param(*PLACES[place], value, id=f"{place}-{value}", marks=[pytest.mark.slow] if row != column else [])
        for row, place in enumerate(PLACES)
        for column, value in enumerate(VALUES)
    ],
)
def test_more_values_than_any_tokenizer_has_are_refused(
    tmp_path: Path, before: str, after: str, file: str, value: str
) -> None:
    (tmp_path / file).write_text(before + f"{value}," * 300_000 + value + after)
    with within(5), pytest.raises(CheckpointError, match=f"^model/{file}:1:.*more than 250,000 values are too many"):
        Checkpoint.read(tmp_path, "model")


@pytest.mark.parametrize("value", ["{}", "[]", '""', "1", '{"a":1}'])
def test_a_vocabulary_is_skipped_without_being_built(value: str) -> None:
    text = '{"model":{"vocab":[' + f"{value}," * 500_000 + value + '],"x":1}}'
    with within(3, megabytes=1):
        root = parse(text, BULK)
    model = root.get("model") if isinstance(root, Object) else None
    assert isinstance(model, Object)
    assert isinstance(model.get("vocab"), Bulk)
    assert python_value(model.get("x")) == 1


DEEP, DIGITS = "[" * 5000 + "]" * 5000, "9" * 5000
NESTED, LONG = "values are nested more than 200 deep", "this number has too many digits"


@pytest.mark.parametrize("value, why", [pytest.param(DEEP, NESTED, id="a nest"), pytest.param(DIGITS, LONG, id="9999")])
@pytest.mark.parametrize(
    "file, text",
    [
        pytest.param(CONFIG, '{"a": %s}', id="in a member"),
        pytest.param(TOKENIZER, '{"added_tokens": [{"content": "a", "id": %s}]}', id="as an id in added_tokens"),
        pytest.param(TOKENIZER, '{"added_tokens": [{"content": "a"}, %s]}', id="as an entry of added_tokens"),
        pytest.param(CONFIG, '{"added_tokens_decoder": {"1": {"content": "a", "x": %s}}}', id="in a decoder's entry"),
        pytest.param(CONFIG, '{"pad_token": {"content": "a", "x": %s}}', id="in a named token"),
        pytest.param(ADDED, '{"a": %s}', id="as an id in added_tokens.json"),
        pytest.param(TOKENIZER, '{"added_tokens": [{"id": 1, "content": "a", "x": [%s]}]}', id="in a list of an entry"),
    ],
)
def test_what_python_can_not_take_is_told_where_it_stands(
    tmp_path: Path, file: str, text: str, value: str, why: str
) -> None:
    (tmp_path / file).write_text(text % value)
    with within(3), pytest.raises(CheckpointError, match=f"^model/{file}:1:[0-9]+: {why}; correct it there$"):
        Checkpoint.read(tmp_path, "model")


def test_an_id_of_thousands_of_digits_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r'an id should stand here, not "9{40}"$'):
        read(tmp_path, tokenizer_config__json=f'{{"added_tokens_decoder": {{"{DIGITS}": {{"content": "a"}}}}}}')


BROKEN = ("[{} {}]", "[{},]", "[,{}]", '["a": {}]', "[{]", '[{"a"}]', '[{"a": 1} x]', r'[{"a": "\x"}]', '[{"a')


@pytest.mark.parametrize("entries", BROKEN)
@pytest.mark.parametrize("mapping", [False, True], ids=["in a list", "in a mapping"])
def test_what_is_broken_in_a_list_of_tokens_is_told(tmp_path: Path, entries: str, mapping: bool) -> None:
    key, file = ("added_tokens_decoder", CONFIG) if mapping else ("added_tokens", TOKENIZER)
    text = entries.replace("[", "{").replace("]", "}").replace("{{", '{"1": {') if mapping else entries
    (tmp_path / file).write_text(f'{{"{key}": {text}}}')
    with pytest.raises(CheckpointError, match=f"^model/{file}:1:[0-9]+: .*") as caught:
        Checkpoint.read(tmp_path, "model")
    assert "\n" not in str(caught.value)


STARTS = ('{"a": "', '{"added_tokens": [{"', '{"added_tokens": ["', '{"model": {"vocab": {"a": "')
ONE_AFTER_ANOTHER = (
    '"\\n',
    '{"',
    '["',
    '"',
    "[",
    "{",
    '{"a":',
    '"a" ',
    '\\"',
    "[1 ",
    " ",
    "1",
    '"merges": ["]}, ',
    "},",
)


@pytest.mark.parametrize("part", ONE_AFTER_ANOTHER)
@pytest.mark.parametrize("start", STARTS)
def test_the_same_part_again_and_again_costs_as_much_as_it_is_long(part: str, start: str) -> None:
    text = start + part * (2**20 // len(part))
    with within(3), pytest.raises(JsonError):
        root = parse(text, BULK)
        read_entries(text, Bulk(root.span))


@pytest.mark.parametrize("part", ["\\n", "\\u0020", "a\\n"])
def test_a_string_takes_no_more_memory_for_its_escapes(part: str) -> None:
    text = f'["{part * 200_000}"]'
    with within(5, megabytes=5):
        assert python_value(parse(text)) == json.loads(text)


@given(st.recursive(st.text(max_size=3) | st.integers(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
def test_a_part_that_is_skipped_ends_where_json_says(value: object) -> None:
    text = json.dumps({"added_tokens": value, "after": 1})
    root = parse(text, BULK)
    assert isinstance(root, Object)
    part = root.get("added_tokens")
    assert part is not None
    assert json.loads(part.span.of(text)) == value


def test_a_list_of_as_many_tokens_as_any_has_is_read(tmp_path: Path) -> None:
    entry: Callable[[int], str] = '{{"id": {0}, "content": "<{0}>", "special": true}}'.format
    tokens = ",".join(map(entry, range(MOST_VALUES // 5)))
    assert len(read(tmp_path, tokenizer__json=f'{{"added_tokens": [{tokens}]}}').records) == MOST_VALUES // 5


COUNTED = {
    "attributes that name a token": (
        {f"x{number}_token": "t" for number in range(20_000)},
        r"tokenizer_config\.json:1:\d+: 20,000 attributes name a token; a tokenizer has at most 1,000",
    ),
    "templates": (
        {"chat_template": [{"name": f"t{number}", "template": "x"} for number in range(5000)]},
        "5,000 chat templates are more than a model has; at most 256",
    ),
    "letters of a template's name": (
        {"chat_template": [{"name": "n" * 1_000_000, "template": "x"}]},
        r"tokenizer_config\.json:1:\d+: the name of a chat template has 1,000,000 characters",
    ),
}


@pytest.mark.parametrize(("content", "told"), COUNTED.values(), ids=COUNTED)
def test_more_than_any_model_has_is_refused_with_the_number(tmp_path: Path, content: object, told: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=told):
        Checkpoint.read(tmp_path)


def test_of_a_template_on_one_line_no_more_is_shown_than_a_line_can_hold() -> None:
    for length, shown in ((90_000, True), (200_000, False)):
        source = "{{ 1 }}" + "x" * length
        [copy] = Checkpoint("m", {"chat_template.jinja": source}).templates
        assert (copy.place(0, 7).source == source) is shown
