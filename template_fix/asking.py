"""Tests whose asking changes nothing: those that fail for no value, and those that are asked there anyway.

A test that branches print the same after may be left out only where it can't make the rendering fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from jinja2 import nodes

from template_fix.effects import is_pure, only_prints
from template_fix.jinja import walk

# Tests that fail for no value, and filters that give a text for any.
_SAFE_TESTS = frozenset(
    {"defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "boolean", "true", "false"}
)
_TEXTS = frozenset({"trim", "string"})
_COUNTERS = frozenset({"index", "index0", "length", "revindex", "revindex0"})
Tests = tuple[nodes.Node, ...]


def cannot_fail(test: nodes.Node, items: frozenset[str]) -> bool:
    """Whether a test only looks at what may be looked at in any message. ``items`` are the names that loops give.

    What stands behind an ``and`` is asked where all before it holds.
    """
    return _safe(test, items, ())


def _safe(node: nodes.Node, items: frozenset[str], held: Tests) -> bool:
    """Whether an expression has a value where the tests in ``held`` hold."""
    if isinstance(node, nodes.And):
        return _safe(node.left, items, held) and _safe(node.right, items, (*held, *_conjuncts(node.left)))
    if isinstance(node, nodes.Or):
        return _safe(node.left, items, held) and _safe(node.right, items, held)
    if isinstance(node, nodes.Not):
        return _safe(node.node, items, held)
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        named = isinstance(node.node, nodes.Name) or _is_there(node.node, held)
        return named and (isinstance(node, nodes.Getattr) or isinstance(node.arg, nodes.Const))
    if isinstance(node, nodes.Compare):
        return _safe(node.expr, items, held) and all(_compares(node, each, items, held) for each in node.ops)
    if isinstance(node, nodes.Test):
        return node.name in _SAFE_TESTS and _safe(node.node, items, held)
    if isinstance(node, nodes.Filter) and isinstance(node.node, nodes.Expr):
        known = node.name in _TEXTS or (node.name == "length" and _is_text(node.node, held))
        return known and not node.args and _safe(node.node, items, held)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        of = node.node.node
        known = (node.node.attr == "get" and isinstance(of, nodes.Name)) or (
            node.node.attr in ("startswith", "endswith") and _is_text(of, held) and all(map(_is_text, node.args))
        )
        return known and all(isinstance(each, nodes.Const) for each in node.args)
    return isinstance(node, nodes.Name | nodes.Const)


def _compares(node: nodes.Compare, operand: nodes.Operand, items: frozenset[str], held: Tests) -> bool:
    if not _safe(operand.expr, items, held):
        return False
    if operand.op in ("eq", "ne"):
        return True
    if operand.op in ("in", "notin"):
        keys = isinstance(operand.expr, nodes.Name) and operand.expr.name in items
        return keys or (_is_text(operand.expr, held) and _is_text(node.expr, held))
    return len(node.ops) == 1 and _is_number(node.expr) and _is_number(operand.expr)


def _is_there(message: nodes.Node, held: Tests) -> bool:
    """Whether a message, the one before or the last, is there where some tests hold."""
    if isinstance(message, nodes.Getattr) and message.attr == "previtem":
        return any(isinstance(each, nodes.Test) and each.name == "defined" and each.node == message for each in held)
    messages = nodes.Name("messages", "load")
    return message == nodes.Getitem(messages, nodes.Neg(nodes.Const(1)), "load") and messages in held


def _is_text(node: nodes.Node | None, held: Tests = ()) -> bool:
    if isinstance(node, nodes.Const):
        return isinstance(node.value, str)
    if isinstance(node, nodes.Filter):
        return node.name in _TEXTS
    return any(isinstance(each, nodes.Test) and each.name == "string" and each.node == node for each in held)


def _is_number(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Const):
        return isinstance(node.value, int)
    if isinstance(node, nodes.Filter):
        return node.name == "length"
    loop = isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop"
    return loop and isinstance(node, nodes.Getattr) and node.attr in _COUNTERS


def _conjuncts(test: nodes.Node) -> Tests:
    return (*_conjuncts(test.left), *_conjuncts(test.right)) if isinstance(test, nodes.And) else (test,)


def asked_anyway(tree: nodes.Template, macros: frozenset[str]) -> frozenset[int]:
    """Return the ids of those blocks whose test was asked before, or is asked next, and can't give another value there.

    ``tree`` is one without markers; ``macros`` are the names of its pure ones.
    """
    found: set[int] = set()
    _Walk(macros, found).body(tree.body, (), ())
    return frozenset(found)


class _Walk:
    """Goes through statements with the tests that were asked on the way, and those that will be asked behind them."""

    def __init__(self, macros: frozenset[str], found: set[int]) -> None:
        self.macros, self.found = macros, found

    def body(self, statements: Sequence[nodes.Node], asked: Tests, later: Tests) -> Tests:
        """Note the blocks in a list of statements; return what is known to have been asked behind it."""
        for at, node in enumerate(statements):
            asked = self.statement(node, asked, self.coming(statements[at + 1 :], later))
        return asked

    def coming(self, statements: Iterable[nodes.Node], later: Tests) -> Tests:
        """Return the test that is asked next, whatever happens, and before anything is changed."""
        for node in statements:
            if isinstance(node, nodes.If):
                return (node.test,) if is_pure(node.test, self.macros) else ()
            if not isinstance(node, nodes.Output) or not is_pure(node, self.macros):
                return ()
        return later

    def statement(self, node: nodes.Node, asked: Tests, later: Tests) -> Tests:
        if isinstance(node, nodes.Output):
            return asked if is_pure(node, self.macros) else ()
        if isinstance(node, nodes.If):
            return self.block(node, asked, later)
        if isinstance(node, nodes.For):
            asked = _unchanged(asked, node) if is_pure(node, self.macros) else ()
            self.body(node.body, asked, ())
            self.body(node.else_, asked, ())
            return asked
        for inner in node.iter_child_nodes():
            self.body([inner], (), ())
        return _unchanged(asked, node) if isinstance(node, nodes.Assign) and is_pure(node, self.macros) else ()

    def block(self, node: nodes.If, asked: Tests, later: Tests) -> Tests:
        if node.test in asked or (node.test in later and only_prints(node, self.macros)):
            self.found.add(id(node))
        ends: list[Tests] = []
        for branch in (node, *node.elif_):
            asked = (*asked, branch.test) if is_pure(branch.test, self.macros) else ()
            ends.append(self.body(branch.body, asked, later))
        ends.append(self.body(node.else_, asked, later))
        return tuple(test for test in ends[0] if all(test in end for end in ends))


def _unchanged(asked: Tests, node: nodes.Node) -> Tests:
    """Return the tests that ask for nothing that a statement gives another value."""
    names, fields = set(_stored(node)), {each.attr for each in walk(node) if isinstance(each, nodes.NSRef)}
    if isinstance(node, nodes.For):
        names.add("loop")
    return tuple(test for test in asked if not names & _names(test) and not fields & _fields(test))


def _stored(node: nodes.Node) -> Iterator[str]:
    yield from (each.name for each in walk(node) if isinstance(each, nodes.Name) and each.ctx != "load")


def _names(test: nodes.Node) -> set[str]:
    return {each.name for each in walk(test) if isinstance(each, nodes.Name)}


def _fields(test: nodes.Node) -> set[str]:
    return {each.attr for each in walk(test) if isinstance(each, nodes.Getattr)}
