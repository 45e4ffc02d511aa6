"""Proof that a repair can be switched off: fold a switch at a value, and compare what is left of two templates.

Rendering samples; folding proves. Where the inserted tests are evaluated at ``preserve_thinking=false`` and what is
left of the repaired template's syntax tree equals the original's, both print the same on every input there is.
"""

from __future__ import annotations

from functools import lru_cache

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from template_fix.jinja.queries import alike, conditions, copy_tree, parse

SWITCH = "preserve_thinking"
# Holds what the caller gave, in templates that bind the switch to something else.
CAPTURED = "keep_reasoning"


def guard(default: bool) -> str:
    """Return the test of the switch in template syntax, with what its absence is taken for."""
    return f"({SWITCH} | default({str(default).lower()}))"


def capture(default: bool) -> str:
    """Return the tag that notes what the caller gave before the template binds the switch itself."""
    return f"{{%- set {CAPTURED} = {SWITCH} | default({str(default).lower()}) %}}"


def equal_when_off(before: str, after: str, switch: str = SWITCH) -> bool:
    """Whether two templates, given as source, are the same program where ``switch`` is false."""
    return alike(fold(before, switch), fold(after, switch))


@lru_cache(maxsize=8)
def fold(source: str, switch: str = SWITCH, value: bool = False) -> nodes.Template:
    """Return a template's tree with every test of ``switch`` evaluated at ``value`` and what that leaves dead removed.

    Names that the template gives the switch at its very beginning are evaluated as well. A template that assigns the
    switch anything but what the caller gave keeps its other tests of it.
    """
    for name in (switch, ""):  # to evaluate no name at all still brings the tree into the same form
        result = _evaluated(_without_captures(copy_tree(parse(source)), switch, value), name, value)
        if not _rebinds(result, switch, value):
            break
    return result


def _evaluated(tree: nodes.Template, name: str, value: bool) -> nodes.Template:
    result = _Folder(name, value, frozenset(map(id, conditions(tree)))).visit(tree)
    assert isinstance(result, nodes.Template)
    return result


def _without_captures(tree: nodes.Template, switch: str, value: bool) -> nodes.Template:
    """Evaluate the names that are set, first of all and once, to what the switch is."""
    while tree.body and isinstance(first := tree.body[0], nodes.Assign) and isinstance(first.target, nodes.Name):
        given = _Folder(switch, value, frozenset()).visit(first.node)
        name = first.target.name
        stored = [each for each in tree.find_all(nodes.Name) if each.name == name and each.ctx != "load"]
        if name == switch or not isinstance(given, nodes.Const) or type(given.value) is not bool or len(stored) > 1:
            break
        tree.body.pop(0)
        tree = _evaluated(tree, name, given.value)
    return tree


def _rebinds(tree: nodes.Template, switch: str, value: bool) -> bool:
    """Whether the template gives the switch a value of its own: then reading it tells nothing of the caller's."""
    to_itself = {
        id(node.target)
        for node in tree.find_all(nodes.Assign)
        if isinstance(node.node, nodes.Const) and node.node.value is value
    }
    names = tree.find_all(nodes.Name)
    return any(name.name == switch and name.ctx != "load" and id(name) not in to_itself for name in names)


class OutputJoiner(NodeTransformer):
    """Joins outputs that stand side by side in every body of a tree, once their parts are visited."""

    def generic_visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        super().generic_visit(node, *args, **kwargs)
        for name in ("body", "else_"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                setattr(node, name, _joined(body))
        return node


class _Folder(OutputJoiner):
    def __init__(self, switch: str, value: bool, tests: frozenset[int]) -> None:
        self.switch, self.value, self.tests = switch, value, tests

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        if node.name == self.switch and node.ctx == "load":
            return nodes.Const(self.value)
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        self.generic_visit(node)
        if node.name not in ("default", "d") or not isinstance(node.node, nodes.Const) or node.kwargs:
            return node
        if len(node.args) < 2:
            return node.node
        if not isinstance(node.args[1], nodes.Const):
            return node
        return node.args[0] if node.args[1].value and not node.node.value else node.node

    def visit_Test(self, node: nodes.Test) -> nodes.Node:
        if isinstance(node.node, nodes.Name) and node.node.name == self.switch and not node.args:
            known = {
                "defined": True,
                "undefined": False,
                "none": False,
                "boolean": True,
                "true": self.value,
                "false": not self.value,
            }
            if node.name in known:
                return nodes.Const(known[node.name])
        self.generic_visit(node)
        return node

    def visit_Not(self, node: nodes.Not) -> nodes.Node:
        self.generic_visit(node)
        return nodes.Const(not node.node.value) if isinstance(node.node, nodes.Const) else node

    def visit_And(self, node: nodes.And) -> nodes.Node:
        return self._boolean(node, absorbing=False)

    def visit_Or(self, node: nodes.Or) -> nodes.Node:
        return self._boolean(node, absorbing=True)

    def _boolean(self, node: nodes.And | nodes.Or, absorbing: bool) -> nodes.Node:
        """``x or A`` is x where x is a true constant and A where it is a false one; ``and`` the other way round.

        ``A and true`` has A's truth but not A's value, so on the right a constant goes only where truth is all that
        matters.
        """
        truth = id(node) in self.tests
        self.generic_visit(node)
        if isinstance(node.left, nodes.Const):
            return node.left if bool(node.left.value) is absorbing else node.right
        if truth and isinstance(node.right, nodes.Const) and bool(node.right.value) is not absorbing:
            return node.left
        return node

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        self.generic_visit(node)
        if not isinstance(node.test, nodes.Const):
            return node
        return node.expr1 if node.test.value else node.expr2 or node

    def visit_If(self, node: nodes.If) -> nodes.Node | list[nodes.Node]:
        later, node.elif_ = node.elif_, []
        otherwise: list[nodes.Node] | None = None
        reached: list[nodes.If] = []
        for branch in (node, *later):
            self.generic_visit(branch)
            if not isinstance(branch.test, nodes.Const):
                reached.append(nodes.If(branch.test, branch.body, [], []))
            elif branch.test.value:
                otherwise = branch.body
                break
        otherwise = node.else_ if otherwise is None else otherwise
        if not reached or not (otherwise or any(branch.body for branch in reached)):
            return otherwise
        first, *rest = reached
        return nodes.If(first.test, first.body, rest, otherwise)


def _joined(body: list[nodes.Node]) -> list[nodes.Node]:
    """Join outputs that stand side by side, as the parser would have, and the texts in them.

    A string constant that is printed is text like that of the template: without autoescaping they compile alike.
    """
    result: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.Output) and result and isinstance(result[-1], nodes.Output):
            node = nodes.Output([*result.pop().nodes, *node.nodes])  # type: ignore[attr-defined]
        if isinstance(node, nodes.Output):
            node = nodes.Output(_texts(node.nodes))
        result.append(node)
    return result


def _texts(items: list[nodes.Expr]) -> list[nodes.Expr]:
    result: list[nodes.Expr] = []
    for item in items:
        if isinstance(item, nodes.Const) and isinstance(item.value, str):
            item = nodes.TemplateData(item.value)
        if isinstance(item, nodes.TemplateData) and result and isinstance(result[-1], nodes.TemplateData):
            item = nodes.TemplateData(result.pop().data + item.data)  # type: ignore[attr-defined]
        result.append(item)
    return result
