"""Expressions that may be evaluated once more, or earlier, because nothing but their value comes of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jinja2 import nodes

from template_fix.jinja import calls, names_stored, walk

# Methods that give the same however often they are called.
_METHODS = frozenset(
    {
        *("get", "items", "keys", "values", "startswith", "endswith", "strip", "lstrip", "rstrip", "split", "rsplit"),
        *("partition", "rpartition", "splitlines", "find", "rfind", "index", "count", "lower", "upper", "title"),
        *("capitalize", "replace", "join", "format", "removeprefix", "removesuffix", "isdigit"),
    }
)
_FUNCTIONS = frozenset({"namespace", "range", "dict", "raise_exception", "strftime_now"})
# Filters whose value is used up by the first that reads it.
_ITERATORS = frozenset(
    {"map", "select", "reject", "selectattr", "rejectattr", "unique", "batch", "slice", "reverse", "items"}
)


class Purity(NamedTuple):
    """What of a template changes something by being evaluated.

    ``macros`` are the names of those that do nothing but print. ``own`` are the names that the template gives a value:
    under them it doesn't call what is built in. ``spent`` are the names of variables and fields whose value may be used
    up by reading it. ``methods`` tells that a method's name means what it says: nothing is handed on that
    might be called by it.
    """

    macros: frozenset[str]
    own: frozenset[str]
    spent: frozenset[str]
    methods: bool = True


def purity(tree: nodes.Template) -> Purity:
    """Return what may be evaluated twice in a template without generation markers."""
    macros = list(tree.find_all(nodes.Macro))
    names = [macro.name for macro in macros]
    stored = names_stored(tree)
    own, spent = frozenset({*stored, *names}), _spent(tree)
    found = frozenset(name for name in names if names.count(name) == 1 and name not in stored)
    while True:
        told = Purity(found, own, spent)
        pure = frozenset(macro.name for macro in macros if macro.name in found and _prints_alone(macro, told))
        if pure == found:
            return told._replace(methods=not _handed_on(tree, frozenset(names) - pure))
        found = pure


def _spent(tree: nodes.Template) -> frozenset[str]:
    """Return the names under which values may be kept that can be read but once.

    Where none of them is used on the spot, that is all names that the template gives values, but for messages.
    """
    if not _keeps_iterators(tree):
        return frozenset()
    stored = names_stored(tree)
    loops = [loop.target for loop in tree.find_all(nodes.For) if _is_messages(loop.iter)]
    safe = {target.name for target in loops if isinstance(target, nodes.Name) and stored.count(target.name) == 1}
    fields = {field.attr for field in tree.find_all(nodes.NSRef)}
    return frozenset(stored) - safe if "messages" not in stored else frozenset({*stored, *fields})


def _keeps_iterators(tree: nodes.Template) -> bool:
    """Whether a template keeps a value that can be read but once, as ``map`` gives one."""
    used: set[int] = set()
    for node in walk(tree):
        if isinstance(node, nodes.For):
            used.add(id(node.iter))
        elif isinstance(node, nodes.Filter) and node.name not in ("default", "d", "attr", "random"):
            used.add(id(node.node))
        elif isinstance(node, nodes.Output | nodes.Test | nodes.Compare | nodes.Operand):
            used.update(map(id, node.iter_child_nodes()))
    return any(each.name in _ITERATORS and id(each) not in used for each in tree.find_all(nodes.Filter))


def _is_messages(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Slice) and _is_messages(node.node)
    return isinstance(node, nodes.Name) and node.name == "messages"


def _reads(node: nodes.Node, spent: frozenset[str]) -> bool:
    if isinstance(node, nodes.Name):
        return node.name in spent
    if isinstance(node, nodes.Getattr):
        return node.attr in spent
    return isinstance(node, nodes.Getitem) and getattr(node.arg, "value", None) in spent


def _handed_on(tree: nodes.Template, names: frozenset[str]) -> bool:
    """Whether what is called might be one of some macros, or what counts its calls, under the name of a method."""
    called = {id(call.node) for call in tree.find_all(nodes.Call)}
    values = {name.name for name in tree.find_all(nodes.Name) if id(name) not in called}
    counters = any(name.name in ("cycler", "joiner") for name in tree.find_all(nodes.Name))
    return counters or bool(values & {*names, "caller"})


def _prints_alone(macro: nodes.Macro, told: Purity) -> bool:
    """Whether a macro does nothing but print: fields are set of namespaces alone that it made itself."""
    if "namespace" in told.own:
        return False
    made = [each for each in macro.find_all(nodes.Assign) if calls(each.node, "namespace")]
    names = [each.target.name for each in made if isinstance(each.target, nodes.Name)]
    stores = names_stored(macro)
    own = frozenset(name for name in names if stores.count(name) == names.count(name))
    return _sets_its_own(macro.body, own, frozenset()) and is_pure(macro, told)


def _sets_its_own(statements: Sequence[nodes.Node], own: frozenset[str], made: frozenset[str]) -> bool:
    """Whether statements set fields of those namespaces alone that were made in front of them, whatever happens."""
    for node in statements:
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.NSRef) and node.target.name not in made:
            return False
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name) and node.target.name in own:
            made |= {node.target.name}
        bodies = [getattr(each, name, []) for each in (node, *getattr(node, "elif_", ())) for name in ("body", "else_")]
        if not all(_sets_its_own(body, own, made) for body in bodies if isinstance(body, list)):
            return False
    return True


def is_pure(node: nodes.Node, told: Purity) -> bool:
    """Whether an expression changes nothing: it calls pure macros, and methods that give the same each time, alone."""
    return not any(
        (isinstance(each, nodes.Call) and not _harmless(each, told))
        or (isinstance(each, nodes.Filter) and each.name == "random")
        or _reads(each, told.spent)
        for each in walk(node)
    )


def only_prints(node: nodes.Node, told: Purity) -> bool:
    """Whether a statement prints, and changes nothing by that."""
    inside = [node, *node.find_all(nodes.Stmt)]
    return all(isinstance(each, nodes.Output | nodes.If) for each in inside) and is_pure(node, told)


def _harmless(call: nodes.Call, told: Purity) -> bool:
    if isinstance(call.node, nodes.Getattr):
        return call.node.attr in _METHODS and told.methods
    named = call.node.name if isinstance(call.node, nodes.Name) else ""
    return named in told.macros or (named in _FUNCTIONS and named not in told.own)
