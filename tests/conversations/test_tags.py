from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shelf import source

from template_fix.conversations.discovery import discover, find_in_literals, literals
from template_fix.conversations.tags import Tags, closings, pairs
from template_fix.jinja.renderer import Renderer
from template_fix.jinja.templates import Template

THINK = ("<think>", "</think>")
CHANNEL = ("<|channel>thought", "<channel|>")
WORDED = ("<|START_THINKING|>", "<|END_THINKING|>")


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        pytest.param("<think>", "</think>", id="a slash in angle brackets"),
        pytest.param("[THINK]", "[/THINK]", id="a slash in square brackets"),
        pytest.param("<seed:think>", "</seed:think>", id="a slash in front of a namespace"),
        pytest.param("<|think|>", "<|/think|>", id="a slash inside of bars"),
        pytest.param("<｜think｜>", "<｜/think｜>", id="a slash inside of wide bars"),
        pytest.param("<|START_THINKING|>", "<|END_THINKING|>", id="start and end"),
        pytest.param("<|begin_of_thought|>", "<|end_of_thought|>", id="begin and end"),
        pytest.param("<|inner_prefix|>", "<|inner_suffix|>", id="prefix and suffix"),
        pytest.param("<|channel>thought", "<channel|>", id="a bar that changes sides"),
        pytest.param("<|open|>think<|sep|>", "<|close|>think<|sep|>", id="marks around a name"),
    ],
)
def test_an_opening_tag_names_its_closing_one(opening: str, closing: str) -> None:
    assert closing in list(closings(opening))
    assert Tags(opening, closing).paired


def test_a_closing_tag_of_many_things_is_no_partner() -> None:
    assert not Tags("<|channel|>analysis<|message|>", "<|end|>").paired


@pytest.mark.parametrize(
    ("names", "found"),
    [
        pytest.param(["<pad>", "<think>", "</think>"], [THINK], id="a pair among others"),
        pytest.param(["</think>", "<think>"], [THINK], id="the order doesn't matter"),
        pytest.param(["<tool>", "</tool>"], [], id="a pair that isn't about reasoning"),
        pytest.param(["<think>"], [], id="an opening tag alone"),
        pytest.param(["[THINK]", "[/THINK]", *THINK], [("[THINK]", "[/THINK]"), THINK], id="two pairs"),
        pytest.param(["<think>", "</think>", "<think>"], [THINK], id="a name that comes twice"),
    ],
)
def test_reasoning_tags_are_paired_by_their_names(names: list[str], found: list[tuple[str, str]]) -> None:
    assert pairs(names) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("{{ '<think>' + x + '</think>' }}", THINK, id="both tags"),
        pytest.param("{{ x.split('</think>')[-1] }}", THINK, id="a closing tag alone"),
        pytest.param("<reflection>{{ x }}</reflection>", ("<reflection>", "</reflection>"), id="text of the template"),
        pytest.param("{# <think> and </think> #}{{ x }}", None, id="a comment is no literal"),
        pytest.param("{{ '<tool>' }}{{ '</tool>' }}", None, id="tags of something else"),
        pytest.param("{{ x.think }}{{ '[INST]' }}", None, id="a name isn't a literal"),
        pytest.param(
            "{{ a.split('</think>') }}{{ '<thought>' ~ b ~ '</thought>' }}{{ c.split('</think>') }}{{ '<think>' }}",
            THINK,
            id="the pair that is named most often",
        ),
        pytest.param("{{ '<|START_THINKING|>' ~ x ~ '<|END_THINKING|>' }}", WORDED, id="tags in words"),
        pytest.param("{{ x.split('<channel|>')[-1] }}", CHANNEL, id="the closing tag of a channel alone"),
        pytest.param(
            "{% macro cut(x) %}{{ x.split('<channel|>')[-1].split('<|channel>')[0] }}{% endmacro %}{{ cut(x) }}",
            CHANNEL,
            id="a macro that cuts channels out",
        ),
        pytest.param(
            "{{ '<|channel>analysis' }}{{ x.split('<channel|>')[-1] }}",
            ("<|channel>analysis", "<channel|>"),
            id="a channel with a name of its own",
        ),
        pytest.param("{{ '<|turn>' ~ x ~ '<turn|>' }}", None, id="turns that are marked as channels are"),
    ],
)
def test_the_literals_of_a_template_name_its_tags(text: str, found: tuple[str, str] | None) -> None:
    assert find_in_literals(Template(text).tree) == found


def test_literals_are_texts_and_string_constants() -> None:
    assert list(literals(Template("a{{ 'b' + c['d'] }}{# e #}{% if f == 'g' %}h{% endif %}").tree)) == list("abdgh")


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        pytest.param("strip", Tags(*THINK), id="tags that are only cut out"),
        pytest.param("gate", Tags(*THINK, "\n", "\n", "\n\n"), id="tags around a field, with blank lines"),
        pytest.param("empty_block", Tags(*THINK, "", "", "\n"), id="tags around a field, without lines of their own"),
        pytest.param("channel_macro", Tags("<|channel>thought", "<channel|>", "\n", "\n", ""), id="a named channel"),
        pytest.param(
            "channels",
            Tags("<|channel|>analysis<|message|>", "<|end|>", "", "", "\n\n"),
            id="a channel that a message token opens",
        ),
        pytest.param("brackets", Tags("[THINK]", "[/THINK]", "", "", ""), id="control tokens in brackets"),
        pytest.param("safe", Tags(*THINK, "\n", "\n", "\n\n"), id="a safe template"),
        pytest.param("plain", None, id="no notion of reasoning"),
    ],
)
def test_tags_are_found_by_what_a_template_prints_or_names(name: str, tags: Tags | None) -> None:
    text = source(name)
    assert discover(Renderer(text), Template(text).tree) == tags


def test_chosen_tags_go_before_those_that_are_found() -> None:
    text = source("gate")
    assert discover(Renderer(text), Template(text).tree, ("[T]", "[/T]")) == Tags("[T]", "[/T]")
    assert discover(Renderer(source("plain")), Template(source("plain")).tree, THINK) == Tags(*THINK)


def test_chosen_tags_that_are_found_as_well_keep_their_spacing() -> None:
    text = source("empty_block")
    assert discover(Renderer(text), Template(text).tree, THINK) == Tags(*THINK, "", "", "\n")


def test_reasoning_that_a_flag_asks_for_is_found() -> None:
    text = (
        "{% for m in messages %}{{ m.role }}: "
        "{% if enable_thinking and m.thinking %}<t:thought>{{ m.thinking }}</t:thought>{% endif %}{{ m.content }}\n"
        "{% endfor %}"
    )
    assert discover(Renderer(text), Template(text).tree) == Tags("<t:thought>", "</t:thought>", "", "", "")


def test_reasoning_that_is_printed_only_beside_tool_calls_is_found() -> None:
    text = (
        "{% for m in messages %}{{ m.role }}: {% if m.tool_calls %}[REASON] {{ m.reasoning }} [/REASON] {% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    assert discover(Renderer(text), Template(text).tree) == Tags("[REASON]", "[/REASON]", " ", " ", " ")


@pytest.mark.parametrize(
    ("turn", "tags"),
    [
        pytest.param(
            "<|open|>musing<|sep|>{{ m.thinking }}<|close|>musing<|sep|><|open|>reply<|sep|>{{ m.content }}",
            Tags("<|open|>musing<|sep|>", "<|close|>musing<|sep|>", "", "", "\n\n"),
            id="tags of several marks with a name between them",
        ),
        pytest.param(
            "<|muse|>{{ m.thinking }}{% if m.content %}<|say|>{{ m.content }}{% endif %}"
            "{% if m.tool_calls %}<|do|>{{ m.tool_calls }}{% endif %}<|end|>",
            Tags("<|muse|>", "<|say|>", "", "", "", before_call="<|do|>"),
            id="a channel that ends where the next begins",
        ),
        pytest.param(
            "<think>{{ m.thinking }}</think>{{ m.content }}{% if m.tool_calls %}<|do|>{{ m.tool_calls }}{% endif %}",
            Tags("<think>", "</think>", "", "", ""),
            id="a pair of its own ends in one way alone",
        ),
    ],
)
def test_what_closes_a_block_is_found_by_what_is_printed_behind(turn: str, tags: Tags) -> None:
    text = (
        "{% for m in messages %}{% if m.role == 'assistant' %}"
        + turn
        + "{% else %}{{ m.content }}{% endif %}{% endfor %}"
    )
    assert discover(Renderer(text), Template(text).tree) == tags


def test_a_reasoned_turn_is_spelled_as_the_family_spells_it() -> None:
    tags = Tags("<t>", "</t>", " ", "\n", "\n\n")
    assert tags.wrap("why", "so") == "<t> why\n</t>\n\nso"
    assert tags.wrap("why", "") == tags.block("why") == "<t> why\n</t>"


WORDS = st.sampled_from(["think", "THOUGHT", "reasoning", "my_analysis", "inner:thought", "scratchpad"])
FORMS = st.sampled_from(["<{}>", "<|{}|>", "<｜{}｜>"])


@given(WORDS, FORMS, st.lists(st.from_regex(re.compile(r"<[a-z]{1,8}>"), fullmatch=True)))
def test_a_tag_and_its_partner_are_a_pair_among_any_others(word: str, form: str, others: list[str]) -> None:
    opening = form.format(word)
    closing = next(closings(opening))
    assert (opening, closing) in pairs([closing, *others, opening])
    assert opening != closing


@pytest.mark.parametrize(
    ("prompt", "tags"),
    [
        pytest.param("<|a|>\n<think>", Tags(*THINK), id="an opening tag at the end"),
        pytest.param("<|a|>\n<think>\n", Tags(*THINK), id="and white space behind it"),
        pytest.param("<|a|>", None, id="the header of a turn"),
        pytest.param("<think><|a|>", None, id="a tag that isn't at the end"),
    ],
)
def test_tags_are_found_that_only_the_generation_prompt_opens(prompt: str, tags: Tags | None) -> None:
    text = (
        "{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}"
        + f"{{% if add_generation_prompt %}}{prompt}{{% endif %}}"
    )
    assert discover(Renderer(text), Template(text).tree) == tags
