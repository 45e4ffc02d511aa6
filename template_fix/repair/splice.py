"""Putting an expression in the place of another, with parentheses only where they are needed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jinja2 import TemplateSyntaxError, nodes

from template_fix.jinja.queries import alike, parse
from template_fix.jinja.templates import NEWLINE, Template, lex
from template_fix.text.edits import Edit, Span, apply


def put(at: Span, text: str) -> Edit:
    """Return the edit that puts the expression ``text`` at ``at``, safe wherever that is."""
    return Edit(at, f"({text})")


def in_front(source: str, tags: str) -> Edit:
    """Return the edit that puts tags in front of a template."""
    # A line of its own only where the template's first tag takes the line break away again.
    return Edit(Span(0, 0), tags + ("\n" if source.startswith(("{%-", "{{-", "{#-")) else ""))


def behind_tag(template: Template, at: int) -> tuple[int, str, str]:
    """Return where the tag that ends behind ``at`` ends, the mark that ends it, and the line break and indentation
    behind that, if any. White space that the mark strips stands behind that place."""
    end = next(token for token in lex(template.source) if token.kind == "block_end" and token.start >= at)
    mark = "-%}" if end.text.startswith("-") else "%}"
    line = re.match(r"\r?\n[ \t]*", template.source[end.start + len(mark) :])
    return end.start + len(mark), mark, line.group() if line else ""


def literal(text: str) -> str:
    """Return the string literal of a text in template syntax; line ends become what Jinja takes them for."""
    return "'" + NEWLINE.sub("\n", text).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def tidy(template: Template, edits: Sequence[Edit]) -> list[Edit]:
    """Return the edits without those outer parentheses that change nothing: the tree of the result decides."""
    kept = list(edits)
    wanted = _tree(template, kept)
    for index, edit in enumerate(kept):
        bare = [*kept[:index], Edit(edit.span, edit.text[1:-1]), *kept[index + 1 :]]
        if edit.text[:1] == "(" and edit.text[-1:] == ")" and alike(_tree(template, bare), wanted):
            kept = bare
    return kept


def _tree(template: Template, edits: Sequence[Edit]) -> Sequence[nodes.Node]:
    """Return the statements of the edited template, none where it can't be read."""
    try:
        return parse(apply(template.source, edits)).body
    except TemplateSyntaxError:
        return []
