from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real import KINDS, load
from tiny import FORMS, IDS, TAGS, Form, checkpoint, dump, entry, files, sample

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.text.edits import unified_diff
from template_fix.tokens.loaders import BACKEND5, FAST4, LOADERS, OWN5, skips
from template_fix.tokens.unflag import unflag

ADDITIONAL = {"additional_special_tokens": list(TAGS)}


def mended(found: Checkpoint, *printed: str) -> Checkpoint:
    return found.apply(unflag(found, TAGS, printed).edits)


def kept_by_all(found: Checkpoint) -> bool:
    return not any(reason for tag in TAGS for reason in skips(found, tag).values())


WITHOUT_ROLES = sample(11, lambda form: "pad_token" not in str(form))


@pytest.mark.parametrize("indent", [None, 2])
def test_afterwards_no_loader_skips_a_tag_and_a_second_time_changes_nothing(indent: int | None) -> None:
    repaired = 0
    for form in WITHOUT_ROLES:
        found = checkpoint(form.files(), indent)
        unflagged = unflag(found, TAGS)
        after = found.apply(unflagged.edits)
        assert kept_by_all(after) or unflagged.notes, form
        assert not unflag(after, TAGS).edits, form
        repaired += not kept_by_all(found) and kept_by_all(after)
    assert repaired > len(WITHOUT_ROLES) / 2


def test_nothing_changes_where_the_tags_are_ordinary_already() -> None:
    ordinary: list[dict[str, Any]] = [files(), files(False, False), files(token_map={}), {"tokenizer_config.json": {}}]
    for found in ordinary:
        assert unflag(checkpoint(found), TAGS).edits == ()


def test_only_the_bytes_of_flags_and_entries_change() -> None:
    found = files(True, True, {"additional_special_tokens": ["<eos>", *TAGS]}, {"additional_special_tokens": [*TAGS]})
    before = checkpoint(found)
    after = mended(before)
    diff = "".join(unified_diff(before.files[file], after.files[file], file) for file in before.files)
    changed = [line for line in diff.splitlines() if line[0] in "+-" and line[:3] not in ("+++", "---")]
    flags = ['-      "special": true', '+      "special": false'] * 2
    assert changed == [
        *flags,
        '-    "<eos>",',
        '-    "<think>",',
        '-    "</think>"',
        '+    "<eos>"',
        *flags,
        '-  "additional_special_tokens": [',
        '-    "<think>",',
        '-    "</think>"',
        "-  ]",
        '+  "additional_special_tokens": []',
    ]


def test_a_mapping_and_an_attribute_lose_the_tag_and_keep_the_others() -> None:
    config = {"extra_special_tokens": {"a_token": "<eos>", "b_token": TAGS[0]}, "think_token": TAGS[1]}
    after = mended(checkpoint(files(config=config)))
    assert (
        json.loads(after.files["tokenizer_config.json"])
        == files(config={"extra_special_tokens": {"a_token": "<eos>"}})["tokenizer_config.json"]
    )


def test_an_attribute_that_the_template_prints_stays_and_its_cost_is_told() -> None:
    found = checkpoint(files(True, config={"think_token": TAGS[0], "other_token": TAGS[1]}))
    unflagged = unflag(found, TAGS, ["think_token", "bos_token"])
    after = found.apply(unflagged.edits)
    assert after.value("tokenizer_config.json", "think_token") == TAGS[0]
    assert after.value("tokenizer_config.json", "other_token") is None
    assert unflagged.notes == (
        "think_token in tokenizer_config.json stays because the template prints it; transformers 5 "
        "(TokenizersBackend) and (classes such as Qwen2Tokenizer) therefore still skip <think> in decoding",
    )
    assert [bool(reason) for reason in skips(after, TAGS[0]).values()] == [False, False, True, True]


@pytest.mark.parametrize("name", ["pad_token", "eos_token", "unk_token", "bos_token"])
def test_a_tag_with_a_role_is_left_alone(name: str) -> None:
    found = checkpoint(files(True, True, {name: TAGS[1]}))
    unflagged = unflag(found, TAGS)
    after = found.apply(unflagged.edits)
    assert unflagged.notes == (f"</think> is also the {name}, which loaders always skip, so it stays special",)
    assert all(skips(after, TAGS[1]).values())
    assert not any(skips(after, TAGS[0]).values())


def test_a_tag_without_a_known_id_stays_listed() -> None:
    found = checkpoint(files(None, None, ADDITIONAL))
    unflagged = unflag(found, TAGS)
    assert unflagged.edits == ()
    assert "no file gives its id" in unflagged.notes[0]


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_a_listed_tag_that_the_decoder_lacks_is_entered_there_in_the_same_layout(indent: int | None) -> None:
    after = mended(checkpoint(files(False, None, ADDITIONAL), indent))
    expected = files(False, False, {"additional_special_tokens": []})["tokenizer_config.json"]
    assert json.loads(after.files["tokenizer_config.json"]) == expected
    assert after.files["tokenizer_config.json"] == dump(
        {**expected, "added_tokens_decoder": expected["added_tokens_decoder"]}, indent
    ).replace("[]", json.dumps([]))


def test_an_entry_is_added_where_its_number_comes_out_right() -> None:
    in_order = files(True, None)
    after = mended(checkpoint(in_order))
    assert [r.id for tag in TAGS for r in after.records_of(tag) if r.where == "added_tokens_decoder"] == [258, 259]
    gap = files(True, None)
    gap["tokenizer.json"]["added_tokens"].insert(2, {"id": 257, **entry("<other>", False)})
    for number, token in enumerate(gap["tokenizer.json"]["added_tokens"]):
        token["id"] = 256 + number
    after = mended(checkpoint(gap))
    assert not [record for tag in TAGS for record in after.records_of(tag) if record.where == "added_tokens_decoder"]


def test_a_byte_order_mark_and_crlf_are_kept() -> None:
    found = files(True, True, ADDITIONAL)
    texts = {file: "\ufeff" + dump(content).replace("\n", "\r\n") for file, content in found.items()}
    before = Checkpoint("tiny", texts)
    after = mended(before)
    assert kept_by_all(after)
    for text in after.files.values():
        assert text.startswith("\ufeff{\r\n")
        assert text.count("\n") == text.count("\r\n")


def strings(number: int) -> list[str]:
    """Texts around and between the tags, as hypothesis makes them up; always the same ones."""
    made: list[str] = []
    words = st.lists(st.sampled_from([*TAGS, "<eos>", " ", "\n", "a", "é", "<thin", "k>", "</"]) | st.text(max_size=4))

    @settings(max_examples=number, derandomize=True, database=None)
    @given(words)
    def collect(parts: list[str]) -> None:
        made.append("".join(parts))

    collect()
    return made[:number]


LOADABLE = sample(101, lambda form: bool(form.json_special is not None or form.decoder_special or form.added))
TEXTS = strings(200)


@pytest.mark.slow
@pytest.mark.parametrize("loader", LOADERS)
def test_the_released_loaders_keep_the_tags_and_every_id(loader: str) -> None:
    """Flags, lists and attributes in many combinations, repaired and loaded by the library itself."""
    texts = [f"a{tag}b" for tag in TAGS] + TEXTS[:20]
    notes = [unflag(checkpoint(form.files()), TAGS).notes for form in LOADABLE]
    before = load(loader, [form.files() for form in LOADABLE], texts)
    after = load(loader, [dict(mended(checkpoint(form.files())).files) for form in LOADABLE], texts)
    proved = 0
    for form, note, was, now in zip(LOADABLE, notes, before, after, strict=True):
        if "error" in now:
            assert "error" in was, form
            continue
        if not note:
            assert now["skipped"][:2] == ["a<think>b", "a</think>b"], form
            proved += 1
        if "error" not in was and _numbered_as_recorded(form, was):
            assert now["ids"] == was["ids"], form
            assert now["vocab"] == was["vocab"], form
    assert proved > 20


def _numbered_as_recorded(form: Form, was: dict[str, Any]) -> bool:
    """Some classes number the tags themselves where the decoder lacks them; those ids are put right, not kept."""
    return all(was["vocab"].get(tag) == IDS[tag] for tag in TAGS)


@pytest.mark.slow
@pytest.mark.parametrize("loader", KINDS)
def test_two_hundred_texts_are_encoded_alike_before_and_after(loader: str) -> None:
    found = files(True, True, {**ADDITIONAL, "extra_special_tokens": {"t_token": TAGS[0]}}, ADDITIONAL)
    assert len(TEXTS) == 200
    was, now = load(loader, [found, dict(mended(checkpoint(found)).files)], TEXTS)
    assert was["ids"] == now["ids"]
    assert was["kept"] == now["kept"]
    assert now["skipped"] != was["skipped"]
    assert [text.count("think>") for text in now["skipped"]] == [text.count("think>") for text in now["kept"]]


def test_the_forms_hold_every_way_to_record_a_tag() -> None:
    assert len(FORMS) > 7000
    assert {len(checkpoint(form.files()).records_of(TAGS[0])) for form in FORMS[::37]} >= {0, 1, 2, 3, 4}


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["config", "jinja", "both"])
@pytest.mark.parametrize("loader", [FAST4, BACKEND5, OWN5])
def test_a_directory_of_real_layout_is_repaired(shared: Path, tmp_path: Path, loader: str, storage: str) -> None:
    """The layout of R1-Distill with `<think>` special in every file, in fewer words than the real one."""
    template = tmp_path / "template.jinja"
    template.write_text("{{ messages[0].content }}", encoding="utf-8")
    made = [str(shared / "tools/make_model.py"), str(tmp_path / "model"), "--template", str(template)]
    options = ["--special-think", "--storage", storage, "--vocab", "1000"]
    subprocess.run([sys.executable, *made, *options], check=True)
    before = Checkpoint.read(tmp_path / "model")
    after = mended(before)
    assert len(after.templates) == len(before.templates) > 0
    texts = [*TEXTS[:50], "<think>\nsome words\n</think>\n\nanswer"]
    was, now = load(loader, [_own_class(before), _own_class(after)], texts)
    assert was["ids"] == now["ids"]
    assert was["vocab"] == now["vocab"]
    assert (was["skipped"][-1], now["skipped"][-1]) == ("\nsome words\n\n\nanswer", texts[-1])


def _own_class(found: Checkpoint) -> dict[str, Any]:
    """Drop what makes a loader choose a class by the model, so that the test chooses it."""
    config = json.loads(found.files["tokenizer_config.json"])
    del config["tokenizer_class"]
    return {"tokenizer.json": found.files["tokenizer.json"], "tokenizer_config.json": config}
