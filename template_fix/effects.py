"""Expressions that may be evaluated once more, or earlier, because nothing but their value comes of that."""

from __future__ import annotations

from jinja2 import nodes

# Methods that give the same however often they are called.
_METHODS = frozenset(
    {
        *("get", "items", "keys", "values", "startswith", "endswith", "strip", "lstrip", "rstrip", "split", "rsplit"),
        *("partition", "rpartition", "splitlines", "find", "rfind", "index", "count", "lower", "upper", "title"),
        *("capitalize", "replace", "join", "format", "removeprefix", "removesuffix", "isdigit"),
    }
)
_FUNCTIONS = frozenset({"namespace", "range", "dict", "raise_exception", "strftime_now"})


def pure_macros(tree: nodes.Template) -> frozenset[str]:
    """Return the names of the macros that do nothing but print, whatever they are given, and are never given up."""
    macros = list(tree.find_all(nodes.Macro))
    stored = [name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"]
    names = [macro.name for macro in macros]
    found = frozenset(name for name in names if names.count(name) == 1 and name not in stored)
    while True:
        pure = frozenset(macro.name for macro in macros if macro.name in found and _prints_alone(macro, found))
        if pure == found:
            return pure
        found = pure


def _prints_alone(macro: nodes.Macro, macros: frozenset[str]) -> bool:
    own = {
        assign.target.name
        for assign in macro.find_all(nodes.Assign)
        if isinstance(assign.target, nodes.Name) and isinstance(assign.node, nodes.Call)
    }
    return all(target.name in own for target in macro.find_all(nodes.NSRef)) and all(
        _harmless(call, macros) for call in macro.find_all(nodes.Call)
    )


def is_pure(node: nodes.Node, macros: frozenset[str]) -> bool:
    """Whether an expression changes nothing: it calls pure macros, and methods that give the same each time, alone."""
    calls = [*node.find_all(nodes.Call), *([node] if isinstance(node, nodes.Call) else [])]
    return all(_harmless(call, macros) for call in calls)


def only_prints(node: nodes.Node, macros: frozenset[str]) -> bool:
    """Whether a statement prints, and changes nothing by that."""
    inside = [node, *node.find_all(nodes.Stmt)]
    return all(isinstance(each, nodes.Output | nodes.If) for each in inside) and is_pure(node, macros)


def _harmless(call: nodes.Call, macros: frozenset[str]) -> bool:
    if isinstance(call.node, nodes.Getattr):
        return call.node.attr in _METHODS
    return isinstance(call.node, nodes.Name) and (call.node.name in macros or call.node.name in _FUNCTIONS)
