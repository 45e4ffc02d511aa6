from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from rendering import render

from template_fix.conversations.battery import battery
from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import Failure, Renderer, RenderError, prepare_messages

USER = {"role": "user", "content": "hello"}


@pytest.mark.parametrize(
    ("message", "seen"),
    [
        pytest.param({"content": None, "tool_calls": None}, {}, id="None is dropped"),
        pytest.param({"content": ""}, {"content": ""}, id="an empty text stays"),
        pytest.param({"x": {"y": None}}, {"x": {"y": None}}, id="None stays inside of a value"),
        pytest.param({"reasoning_content": "a"}, {"reasoning_content": "a", "thinking": "a"}, id="thinking is filled"),
        pytest.param({"thinking": "a"}, {"reasoning_content": "a", "thinking": "a"}, id="thinking is renamed"),
        pytest.param(
            {"reasoning": "a"},
            {"reasoning": "a", "reasoning_content": "a", "thinking": "a"},
            id="reasoning is renamed, and stays",
        ),
        pytest.param(
            {"reasoning": "a", "thinking": "b"},
            {"reasoning": "a", "reasoning_content": "b", "thinking": "b"},
            id="thinking goes before reasoning",
        ),
        pytest.param(
            {"reasoning": "a", "thinking": "b", "reasoning_content": "c"},
            {"reasoning": "a", "reasoning_content": "c", "thinking": "b"},
            id="a field that is there already stays what it is",
        ),
        pytest.param({"reasoning_content": ""}, {"reasoning_content": "", "thinking": ""}, id="empty reasoning counts"),
        pytest.param({"reasoning_content": None}, {}, id="no reasoning is renamed where it is None"),
        pytest.param(
            {"reasoning_content": None, "reasoning": "a"},
            {"reasoning": "a", "reasoning_content": "a", "thinking": "a"},
            id="None gives way to the next name",
        ),
    ],
)
def test_messages_are_prepared_as_transformers_5_does(message: Mapping[str, Any], seen: Mapping[str, Any]) -> None:
    assert prepare_messages([{"role": "assistant", **message}]) == [{"role": "assistant", **seen}]


def test_preparing_changes_no_message_of_the_caller() -> None:
    message = {"role": "assistant", "content": None, "reasoning": "a"}
    prepare_messages([message])
    assert message == {"role": "assistant", "content": None, "reasoning": "a"}


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        pytest.param("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc", id="blocks are trimmed, and the last newline"),
        pytest.param("  {% if true %}x{% endif %}", "x", id="whitespace in front of blocks is stripped"),
        pytest.param("a\r\n{{ 1 }}\r\nb", "a\n1\nb", id="carriage returns become newlines"),
        pytest.param("\ufeffa", "\ufeffa", id="a byte-order mark is printed"),
        pytest.param("{% generation %}a{% endgeneration %}", "a", id="generation marks print what they enclose"),
        pytest.param("{{ '<ü>' | tojson }}", '"<ü>"', id="JSON escapes no HTML and no letters"),
        pytest.param("{{ {'b': 1, 'a': 2} | tojson(indent=1) }}", '{\n "b": 1,\n "a": 2\n}', id="JSON keeps the order"),
        pytest.param("{{ ([1] + messages) | length }}", "2", id="messages are a list, and can be added to one"),
        pytest.param("{{ tools is none }} {{ documents is none }}", "True True", id="what isn't passed is none"),
        pytest.param("{{ add_generation_prompt }}", "False", id="the generation prompt is off"),
        pytest.param("{{ enable_thinking is defined }}", "False", id="a flag that isn't passed is undefined"),
        pytest.param("{% for x in [1, 2] %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endfor %}", "1", id="break"),
        pytest.param("{{ strftime_now('%Y') | length }}", "4", id="the date of today"),
        pytest.param("{{ dict(messages[0], role='x').role }}", "x", id="dict copies a message"),
    ],
)
def test_a_template_prints_what_it_prints_in_transformers(source: str, printed: str) -> None:
    assert render(source, [USER]) == printed


def test_flags_and_tokens_are_variables() -> None:
    source = "{{ bos_token }}{{ tools[0].name }}{{ enable_thinking }}"
    assert render(source, [USER], [{"name": "t"}], bos_token="<s>", enable_thinking=False) == "<s>tFalse"


def test_tools_are_a_list_that_can_be_added_to() -> None:
    assert Renderer("{{ ([1] + tools) | length }}")([USER], ({"name": "t"},)) == "2"


def test_rendering_passes_a_message_as_transformers_5_does() -> None:
    message = {"role": "assistant", "content": None, "reasoning": "why"}
    assert render("{{ 'content' in messages[0] }} {{ messages[0].reasoning_content }}", [message]) == "False why"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("{{ raise_exception('no system prompt\n please') }}", "no system prompt please", id="its own"),
        pytest.param("{{ messages[0].x.y }}", "'dict object' has no attribute 'x'", id="an undefined attribute"),
        pytest.param("{{ 1 + 'a' }}", "unsupported operand type(s) for +: 'int' and 'str'", id="mismatched types"),
        pytest.param("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "calls itself without end", id="recursion"),
    ],
)
def test_what_a_template_raises_is_a_failure_in_one_line(source: str, reason: str) -> None:
    printed = Renderer(source)([USER])
    assert isinstance(printed, Failure) and reason in printed.reason and "\n" not in printed.reason


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        pytest.param("a\n{% if %}", "line 2: ", id="a syntax error names its line"),
        pytest.param("{{ x | nosuch }}", "No filter named 'nosuch'", id="an unknown filter"),
        pytest.param("{% break %}", "'break' outside loop", id="a break outside of loops"),
        pytest.param("{% if a %}" * 120 + "{% endif %}" * 120, "nested too deeply", id="blocks nested deeply"),
        pytest.param("{{ 10 ** 9999 }}", "Exceeds the limit", id="a number too long to print"),
    ],
)
def test_a_template_that_can_not_be_compiled_is_an_error(source: str, reason: str) -> None:
    with pytest.raises(RenderError, match=reason):
        Renderer(source)


@pytest.mark.slow
def test_rendering_equals_that_of_transformers_over_the_corpus(shared: Any) -> None:
    """Every template of the corpus over the whole battery, beside the real thing: equal texts, or both fail."""
    chat = pytest.importorskip("transformers.utils.chat_template_utils")
    compared, templates = 0, sorted(shared.glob("corpus/templates/*/*.jinja"))
    conversations = {kind: battery(Tags("<think>", "</think>"), kind) for kind in (dict, str)}
    for number, path in enumerate(templates):
        source = path.read_bytes().decode()
        try:
            renderer = Renderer(source, TOKENS)
        except RenderError:
            with pytest.raises(Exception):  # noqa: B017 - whatever it is, it must fail as well
                chat._compile_jinja_template(source)
            continue
        for probe in conversations[(dict, str)[number % 2]]:
            for prompt in (False, True):
                flags = dict(probe.flags)
                ours = renderer(probe.messages, probe.tools, prompt, **flags)
                theirs = _theirs(chat, source, probe.messages, probe.tools, prompt, {**TOKENS, **flags}, probe.legacy)
                if "strftime_now" in source and isinstance(ours, str) and theirs is not None:
                    ours, theirs = (re.sub(r"\d\d:\d\d:\d\d", "now", text) for text in (ours, theirs))
                assert (ours if isinstance(ours, str) else None) == theirs, (path.name, probe.describe(), prompt)
                compared += isinstance(ours, str)
    assert compared > 40_000


TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def _theirs(
    chat: Any, source: str, messages: Any, tools: Any, prompt: bool, variables: dict[str, Any], legacy: bool
) -> str | None:
    """What transformers prints, None where it fails. Before version 5 it renders messages as they come."""
    conversation, given = list(messages), None if tools is None else list(tools)
    try:
        if legacy:
            compiled = chat._compile_jinja_template(source)
            shown = {"messages": conversation, "tools": given, "documents": None, "add_generation_prompt": prompt}
            return str(compiled.render(**{**shown, **variables}))
        texts, _ = chat.render_jinja_template([conversation], given, None, source, False, False, prompt, **variables)
        return str(texts[0])
    except Exception:  # a template may raise anything
        return None
