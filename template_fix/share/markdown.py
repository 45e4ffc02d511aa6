"""Escapes texts of strangers for Markdown, so that they contain no markup and no links, and notify nobody."""

from __future__ import annotations

import html
import re

from template_fix.text.display import cut, make_presentable, one_line, scrub

_LONGEST_ROW, _LONGEST_BLOCK = 400, 20_000
# A word joiner is invisible; after it, GitHub and the Hub see no name, issue number or address.
_JOINER = "\u2060"
_LINKS = re.compile(r"(?<=[@#])(?=\w)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_ACTS = re.compile(r"[\\`*\[\]~|$#!]|(?<![^\W_])_|_(?![^\W_])|^[-+=]")
_NUMBERED = re.compile(r"^(\d+)([.)])")


def escape_prose(text: str) -> str:
    """Return ``text`` escaped for a paragraph, on one line and not too long."""
    escaped = _ACTS.sub(r"\\\g<0>", _LINKS.sub(_JOINER, one_line(text)))
    return html.escape(_NUMBERED.sub(r"\1\\\2", escaped), quote=False)


def code_span(text: str) -> str:
    """Return ``text`` as a code span, on one line and not too long."""
    shown = one_line(text) or " "
    fence = "`" * (_longest_run(shown) + 1)
    padding = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def code_block(text: str, language: str = "", rest: str = "") -> str:
    """Return ``text`` as a block of code; of a long text, the beginning and ``rest``, which says where the rest is.

    Long rows are cut, too; tabs are kept.
    """
    # Each row has at least one character, so no more rows than this can be shown.
    rows = scrub(text).removesuffix("\n").split("\n", _LONGEST_BLOCK)
    shown = "\n".join("\t".join(map(make_presentable, cut(row, _LONGEST_ROW).split("\t"))) for row in rows)
    if len(shown) > _LONGEST_BLOCK:
        shown = "\n".join(filter(None, [shown[:_LONGEST_BLOCK].rpartition("\n")[0], f"… {rest}".rstrip()]))
    fence = "`" * max(3, _longest_run(shown) + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
