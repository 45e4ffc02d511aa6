"""What is known of names in one place of a template: which are messages, and which have a value at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jinja2 import nodes

from template_fix.jinja import calls, names_in, names_stored

# Filters that give a value for any.
_VALUES = frozenset({"trim", "string", "tojson", "list", "length", "count", "join", "lower", "upper", "replace"})


class Scope(NamedTuple):
    """What is known of names in one place of a template.

    ``messages`` are the names of messages, which are mappings; ``defined`` are those, and all others that have a value,
    whatever it is. ``loop`` tells that the place is in a loop, and that the name means that.
    """

    messages: frozenset[str] = frozenset()
    defined: frozenset[str] = frozenset()
    loop: bool = False

    def inside(self, loop: nodes.For, known: Known) -> Scope:
        """Return what is known inside of a loop besides."""
        names = names_in(loop.target)
        listed = isinstance(loop.target, nodes.Name) and known.lists_messages(loop.iter)
        lost, told = names & known.replaced, names - known.replaced - known.lists
        return Scope(
            (self.messages - names) | (told if listed else frozenset()),
            (self.defined - lost) | (told if listed or known.lists_values(loop.iter) else frozenset()),
            "loop" not in known.replaced and known.lists_values(loop.iter),
        )


class Known(NamedTuple):
    """What a template does with its names.

    ``lists`` are those of lists of messages, ``replaced`` are set to something of which nothing is known, and what
    ``valued`` are set to always has a value. ``stored`` are all that the template gives values.
    """

    lists: frozenset[str]
    replaced: frozenset[str] = frozenset()
    valued: frozenset[str] = frozenset()
    stored: frozenset[str] = frozenset()

    def lists_messages(self, node: nodes.Node | None) -> bool:
        """Whether an expression gives messages in a list: all, or a slice of them."""
        if isinstance(node, nodes.Getitem):
            return isinstance(node.arg, nodes.Slice) and self.lists_messages(node.node)
        if isinstance(node, nodes.CondExpr):
            return self.lists_messages(node.expr1) and self.lists_messages(node.expr2)
        return isinstance(node, nodes.Name) and node.name in self.lists

    def lists_values(self, node: nodes.Node | None) -> bool:
        """Whether an expression gives a caller's list, or what a message has, so that all in it are values."""
        if isinstance(node, nodes.Or):
            return self.lists_values(node.left) and self.lists_values(node.right)
        if isinstance(node, nodes.List):
            return not node.items
        if isinstance(node, nodes.Name):
            return node.name in self.lists or node.name not in self.stored
        if isinstance(node, nodes.Getattr) or (isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const)):
            return not isinstance(node.node, nodes.List | nodes.Dict)
        if isinstance(node, nodes.Call):
            return isinstance(node.node, nodes.Getattr) and node.node.attr == "get" and not node.args[1:]
        return self.lists_messages(node)


def known(tree: nodes.Template) -> Known:
    """Return what a template does with its names."""
    sets = [each for each in tree.find_all(nodes.Assign) if isinstance(each.target, nodes.Name)]
    stored = Counter(names_stored(tree))
    own = {*stored, *(macro.name for macro in tree.find_all(nodes.Macro))}
    lists = _lists(tree, sets, stored)
    made = Counter(target(each) for each in sets if _has_value(each.node) and not own & {"dict", "namespace"})
    kept = Counter(
        target(each) for each in sets if target(each) in lists or (_is_dict(each.node) and "dict" not in own)
    )
    loops = Counter(name for loop in tree.find_all(nodes.For) for name in names_stored(loop.target))
    given = Counter(arg.name for macro in tree.find_all(nodes.Macro) for arg in macro.args)
    replaced = frozenset(name for name in stored if stored[name] > kept[name] + loops[name] + given[name])
    valued = frozenset(name for name in made if stored[name] == made[name])
    return Known(lists - replaced, replaced, valued, frozenset(stored))


def _lists(tree: nodes.Template, sets: Sequence[nodes.Assign], stored: Mapping[str, int]) -> frozenset[str]:
    """Return the names of lists of messages: set to nothing else anywhere, and always set at the top."""
    lists = frozenset({"messages"})
    while True:
        made = Counter(target(each) for each in sets if Known(lists).lists_messages(each.node))
        if stored.get("messages", 0) > made["messages"]:
            return frozenset()
        found = lists | {name for name in made if stored[name] == made[name] and _always_set(tree.body, name)}
        if found == lists:
            return lists
        lists = found


def _always_set(statements: Iterable[nodes.Node], name: str) -> bool:
    return any(
        (isinstance(node, nodes.Assign) and target(node) == name)
        or (
            isinstance(node, nodes.If)
            and bool(node.else_)
            and all(_always_set(body, name) for body in (node.body, *(each.body for each in node.elif_), node.else_))
        )
        for node in statements
    )


def _has_value(node: nodes.Node) -> bool:
    """Whether an expression gives a value whatever it is made of, and never what is undefined."""
    if isinstance(node, nodes.CondExpr):
        return node.expr2 is not None and _has_value(node.expr1) and _has_value(node.expr2)
    plain = nodes.Const | nodes.Dict | nodes.List | nodes.Concat | nodes.Compare | nodes.Not | nodes.Test
    named = calls(node, "namespace") or calls(node, "dict")
    return named or isinstance(node, plain) or (isinstance(node, nodes.Filter) and node.name in _VALUES)


def at_the_top(names: Known) -> Scope:
    """Return what is known of names in all of a template."""
    return Scope(frozenset(), frozenset({"messages"} & names.lists))


def target(node: nodes.Assign) -> str:
    return node.target.name if isinstance(node.target, nodes.Name) else ""


def _is_dict(node: nodes.Node) -> bool:
    """Whether an expression makes a mapping: one that is written out, or ``dict(message, content=…)``."""
    if isinstance(node, nodes.CondExpr):
        return node.expr2 is not None and _is_dict(node.expr1) and _is_dict(node.expr2)
    return isinstance(node, nodes.Dict) or calls(node, "dict")
