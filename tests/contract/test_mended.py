from __future__ import annotations

import pytest

from template_fix.bounds.limits import run_bounded
from template_fix.contract.examination import Examination, Rendering
from template_fix.contract.mended import Mended, Owed, judge_mend
from template_fix.conversations.battery import battery
from template_fix.jinja.renderer import Failure, Renderer
from template_fix.repair.study import NEUTRAL


def judged(before: str, after: str, owed: Owed) -> Mended:
    return run_bounded(_judged, before, after, owed)


def _judged(before: str, after: str, owed: Owed) -> Mended:
    one, other = (Examination(Renderer(text), battery(NEUTRAL, dict), NEUTRAL) for text in (before, after))
    return judge_mend(one, other, owed)


def nothing(each: Rendering, old: str | Failure) -> tuple[str, ...]:
    return ()


def a_dot_alone(each: Rendering, old: str | Failure) -> tuple[str, ...]:
    return (f"{old}.",) if each.upto == 1 else ()


TEXT = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        pytest.param(TEXT.replace(";", "!"), "something else than what is owed", id="more than is owed"),
        pytest.param(TEXT + "{{ messages[9].x.y }}", "make the template fail", id="a failure"),
        pytest.param(TEXT, "mend none", id="nothing"),
        pytest.param(TEXT + "{% if messages | length > 1 %}.{% endif %}", "change a text that is right", id="another"),
    ],
)
def test_the_judge_refuses_all_that_is_not_owed(after: str, reason: str) -> None:
    assert reason in judged(TEXT, after, nothing if "right" in reason else a_dot_alone).reason


def test_the_judge_lets_stand_what_prints_what_is_owed() -> None:
    found = judged(TEXT, TEXT + "{% if messages | length == 1 %}.{% endif %}", a_dot_alone)
    assert found.reason == "" and found.gained > 10


def test_what_fails_may_not_pass_unless_it_is_known_what_it_has_to_print() -> None:
    failing = TEXT + "{{ messages[1].content.x.y }}"
    assert "nothing tells whether it is printed right" in judged(failing, TEXT, nothing).reason
