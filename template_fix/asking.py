"""Tests whose asking changes nothing: those that fail for no value, and those that are asked there anyway.

A test that branches print the same after may be left out only where it can't make the rendering fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jinja2 import nodes

from template_fix.effects import Purity, is_pure, only_prints
from template_fix.fold import alike
from template_fix.jinja import names_in, names_stored, walk
from template_fix.scopes import Known, Scope, at_the_top, target

# Tests that fail for no value, and filters that give a text for any.
_SAFE_TESTS = frozenset(
    {"defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "boolean", "true", "false"}
)
_TEXTS = frozenset({"trim", "string"})
_COUNTERS = frozenset({"index", "index0", "length", "revindex", "revindex0"})
Tests = tuple[nodes.Node, ...]


def cannot_fail(test: nodes.Node, scope: Scope) -> bool:
    """Whether a test only looks at what may be looked at in any message, in a place of which ``scope`` tells.

    What stands behind an ``and`` is asked where all before it holds.
    """
    return _safe(test, scope, ())


def _safe(node: nodes.Node, scope: Scope, held: Tests) -> bool:
    """Whether an expression has a value where the tests in ``held`` hold."""
    if isinstance(node, nodes.And):
        return _safe(node.left, scope, held) and _safe(node.right, scope, (*held, *_conjuncts(node.left)))
    if isinstance(node, nodes.Or):
        return _safe(node.left, scope, held) and _safe(node.right, scope, held)
    if isinstance(node, nodes.Not):
        return _safe(node.node, scope, held)
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        constant = isinstance(node, nodes.Getattr) or isinstance(node.arg, nodes.Const)
        return constant and (_is_defined(node.node, scope, held) or _is_there(node.node, scope, held))
    if isinstance(node, nodes.Compare):
        return _safe(node.expr, scope, held) and all(_compares(node, each, scope, held) for each in node.ops)
    if getattr(node, "kwargs", None) or getattr(node, "dyn_args", None) or getattr(node, "dyn_kwargs", None):
        return False
    if isinstance(node, nodes.Test):
        return node.name in _SAFE_TESTS and not node.args and _safe(node.node, scope, held)
    if isinstance(node, nodes.Filter):
        named = node.name in _TEXTS or (node.name == "length" and _is_text(node.node, held))
        return named and not node.args and node.node is not None and _safe(node.node, scope, held)
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Getattr) and _asks_a_method(node.node, node.args, scope, held)
    return isinstance(node, nodes.Name | nodes.Const)


def _asks_a_method(method: nodes.Getattr, given: Sequence[nodes.Expr], scope: Scope, held: Tests) -> bool:
    """Whether a method may be called: ``get`` of a message, and what asks a text for its beginning or end."""
    constant = all(isinstance(each, nodes.Const) for each in given)
    if method.attr == "get":
        message = isinstance(method.node, nodes.Name) and method.node.name in scope.messages
        return message and constant and 1 <= len(given) <= 2
    asks = method.attr in ("startswith", "endswith") and len(given) == 1
    return asks and constant and _is_text(method.node, held) and _is_text(given[0])


def _compares(node: nodes.Compare, operand: nodes.Operand, scope: Scope, held: Tests) -> bool:
    if not _safe(operand.expr, scope, held):
        return False
    if operand.op in ("eq", "ne"):
        return True
    if len(node.ops) > 1:
        return False
    if operand.op in ("in", "notin"):
        keys = isinstance(operand.expr, nodes.Name) and operand.expr.name in scope.messages
        return (keys or _is_text(operand.expr, held)) and _is_text(node.expr, held)
    return _is_number(node.expr, scope) and _is_number(operand.expr, scope)


def _is_defined(node: nodes.Node, scope: Scope, held: Tests) -> bool:
    """Whether a name has a value: fields may be asked of any."""
    if isinstance(node, nodes.Name) and node.name == "loop":
        return scope.loop
    asked = any(isinstance(each, nodes.Test) and each.name == "defined" and each.node == node for each in held)
    return isinstance(node, nodes.Name) and (node.name in scope.defined or asked or node in held)


def _is_there(message: nodes.Node, scope: Scope, held: Tests) -> bool:
    """Whether a message, the one before or the last, is there where some tests hold."""
    if isinstance(message, nodes.Getattr) and message.attr == "previtem" and scope.loop:
        return any(isinstance(each, nodes.Test) and each.name == "defined" and each.node == message for each in held)
    messages = nodes.Name("messages", "load")
    last = message == nodes.Getitem(messages, nodes.Neg(nodes.Const(1)), "load")
    return last and "messages" in scope.defined and messages in held


def _is_text(node: nodes.Node | None, held: Tests = ()) -> bool:
    if isinstance(node, nodes.Const):
        return isinstance(node.value, str)
    if isinstance(node, nodes.Filter):
        return node.name in _TEXTS
    return any(isinstance(each, nodes.Test) and each.name == "string" and each.node == node for each in held)


def _is_number(node: nodes.Node, scope: Scope) -> bool:
    if isinstance(node, nodes.Const):
        return isinstance(node.value, int)
    if isinstance(node, nodes.Filter):
        return node.name == "length"
    loop = isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop"
    return loop and scope.loop and isinstance(node, nodes.Getattr) and node.attr in _COUNTERS


def _conjuncts(test: nodes.Node) -> Tests:
    return (*_conjuncts(test.left), *_conjuncts(test.right)) if isinstance(test, nodes.And) else (test,)


def droppable(tree: nodes.Template, pure: Purity, names: Known) -> frozenset[int]:
    """Return the ids of those blocks whose test may be left out where it decides nothing.

    It can't fail there, or it was asked before, or is asked next, and can't give another value. ``tree`` is one without
    markers; ``pure`` is what of it may be evaluated twice, ``names`` what it does with its names.
    """
    walked = _Walk(pure, names)
    walked.body(tree.body, (), (), at_the_top(names))
    return frozenset(walked.found)


class _Walk:
    """Goes through statements with the tests that were asked on the way, and those that will be asked behind them."""

    def __init__(self, pure: Purity, known: Known) -> None:
        self.pure, self.known = pure, known
        self.found: set[int] = set()

    def body(self, statements: Sequence[nodes.Node], asked: Tests, later: Tests, scope: Scope) -> Tests:
        """Note the blocks in a list of statements; return what is known to have been asked behind it."""
        for at, node in enumerate(statements):
            asked = self.statement(node, asked, self.coming(statements[at + 1 :], later), scope)
            if isinstance(node, nodes.Assign) and target(node) in self.known.valued:
                scope = scope._replace(defined=scope.defined | {target(node)})
        return asked

    def coming(self, statements: Iterable[nodes.Node], later: Tests) -> Tests:
        """Return the test that is asked next, whatever happens, and before anything is changed."""
        for node in statements:
            if isinstance(node, nodes.If):
                return (node.test,) if is_pure(node.test, self.pure) else ()
            if not isinstance(node, nodes.Output) or not is_pure(node, self.pure):
                return ()
        return later

    def statement(self, node: nodes.Node, asked: Tests, later: Tests, scope: Scope) -> Tests:
        if isinstance(node, nodes.Output):
            return asked if is_pure(node, self.pure) else ()
        if isinstance(node, nodes.If):
            return self.block(node, asked, later, scope)
        if isinstance(node, nodes.For):
            asked = _unchanged(asked, node) if is_pure(node, self.pure) else ()
            self.body(node.body, asked, (), scope.inside(node, self.known))
            self.body(node.else_, asked, (), scope)
            return asked
        for inner in node.iter_child_nodes():
            self.body([inner], (), (), Scope())
        return _unchanged(asked, node) if isinstance(node, nodes.Assign) and is_pure(node, self.pure) else ()

    def block(self, node: nodes.If, asked: Tests, later: Tests, scope: Scope) -> Tests:
        certain = cannot_fail(node.test, scope) or _among(node.test, asked)
        next_alone = not certain and _among(node.test, later) and only_prints(node, self.pure)
        if certain or next_alone:
            self.found.add(id(node))
        ends: list[Tests] = []
        for branch in (node, *node.elif_):
            if not is_pure(branch.test, self.pure):
                asked = ()
            elif not (next_alone and branch is node):  # the one that is asked next must not lean on this one
                asked = (*asked, branch.test)
            ends.append(self.body(branch.body, asked, later, scope))
        ends.append(self.body(node.else_, asked, later, scope))
        return tuple(test for test in ends[0] if all(_among(test, end) for end in ends))


def _among(test: nodes.Node, tests: Tests) -> bool:
    return any(alike(test, each) for each in tests)


def _unchanged(asked: Tests, node: nodes.Node) -> Tests:
    """Return the tests that ask for nothing that a statement gives another value; a macro may read anything."""
    names, fields = set(names_stored(node)), {each.attr for each in walk(node) if isinstance(each, nodes.NSRef)}
    if isinstance(node, nodes.For):
        names.add("loop")
    return tuple(
        test
        for test in asked
        if not names & names_in(test)
        and not fields & _fields(test)
        and not ((names or fields) and _reads_anything(test))
    )


def _reads_anything(test: nodes.Node) -> bool:
    """Whether a test calls a macro, or reads a field whose name is not known before."""
    return any(
        (isinstance(each, nodes.Call) and isinstance(each.node, nodes.Name))
        or (isinstance(each, nodes.Getitem) and not isinstance(each.arg, nodes.Const))
        or (isinstance(each, nodes.Filter) and each.name == "attr")
        for each in walk(test)
    )


def _fields(test: nodes.Node) -> set[object]:
    named = {each.attr for each in walk(test) if isinstance(each, nodes.Getattr)}
    return named | {getattr(each.arg, "value", None) for each in walk(test) if isinstance(each, nodes.Getitem)}
