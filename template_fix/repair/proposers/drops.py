"""Drop sites: expressions into which a lost text goes and out of which it doesn't come.

The proposal puts the operand that held the text in the place of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import SAMPLE
from template_fix.repair.proposers import Basis, Proposal, short
from template_fix.repair.splice import put_expression
from template_fix.repair.trials import find_drops, prints_the_same


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that keep what drop sites take out of conversations that are printed badly."""
    trace, examined, switch = basis
    found: dict[tuple[int, int], str] = {}
    for seen in examined.failing[:SAMPLE]:
        for part in seen.lost:
            code = "TF202" if part.kind == "reasoning" else "TF206"
            for number, fed in find_drops(trace, seen.probe, part):
                if not prints_the_same(trace.forced(operands={number: fed}), examined, [seen.probe]):
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
            (put_expression(site.span, f"{kept} if {switch} else {whole}"),),
        )
