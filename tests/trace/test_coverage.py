from __future__ import annotations

import pytest
from shelf import chat, study

from template_fix.conversations.probe import probe
from template_fix.repair.study import NEUTRAL
from template_fix.text.edits import Span
from template_fix.trace.coverage import Coverage, find_reaching


def covered(text: str) -> Coverage:
    known = study(text).coverage
    assert known is not None
    return known


def ways(text: str, test: str) -> set[bool]:
    at = text.index(test)
    return set(covered(text).outcomes[Span(at, at + len(test))])


GATED = chat("{% if loop.last %}{% if m.name == 'x' %}never{% endif %}{{ content }}{% endif %}")


def test_each_test_is_told_with_the_ways_that_it_went() -> None:
    assert ways(GATED, "loop.last") == {True, False}
    assert ways(GATED, "m.name == 'x'") == {False}
    told = covered(GATED)
    assert told.both == sum(len(each) == 2 for each in told.outcomes.values()) > 0


@pytest.mark.parametrize(
    ("text", "unset"),
    [
        pytest.param(chat("{% if keep %}{{ content }}{% endif %}"), ("keep",), id="a variable that is read"),
        pytest.param(
            "{% set keep = keep | default(false) %}" + chat("{{ content if keep else '' }}"),
            ("keep",),
            id="a variable that the template gives a default",
        ),
        pytest.param(
            "{% if keep is not defined %}{% set keep = true %}{% endif %}" + chat("{{ content if keep else '' }}"),
            ("keep",),
            id="a variable that is set where nobody did",
        ),
        pytest.param(
            chat("{% if m.name %}{% set said = m.name %}{% endif %}{{ said or content }}"),
            (),
            id="a variable of the template's own, which a branch forgets to set",
        ),
        pytest.param(
            chat("{% if false and keep %}{% endif %}{{ content }}"), (), id="a variable that is never reached"
        ),
        pytest.param(chat("{{ bos_token }}{{ enable_thinking }}{{ content }}"), (), id="what every caller passes"),
    ],
)
def test_the_variables_are_those_that_only_their_own_caller_sets(text: str, unset: tuple[str, ...]) -> None:
    assert covered(text).unset == unset


def test_what_no_conversation_evaluates_is_not_reached() -> None:
    text = chat("{% if m.role == 'nobody' %}{{ content | upper }}{% endif %}{{ content }}")
    never, always = text.index("content | upper"), text.rindex("content }}{% for")
    told = covered(text)
    assert told.reaches(Span(always, always + 7)) and not told.reaches(Span(never, never + len("content | upper")))


def test_a_constant_by_itself_is_not_held_to_be_out_of_reach() -> None:
    text = "{% if keep is not defined %}{% set keep = false %}{% endif %}" + chat("{{ content if keep else '' }}")
    at = text.index("false")
    assert covered(text).reaches(Span(at, at + 5))


def test_a_conversation_is_worth_adding_where_it_takes_a_test_another_way() -> None:
    text = chat("{{ 'offered' if tools and messages | length == 2 }}{{ content }}")
    same, other = probe("uaua", NEUTRAL, "plain"), probe("uc", NEUTRAL, "plain")
    known = covered(text)
    found, more = find_reaching(known, [same, other, other])
    assert found == [other] and more.both > known.both
