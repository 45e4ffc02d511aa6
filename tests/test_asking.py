"""Tests whose asking changes nothing, and those whose asking may make a rendering fail."""

from __future__ import annotations

import pytest
from template_fix.asking import cannot_fail
from template_fix.sameness import same_but_for_markers
from template_fix.scopes import Scope

from template_fix.jinja import environment

SCOPE = Scope(frozenset({"m"}), frozenset({"m", "messages"}), loop=True)


def parsed(text: str) -> object:
    return environment().parse(f"{{% if {text} %}}{{% endif %}}").body[0].test


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("m.role == 'assistant'", id="a field of a message"),
        pytest.param("'tool_calls' in m", id="a key of a message"),
        pytest.param("not loop.first", id="a place in the loop"),
        pytest.param("m.content is string and m.content | trim | length > 0", id="the length of a text"),
        pytest.param("m.content is string and 'x' in m.content", id="a text in a text"),
        pytest.param("m.content is string and m.content.startswith('x')", id="the beginning of a text"),
        pytest.param("m.get('x') is none", id="a key that need not be there"),
        pytest.param("loop.previtem is defined and loop.previtem.role == 'user'", id="the message before"),
        pytest.param("messages and messages[-1].role == 'user'", id="the last message"),
        pytest.param("loop.index0 > 3 or m.x", id="a number of the loop"),
    ],
)
def test_what_may_be_asked_of_any_message(text: str) -> None:
    assert cannot_fail(parsed(text), SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("m.content | length > 0", id="the length of what may be no text"),
        pytest.param("m.content is string or m.content | length > 0", id="a length that is asked where it is no text"),
        pytest.param("'x' in m.content", id="a text in what may be none"),
        pytest.param("m.content.startswith('x')", id="the beginning of what may be no text"),
        pytest.param("m.function.name == 'x'", id="a field of a field"),
        pytest.param("loop.previtem.role == 'user'", id="the message before the first"),
        pytest.param("messages[-1].role == 'user'", id="the last of no messages"),
        pytest.param("loop.index0 > ns.last", id="what may be no number"),
        pytest.param("m[0:2]", id="a slice"),
        pytest.param("raise_exception('x')", id="a call"),
    ],
)
def test_what_may_fail(text: str) -> None:
    assert not cannot_fail(parsed(text), SCOPE)


LOOP = "{%% for m in messages %%}%s{%% endfor %%}"
TOLD = "{% if ns.last | length > 0 %}x{% endif %}"
EMPTY = "{% if ns.last | length > 0 %}{% endif %}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(TOLD, TOLD + EMPTY, id="asked before"),
        pytest.param(TOLD, EMPTY + TOLD, id="asked next"),
        pytest.param("a" + TOLD, EMPTY + "a" + TOLD, id="asked next, behind an output"),
        pytest.param(TOLD + LOOP % "b", TOLD + LOOP % f"{EMPTY}b", id="asked before a loop that changes nothing"),
        pytest.param(
            "{% if a %}b{% endif %}" + TOLD, "{% if a %}b" + EMPTY + "{% endif %}" + TOLD, id="asked behind its block"
        ),
    ],
)
def test_a_test_that_is_asked_anyway_may_be_asked_again(before: str, after: str) -> None:
    assert same_but_for_markers(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("a", EMPTY + "a", id="asked nowhere else"),
        pytest.param(
            TOLD + "{% set ns.last = 1 %}", TOLD + "{% set ns.last = 1 %}" + EMPTY, id="asked before a field is set"
        ),
        pytest.param(
            TOLD + "{% set ns = 1 %}", TOLD + "{% set ns = 1 %}" + EMPTY, id="asked before the variable is set"
        ),
        pytest.param(TOLD + "{{ f(ns) }}", TOLD + "{{ f(ns) }}" + EMPTY, id="asked before an unknown call"),
        pytest.param(
            "{% if a %}" + TOLD + "{% endif %}", "{% if a %}" + TOLD + "{% endif %}" + EMPTY, id="asked in one branch"
        ),
        pytest.param(
            TOLD + LOOP % "{% set ns.last = m %}",
            TOLD + LOOP % f"{EMPTY}{{% set ns.last = m %}}",
            id="asked before a loop that sets it",
        ),
        pytest.param(
            "{% set ns.last = 'x' %}" + TOLD, EMPTY + "{% set ns.last = 'x' %}" + TOLD, id="asked once it is set"
        ),
        pytest.param(LOOP % TOLD, LOOP % TOLD + EMPTY, id="asked in a loop that may run over nothing"),
    ],
)
def test_a_test_that_may_give_another_value_there_is_kept(before: str, after: str) -> None:
    assert not same_but_for_markers(before, after)
