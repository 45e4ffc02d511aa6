"""Which constructs an edit adds to a template, and which engines run them otherwise than transformers does.

Templates on the Hub are run by half a dozen engines. What they know is data, in ``engines.toml``; what a template is
made of is read off its syntax tree. A construct that the template has already is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from jinja2 import nodes

from template_fix.jinja.queries import is_marker, parse, walk
from template_fix.jinja.tables import table
from template_fix.jinja.templates import Template
from template_fix.text.edits import Span

_STATEMENTS: Mapping[type[nodes.Node], str] = {
    nodes.If: "{% if %}",
    nodes.For: "{% for %}",
    nodes.Assign: "{% set %}",
    nodes.Macro: "{% macro %}",
    nodes.CondExpr: "a if b else c",
    nodes.Dict: "{…}",
    nodes.List: "[…]",
    nodes.Slice: "a[b:c]",
    nodes.And: "a and b",
    nodes.Or: "a or b",
    nodes.Not: "not a",
    nodes.Concat: "a ~ b",
    nodes.Add: "a + b",
}
_COMPARED = {"eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<=", "in": "in", "notin": "not in"}
# What has no ways of its own: it is a part of others, or no engine could do without it.
_PLAIN = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.NSRef, nodes.Getattr),
    *(nodes.Getitem, nodes.Pair, nodes.Keyword, nodes.Operand, nodes.ExtensionAttribute),
)


def why_unportable(before: str, after: str) -> str | None:
    """Return why an edited template would not run wherever the original does, None where it would.

    Both are sources that parse. A construct counts that only the edited one has, and that an engine runs otherwise than
    transformers, or that nobody has tried.
    """
    known = _table()
    for construct in sorted(_constructs(after) - _constructs(before) - known.everywhere):
        if where := known.elsewhere.get(construct):
            return f"{construct} isn't known to {', '.join(where)}"
        return f"no engine was tried with {construct}"
    return None


def engines() -> tuple[str, ...]:
    """Return the engines of the table, besides transformers."""
    return tuple(_table().engines)


def find_unportable(template: Template) -> Iterator[tuple[str, Span | None, tuple[str, ...]]]:
    """Yield each construct of a template that engines run otherwise, with its first place and these engines."""
    elsewhere = _table().elsewhere
    macros = _macros(template.tree)
    places: dict[str, Span | None] = {}
    for node in template.all_nodes:
        for construct in _named(node, macros):
            places.setdefault(construct, template.span(node))
    yield from ((each, at, tuple(elsewhere[each])) for each, at in places.items() if each in elsewhere)


class _Table(NamedTuple):
    engines: list[str]
    everywhere: frozenset[str]
    elsewhere: Mapping[str, list[str]]


@lru_cache(maxsize=1)
def _table() -> _Table:
    rows = table("engines.toml")
    return _Table(rows["engines"], frozenset(rows["everywhere"]), rows["elsewhere"])


@lru_cache(maxsize=64)
def _constructs(source: str) -> frozenset[str]:
    tree = parse(source)
    macros = _macros(tree)
    return frozenset(name for node in walk(tree) for name in _named(node, macros))


def _macros(tree: nodes.Template) -> set[str]:
    return {node.name for node in tree.find_all(nodes.Macro)}


def _named(node: nodes.Node, macros: set[str]) -> Iterator[str]:
    """Yield what a node is called in the table; calls of the template's own macros need no name."""
    if isinstance(node, nodes.Neg) and isinstance(node.node, nodes.Const):
        return  # a negative number; to negate a name fails in llama.cpp
    if _selects_equal(node):
        yield "|selectattr(equalto)"
    elif isinstance(node, nodes.Filter) and node.name == "list" and _selects_equal(node.node):
        return  # what was selected becomes a list in every engine
    elif isinstance(node, nodes.Filter | nodes.Test):
        sign, number = ("|" if isinstance(node, nodes.Filter) else "is "), len(node.args)
        given = ", ".join([*([str(number)] if number else []), *(f"{each.key}=" for each in node.kwargs)])
        yield f"{sign}{node.name}({given})" if given else f"{sign}{node.name}"
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        yield f".{node.node.attr}({len(node.args) or ''})"
    elif isinstance(node, nodes.Call):
        if isinstance(node.node, nodes.Name) and node.node.name not in macros:
            yield f"{node.node.name}()"
    elif isinstance(node, nodes.CondExpr) and node.expr2 is None:
        yield "a if b"
    elif isinstance(node, nodes.Compare):
        yield from (f"a {_COMPARED[each.op]} b" for each in node.ops)
    elif is_marker(node):
        yield "{% generation %}"
    elif not isinstance(node, _PLAIN):
        yield _STATEMENTS.get(type(node), type(node).__name__)


def _selects_equal(node: nodes.Node | None) -> bool:
    """Whether a node is ``selectattr`` with the test ``equalto``, which is known where other tests aren't."""
    test = (
        node.args[1] if isinstance(node, nodes.Filter) and node.name == "selectattr" and len(node.args) == 3 else None
    )
    return isinstance(test, nodes.Const) and test.value == "equalto"
