"""Templates that differ in spelling alone: in comments, in white space inside of tags, in quotes.

Such templates are the same program, so what was found out of one holds for the others, once it is told where its places
are in them.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from template_fix.jinja.templates import NEWLINE, ParseError, Token, lex
from template_fix.text.edits import Edit, Span

_UNSAID = ("whitespace", "gap", "comment_begin", "comment", "comment_end")


class Spelling(NamedTuple):
    """What a template says, as a digest, and where in its source each token begins and ends."""

    program: str
    starts: Sequence[int]
    ends: Sequence[int]

    def moved(self, edits: Iterable[Edit], other: Spelling) -> tuple[Edit, ...]:
        """Return edits of this template as edits of another one that says the same."""
        return tuple(Edit(Span(*(self._offset(at, other) for at in edit.span)), edit.text) for edit in edits)

    def _offset(self, at: int, other: Spelling) -> int:
        number = bisect_right(self.starts, at) - 1
        if number < 0:
            return 0
        return min(other.starts[number] + at - self.starts[number], other.ends[number])


def spelling(source: str) -> Spelling:
    """Return how a template is spelled; for one that can't be read, its source is all that is known."""
    try:
        tokens = [token for token in lex(source) if token.kind not in _UNSAID]
    except ParseError:
        tokens = [Token("unreadable", source, 0, len(source))]
    said = hashlib.sha256(repr([(token.kind, _said(token)) for token in tokens]).encode("utf-8", "surrogatepass"))
    return Spelling(said.hexdigest(), [token.start for token in tokens], [token.end for token in tokens])


def _said(token: Token) -> str:
    """Return what a token says: of a tag's ends, which strip white space that is gone by now, that they are there."""
    if token.kind.endswith(("_begin", "_end")):
        return ""
    if token.kind == "string" and not set(token.text[1:-1]) & set("'\""):
        return token.text[1:-1]
    return NEWLINE.sub("\n", token.text)
