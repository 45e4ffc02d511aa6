"""Questions to a template's syntax tree: its nodes, the names that it reads and stores, its markers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from template_fix.jinja.environment import (
    Generation,
    environment,
)


def walk(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield ``node`` and everything below it, in the order of the source."""
    yield node
    for child in node.iter_child_nodes():
        yield from walk(child)


def names_in(node: nodes.Node) -> frozenset[str]:
    """Return the names of the variables in a node, read and stored."""
    return frozenset(each.name for each in walk(node) if isinstance(each, nodes.Name))


def names_read(node: nodes.Node) -> frozenset[str]:
    """Return the names of the variables that a node reads."""
    return frozenset(each.name for each in walk(node) if isinstance(each, nodes.Name) and each.ctx == "load")


def names_stored(node: nodes.Node) -> list[str]:
    """Return the names of the variables that a node gives values, each once for each time that it does."""
    return [each.name for each in walk(node) if isinstance(each, nodes.Name) and each.ctx != "load"]


def calls(node: nodes.Node, name: str) -> bool:
    """Whether a node is a call of what has some name."""
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == name


def is_marker(node: nodes.Node) -> bool:
    """Whether a node is ``{% generation %}`` with what it encloses."""
    called = node.call.node if isinstance(node, nodes.CallBlock) else None
    return isinstance(called, nodes.ExtensionAttribute) and called.identifier == Generation.identifier


@lru_cache(maxsize=16)
def undeclared(source: str) -> frozenset[str]:
    """Return the names of the variables that a template reads and doesn't set.

    jinja2 folds constants in the tree as it looks, so it gets a tree of its own, and the call belongs inside of bounds.
    """
    tree = environment().parse(source)
    return frozenset(find_undeclared_variables(tree)) - set(environment().globals)


def optional(tree: nodes.Template) -> frozenset[str]:
    """Return the names of the variables that a template asks for whether the caller gave them."""
    asked = (
        node.node
        for node in walk(tree)
        if isinstance(node, nodes.Test | nodes.Filter) and node.name in ("defined", "undefined", "default", "d")
    )
    return frozenset(node.name for node in asked if isinstance(node, nodes.Name))
