"""Tokens by the ten thousand: what is said of them is said once, and takes time that goes by their number."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tiny import BASE, TAGS, bare, entry, files, tokenizer

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.data.check import row_check_of
from template_fix.engine.patch import check
from template_fix.options import Options
from template_fix.report.showing.show import show
from template_fix.rules import FILE_RULES, TOKEN_RULES
from template_fix.tokens.loadability import obstacles
from template_fix.tokens.loaders import skipped_by
from template_fix.tokens.reasoning_tokens import MOST_PAIRS, listed, recorded_tags, tokens_in, vocabulary_tags
from template_fix.tokens.stub_tokenizer import Vocabulary
from template_fix.tokens.tagged_checkpoint import Subject
from template_fix.tokens.unflag import unflag

pytestmark = pytest.mark.children

TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


def checkpoint(found: dict[str, Any]) -> Checkpoint:
    return Checkpoint("tiny", {file: json.dumps(content) for file, content in found.items()})


def with_entries(*contents: str, special: bool = True, config: dict[str, Any] | None = None) -> dict[str, Any]:
    found = {**files(config=config), "tokenizer.json": tokenizer(None)}
    added = found["tokenizer.json"]["added_tokens"]
    added += [{"id": number, **entry(content, special)} for number, content in enumerate(contents, 258)]
    return found


def numbered(pairs: int) -> Checkpoint:
    tags = [tag for number in range(pairs) for tag in (f"<think{number}>", f"</think{number}>")]
    found = checkpoint(with_entries(*tags))
    return Checkpoint("tiny", {**found.files, "chat_template.jinja": TEMPLATE})


def checked(found: Checkpoint, chosen: tuple[tuple[str, str], ...]) -> object:
    return check(found, Options(tags=chosen))


def rows_checked(found: Checkpoint, chosen: tuple[tuple[str, str], ...]) -> object:
    return row_check_of(found, Options(tags=chosen))


def shown(found: Checkpoint, chosen: tuple[tuple[str, str], ...]) -> object:
    return show(found, tags=chosen[0] if chosen else None)


@pytest.mark.parametrize("command", [checked, rows_checked, shown])
@pytest.mark.parametrize("pairs", [MOST_PAIRS + 1, 10_000])
def test_more_pairs_of_tags_than_any_model_has_are_refused_unless_the_right_ones_are_named(
    command: Callable[[Checkpoint, tuple[tuple[str, str], ...]], object], pairs: int
) -> None:
    found = numbered(pairs)
    with within(5):
        with pytest.raises(
            CheckpointError, match=f"^tiny/tokenizer.json:1:[0-9]+: the first of {pairs:,} pairs.* --tag"
        ):
            command(found, ())
        command(found, (("<think7>", "</think7>"),))


def test_as_many_pairs_as_a_model_may_have_are_all_looked_at() -> None:
    found = numbered(MOST_PAIRS)
    assert len(recorded_tags(found)) == MOST_PAIRS
    assert recorded_tags(found, (("<a>", "</a>"),)) == recorded_tags(found)


@pytest.mark.parametrize("name", [f"<think{'x' * 100}>", "<think\ud800>"], ids=["too long", "no text"])
def test_what_can_be_no_tag_is_none(name: str) -> None:
    assert vocabulary_tags(checkpoint(with_entries(name, name.replace("<", "</")))) == ()


MANY, MOST_NAMED = 10_000, 990
LETTERS = [f"<{number}>" for number in range(MANY)]


def in_the_map(number: int) -> dict[str, Any]:
    names = {f"x{order}_token": TAGS[0] for order in range(number)}
    return files(config=names, token_map=names)


CROWDS = [
    pytest.param(with_entries(*[TAGS[0]] * MANY, TAGS[1]), id="entries of one tag with as many ids"),
    pytest.param(with_entries(*TAGS, *LETTERS), id="entries of other tokens"),
    pytest.param(with_entries(*LETTERS, *TAGS, config={"added_tokens_decoder": {}}), id="entries missing elsewhere"),
    pytest.param(files(config={f"x{order}_token": TAGS[0] for order in range(MOST_NAMED)}), id="attributes of one tag"),
    pytest.param(in_the_map(MOST_NAMED), id="attributes of one tag in two files"),
    pytest.param(files(config={"additional_special_tokens": [*TAGS] * MANY}), id="a tag again and again in a list"),
    pytest.param(files(config={"extra_special_tokens": [bare(each) for each in LETTERS]}), id="bare tokens"),
    pytest.param({**files(), "generation_config.json": {"eos_token_id": list(range(MANY))}}, id="ids that stop"),
    pytest.param(
        {**with_entries(*LETTERS), "generation_config.json": {"eos_token_id": list(range(MANY))}}, id="tokens that stop"
    ),
]


@pytest.mark.parametrize("found", CROWDS)
def test_crowds_of_tokens_are_few_findings_with_short_messages(found: dict[str, Any]) -> None:
    with within(5):
        subject = Subject(checkpoint(found), (TAGS, *[("<a>", "</a>")] * 8), frozenset(), BASE)
        findings = [finding for rule in (*FILE_RULES, *TOKEN_RULES) for finding in rule.check(subject)]
    assert len(findings) < 12
    assert max(len(finding.message) for finding in findings) < 2500


@pytest.mark.parametrize("found", CROWDS)
def test_crowds_of_tokens_are_made_ordinary_at_once(found: dict[str, Any]) -> None:
    before = checkpoint(found)
    with within(5):
        after = before.apply(unflag(before, TAGS).edits)
    assert not any(skipped_by(after, TAGS[1]).values())


def test_entries_that_lack_fields_are_told_once_with_the_first_place() -> None:
    found = files()
    found["tokenizer.json"]["added_tokens"] = [{"id": number, "content": token} for number, token in enumerate(LETTERS)]
    before = checkpoint(found)
    told = obstacles(before)
    assert [each.message for each in told] == [
        "10000 entries of added_tokens lack fields, the first one special, lstrip, rstrip, normalized, single_word"
    ]
    assert told[0].span.of(before.files["tokenizer.json"]) == '{"id": 0, "content": "<0>"}'


def test_the_tokens_in_a_tag_are_looked_for_among_those_that_it_holds() -> None:
    found = checkpoint(with_entries(*LETTERS, "<|channel|>", "<|message|>"))
    with within(3):
        assert tokens_in(found, "<|channel|>analysis<|message|>") == ("<|channel|>", "<|message|>")


def test_an_entry_of_the_vocabulary_that_never_ends_costs_no_more_than_its_length() -> None:
    found = files()
    found["tokenizer.json"]["model"]["merges"] = ["a " * 20_000 + "Z"]
    with within(2):
        assert Vocabulary(checkpoint(found)).pieces("<a a>", added=False)


def test_of_very_many_names_the_first_are_listed() -> None:
    assert listed(map(str, range(40))) == f"{', '.join(map(str, range(39)))} and 39"
    assert listed(map(str, range(1000))) == f"{', '.join(map(str, range(39)))} and 961 more"
