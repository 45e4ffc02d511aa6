"""The documentation pages of the rules, for ``explain``, the table in docs/rules.md and SARIF."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from template_fix.options import UnknownCodeError, describe_unknown_code
from template_fix.report.terminal import Line, Piece, Style, line

_FORMED = re.compile(r" |\||[*-] |\d+\.|```")
_STYLES: dict[str, Style] = {"error": "error", "warning": "warning", "note": "note"}


class Page(NamedTuple):
    """One rule's code, level and summary; ``page`` is its documentation."""

    code: str
    level: str
    summary: str
    page: str


def load_pages() -> list[Page]:
    """Return the pages of all rules, in the order of their codes."""
    from template_fix.rules import RULES

    return [Page(rule.code, rule.level.value, rule.summary, inspect.cleandoc(rule.page)) for rule in RULES]


def load_page(code: str) -> Page:
    """Return the page of one rule; raises UnknownCodeError."""
    found = {page.code: page for page in load_pages()}
    if code.upper() not in found:
        raise UnknownCodeError(describe_unknown_code(code))
    return found[code.upper()]


def table_lines(pages: Sequence[Page]) -> Iterator[Line]:
    """Yield a line for each rule."""
    for page in pages:
        style = _STYLES[page.level]
        yield line(Piece(page.code, "title"), "  ", Piece(page.level.ljust(7), style), "  ", page.summary, hang=16)


def page_lines(page: Page) -> Iterator[Line]:
    """Yield one rule's page."""
    yield line(Piece(page.code, "title"), " ", Piece(page.level, _STYLES[page.level]), ": ", page.summary, hang=2)
    for block in page.page.split("\n\n"):
        yield line("")
        yield from _block(block)


def _block(block: str) -> Iterator[Line]:
    """Yield a heading, if there is one, then a paragraph that wraps, or rows that keep their line breaks."""
    rows = block.splitlines()
    if rows and rows[0].startswith("#"):
        yield line(Piece(rows.pop(0).lstrip("# "), "title"))
    if any(_FORMED.match(row) for row in rows):
        yield from (line(row, fixed=True) for row in rows)
    elif rows:
        yield line(" ".join(rows))
