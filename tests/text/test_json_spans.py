from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.text.edits import Span, apply
from template_fix.text.json_nodes import Array, Bulk, JsonError, Object, python_value
from template_fix.text.json_spans import parse, read_entries, remove_entries

BULK = (("model", "vocab"), ("model", "merges"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)
WORDS = st.text(st.sampled_from('"\\/<é 😀\n\t:,{}[]ab'), max_size=12)


@given(VALUES, st.booleans(), st.sampled_from([None, 0, 2, "\t"]))
def test_reads_what_json_writes(value: object, ascii_only: bool, indent: int | str | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert python_value(parse(text)) == value


@given(VALUES)
def test_every_span_cut_out_reads_as_its_value(value: object) -> None:
    text = json.dumps([value], indent=1)
    root = parse(text)
    assert isinstance(root, Array)
    assert json.loads(root.items[0].span.of(text)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("\ufeff{}", {}, id="a byte order mark stands before the value"),
        pytest.param('{\r\n "a": 1\r\n}\r\n', {"a": 1}, id="lines end in CR LF"),
        pytest.param("-Infinity", float("-inf"), id="infinity is a number to Python"),
        pytest.param('"\\ud83d\\ude00"', "😀", id="a pair of surrogate escapes is one character"),
        pytest.param('{"a": 1, "a": 2}', {"a": 2}, id="the last of two equal keys counts"),
    ],
)
def test_accepts_what_python_accepts(text: str, value: object) -> None:
    assert python_value(parse(text)) == value


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        pytest.param("", "the text is cut off where a value should follow", 0, id="nothing"),
        pytest.param('{"a": [1, 2', "the text is cut off where ',' or ']' should follow", 11, id="cut off in a list"),
        pytest.param('{"a": "bc', "the text is cut off inside a string", 6, id="cut off in a string"),
        pytest.param('{"a": "b\\u12', "the text is cut off inside a string", 6, id="cut off in an escape"),
        pytest.param('["a\nb"]', "a string holds a raw control character", 3, id="a raw newline in a string"),
        pytest.param(r'["a\x"]', "a string holds an escape that JSON doesn't know", 3, id="an unknown escape"),
        pytest.param("[1,]", "a value should stand here, not ']'", 3, id="a trailing comma in a list"),
        pytest.param('{"a":1,}', "a key in double quotes should stand here, not '}'", 7, id="a trailing comma"),
        pytest.param("{a: 1}", "a key in double quotes should stand here, not 'a'", 1, id="a bare key"),
        pytest.param('{"a" 1}', "':' should stand here, not '1'", 5, id="no colon"),
        pytest.param("[1] x", "there is more text after the end of the JSON value", 4, id="text after the end"),
        pytest.param("01", "a value should stand here, not '0'", 0, id="a leading zero"),
        pytest.param("9" * 5000, "this number has too many digits", 0, id="a number of 5,000 digits"),
        pytest.param("[" * 5000, "values are nested more than 200 deep", 200, id="nested without end"),
    ],
)
def test_says_what_is_wrong_and_where(text: str, message: str, offset: int) -> None:
    with pytest.raises(JsonError) as caught:
        parse(text)
    assert (caught.value.message, caught.value.offset) == (message, offset)


def test_reading_a_key_that_stands_twice_fails_at_the_second() -> None:
    text = '{"a": 1, "b": 2, "a": 3}'
    root = parse(text)
    assert isinstance(root, Object)
    assert python_value(root.get("b")) == 2
    for read in (lambda: root.get("a"), root.unique):
        with pytest.raises(JsonError) as caught:
            read()
        assert caught.value.offset == 17


VOCABS = st.dictionaries(WORDS | st.just("merges"), st.integers(0, 9), min_size=1, max_size=5)
PAIRS = st.lists(st.tuples(WORDS, WORDS).map(list), min_size=1, max_size=4)
MODELS = st.one_of(
    st.fixed_dictionaries({"type": st.just("BPE"), "vocab": VOCABS, "merges": PAIRS | st.lists(WORDS, max_size=4)}),
    st.fixed_dictionaries({"type": st.just("WordPiece"), "vocab": VOCABS}),
    st.fixed_dictionaries({"vocab": VOCABS, "unk_token": WORDS}),
    st.fixed_dictionaries({"vocab": VOCABS, "unk_token": WORDS, "merges": PAIRS}),
    st.fixed_dictionaries({"vocab": st.lists(st.tuples(WORDS, st.floats(-9, 0)).map(list)), "x": WORDS}),
)


@given(MODELS, st.booleans(), st.booleans(), st.sampled_from([None, 2]))
def test_a_skipped_vocabulary_ends_where_it_ends(
    model: dict[str, object], sort: bool, last: bool, indent: int | None
) -> None:
    tokenizer = {"model": model, "version": "1.0"} if not last else {"version": "1.0", "model": model}
    text = json.dumps(tokenizer, sort_keys=sort, indent=indent)
    root = parse(text, BULK)
    assert isinstance(root, Object)
    read = root.get("model")
    assert isinstance(read, Object)
    for key in ("vocab", "merges"):
        value = read.get(key)
        if key in model:
            assert isinstance(value, Bulk)
            assert json.loads(value.span.of(text)) == model[key]


SMALL = st.dictionaries(WORDS, SCALARS.filter(lambda value: value == value), max_size=3)
LISTS = st.lists(SMALL) | st.dictionaries(WORDS, SMALL) | VALUES


@given(LISTS, st.sampled_from([None, 2]))
def test_what_was_skipped_can_be_opened(value: object, indent: int | None) -> None:
    text = json.dumps({"a": value, "b": 1}, indent=indent)
    root = parse(text, [("a",)])
    assert isinstance(root, Object)
    part = root.get("a")
    node = read_entries(text, part) if isinstance(part, Bulk) else part
    if isinstance(node, Array):
        assert [json.loads(item.span.of(text)) for item in node.items] == value
    elif isinstance(node, Object):
        assert {member.key: json.loads(member.value.span.of(text)) for member in node.members} == value
    else:
        assert python_value(node) == value


def test_opening_stops_one_level_down() -> None:
    text = '{"a": [{"b": 1}, {"c": "}"}]}'
    root = parse(text, [("a",)])
    assert isinstance(root, Object)
    part = root.get("a")
    assert isinstance(part, Bulk)
    assert read_entries(text, part) == Array(Span(6, 28), (Bulk(Span(7, 15)), Bulk(Span(17, 27))))


@pytest.mark.parametrize("text", ['{"model": {"vocab": {"a": 1, "b', '{"model": {"vocab": {"a": 1}, "merges": [["a"]'])
def test_a_vocabulary_that_is_cut_off_is_told(text: str) -> None:
    with pytest.raises(JsonError, match="the text is cut off"):
        parse(text, BULK)


@given(VALUES.filter(lambda value: isinstance(value, (list, dict))), st.sampled_from([None, 2]), st.data())
def test_taking_parts_out_leaves_the_others(
    value: list[object] | dict[str, object], indent: int | None, data: st.DataObject
) -> None:
    text = json.dumps(value, indent=indent)
    root = parse(text)
    assert isinstance(root, (Array, Object))
    unwanted = data.draw(st.sets(st.integers(0, max(len(value) - 1, 0)), max_size=len(value)))
    left = json.loads(apply(text, remove_entries(root, unwanted)))
    if isinstance(value, list):
        assert left == [item for index, item in enumerate(value) if index not in unwanted]
    else:
        assert left == {key: item for index, (key, item) in enumerate(value.items()) if index not in unwanted}


@pytest.mark.parametrize(
    ("text", "unwanted", "left"),
    [
        pytest.param('[\n  "a",\n  "b",\n  "c"\n]', {0}, '[\n  "b",\n  "c"\n]', id="the first line goes"),
        pytest.param('[\n  "a",\n  "b",\n  "c"\n]', {1}, '[\n  "a",\n  "c"\n]', id="a middle line goes"),
        pytest.param('[\n  "a",\n  "b",\n  "c"\n]', {1, 2}, '[\n  "a"\n]', id="the last lines go"),
        pytest.param('[ "a" , "b" ]', {0, 1}, "[]", id="all goes"),
        pytest.param('{"a": 1, "b": 2}', {0}, '{"b": 2}', id="a member goes with its key"),
        pytest.param('[ "a" ]', set(), '[ "a" ]', id="nothing is asked and nothing changes"),
    ],
)
def test_taking_parts_out_keeps_the_layout(text: str, unwanted: set[int], left: str) -> None:
    root = parse(text)
    assert isinstance(root, (Array, Object))
    assert apply(text, remove_entries(root, unwanted)) == left


def test_reads_every_json_file_of_the_corpus_as_python_does(shared: Path) -> None:
    files = [file for file in shared.glob("corpus/models/*/*_config.json") if file.read_bytes()[:1] == b"{"]
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert python_value(parse(text)) == json.loads(text)
