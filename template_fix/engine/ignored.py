"""Findings that a comment in the template accepts: ``{# template-fix: ignore[TF209] the reason #}``.

They are notes where the user lets comments count. Else the comment is told and changes nothing: it may be a stranger's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from template_fix.jinja.templates import lex
from template_fix.repair.study import Found
from template_fix.results import Level
from template_fix.text.display import one_line

_COMMENT = re.compile(r"\s*(?:# *)?template-fix: *ignore\[([A-Za-z0-9, ]+)\]\s*(.*)", re.DOTALL)
_UNHEEDED = ", which counts with --comments"
# How much of a reason is told.
_REASON = 200


def read_ignored(source: str) -> dict[str, str]:
    """Return the codes that the comments of a template ignore, each with the reason; without one, none is ignored."""
    if "template-fix:" not in source:
        return {}
    comments = (_COMMENT.match(token.text) for token in lex(source) if token.kind == "comment")
    pairs = ((match[1], one_line(match[2], _REASON)) for match in comments if match)
    return {code.strip().upper(): reason for codes, reason in pairs if reason for code in codes.split(",")}


def note_ignored(
    found: Iterable[tuple[str, Found]], ignored: Mapping[str, str], *, heeded: bool
) -> Iterator[tuple[str, Found]]:
    """Yield findings, those of codes that are ignored with the reason; where that is ``heeded``, they are notes."""
    for code, each in found:
        reason = ignored.get(code)
        if reason and heeded:
            message = f"{each.message}; ignored in the template: {reason}"
            each = each._replace(message=message, level=Level.NOTE, fix=None, sought=False)
        elif reason:
            each = each._replace(message=f"{each.message}; a comment of the template ignores it ({reason}){_UNHEEDED}")
        yield code, each
