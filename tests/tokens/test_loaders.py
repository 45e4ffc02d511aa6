from __future__ import annotations

from typing import Any

import pytest
from real import KINDS, load
from tiny import TAGS, bare, checkpoint, files, sample, typed

from template_fix.tokens.loaders import BACKEND5, FAST4, OWN5, SLOW4, adds, skipped_by, skips

LISTED = list(TAGS)
ADDITIONAL = {"additional_special_tokens": LISTED}
NAMED = {"think_token": TAGS[0], "unthink_token": TAGS[1]}
MAPPED = {"extra_special_tokens": {"a_token": TAGS[0], "b_token": TAGS[1]}}

# What is recorded, and whether each loader skips the tags: fast 4.57, slow 4.57, TokenizersBackend, Qwen2Tokenizer.
TABLE: list[tuple[str, dict[str, Any], str]] = [
    ("nothing but ordinary tokens", files(), "no no no no"),
    ("tokenizer.json alone", files(True), "yes no yes yes"),
    ("tokenizer.json, but the decoder says ordinary", files(True, False), "yes no yes no"),
    ("the decoder, but tokenizer.json says ordinary", files(False, True), "yes no yes yes"),
    ("a list of additional tokens", files(config=ADDITIONAL), "yes yes no yes"),
    ("a mapping of extra tokens", files(config=MAPPED), "yes yes yes yes"),
    ("attributes such as think_token", files(config=NAMED), "no no yes yes"),
    ("the map's list beside a decoder", files(False, False, token_map=ADDITIONAL), "no no no no"),
    ("the map's list", files(token_map=ADDITIONAL), "yes yes no yes"),
    ("a list whose tokens no file has", files(None, config=ADDITIONAL), "yes yes yes yes"),
    ("a list whose tokens the decoder lacks", files(False, None, ADDITIONAL), "no yes no yes"),
]


@pytest.mark.parametrize(("found", "expected"), [pytest.param(f, e, id=name) for name, f, e in TABLE])
def test_each_loader_skips_what_its_files_call_special(found: dict[str, Any], expected: str) -> None:
    by_loader = skips(checkpoint(found), TAGS[1])
    assert " ".join("yes" if by_loader[loader] else "no" for loader in (FAST4, SLOW4, BACKEND5, OWN5)) == expected


def test_a_reason_names_the_files() -> None:
    found = files(True, True, {**ADDITIONAL, **NAMED})
    assert skips(checkpoint(found), TAGS[0])[OWN5] == (
        "flagged special in added_tokens_decoder of tokenizer_config.json, "
        "named think_token in tokenizer_config.json, "
        "listed in additional_special_tokens of tokenizer_config.json"
    )
    assert skips(checkpoint(files(config=MAPPED)), TAGS[0])[BACKEND5] == (
        "named a_token in extra_special_tokens of tokenizer_config.json"
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(files(), [True, True, True, True], id="a tag of tokenizer.json is known to all"),
        pytest.param(files(False, None), [True, False, True, False], id="a decoder without it hides it from some"),
        pytest.param(files(None, None), [False, False, False, False], id="a tag that no file has is known to none"),
        pytest.param({"tokenizer_config.json": {}}, [], id="where no file lists tokens nothing is known"),
    ],
)
def test_tells_who_makes_a_tag_one_token(found: dict[str, Any], expected: list[bool]) -> None:
    assert list(adds(checkpoint(found), TAGS[0]).values()) == expected


FORMS = sample(53)


@pytest.mark.slow
@pytest.mark.parametrize("loader", KINDS)
def test_the_released_loaders_do_as_predicted(loader: str) -> None:
    """Every flag, list, mapping and attribute, in many combinations, loaded by the library itself."""
    results = load(loader, [form.files() for form in FORMS], [f"a{tag}b" for tag in TAGS])
    compared = 0
    for form, result in zip(FORMS, results, strict=True):
        found = checkpoint(form.files())
        for tag, printed, ids in zip(TAGS, result.get("skipped", ()), result.get("ids", ()), strict=False):
            predicted = bool(skipped_by(found, tag)[loader]), adds(found, tag)[loader]
            assert predicted == (tag not in printed, len(ids) == 3), f"{tag} in {form}"
            compared += 1
    assert compared > len(FORMS)


@pytest.mark.slow
@pytest.mark.parametrize("loader", KINDS)
def test_the_table_holds_in_the_released_loaders(loader: str) -> None:
    results = load(loader, [found for _, found, _ in TABLE], ["".join(TAGS)])
    skipped = {name: result["skipped"][0] == "" for (name, _, _), result in zip(TABLE, results, strict=True)}
    place = (FAST4, SLOW4, BACKEND5, OWN5).index(loader)
    assert skipped == {name: expected.split()[place] == "yes" for name, _, expected in TABLE}


def test_forms_of_tokens_with_flags_are_told_apart() -> None:
    """A token with flags is added once more by 4.57, which makes it special; a plain text that is known is not."""
    plain, flagged = (
        checkpoint(files(False, None, {"additional_special_tokens": [token]})) for token in (TAGS[0], typed(TAGS[0]))
    )
    assert [bool(skips(found, TAGS[0])[FAST4]) for found in (plain, flagged)] == [False, True]
    mapped = checkpoint(files(None, token_map={"additional_special_tokens": [bare(TAGS[0])]}))
    assert skips(mapped, TAGS[0])[BACKEND5] == "listed in additional_special_tokens of special_tokens_map.json"
