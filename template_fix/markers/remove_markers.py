"""A template's own generation markers taken out of its text, so that it prints what it printed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from template_fix.jinja.templates import Token, lex
from template_fix.markers.places import Unmarkable
from template_fix.markers.proof import same_but_for_markers
from template_fix.text.edits import Edit, Span, apply

_TAG = re.compile(r"\{%[-+]?\s*(?:end)?generation\s*[-+]?%\}")


def remove_markers(source: str) -> str:
    """Return a template without its generation markers; what they strip of the white space around them goes, too.

    Where that would print something else, empty comments are left, which strip what the markers did. Raises Unmarkable.
    """
    for removed in (_removed, _commented):
        tokens = lex(source)
        tags = ((at, _TAG.match(source, token.start)) for at, token in enumerate(tokens) if token.kind == "block_begin")
        bare = apply(source, [removed(source, tokens, at, tag.end()) for at, tag in tags if tag])
        if same_but_for_markers(source, bare):
            return bare
    raise Unmarkable("the markers that it has can't be taken out without changing what it prints")


def _removed(source: str, tokens: Sequence[Token], at: int, end: int) -> Edit:
    """Return the edit that takes a tag out, and its line, if it stood on one of its own."""
    start = tokens[at].start
    behind = next((each for each in tokens[at:] if each.start >= end), None)
    if at and tokens[at - 1].kind == "gap":
        start = tokens[at - 1].start
    if behind and behind.kind == "gap" and not _strips(source, behind.end):
        end = behind.end
    line_end = re.match(r"\r?\n", source[end:])
    if line_end and source[:start].endswith("\n"):
        end += line_end.end()
    return Edit(Span(start, end), "")


def _commented(source: str, tokens: Sequence[Token], at: int, end: int) -> Edit:
    """Return the edit that makes a tag an empty comment."""
    start = tokens[at].start
    signs = (sign if sign in "-+" else "" for sign in (source[start + 2], source[end - 3]))
    return Edit(Span(start, end), f"{{#{' '.join(signs)}#}}")


def _strips(source: str, at: int) -> bool:
    return source[at : at + 3] in ("{%-", "{{-", "{#-")
