"""The proposers that work by experiment, in the order in which their proposals are preferred."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract import Examination
from template_fix.proposers import Proposal, counterfactual, fields, history, inline, order, strays
from template_fix.trace import Trace


def proposals(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield what experiments on a template suggest. ``switch`` is the test that the edits are switched by."""
    yield from rewritings(trace, examined, switch)
    yield from counterfactual.proposals(trace, examined, switch)


def rewritings(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield edits that bring a turn into the form that the template prints well."""
    for proposer in (fields, inline, history, strays, order):
        yield from proposer.proposals(trace, examined, switch)
