"""Proposers suggest edits that may repair a template; the judge decides."""

from __future__ import annotations

from typing import NamedTuple

from template_fix.contract.examination import Examination
from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import REASONING_FIELDS
from template_fix.jinja.templates import Template
from template_fix.results import Evidence
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Trace


class Proposal(NamedTuple):
    """An edit of a template that might repair something.

    ``code`` is the rule it is meant to resolve, ``at`` the expression or test at fault, ``title`` what the edit does
    in a few words, ``why`` what is wrong there. ``of_answers`` says that it keeps answers whole, and no reasoning.
    """

    code: str
    source: str
    title: str
    why: str
    at: Span
    edits: tuple[Edit, ...]
    of_answers: bool = False


class Attempt(NamedTuple):
    """A proposal that can't stand: the reason, what shows it, and what has to be decided by those who want it."""

    proposal: Proposal
    reason: str
    evidence: tuple[Evidence, ...] = ()
    decide: str = ""


def decision(mended: str, reason: str) -> str:
    """Return what those have to decide who want an edit that mends something, and may not stand for a reason."""
    return f"With this edit, {mended}: decide whether {reason.replace('it would', 'the edit may', 1)}."


class Basis(NamedTuple):
    """What experiments are made on: a template with its values recorded, and what it does to each conversation.

    ``switch`` is the test, in template syntax, that the edits are switched by.
    """

    trace: Trace
    examined: Examination
    switch: str

    @property
    def template(self) -> Template:
        """Return the template as it is written."""
        return self.trace.template

    @property
    def fields(self) -> list[str]:
        """Return the fields in which the template takes reasoning by their own names."""
        unsupported = self.examined.unsupported
        return [name for name in REASONING_FIELDS if f"field {name} in transformers 4" not in unsupported]

    @property
    def tags(self) -> Tags:
        """Return the template's reasoning tags."""
        return self.examined.tags


def short(text: str) -> str:
    """Return an expression as titles show it."""
    shown = " ".join(text.split())
    return f"`{shown if len(shown) <= 60 else shown[:57] + '…'}`"
