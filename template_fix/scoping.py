"""What markers keep to themselves: to jinja2 a marker is a macro, with names of its own.

A variable set inside is not set behind it. And one that the caller gives is looked for where the template around reads
it first, which doesn't count what stands in markers: where it is only set there, it is undefined inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jinja2 import nodes

from template_fix.jinja import is_marker, names_read
from template_fix.pieces import stores

# What a macro has besides its arguments.
_OF_MACROS = frozenset({"caller", "varargs", "kwargs"})
Names = frozenset[str]


def means_something_else(tree: nodes.Template) -> bool:
    """Whether a name in or behind a marker means something else than it would without."""
    in_macros = _read(tree.find_all(nodes.Macro))
    return _differs(tree.body, frozenset(), in_macros, frozenset())


def _differs(statements: Sequence[nodes.Node], front: Names, read: Names, kept: Names) -> bool:
    """Whether that is so in a list of statements.

    ``front`` are the names that are read or set in front of it in the same frame, ``read`` those that are read behind
    it, ``kept`` those that are set behind it in the same frame.
    """
    for at, node in enumerate(statements):
        behind = statements[at + 1 :]
        later = read | _read(behind)
        later_set = kept | frozenset(name for each in behind for name in stores(each))
        if is_marker(node):
            assert isinstance(node, nodes.CallBlock)
            inside = _read(node.body)
            made = frozenset(name for each in node.body for name in stores(each))
            if made & later or inside & _OF_MACROS or (inside - front) & later_set:
                return True
        inner = later if isinstance(node, nodes.If | nodes.With) or is_marker(node) else frozenset()
        for body in _bodies(node):
            if isinstance(node, nodes.If):
                if _differs(body, front | _read(_tests(node)), inner, later_set):
                    return True
            elif _differs(body, frozenset(), inner, frozenset()):
                return True
        front |= _named(node)
    return False


def _bodies(node: nodes.Node) -> Iterable[list[nodes.Node]]:
    for owner in (node, *getattr(node, "elif_", ())):
        for name in ("body", "else_"):
            body = getattr(owner, name, None)
            if isinstance(body, list):
                yield body


def _tests(node: nodes.If) -> Iterable[nodes.Node]:
    return (node.test, *(branch.test for branch in node.elif_))


def _read(found: Iterable[nodes.Node]) -> Names:
    return frozenset(name for node in found for name in names_read(node))


def _named(node: nodes.Node) -> Names:
    """Return the names in a statement, but for those in what has a frame of its own."""
    if isinstance(node, nodes.Name):
        return frozenset({node.name})
    if isinstance(node, nodes.For):
        return _named(node.iter)
    if isinstance(node, nodes.Macro | nodes.CallBlock | nodes.FilterBlock):
        return frozenset()
    return frozenset(name for each in node.iter_child_nodes() for name in _named(each))
