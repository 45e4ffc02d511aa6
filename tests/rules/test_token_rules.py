"""The rules on tags among the tokens, on copies of the template and on files that can't be loaded."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny import TAGS, alphabet, checkpoint, entries, files, tokenizer

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.results import Finding, Level
from template_fix.rules.files import tf305_encodes_otherwise, tf401_copies_disagree, tf402_not_loadable
from template_fix.rules.tokens import (
    tf301_special_tag,
    tf302_flags_disagree,
    tf303_tag_is_split,
    tf304_swallows_whitespace,
)
from template_fix.tokens.loaders import LOADERS
from template_fix.tokens.reasoning_tokens import tokens_in, vocabulary_tags
from template_fix.tokens.tagged_checkpoint import Subject
from template_fix.tokens.unflag import unflag

RULES = (
    tf301_special_tag,
    tf302_flags_disagree,
    tf303_tag_is_split,
    tf304_swallows_whitespace,
    tf305_encodes_otherwise,
    tf401_copies_disagree,
    tf402_not_loadable,
)
THINK = (TAGS[0], TAGS[1])


def check(
    rule: ModuleType, found: Checkpoint | dict[str, Any], *tags: tuple[str, str], control: bool = False
) -> list[Finding]:
    subject = found if isinstance(found, Checkpoint) else checkpoint(found)
    pairs = tags or (THINK,)
    return list(rule.check(Subject(subject, pairs, frozenset(pairs) if control else frozenset())))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_ordinary_tags_in_every_file_are_no_finding(rule: ModuleType) -> None:
    config = {"chat_template": "{{ messages }}", "additional_special_tokens": ["<eos>"]}
    found = {**files(False, False, config, {}), "chat_template.jinja": "{{ messages }}\n"}
    assert check(rule, found) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_a_directory_that_says_nothing_of_tokens_is_no_finding(rule: ModuleType) -> None:
    assert check(rule, {"tokenizer_config.json": {"eos_token": "x"}}) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.CODE)
def test_every_page_has_its_sections(rule: ModuleType) -> None:
    sections = [line for line in (rule.__doc__ or "").splitlines() if line.startswith("## ")]
    assert sections == ["## What", "## Why", "## Example", "## Fix"]


def test_a_special_tag_is_shown_as_decoding_leaves_it() -> None:
    (finding,) = check(tf301_special_tag, files(True, True, {"additional_special_tokens": list(TAGS)}))
    assert finding.level is Level.ERROR
    assert finding.message == "decoding with skip_special_tokens=True drops <think> and </think> in every loader"
    (evidence,) = finding.evidence
    assert (evidence.given, evidence.printed) == ("<think>\n6 times 7\n</think>\n\n42", "\n6 times 7\n\n\n42")
    assert evidence.lost == TAGS
    assert finding.place and (finding.place.file, finding.place.source) == ("tokenizer.json", '      "special": true')
    assert finding.fix == (
        "make them ordinary added tokens in tokenizer.json and tokenizer_config.json, with the same ids"
    )


def test_loaders_that_differ_are_told_apart() -> None:
    (finding,) = check(tf301_special_tag, files(True, False))
    fast4, slow4, backend5, own5 = LOADERS
    assert finding.message.endswith(f"in {fast4} and {backend5}, not in {slow4} and {own5}")
    assert [evidence.lost for evidence in finding.evidence] == [TAGS]


def test_a_tag_that_is_padding_is_an_error_that_no_edit_lifts() -> None:
    (finding,) = check(tf301_special_tag, files(config={"pad_token": TAGS[1]}))
    assert [evidence.lost for evidence in finding.evidence] == [(TAGS[1],)]
    assert finding.fix == "</think> is also the pad_token, which loaders always skip, so it stays special"


def test_control_tokens_by_design_are_a_note() -> None:
    (finding,) = check(tf301_special_tag, files(True, True), control=True)
    assert finding.level is Level.NOTE


def test_after_the_repair_the_finding_is_gone() -> None:
    before = checkpoint(files(False, None, {"extra_special_tokens": {"think_token": TAGS[0]}}))
    after = before.apply(unflag(before, TAGS).edits)
    assert [bool(check(rule, before)) for rule in RULES[:4]] == [True, True, True, False]
    assert [bool(check(rule, after)) for rule in RULES[:4]] == [False, False, False, False]


def test_a_tag_of_several_tokens_is_looked_at_token_by_token() -> None:
    names = ("<|channel|>", "<|message|>", "<|end|>")
    decoder = {str(n): {"content": name, "special": True} for n, name in enumerate(names)}
    found = checkpoint({"tokenizer_config.json": {"added_tokens_decoder": decoder}})
    opening = "<|channel|>analysis<|message|>"
    assert tokens_in(found, opening) == names[:2]
    (finding,) = check(tf301_special_tag, found, (opening, "<|end|>"), control=True)
    assert finding.evidence[0].lost == names
    assert check(tf303_tag_is_split, found, (opening, "<|end|>")) == []


def test_files_that_disagree_are_named() -> None:
    (finding,) = check(tf302_flags_disagree, files(True, False))
    assert finding.message == (
        "<think> and </think> are special in added_tokens of tokenizer.json, "
        "but ordinary in added_tokens_decoder of tokenizer_config.json"
    )
    assert finding.place and finding.place.source == '      "special": true'
    (listed,) = check(tf302_flags_disagree, files(config={"additional_special_tokens": [TAGS[1]]}))
    assert listed.message.startswith("</think> is special in additional_special_tokens of tokenizer_config.json, ")


def test_two_ids_for_one_tag_are_told() -> None:
    found = files(False, False)
    found["tokenizer_config.json"]["added_tokens_decoder"]["300"] = entries(False)[259]
    del found["tokenizer_config.json"]["added_tokens_decoder"]["259"]
    (finding,) = check(tf302_flags_disagree, found)
    assert finding.message == (
        "</think> has the id 259 in added_tokens of tokenizer.json and "
        "300 in added_tokens_decoder of tokenizer_config.json"
    )


def test_a_tag_that_no_file_lists_is_shown_in_its_pieces() -> None:
    (finding,) = check(tf303_tag_is_split, files(None))
    assert finding.message.startswith("in every loader, <think> is split into '<', 't', 'h', 'i', 'n', 'k' and '>'")
    assert [evidence.printed for evidence in finding.evidence] == [" | ".join(tag) for tag in TAGS]
    assert finding.fix and "train their embeddings" in finding.fix


def test_a_decoder_that_lacks_a_tag_splits_it_for_some() -> None:
    (finding,) = check(tf303_tag_is_split, files(False, None))
    _, slow4, _, own5 = LOADERS
    assert finding.message.startswith(f"in {slow4} and {own5}, <think> is split into ")
    assert finding.fix == "enter them in added_tokens_decoder of tokenizer_config.json too, with the same ids"
    assert finding.place and finding.place.source == '      "content": "<think>",'


def test_a_tag_of_the_vocabulary_is_one_token() -> None:
    found = {"tokenizer.json": {**tokenizer(None), "pre_tokenizer": None}}
    vocab = {**alphabet(), "ab": 300, "abc": 301}
    found["tokenizer.json"]["model"] = {"type": "BPE", "vocab": vocab, "merges": [["a", "b"], ["ab", "c"]]}
    assert check(tf303_tag_is_split, found, ("ab", "abc")) == []
    assert len(check(tf303_tag_is_split, found, ("ab", "ba"))) == 1


@pytest.mark.parametrize(
    ("flags", "printed", "lost"),
    [
        ({"rstrip": True}, "6 times 7 \n</think>42", ("\n ",)),
        ({"lstrip": True}, "6 times 7</think>\n 42", (" \n",)),
        ({"lstrip": True, "rstrip": True}, "6 times 7</think>42", (" \n", "\n ")),
    ],
    ids=lambda value: " and ".join(value) if isinstance(value, dict) else None,
)
def test_whitespace_that_a_tag_swallows_is_shown(flags: dict[str, bool], printed: str, lost: tuple[str, ...]) -> None:
    found = {"tokenizer.json": tokenizer(False, **flags)}
    opening, closing = check(tf304_swallows_whitespace, found)
    assert (closing.evidence[0].printed, closing.evidence[0].lost) == (printed, lost)
    assert opening.message.startswith("<think> swallows the whitespace beside it when it is encoded: ")
    assert closing.place and closing.place.source and next(iter(flags)) in closing.place.source


REASONING = "{% for m in messages %}{{ m.content }}{% endfor %}"
STRIPPED = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}"


def test_copies_that_print_differently_are_told_with_their_readers() -> None:
    found = {"tokenizer_config.json": {"chat_template": STRIPPED}, "chat_template.jinja": REASONING}
    (finding,) = check(tf401_copies_disagree, found)
    assert finding.message == (
        "the template in tokenizer_config.json, read by the tokenizer of transformers before 4.48, "
        "llama.cpp's converter and TGI, prints something else than the one in chat_template.jinja, "
        "read by the tokenizer of transformers 4.52 and later and vLLM and SGLang"
    )
    assert "<think>" in finding.evidence[0].given
    assert "<think>" not in finding.evidence[0].printed
    assert finding.place and (finding.place.file, finding.place.template_column) == ("tokenizer_config.json", 36)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(REASONING + "\n", id="the last line end"),
        pytest.param("{# the same #}" + REASONING, id="a comment"),
        pytest.param(REASONING.replace("m.content", "m['content']"), id="another spelling"),
    ],
)
def test_copies_that_print_alike_are_no_finding(other: str) -> None:
    found = {"tokenizer_config.json": {"chat_template": other}, "chat_template.jinja": REASONING}
    assert check(tf401_copies_disagree, found) == []


def test_line_ends_alone_are_no_disagreement() -> None:
    lines = "{% if messages %}\nsome\n{% endif %}\n"
    found = {"tokenizer_config.json": {"chat_template": lines}, "chat_template.jinja": lines.replace("\n", "\r\n")}
    assert check(tf401_copies_disagree, found) == []


def test_a_copy_that_doesnt_parse_disagrees() -> None:
    found = {"tokenizer_config.json": {"chat_template": "{% if %}"}, "chat_template.jinja": REASONING}
    (finding,) = check(tf401_copies_disagree, found)
    assert finding.evidence[0].printed.startswith("line 1: ")


def test_variants_are_compared_by_themselves() -> None:
    config = [{"name": "default", "template": REASONING}, {"name": "rag", "template": STRIPPED}]
    found = {
        "tokenizer_config.json": {"chat_template": config},
        "chat_template.jinja": REASONING,
        "additional_chat_templates/rag.jinja": REASONING,
    }
    (finding,) = check(tf401_copies_disagree, found)
    assert finding.message.startswith("the template 'rag' in tokenizer_config.json")


def test_what_only_an_older_release_cant_load_is_a_warning() -> None:
    (older,) = check(tf402_not_loadable, files(config={"extra_special_tokens": ["<eos>"]}))
    assert older.level is Level.WARNING
    assert "tokenizer_config.json: extra_special_tokens is a list, the form of transformers 5" in older.message
    assert older.evidence[0].printed == "AttributeError: 'list' object has no attribute 'keys'"
    (both,) = check(tf402_not_loadable, files(config={"added_tokens_decoder": None}))
    assert both.level is Level.ERROR


# Which findings each directory of the corpus has, by the tags that its vocabulary names.
CORPUS = {
    "minicpm-v-4": {"TF301": "<think> and </think>", "TF303": "Qwen2Tokenizer"},
    "reflection-llama-3.1-70b": {"TF301": "in every loader"},
}


def test_the_corpus_has_the_findings_that_its_files_show(shared: Path) -> None:
    found: dict[str, dict[str, str]] = {}
    for path in sorted((shared / "corpus/models").iterdir()):
        try:
            subject = Checkpoint.read(path)
        except CheckpointError:
            continue
        findings = [each for rule in RULES for each in check(rule, subject, *vocabulary_tags(subject) or (THINK,))]
        kept = [each for each in findings if subject.records_of(TAGS[0]) or each.code == "TF301"]
        told = {each.code: each.message for each in reversed(kept)}
        if told:
            found[path.name] = told
    assert {name: sorted(told) for name, told in found.items()} == {name: sorted(told) for name, told in CORPUS.items()}
    for name, told in CORPUS.items():
        assert all(text in found[name][code] for code, text in told.items())


def test_json_of_any_layout_is_read_alike() -> None:
    found = files(True, False)
    messages = {
        tuple(each.message for rule in RULES for each in check(rule, checkpoint(found, indent)))
        for indent in (None, 1, 4)
    }
    assert len(messages) == 1
