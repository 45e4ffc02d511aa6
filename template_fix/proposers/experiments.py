"""The proposers that work by experiment, in the order in which their proposals are preferred."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from template_fix.contract import Examination
from template_fix.jinja import Template
from template_fix.proposers import Proposal, counterfactual, fields, history, inline, order, strays
from template_fix.render import RenderError

_PROPOSERS = (
    fields.proposals,
    inline.proposals,
    history.proposals,
    strays.proposals,
    order.proposals,
    counterfactual.proposals,
)


def proposals(template: Template, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield what experiments on a template suggest. ``switch`` is the test that the edits are switched by."""
    for propose in _PROPOSERS:
        with suppress(RenderError):  # it renders, but is nested too deeply to be traced: known patches have to do
            yield from propose(template, examined, switch)
