"""Drop sites: expressions into which a lost text goes and out of which it doesn't come.

The proposal puts the operand that held the text in the place of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import SAMPLE, Examination
from template_fix.conversations.probe import Part, Probe
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import replaced
from template_fix.repair.trials import same, short
from template_fix.trace.recorder import Trace


def proposals(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield the edits that keep what drop sites take out of conversations that are printed badly.

    ``switch`` is the test, in template syntax, that the edits are switched by. Use it inside `limits.bounded`.
    """
    found: dict[tuple[int, int], str] = {}
    for seen in examined.failing[:SAMPLE]:
        for part in seen.lost:
            code = "TF202" if part.kind == "reasoning" else "TF206"
            for number, fed in dropped(trace, examined, seen.probe, part):
                with trace.changed(operands={number: fed}):
                    if not same(trace, examined, [seen.probe]):
                        found.setdefault((number, fed), code)
    for (number, fed), code in found.items():
        site, operand = trace.values[number], trace.values[fed]
        whole, kept = (each.span.of(trace.template.source) for each in (site, operand))
        yield Proposal(
            code,
            "experiment",
            f"keep what {short(whole)} drops",
            f"The text goes into {short(whole)} and doesn't come out.",
            site.span,
            (replaced(site.span, f"{kept} if {switch} else {whole}"),),
        )


def dropped(trace: Trace, examined: Examination, probe: Probe, part: Part) -> list[tuple[int, int]]:
    """Return the expressions that a text goes into and doesn't come out of, each with the operand that held it."""
    trace.follow(part.text)
    Examination(trace, [probe], examined.tags).text(probe)
    found = sorted((number, fed) for number, fed in trace.recorder.drops if fed in trace.values)
    trace.follow("")
    return found
