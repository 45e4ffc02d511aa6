"""Patterns in template syntax, matched on the syntax tree.

A pattern is an expression or a statement in which ``$NAME`` stands for anything; the same name stands for the same
thing. Spacing, quotes, and ``x.y`` against ``x['y']`` make no difference; text that is nothing but whitespace neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from template_fix.jinja.environment import environment
from template_fix.jinja.templates import Template

_METAVARIABLE = re.compile(r"\$([A-Z]+)")
_PREFIX = "metavariable_"
Bindings = dict[str, Any]


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern; ``node`` is what has to match."""

    source: str
    node: nodes.Node

    @classmethod
    def parse(cls, source: str) -> Pattern:
        """Read a pattern; raises jinja2's TemplateSyntaxError."""
        named = _METAVARIABLE.sub(rf"{_PREFIX}\1", source)
        statement = named.lstrip().startswith("{%")
        body = environment().parse(named if statement else "{{ " + named + " }}").body
        first = body[0]
        return cls(source, first if statement or not isinstance(first, nodes.Output) else first.nodes[0])

    def matches(self, template: Template) -> Iterator[tuple[nodes.Node, Bindings]]:
        """Yield each node of a template that matches, with what the metavariables stand for there."""
        for node in template.all_nodes:
            bindings: Bindings = {}
            if type(node) in (type(self.node), nodes.Getitem) and _match(self.node, node, bindings):
                yield node, bindings


def fill(text: str, bindings: Bindings, template: Template) -> str:
    """Return ``text`` with each metavariable replaced by the source of what it stands for."""

    def source(match: re.Match[str]) -> str:
        bound = bindings[match.group(1)]
        return bound if isinstance(bound, str) else template.text(bound)

    return _METAVARIABLE.sub(source, text)


def _match(pattern: object, found: object, bindings: Bindings) -> bool:
    if isinstance(pattern, nodes.Name) and pattern.name.startswith(_PREFIX):
        return _bind(pattern.name, found, bindings)
    if isinstance(pattern, str):
        return _bind(pattern, found, bindings) if pattern.startswith(_PREFIX) else pattern == found
    if isinstance(pattern, list):
        return _match_all(pattern, found, bindings)
    pattern, found = _attribute(pattern), _attribute(found)
    if not isinstance(pattern, nodes.Node) or type(pattern) is not type(found):
        return type(pattern) is type(found) and bool(pattern == found)  # True is no 1
    return all(
        _match(value, getattr(found, field), bindings) for field, value in pattern.iter_fields() if field != "ctx"
    )


def _match_all(pattern: list[object], found: Any, bindings: Bindings) -> bool:
    pattern, found = [each for each in pattern if not _blank(each)], [each for each in found if not _blank(each)]
    return len(pattern) == len(found) and all(
        _match(one, other, bindings) for one, other in zip(pattern, found, strict=True)
    )


def _bind(name: str, found: object, bindings: Bindings) -> bool:
    """Bind a metavariable to what was found; where it is bound already, return whether the two are the same."""
    known = bindings.setdefault(name.removeprefix(_PREFIX), found)
    return known is found or _same(known, found)


def _same(one: object, other: object) -> bool:
    """Whether two nodes are alike, a variable that is read and one that is set included."""
    if isinstance(one, nodes.Name) and isinstance(other, nodes.Name):
        return one.name == other.name
    return bool(one == other)


def _attribute(node: object) -> object:
    """Return ``x['y']`` as ``x.y``: templates use both, and for messages they mean the same."""
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return nodes.Getattr(node.node, node.arg.value, node.ctx)
    return node


def _blank(node: object) -> bool:
    return isinstance(node, nodes.Output) and all(
        isinstance(each, nodes.TemplateData) and not each.data.strip() for each in node.nodes
    )
