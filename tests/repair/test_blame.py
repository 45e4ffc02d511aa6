from __future__ import annotations

import pytest
from shelf import chat, study
from test_search import SPLIT, SWITCH, TWO, proposal

from template_fix.contract.examination import Case
from template_fix.repair.proposers import Proposal
from template_fix.repair.study import Study
from template_fix.repair.trials import forced_by

GATED = TWO.replace("{% if loop.last %}", "{% if loop.last and not m.tool_calls %}")
CUT = chat("{% if '</think>' in content %}{% set content = " + SPLIT + " %}{% endif %}{{ content }}")
BOUND = "{%- set preserve_thinking = preserve_thinking | default(false) -%}" + TWO


def made(text: str, old: str, new: str) -> tuple[Study, Proposal]:
    return study(text), proposal(text, old, f"({new})")


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        pytest.param(TWO, "loop.last", f"{SWITCH} or loop.last", id="a test that then holds"),
        pytest.param(
            GATED,
            "loop.last and not m.tool_calls",
            f"({SWITCH} or loop.last) and ({SWITCH} or not m.tool_calls)",
            id="a test of two that then hold",
        ),
        pytest.param(CUT, "'</think>' in content", f"'</think>' in content and not {SWITCH}", id="one that then fails"),
        pytest.param(TWO, SPLIT, f"content if {SWITCH} else {SPLIT}", id="an expression that is then its operand"),
    ],
)
def test_forcing_prints_what_a_proposal_prints_that_is_compiled(text: str, old: str, new: str) -> None:
    studied, put = made(text, old, new)
    compiled = studied.search.candidates.alone([put])
    forced = forced_by(studied.basis, [put]) if studied.basis else None
    assert forced and isinstance(compiled, Case)
    for seen in studied.examined:
        probe = seen.probe
        if seen.text is not None:
            assert forced(probe.messages, probe.tools, **dict(probe.flags)) == compiled.itself.text(probe)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        pytest.param(TWO, SPLIT, f"content | trim if {SWITCH} else {SPLIT}", id="a value that nothing had"),
        pytest.param(TWO, SPLIT, f"content if loop.last else {SPLIT}", id="a value that hangs on another test"),
        pytest.param(TWO, "loop.last", f"loop.first and {SWITCH} or loop.last", id="a test that hangs on another"),
        pytest.param(BOUND, "loop.last", f"{SWITCH} or loop.last", id="a switch that the template sets"),
        pytest.param(TWO, "loop.last %}", "1 %}{{ 1", id="text that is no expression"),
    ],
)
def test_what_forcing_does_not_come_to_is_left_to_compiling(text: str, old: str, new: str) -> None:
    studied, put = made(text, old, new)
    assert studied.basis and forced_by(studied.basis, [put]) is None


def test_several_are_forced_together() -> None:
    studied, opened = made(TWO, "loop.last", f"{SWITCH} or loop.last")
    kept = proposal(TWO, SPLIT, f"(content if {SWITCH} else {SPLIT})")
    assert studied.basis
    forced = forced_by(studied.basis, [opened, kept])
    compiled = studied.search.candidates.alone([opened, kept])
    assert forced and isinstance(compiled, Case)
    assert all(
        forced(probe.messages, probe.tools, **dict(probe.flags)) == compiled.itself.text(probe)
        for probe in (seen.probe for seen in studied.examined if seen.text is not None)
    )


def test_a_place_that_is_known_is_found_without_compiling() -> None:
    studied = study(CUT)
    lost = studied.reasoning_lost(last=True)
    assert lost
    at = studied.cause(lost[0].probe, lost[1])
    assert at and at.of(CUT) == "'</think>' in content"
    assert not studied.search.candidates._unions


def test_a_proposal_where_nothing_is_evaluated_is_not_asked() -> None:
    text = chat("{% if m.tool_calls %}{{ content.split('</think>')[-1] }}{% else %}{{ content | upper }}{% endif %}")
    studied = study(text)
    probe = next(each for each in studied.examined.probes.values() if each.shape == "um")
    lost = [part for part in studied.examined.observe(probe).lost if part.kind != "reasoning"]
    assert studied.known and lost
    assert studied.cause(probe, lost[0]) is None
    assert not studied.search.candidates._unions
