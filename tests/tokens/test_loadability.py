from __future__ import annotations

import json
from typing import Any

import pytest
from real import load
from tiny import TAGS, bare, checkpoint, dump, files, typed

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.tokens.loadability import BOTH, FIVE, FOUR, obstacles
from template_fix.tokens.loaders import BACKEND5, FAST4

CONFIG = "tokenizer_config.json"
EOS = ["<eos>"]
BARE = [bare("<eos>")]


def without_field(field: str) -> dict[str, Any]:
    found = files()
    del found["tokenizer.json"]["added_tokens"][2][field]
    return found


def without_added_tokens(**more: Any) -> dict[str, Any]:
    found = files(**more)
    del found["tokenizer.json"]["added_tokens"]
    return found


def marked(file: str, **more: Any) -> dict[str, Any]:
    found = files(token_map={}, **more)
    return {**found, file: "\ufeff" + dump(found[file])}


# What is stored, which releases can't load it, and whether an edit helps.
FORMS: list[tuple[str, dict[str, Any], tuple[str, ...], bool]] = [
    ("a list of extra tokens", files(config={"extra_special_tokens": EOS}), (FOUR,), True),
    ("an empty list of extra tokens", files(config={"extra_special_tokens": []}), (FOUR,), True),
    ("null for the extra tokens", files(config={"extra_special_tokens": None}), (FOUR,), True),
    (
        "lists under both names",
        files(config={"additional_special_tokens": ["<pad>"], "extra_special_tokens": EOS}),
        (FOUR,),
        True,
    ),
    ("a list of extra tokens in the map", files(token_map={"extra_special_tokens": EOS}), (FOUR,), False),
    ("a class that came with 5", files(config={"tokenizer_class": "TokenizersBackend"}), (FOUR,), True),
    ("bare tokens in a list", files(config={"additional_special_tokens": [bare("<eos>")]}), BOTH, True),
    ("bare tokens in a mapping", files(config={"extra_special_tokens": {"a_token": bare("<eos>")}}), BOTH, True),
    ("a bare token for an attribute", files(config={"eos_token": bare("<eos>")}), BOTH, True),
    ("bare tokens in the map's list", files(token_map={"additional_special_tokens": [bare("<eos>")]}), (FIVE,), True),
    ("null for the decoder", files(config={"added_tokens_decoder": None}), BOTH, True),
    ("an added token without a flag", without_field("special"), BOTH, False),
    ("an added token without an id", without_field("id"), BOTH, False),
    ("no added tokens", without_added_tokens(), BOTH, False),
    ("a byte order mark in the config", marked(CONFIG), BOTH, False),
    ("a byte order mark in the tokenizer", marked("tokenizer.json"), BOTH, False),
    ("a byte order mark in the map", marked("special_tokens_map.json"), BOTH, False),
]
FINE: list[tuple[str, dict[str, Any]]] = [
    ("nothing special", files()),
    ("a mapping of extra tokens", files(config={"extra_special_tokens": {"a_token": "<eos>"}})),
    ("a token in a list that says what it is", files(config={"additional_special_tokens": [typed("<eos>")]})),
    ("an attribute that says what it is", files(config={"eos_token": typed("<eos>")})),
    ("a bare token for an attribute that 4.57 doesn't read", files(config={"think_token": bare("<eos>")})),
    ("a bare token that the map overrides", files(config={"eos_token": bare("<eos>")}, token_map={})),
    ("a list of extra tokens in a map that isn't read", files(False, False, token_map={"extra_special_tokens": EOS})),
    ("bare tokens in a map that isn't read", files(False, False, token_map={"additional_special_tokens": BARE})),
    ("no added tokens beside a decoder", without_added_tokens(decoder_special=False)),
    ("a byte order mark in a map that isn't read", marked("special_tokens_map.json", decoder_special=False)),
]


def releases(found: Checkpoint) -> tuple[str, ...]:
    told = {release for each in obstacles(found) for release in each.releases}
    return tuple(release for release in BOTH if release in told)


def mended(found: Checkpoint) -> Checkpoint:
    """Make the edits of one obstacle after the other."""
    for _ in range(9):
        edits = next((each for each in obstacles(found) if each.edits), None)
        if edits is None:
            return found
        found = found.apply((edits.file, edit) for edit in edits.edits)
    raise AssertionError("the obstacles never end")


@pytest.mark.parametrize(("found", "who", "helped"), [pytest.param(f, w, h, id=name) for name, f, w, h in FORMS])
def test_a_form_that_cant_be_loaded_is_told_and_removed(
    found: dict[str, Any], who: tuple[str, ...], helped: bool
) -> None:
    before = checkpoint(found)
    assert releases(before) == who
    after = mended(before)
    assert (obstacles(after) == ()) is helped
    assert (after == before) is not helped


@pytest.mark.parametrize("found", [pytest.param(found, id=name) for name, found in FINE])
def test_what_loads_is_left_alone(found: dict[str, Any]) -> None:
    assert obstacles(checkpoint(found)) == ()


def test_a_token_gets_its_type_in_the_layout_of_its_entry() -> None:
    before = checkpoint(files(config={"additional_special_tokens": [bare("<eos>")]}))
    after = mended(before)
    assert '    {\n      "__type": "AddedToken",\n      "content": "<eos>",' in after.files[CONFIG]
    compact = Checkpoint("tiny", {CONFIG: '{"eos_token": {"content": "<eos>"}}'})
    assert mended(compact).files[CONFIG] == '{"eos_token": {"__type": "AddedToken", "content": "<eos>"}}'


def test_of_two_lists_the_one_that_5_reads_stays() -> None:
    lists = {"additional_special_tokens": ["<pad>"], "x": 1, "extra_special_tokens": EOS}
    after = mended(Checkpoint("tiny", {CONFIG: json.dumps(lists)}))
    assert after.files[CONFIG] == '{"additional_special_tokens": ["<eos>"], "x": 1}'


def test_two_forms_of_template_files_stop_a_processor() -> None:
    found = Checkpoint(
        "tiny", {"chat_template.json": '{"chat_template": "a"}', "additional_chat_templates/rag.jinja": "b"}
    )
    assert "processor" in obstacles(found)[0].message


@pytest.mark.slow
@pytest.mark.parametrize(("loader", "release"), [(FAST4, FOUR), (BACKEND5, FIVE)])
def test_the_released_libraries_load_what_they_should_and_no_more(loader: str, release: str) -> None:
    stored = [found for _, found, _, _ in FORMS] + [found for _, found in FINE]
    repaired = [dict(mended(checkpoint(found)).files) for found in stored]
    texts = ["a<think>b</think>\n"]
    for found, was, now in zip(stored, load(loader, stored, texts), load(loader, repaired, texts), strict=True):
        told = [each for each in obstacles(checkpoint(found)) if release in each.releases]
        assert bool(told) == ("error" in was), (found, was)
        assert told == [] or any(_same_error(each.error, was["error"]) for each in told), was["error"]
        helped = all(each.edits for each in told)
        assert helped == ("error" not in now), (found, now)
        assert told or now == was


def _same_error(told: str, raised: str) -> bool:
    """What is told is how the error begins; of a bare token it is one of two, by where it stands."""
    return raised.startswith((told, "TypeError: Special token", "AssertionError: One of the tokens", "KeyError: 'id'"))


def test_the_tags_stay_what_they_are() -> None:
    before = checkpoint(files(config={"extra_special_tokens": list(TAGS), "tokenizer_class": "TokenizersBackend"}))
    after = mended(before)
    assert [r.where for r in after.records_of(TAGS[0])] == ["added_tokens", "additional_special_tokens"]
    assert after.value(CONFIG, "tokenizer_class") == "PreTrainedTokenizerFast"
