"""What is at fault: the expressions and tests but for which a conversation would be printed well."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import Examination, Observation
from template_fix.conversations.probe import Part, Probe
from template_fix.repair.proposers.drops import dropped
from template_fix.repair.proposers.gates import flips, gained, harms
from template_fix.repair.trials import prints, same, well
from template_fix.text.edits import Span
from template_fix.trace.recorder import Trace


def causes(trace: Trace, examined: Examination, probe: Probe, part: Part) -> Iterator[tuple[Span, bool]]:
    """Yield each expression and test but for which a lost text would be printed, and whether changing it is harmless.

    Harmless is what leaves the conversations that are printed well as they are. Tests that fail, and so keep a text
    from its output, come before those that hold.
    """
    untouched = well(examined)
    for number, fed in dropped(trace, examined, probe, part):
        with trace.changed(operands={number: fed}):
            if prints(trace, examined, probe, part):
                yield trace.values[number].span, same(trace, examined, untouched)
    for number, outcome in sorted(flips(trace, probe, examined), key=lambda flip: not flip[1]):
        with trace.changed(tests={number: outcome}):
            if prints(trace, examined, probe, part):
                yield trace.tests[number].span, same(trace, examined, untouched)


def changes(trace: Trace, examined: Examination, seen: Observation) -> Iterator[Span]:
    """Yield each test but for which a conversation would be printed better, and none of the others worse."""
    for number, outcome in flips(trace, seen.probe, examined):
        if gained(trace, number, outcome, seen, examined) and not any(harms(trace, number, outcome, examined)):
            yield trace.tests[number].span
