"""What pull requests and cards say of a repair."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from shelf import chat, patched, source

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.cli.demo import model_files
from template_fix.engine.patch import patch
from template_fix.results import Evidence, Finding, Level, PatchResult, Place
from template_fix.share import description
from template_fix.share.description import describe, model_card
from template_fix.text.edits import unified_diff

FILE = "chat_template.jinja"


def repaired(texts: dict[str, str]) -> tuple[PatchResult, Checkpoint, Checkpoint]:
    before = Checkpoint("model", texts)
    result = patched(texts[FILE]) if set(texts) == {FILE} else patch(before)
    after = {file: text for file, (_, text) in result.changed.items()}
    return result, before, Checkpoint("model", {**texts, **after})


def test_the_same_conversation_is_shown_before_and_after():
    told = description.describe_evidence(*repaired({FILE: source("strip")}))
    assert told.count("```diff\n") == 2
    assert "\n+Each spider has eight legs, so three times eight.\n" in told
    assert "reasoning inline, between &lt;think&gt; and &lt;/think&gt;:" in told


def test_of_the_tokens_alone_their_decoding_is_shown():
    texts = {"tokenizer.json": model_files()["tokenizer.json"]}
    result, before, after = repaired(texts)
    told = describe("org/model", result, "preserve", before, after)
    assert "decoding with skip_special_tokens=True drops &lt;think&gt; and &lt;/think&gt;" in told
    assert '-      "special": true\n+      "special": false\n' in told
    assert "Revert the commit; no token's id changes either way." in told
    assert "preserve_thinking" not in told


@pytest.mark.parametrize(
    "turn, title, kept",
    [
        pytest.param(
            "{{ content.split('</think>')[0] ~ '</think>' ~ content.split('</think>')[-1] if '</think>' in content "
            "else content }}",
            "a message with two blocks of reasoning",
            "They have 24 legs.",
            id="two blocks",
        ),
        pytest.param(
            "{{ content.split('</think>')[-1] if '</think>' in content and '<think>' not in content else content }}",
            "an answer that mentions the closing tag",
            "I write",
            id="a lone tag",
        ),
    ],
)
def test_what_only_other_conversations_show_is_shown_in_them(turn, title, kept):
    field = (
        "{% if m.reasoning_content %}"
        "{% set content = '<think>\\n' ~ m.reasoning_content ~ '\\n</think>\\n\\n' ~ content %}"
        "{% endif %}"
    )
    told = description.describe_evidence(*repaired({FILE: chat(field + turn)}))
    assert told.startswith(f"{title}:\n\n```diff\n")
    assert any(kept in row for row in told.splitlines() if row.startswith("+"))


def test_what_the_built_in_conversations_do_not_show_is_shown_as_the_rules_saw_it():
    texts = {FILE: source("safe"), "additional_chat_templates/tool_use.jinja": source("ignores_field")}
    told = description.describe_evidence(*repaired(texts))
    assert "```diff" not in told
    assert "in:\n" in told and "out:\n" in told


def test_a_template_inside_a_config_is_diffed_as_its_own_text():
    config = json.dumps({"chat_template": source("ignores_field"), "model_max_length": 1}, indent=2)
    told = description.describe_changes(repaired({"tokenizer_config.json": config})[0])
    assert "--- a/tokenizer_config.json, its default template\n" in told
    assert "+++ b/tokenizer_config.json\n" not in told


def test_a_fence_is_longer_than_any_in_the_text():
    told = description.describe_changes(repaired({FILE: "{# ````` #}" + source("ignores_field")})[0])
    assert "\n``````diff\n" in told and told.endswith("\n``````")


def test_characters_that_would_hide_or_move_are_spelled():
    told = description.describe_changes(repaired({FILE: "{# \x1b[31m\u202e\t #}" + source("ignores_field")})[0])
    assert "\x1b" not in told and "\u202e" not in told and "\\x1b[31m\\u202e\t" in told


def test_a_file_on_one_long_line_is_cut():
    compact = json.dumps(json.loads(model_files()["tokenizer.json"]))
    told = description.describe_changes(repaired({"tokenizer.json": compact})[0])
    assert max(map(len, told.splitlines())) < 500


@pytest.mark.parametrize(
    "name, switch", [("own_switch", True), ("safe", False)], ids=["a switch of its own", "nothing to repair"]
)
def test_the_way_back_is_told_where_there_is_one(name, switch):
    result, *_ = repaired({FILE: source(name)})
    assert description.has_switch(result) is switch


@pytest.mark.parametrize(
    "texts, summary",
    [
        ({FILE: source("strip")}, "Repair the chat template, so that no reasoning is lost"),
        (
            {"tokenizer.json": model_files()["tokenizer.json"]},
            "Repair the reasoning tags, so that no reasoning is lost",
        ),
    ],
    ids=["a template", "tokens"],
)
def test_the_summary_names_what_is_repaired(texts, summary):
    assert description.describe_in_one_line(repaired(texts)[0]) == summary


EVIL = "# x\n- <img src=x> [a](http://b.example) ![a](b) | `c` ``d`` @octocat #1 www.e.example\x1b[2J\n```\n* z\n==="
TOKEN = "hf_ABCDEFGHIJKLMNOPQRSTUVWXYZ01234567"
SECTIONS = [
    "What was wrong",
    "Before and after",
    "How it was verified",
    "How to get the old behaviour back",
]


def hostile(text: str) -> tuple[PatchResult, Checkpoint, Checkpoint]:
    """A repair of which everything was named or written by a stranger."""
    result, before, after = repaired({FILE: source("strip")})
    evidence = Evidence(text, text, text, (text[:9],), (text,), (text, text))
    found = tuple(
        Finding(f"TF20{1 + n % 8}", Level.ERROR, text, Place(text, 1, 1, text), (evidence,), text) for n in range(99)
    )
    kept = tuple(replace(repair, title=text, why=text) for repair in result.kept) * 99
    changed = {f"{n}{text}.jinja": (text, text * 2) for n in range(99)}
    return (
        replace(result, before=replace(result.before, model=text, findings=found), kept=kept, changed=changed),
        Checkpoint(text, before.files),
        Checkpoint(text, after.files),
    )


@pytest.mark.parametrize("size", [pytest.param(1, id="short"), pytest.param(10**5, id="long", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["offer", "card"])
def test_what_strangers_wrote_does_nothing_on_the_hub(kind: str, size: int) -> None:
    parser = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    text = f"{EVIL} {TOKEN}" + "é`*" * size
    result, before, after = hostile(text)
    told = (
        describe(text, result, "preserve", before, after)
        if kind == "offer"
        else model_card(f"me/{text}", text, result, "preserve", before, after)
    )
    assert len(told) < 65_536
    assert TOKEN not in told and "\x1b" not in told
    tokens = [each for token in parser.parse(told) for each in (token, *(token.children or ()))]
    kinds = {token.type for token in tokens}
    assert not kinds & {"link_open", "image", "html_block", "html_inline", "table_open", "blockquote_open", "s_open"}
    headings = [inside.content for token, inside in pairwise(tokens) if token.type == "heading_open"]
    assert set(SECTIONS) <= set(headings)
    assert len(headings) == (7 if kind == "offer" else 9)
    prose = "".join(token.content for token in tokens if token.type == "text")
    assert not re.search(r"[@#]\w|://|www\.", prose)


def test_an_experiment_of_the_rules_stays_in_its_block() -> None:
    told = "\n\n".join(description._describe_experiments(hostile(f"{EVIL}{'`' * 300} {TOKEN}")[0]))
    assert TOKEN not in told and "\x1b" not in told
    assert len(told) < 20_000


@pytest.mark.parametrize("length", [10, 250, 2000, 20_000])
def test_a_change_in_a_long_row_is_shown_on_either_side(length: int) -> None:
    before = "{{ 1 }}" * length + "{{ content.split('</think>')[-1] }}" + "{{ 2 }}" * length
    after = before.replace("{{ content.", "{{ content if keep else content.")
    told = description.shorten_rows(unified_diff(before, after, "t")).split("\n")
    rows = [row for row in told if row.startswith(("+", "-")) and not row.startswith(("+++", "---"))]
    assert len(rows) == 2 and "content if keep else content.split" in rows[1] and "keep" not in rows[0]
    assert all(len(row) < 400 for row in rows)


def test_that_nothing_changes_is_said_only_where_the_switch_has_to_be_asked_for() -> None:
    result = patched(chat("{{ m.content.split('</think>')[-1] }}"))
    unknown = replace(result, served=None)
    assert "get a different text" in description.describe_concerned(result)
    assert "in all conversations" not in description.describe_concerned(unknown)
    assert "in all conversations" in description.describe_concerned(
        replace(unknown, asked=(("preserve_thinking", True),))
    )
