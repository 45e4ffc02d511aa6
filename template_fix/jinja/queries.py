"""Syntax trees of templates, and questions to them: their nodes, the names that they read and store, their markers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import StringIO
from typing import TypeVar

from jinja2 import nodes

from template_fix.jinja.environment import Generation, environment
from template_fix.jinja.generator import Generator

_METHODS = frozenset(dir(dict))


@lru_cache(maxsize=16)
def parse(source: str) -> nodes.Template:
    """Return the syntax tree of a template, the same one each time: what changes it needs a copy.

    Raises jinja2's TemplateSyntaxError.
    """
    return environment().parse(source)


N = TypeVar("N", bound=nodes.Node)


def copy_tree(tree: N) -> N:
    """Return a copy of a tree that may be changed; to parse the source again takes ten times as long."""
    made = object.__new__(type(tree))
    for name, value in vars(tree).items():
        if isinstance(value, list):
            value = [copy_tree(each) if isinstance(each, nodes.Node) else each for each in value]
        setattr(made, name, copy_tree(value) if isinstance(value, nodes.Node) else value)
    return made


def walk(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield ``node`` and everything below it, in the order of the source."""
    found: list[nodes.Node] = []
    _gather(node, found)
    return iter(found)


def _gather(node: nodes.Node, found: list[nodes.Node]) -> None:
    """Add a node and everything below it: jinja2's own iteration takes three times as long."""
    found.append(node)
    for name in node.fields:
        value = getattr(node, name, None)
        for child in value if type(value) is list else (value,):
            if isinstance(child, nodes.Node):
                _gather(child, found)


def alike(one: nodes.Node | Sequence[nodes.Node], other: nodes.Node | Sequence[nodes.Node]) -> bool:
    """Whether two trees, or two lists of them, are the same program.

    To Python 1, 1.0 and True are equal, but they aren't printed alike: so the types of constants count, too.
    """
    if isinstance(one, nodes.Node) and isinstance(other, nodes.Node):
        return one == other and _constants(one) == _constants(other)
    if isinstance(one, nodes.Node) or isinstance(other, nodes.Node) or len(one) != len(other):
        return False
    return all(map(alike, one, other))


def _constants(tree: nodes.Node) -> list[type]:
    return [type(node.value) for node in walk(tree) if isinstance(node, nodes.Const)]


def lost_sums(tree: nodes.Node) -> Iterator[tuple[nodes.For, nodes.Assign]]:
    """Yield each loop over a content that sets a name to what has that name in it: as an iteration ends, it is lost."""
    for loop in tree.find_all(nodes.For):
        if "content" in names_in(loop.iter) | {
            getattr(each, "attr", None) or getattr(each, "value", None) for each in walk(loop.iter)
        }:
            for each in (node for body in loop.body for node in walk(body) if isinstance(node, nodes.Assign)):
                name = each.target.name if isinstance(each.target, nodes.Name) else None
                if name in names_read(each.node) - names_in(loop.target):
                    yield loop, each


def conditions(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Yield every expression of which only the truth matters: each test, and what `operands` yields of it."""
    for node in walk(tree):
        if isinstance(node, nodes.If | nodes.CondExpr) or (isinstance(node, nodes.For) and node.test):
            yield from operands(node.test)


def operands(test: nodes.Node | None) -> Iterator[nodes.Node]:
    """Yield a test, and what stands beside its ``and``, ``or`` and ``not``, all the way down."""
    if test is not None:
        yield test
    if isinstance(test, nodes.And | nodes.Or):
        yield from operands(test.left)
        yield from operands(test.right)
    elif isinstance(test, nodes.Not):
        yield from operands(test.node)


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
def generate(source: str) -> tuple[str, frozenset[str]]:
    """Return the Python code that jinja2 makes of a template, and the names of the variables that it reads there.

    jinja2 folds constants in the tree as it looks, so it gets a copy, and the call belongs inside of bounds.
    """
    python = StringIO()
    generator = Generator(environment(), None, None, python)
    generator.visit(copy_tree(parse(source)))
    return python.getvalue(), frozenset(generator.undeclared - environment().globals.keys())


def undeclared(source: str) -> frozenset[str]:
    """Return the names of the variables that a template reads and doesn't set; the call belongs inside of bounds."""
    return generate(source)[1]


def optional(tree: nodes.Template) -> frozenset[str]:
    """Return the names of the variables that a template asks for whether the caller gave them."""
    asked = (
        node.node
        for node in walk(tree)
        if isinstance(node, nodes.Test | nodes.Filter) and node.name in ("defined", "undefined", "default", "d")
    )
    return frozenset(node.name for node in asked if isinstance(node, nodes.Name))


def key_read(node: nodes.Node) -> tuple[str, str] | None:
    """Return a variable and the key that an expression reads of it: as an attribute, an item, or by ``get``."""
    if isinstance(node, nodes.Getattr):
        of, key = node.node, node.attr if node.attr not in _METHODS else None
    elif isinstance(node, nodes.Getitem):
        of, key = node.node, _text(node.arg)
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr == "get":
        of, key = node.node.node, _text(node.args[0]) if node.args else None
    else:
        return None
    return (of.name, key) if key and isinstance(of, nodes.Name) else None


def _text(node: nodes.Node) -> str | None:
    return node.value if isinstance(node, nodes.Const) and isinstance(node.value, str) else None
