"""Proof that generation markers change nothing that is printed, on the syntax trees.

Captured turns are put back in their places (`captured_turn` tells why that prints the same), and markers are taken out.
Then outputs are taken apart: of a sum that has a text in it each operand must be a text, so that it prints what its
operands print one after the other, each asked to be a text; constants that stand side by side are one. Equal trees are
left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from template_fix.jinja.environment import environment
from template_fix.jinja.folding import OutputJoiner
from template_fix.jinja.queries import alike, is_marker, names_in, names_read, names_stored, walk
from template_fix.markers.captured_turn import NAMES, is_capture, restore_captures
from template_fix.markers.output_trace import escapes_sums, take_apart

# What a macro has besides its arguments.
_OF_MACROS = frozenset({"caller", "varargs", "kwargs"})
Names = frozenset[str]


def same_but_for_markers(before: str, after: str) -> bool:
    """Whether two templates, given as source, are the same program but for generation markers."""
    try:
        one, other = _plain(before), _plain(after)
    except TemplateSyntaxError:
        return False
    return one is not None and other is not None and alike(one, other)


@lru_cache(maxsize=8)
def _plain(source: str) -> nodes.Template | None:
    """Return a template's plain form, None where its markers or captures change what a name means."""
    tree = environment().parse(source)
    if _renamed(tree.body, frozenset(), [], _read(tree.find_all(nodes.Macro))):
        return None
    bare = _Bare()
    tree = bare.visit(tree)
    if not bare.sound or names_in(tree) & NAMES:  # a capture's own names must mean nothing anywhere else
        return None
    result = _Parts(escapes_sums(tree)).visit(tree)
    assert isinstance(result, nodes.Template)
    return result


class _Bare(NodeTransformer):
    """Puts captured turns back in a tree, and takes markers out."""

    def __init__(self) -> None:
        self.sound = True

    def generic_visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        for name in ("body", "else_"):
            body = getattr(node, name, None)
            if isinstance(body, list) and any(map(is_capture, body)):
                found = restore_captures(body)
                self.sound &= found is not None
                setattr(node, name, found or [])
        return super().generic_visit(node, *args, **kwargs)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node | list[nodes.Node]:
        self.generic_visit(node)
        return node.body if is_marker(node) else node


class _Parts(OutputJoiner):
    """Takes outputs apart in a tree, but for ``whole`` ones, and joins those that stand side by side."""

    def __init__(self, whole: bool) -> None:
        self.whole = whole

    def visit_Output(self, node: nodes.Output) -> nodes.Node | list[nodes.Node]:
        self.generic_visit(node)
        parts = [part for each in node.nodes for part in take_apart(each, self.whole) if part != nodes.Const("")]
        return nodes.Output(parts) if parts else []


def _renamed(statements: Sequence[nodes.Node], front: Names, behind: Sequence[nodes.Node], macros: Names) -> bool:
    """Whether a name in or behind a marker or a capture means something else than it would without.

    Either has names of its own: what is set inside is not set behind it. And what the caller gives is looked for where
    the template around reads it first, which doesn't count what stands inside: where it is set behind, it is undefined
    inside. ``front`` are the names that are read or set in front of the statements in the same frame, ``behind`` is
    what stands behind them there, ``macros`` are the names that macros read.
    """
    for at, node in enumerate(statements):
        if any(map(_apart, walk(node))):
            later = [*statements[at + 1 :], *behind]
            own_frame = not (isinstance(node, nodes.If | nodes.With) or _apart(node))
            if _apart(node):
                assert isinstance(node, nodes.CallBlock | nodes.AssignBlock)
                inside = _read(node.body)
                lost = _stored(node.body) & (_read(later) | macros) or (inside - front) & _stored(later)
                if lost or (is_marker(node) and inside & _OF_MACROS):
                    return True
            known: Names = frozenset() if own_frame else front | _named(getattr(node, "test", node))
            inner: tuple[list[nodes.Node], Names] = ([], frozenset()) if own_frame else (later, macros)
            for owner in (node, *getattr(node, "elif_", ())):
                for body in (getattr(owner, "body", None), getattr(owner, "else_", None)):
                    if isinstance(body, list) and _renamed(body, known, *inner):
                        return True
        front |= _named(node)
    return False


def _apart(node: nodes.Node) -> bool:
    return is_marker(node) or is_capture(node)


def _read(found: Iterable[nodes.Node]) -> Names:
    return frozenset(name for node in found for name in names_read(node))


def _stored(found: Iterable[nodes.Node]) -> Names:
    """Return the names that statements give a value outside of themselves."""
    names: set[str] = set()
    for node in found:
        if isinstance(node, nodes.Assign | nodes.AssignBlock):
            names.update(names_stored(node.target))
        elif isinstance(node, nodes.Macro):
            names.add(node.name)
        elif isinstance(node, nodes.If):
            names |= _stored([*node.body, *node.else_, *(each for branch in node.elif_ for each in branch.body)])
    return frozenset(names)


def _named(node: nodes.Node) -> Names:
    """Return the names in a statement, but for those in what has a frame of its own."""
    if isinstance(node, nodes.Name):
        return frozenset({node.name})
    if isinstance(node, nodes.For):
        return _named(node.iter)
    if isinstance(node, nodes.Macro | nodes.CallBlock | nodes.FilterBlock):
        return frozenset()
    if isinstance(node, nodes.AssignBlock):
        return _named(node.target)
    return frozenset(name for each in node.iter_child_nodes() for name in _named(each))
