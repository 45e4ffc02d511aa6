"""Putting an expression in the place of another, with parentheses only where they are needed."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import nodes

from template_fix.jinja import ParseError, Template
from template_fix.text import Edit, Span, apply


def replaced(at: Span, text: str) -> Edit:
    """Return the edit that puts the expression ``text`` at ``at``, safe wherever that is."""
    return Edit(at, f"({text})")


def literal(text: str) -> str:
    """Return the string literal of a text in template syntax."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def tidied(template: Template, edits: Sequence[Edit]) -> list[Edit]:
    """Return the edits without those outer parentheses that change nothing: the tree of the result decides."""
    kept = list(edits)
    wanted = _tree(template, kept)
    for index, edit in enumerate(kept):
        bare = [*kept[:index], Edit(edit.span, edit.text[1:-1]), *kept[index + 1 :]]
        if edit.text[:1] == "(" and edit.text[-1:] == ")" and _tree(template, bare) == wanted:
            kept = bare
    return kept


def _tree(template: Template, edits: Sequence[Edit]) -> nodes.Template | None:
    try:
        return Template(apply(template.source, edits)).tree
    except ParseError:
        return None
