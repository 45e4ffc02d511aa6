"""The proposers that work by experiment, in the order in which their proposals are preferred."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from template_fix.contract import Examination
from template_fix.jinja import Template
from template_fix.proposers import Proposal, counterfactual, fields, history, inline, order, strays
from template_fix.render import RenderError

Proposer = Callable[[Template, Examination, str], Iterator[Proposal]]
_REWRITINGS: tuple[Proposer, ...] = (
    fields.proposals,
    inline.proposals,
    history.proposals,
    strays.proposals,
    order.proposals,
)


def proposals(template: Template, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield what experiments on a template suggest. ``switch`` is the test that the edits are switched by."""
    yield from rewritings(template, examined, switch)
    yield from counterfactuals(template, examined, switch)


def rewritings(template: Template, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield edits that bring a turn into the form that the template prints well."""
    for propose in _REWRITINGS:
        yield from _of(propose, template, examined, switch)


def counterfactuals(template: Template, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield what following values and forcing tests suggests."""
    yield from _of(counterfactual.proposals, template, examined, switch)


def _of(propose: Proposer, template: Template, examined: Examination, switch: str) -> Iterator[Proposal]:
    with suppress(RenderError):  # it renders, but is nested too deeply to be traced: known patches have to do
        yield from propose(template, examined, switch)
