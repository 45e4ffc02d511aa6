"""The proposers that work by experiment, in the order in which their proposals are preferred."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.conversations.probe import CALLS, Probe
from template_fix.repair.proposers import (
    Basis,
    Proposal,
    call_branches,
    drops,
    earlier_turns,
    fields,
    gates,
    inline_to_field,
    stray_tags,
    sums,
    text_order,
)


def rewritings(basis: Basis) -> Iterator[Proposal]:
    """Yield edits that bring a turn into the form that the template prints well."""
    for proposer in (fields, inline_to_field, earlier_turns, stray_tags, text_order, call_branches, sums):
        yield from proposer.proposals(basis)


def suspects(basis: Basis, probe: Probe) -> Iterator[Proposal]:
    """Yield those that name an expression, and that can change how a conversation is printed, by what it has."""
    reasoned = (fields, earlier_turns, stray_tags) if probe.form != "plain" else ()
    calling = (call_branches,) if set(probe.shape) & set(CALLS) else ()
    for proposer in (*reasoned, *calling, *((sums,) if probe.text_lists else ())):
        yield from filter(names_expression, proposer.proposals(basis))


def names_expression(proposal: Proposal) -> bool:
    """Whether a proposal is about an expression: one that only inserts something tells of no cause."""
    return proposal.at.start < proposal.at.end


def forcing(basis: Basis) -> Iterator[Proposal]:
    """Yield edits of expressions and tests which mend something once they are forced to another value."""
    for proposer in (drops, gates):
        yield from proposer.proposals(basis)
