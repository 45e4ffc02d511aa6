"""The proposers that work by experiment, in the order in which their proposals are preferred."""

from __future__ import annotations

from collections.abc import Iterator

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


def forcing(basis: Basis) -> Iterator[Proposal]:
    """Yield edits of expressions and tests which mend something once they are forced to another value."""
    for proposer in (drops, gates):
        yield from proposer.proposals(basis)
