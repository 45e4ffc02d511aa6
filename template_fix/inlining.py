"""Turns that are put together in a variable and printed as a whole, printed part by part instead.

``{% set x = header + text %}{% if first %}{% set x = bos + x %}{% endif %}{{ x }}`` prints what
``{% if first %}{{ bos }}{% endif %}{{ header + text }}`` prints, where nothing else reads the variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jinja2 import nodes

from template_fix.effects import Purity, is_pure
from template_fix.jinja import Template
from template_fix.pieces import is_sum


@dataclass(frozen=True)
class Assembly:
    """A text that is put together in a variable and printed: what it is, and what is put in front of it, and when.

    ``count`` is the number of statements that do so, one after the other, the output among them.
    """

    text: nodes.Expr
    fronts: tuple[tuple[nodes.Expr, nodes.Expr], ...]
    count: int


def assemblies(tree: nodes.Template, body: Sequence[nodes.Node], pure: Purity) -> Iterator[tuple[int, Assembly]]:
    """Yield where such texts are put together in a list of statements, with what they are.

    ``pure`` is what of the template may be evaluated twice.
    """
    for at, node in enumerate(body):
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name) and isinstance(node.node, nodes.Expr):
            text = is_sum(node.node) and is_pure(node.node, pure)
            found = _assembly(tree, node.target.name, node.node, body[at + 1 :], pure) if text else None
            if found:
                yield at, found


def _assembly(
    tree: nodes.Template, name: str, text: nodes.Expr, behind: Sequence[nodes.Node], pure: Purity
) -> Assembly | None:
    fronts: list[tuple[nodes.Expr, nodes.Expr]] = []
    for node in behind:
        if isinstance(node, nodes.Output):
            reads = sum(each.name == name and each.ctx == "load" for each in tree.find_all(nodes.Name))
            printed = isinstance(node.nodes[0], nodes.Name) and node.nodes[0].name == name
            alone = printed and reads == len(fronts) + 1
            return Assembly(text, tuple(fronts), len(fronts) + 2) if alone else None
        front = _front(node, name, pure)
        if front is None:
            return None
        fronts.append(front)
    return None


def _front(node: nodes.Node, name: str, pure: Purity) -> tuple[nodes.Expr, nodes.Expr] | None:
    """Return the test and the text of a block that puts a text in front of a variable's, and does nothing else."""
    if not isinstance(node, nodes.If) or node.elif_ or node.else_ or len(node.body) != 1:
        return None
    made = node.body[0]
    if not isinstance(made, nodes.Assign) or not isinstance(made.target, nodes.Name) or made.target.name != name:
        return None
    value = made.node
    if not isinstance(value, nodes.Add) or not isinstance(value.right, nodes.Name) or value.right.name != name:
        return None
    others = [each.name for part in (node.test, value.left) for each in part.find_all(nodes.Name)]
    assert isinstance(node.test, nodes.Expr)
    return (
        (node.test, value.left)
        if is_pure(node.test, pure) and is_pure(value.left, pure) and name not in others
        else None
    )


def spelled(template: Template, found: Assembly, dash: str = "") -> str:
    """Return the tags that print a text part by part."""
    fronts = (
        f"{{%{dash} if {template.text(test)} %}}{{{{ '' + {template.text(front)} }}}}{{% endif %}}"
        for test, front in reversed(found.fronts)
    )
    return "".join(fronts) + f"{{{{ {template.text(found.text)} }}}}"
