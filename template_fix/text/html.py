"""Escapes texts of strangers for HTML in notebooks."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from template_fix.text.display import make_presentable


def escape_text(text: str) -> str:
    """Return a text for HTML: line ends are kept, other invisible characters are escaped, secrets are hidden."""
    return "\n".join(escape(make_presentable(row)) for row in text.split("\n"))


def tag_parts(text: str, parts: Iterable[str], tag: str) -> str:
    """Return a text for HTML with an element ``tag`` around each of ``parts``, which are searched for in order."""
    made, done = "", 0
    for part in filter(None, parts):
        at = text.find(part, done)
        if at >= 0:
            made += f"{escape_text(text[done:at])}<{tag}>{escape_text(part)}</{tag}>"
            done = at + len(part)
    return made + escape_text(text[done:])
