"""What a template prints where loops leak: in many engines, a variable set in one turn is still there in the next.

Jinja forgets at the end of an iteration what was set in it. llama.cpp, transformers.js, google/minja, swift-jinja and
minijinja before 2.22 do so only at the end of the loop. Here the template is rendered with that, by jinja2: what a loop
sets becomes an attribute of a namespace of its own, which is read in place of the variable once it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from template_fix.conversations.probe import FORMS, Probe
from template_fix.conversations.probe import probe as battery_probe
from template_fix.conversations.tags import Tags
from template_fix.jinja.queries import copy_tree, names_stored, parse
from template_fix.jinja.renderer import Renderer, RenderError, Variables
from template_fix.jinja.templates import Template
from template_fix.repair.message_reads import Binding, rebind
from template_fix.repair.proposers import Proposal

LEAKING = "llama.cpp, transformers.js, google/minja, swift-jinja and minijinja before 2.22"
_KEPT = "template_fix_kept_{}"
# What a turn sets can show in a later one, most of all where that has nothing of its own.
_SHAPES = ("urua", "uruaua", "ukta", "uktaua", "ukturua", "uruaur", "urucua", "uktrucua")


class Leak(NamedTuple):
    """A conversation, what Jinja prints of it, and what an engine prints whose loops leak."""

    probe: Probe
    expected: str
    printed: str


def make_leaking(source: str, variables: Variables) -> Renderer:
    """Return a template whose loops leak. Raises as `Renderer` does."""
    return Renderer(_Leak().visit(copy_tree(parse(source))), variables)


def find_leak(before: str, after: str, tags: Tags, variables: Variables, flags: Variables) -> Leak | None:
    """Return the first conversation that is printed as in Jinja where loops leak, and is no longer after an edit.

    ``flags`` are what a caller passes. Raises LimitExceeded.
    """
    try:
        pairs = [(Renderer(source, variables), make_leaking(source, variables)) for source in (before, after)]
    except RenderError:
        return None
    for shape, form in product(_SHAPES, FORMS):
        probe = battery_probe(shape, tags, form)
        was, now = ([each(probe.messages, probe.tools, **flags) for each in pair] for pair in pairs)
        if was[0] == was[1] and isinstance(now[0], str) and now[0] != now[1]:
            return Leak(probe, now[0], now[1] if isinstance(now[1], str) else now[1].reason)
    return None


def resets(template: Template, switch: str) -> Iterator[Proposal]:
    """Yield, for each variable that may leak, the edit that empties it at the beginning of each turn."""
    for node in template.all_nodes:
        head = template.span(node.test or node.iter) if isinstance(node, nodes.For) else None
        if not isinstance(node, nodes.For) or not head:
            continue
        for name in dict.fromkeys(_leaking(node)):
            edit = rebind(template, Binding(name, name, head), switch, "''")
            why = f"In engines whose loops leak, {name} would still hold what the turn before has set it to."
            yield Proposal("TF202", "loop leak", f"empty {name} at the beginning of each turn", why, edit.span, (edit,))


class _Leak(NodeTransformer):
    def __init__(self) -> None:
        self.loops: list[tuple[str, frozenset[str]]] = []
        self.number = 0

    def visit_For(self, node: nodes.For) -> list[nodes.Node] | nodes.Node:
        names = frozenset(_leaking(node))
        if not names:
            return self.generic_visit(node)
        self.number += 1
        kept = _KEPT.format(self.number)
        node.iter = self.visit(node.iter)
        self.loops.append((kept, names))
        node.body = [made for each in node.body for made in _listed(self.visit(each))]
        self.loops.pop()
        node.else_ = [made for each in node.else_ for made in _listed(self.visit(each))]
        made = nodes.Call(nodes.Name("namespace", "load"), [], [], None, None)
        return [nodes.Assign(nodes.Name(kept, "store"), made), node]

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return node  # what a macro sees of its caller differs between engines

    def visit_Name(self, node: nodes.Name) -> nodes.Node:
        inside = [kept for kept, names in self.loops if node.name in names]
        if node.ctx == "store":
            return nodes.NSRef(inside[-1], f"of_{node.name}") if inside else node
        read: nodes.Expr = node
        for kept in inside:  # the innermost loop that has set it counts
            left = nodes.Getattr(nodes.Name(kept, "load"), f"of_{node.name}", "load")
            read = nodes.CondExpr(nodes.Test(left, "defined", [], [], None, None), left, read)
        return read


def _leaking(node: nodes.For) -> list[str]:
    """Return the variables that may leak from one iteration of a loop into the next."""
    # Each iteration binds its own element, and namespaces are written to by their names.
    others = {*names_stored(node.target), *(each.name for each in node.find_all(nodes.NSRef))}
    return [name for name in _set_in(node.body) if name not in others]


def _listed(made: Any) -> list[nodes.Node]:
    return made if isinstance(made, list) else [made]


def _set_in(body: list[nodes.Node]) -> Iterator[str]:
    """Yield the names that are set in an iteration, but for those of loops and macros inside of it."""
    for node in body:
        if isinstance(node, nodes.Assign | nodes.AssignBlock) and isinstance(node.target, nodes.Name):
            yield node.target.name
        if not isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock):
            yield from _set_in(list(node.iter_child_nodes()))
