"""Texts of strangers as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from template_fix.text.display import make_presentable


def escape_text(text: str) -> str:
    """Return a text with its line ends, every other invisible character spelled out, and no secret."""
    return "\n".join(escape(make_presentable(row)) for row in text.split("\n"))


def tag_parts(text: str, parts: Iterable[str], tag: str) -> str:
    """Return a text with an element around each of its parts, which are looked for in order."""
    made, done = "", 0
    for part in filter(None, parts):
        at = text.find(part, done)
        if at >= 0:
            made += f"{escape_text(text[done:at])}<{tag}>{escape_text(part)}</{tag}>"
            done = at + len(part)
    return made + escape_text(text[done:])
