"""Switches that a template has already: a default is changed where the template sets it."""

from __future__ import annotations

import pytest
from shelf import chat, patched, repaired, study
from test_wrong_edits import OVERRULES, SWITCH, refusal

from template_fix.repair.search import broken

TURN = chat(
    "{% if m.reasoning_content and (loop.last or not shorten) %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    "{{ content }}"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{% set shorten = shorten if shorten is defined else true %}", f"shorten is defined else not {SWITCH} %}}"),
        ("{% set shorten = True if shorten is undefined else shorten %}", f"set shorten = not {SWITCH} if shorten is"),
        ("{% set shorten = shorten | default(true) %}", f"default(not {SWITCH}) %}}"),
        (
            "{% if shorten is not defined or shorten is none %}{% set shorten = true %}{% endif %}",
            f"set shorten = not {SWITCH} %}}",
        ),
    ],
)
def test_a_default_is_changed_where_the_template_sets_it(before: str, after: str) -> None:
    text = "{# A macro of its own. #}" + before + TURN
    mended = repaired(text)
    assert after in mended and mended.startswith("{# A macro of its own. #}")
    assert patched(text).kept[0].title == "let an absent shorten mean false"
    assert not patched(mended).changed


def test_a_switch_without_a_default_gets_one_in_front() -> None:
    mended = repaired(TURN.replace("not shorten", "whole"))
    assert mended.startswith("{%- if (preserve_thinking | default(true)) and whole is not defined %}")


def test_the_other_value_and_another_variable_are_no_default_of_it() -> None:
    """What is set to the value already, and what another variable is set to, stays."""
    text = "{% set brief = brief if brief is defined else true %}{% set shorten = shorten | default(true) %}" + TURN
    assert "{% set brief = brief if brief is defined else true %}" in repaired(text)


# With tools, reasoning is left out of prompts and turns unless a caller says otherwise; of turns, that is a loss.
BOUND = """\
{%- set quiet_tools = quiet_tools if quiet_tools is defined else true %}
{%- set thinks = true %}
{%- if quiet_tools and tools %}
    {%- set thinks = false %}
{%- endif %}
{%- for m in messages %}
    {{- '[' + m.role + ']' }}
    {%- set why = m.reasoning_content or '' %}
    {%- set said = m.content or '' %}
    {%- if m.role == 'assistant' %}
        {%- if not why and '</think>' in said %}
            {%- set why = said.split('</think>')[0].split('<think>')[-1].strip() %}
            {%- set said = said.split('</think>', 1)[1].strip() %}
        {%- endif %}
        {%- if thinks %}
            {{- '<think>' + why + '</think>' }}
        {%- else %}
            {{- '<think></think>' }}
        {%- endif %}
    {%- endif %}
    {{- said }}
    {%- for c in m.tool_calls or [] %}
        {{- '<call>' ~ c.function.arguments | tojson ~ '</call>' }}
    {%- endfor %}
    {{- '[end]' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[assistant]<think>' + ('' if thinks else '</think>') }}
{%- endif %}
"""
UNBOUND = (
    BOUND[BOUND.index("{%- for m") :]
    .replace("{%- if thinks %}", "{%- if not tools or not (brief | default(true)) %}")
    .replace("'' if thinks else", "'' if not tools or not (brief | default(true)) else")
)


@pytest.mark.parametrize(
    ("text", "test"),
    [
        pytest.param(BOUND, "quiet_tools_unset", id="a variable that the template binds"),
        pytest.param(UNBOUND, "brief is not defined", id="a variable that only callers set"),
    ],
)
def test_what_a_switch_decides_by_default_is_decided_anew_unless_a_caller_sets_it(text: str, test: str) -> None:
    edited = repaired(text)
    assert f"((preserve_thinking | default(true)) and {test}) or" in edited
    assert not broken(study(edited).examined)
    assert not patched(edited).changed


@pytest.mark.parametrize(("text", "test"), [(BOUND, "thinks"), (UNBOUND, "not tools or not (brief | default(true))")])
def test_a_gate_that_a_callers_switch_does_not_close_is_refused(text: str, test: str) -> None:
    assert refusal(text, (f"{{%- if {test} %}}", f"{{%- if {SWITCH} or {test} %}}")) == OVERRULES
