"""The proposers that work by experiment, in the order in which their proposals are preferred."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import Examination
from template_fix.repair.proposers import Proposal, drops, fields, gates
from template_fix.repair.proposers import call_branches as branches
from template_fix.repair.proposers import earlier_turns as history
from template_fix.repair.proposers import inline_to_field as inline
from template_fix.repair.proposers import stray_tags as strays
from template_fix.repair.proposers import text_order as order
from template_fix.trace.recorder import Trace


def proposals(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield what experiments on a template suggest. ``switch`` is the test that the edits are switched by."""
    yield from rewritings(trace, examined, switch)
    yield from forcing(trace, examined, switch)


def rewritings(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield edits that bring a turn into the form that the template prints well."""
    for proposer in (fields, inline, history, strays, order, branches):
        yield from proposer.proposals(trace, examined, switch)


def forcing(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield edits of expressions and tests which mend something once they are forced to another value."""
    for proposer in (drops, gates):
        yield from proposer.proposals(trace, examined, switch)
