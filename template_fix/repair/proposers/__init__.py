"""Where repairs come from: each proposer suggests, none of them decides."""

from __future__ import annotations

from dataclasses import dataclass

from template_fix.text.edits import Edit, Span


@dataclass(frozen=True)
class Proposal:
    """An edit of a template that might repair something.

    ``code`` is the rule it is meant to resolve, ``at`` the expression or test at fault, ``title`` what the edit does
    in a few words, ``why`` what is wrong there.
    """

    code: str
    source: str
    title: str
    why: str
    at: Span
    edits: tuple[Edit, ...]
