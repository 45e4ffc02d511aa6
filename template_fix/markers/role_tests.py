"""What a template's tests say of the role of a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jinja2 import nodes

from template_fix.jinja.queries import names_in, walk

if TYPE_CHECKING:
    from template_fix.markers.places import Place, Traced

ROLE = "assistant"
# What templates call the assistant's role, and what a message's role is kept in.
_NAMES = (ROLE, "model", "ai", "gpt")
_ROLE_FIELDS = ("role", "from")


def find_other_roles(tree: nodes.Template) -> list[str]:
    """Return the roles that a template asks for besides the usual ones."""
    names = _named_after_roles(tree)
    asked = (role for test in tree.find_all(nodes.Compare) for role in _roles(test, names))
    usual = {*_NAMES, "user", "system", "tool"}
    return list(dict.fromkeys(role for role in asked if isinstance(role, str) and role and role not in usual))


def _named_after_roles(tree: nodes.Template) -> frozenset[str]:
    """Return the names of variables that hold roles: those called so, and those that are set to one."""
    sets = [each for each in tree.find_all(nodes.Assign) if isinstance(each.target, nodes.Name)]
    return frozenset({"role", *(each.target.name for each in sets if any(map(_reads_role, walk(each.node))))})  # type: ignore[attr-defined]


def asks_for_role(test: nodes.Node) -> bool:
    """Whether a test asks for the role of a message."""
    return any(_reads_role(each) or getattr(each, "name", "") == "role" for each in walk(test))


def _reads_role(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Getattr):
        return node.attr in _ROLE_FIELDS
    return isinstance(node, nodes.Getitem | nodes.Const) and (
        getattr(node, "value", None) in _ROLE_FIELDS or getattr(getattr(node, "arg", None), "value", "") in _ROLE_FIELDS
    )


def _roles(test: nodes.Compare, names: frozenset[str]) -> list[object]:
    """Return the roles that a test compares one with; ``names`` are the variables that hold one."""
    if test.ops[0].op not in ("eq", "in"):
        return []
    of_role = any(_reads_role(each) or getattr(each, "name", "") in names for each in walk(test.expr))
    return [each.value for each in walk(test.ops[0].expr) if of_role and isinstance(each, nodes.Const)]


def propose_turn_tests(traced: Traced, place: Place) -> Iterator[str]:
    """Yield tests for the assistant's role that can be asked in front of a place, in the template's own words first."""
    template, names = traced.trace.template, traced.visible(place)
    at = traced.span(place).start
    found: list[tuple[int, str]] = []
    for node in template.all_nodes:
        span = template.span(node) if isinstance(node, nodes.Compare) else None
        if span and isinstance(node, nodes.Compare) and node.ops[0].op == "eq" and names_in(node) <= names:
            value = node.ops[0].expr
            if isinstance(value, nodes.Const) and value.value in _NAMES and not list(node.find_all(nodes.Call)):
                found.append((abs(span.start - at), " ".join(span.of(template.source).split())))
    loops = [loop.target.name for loop in traced.loops(place) if isinstance(loop.target, nodes.Name)]
    reads = [
        node for node in template.all_nodes if isinstance(node, nodes.Getattr | nodes.Getitem) and _reads_role(node)
    ]
    messages = [each.node.name for each in reads if isinstance(each.node, nodes.Name) and each.node.name in names]
    own = [f"{name}{_role(traced.source, name)}" for name in dict.fromkeys([*loops, *messages])]
    before = [f"loop.previtem is defined and loop.previtem{_role(traced.source, name)}" for name in loops[:1]]
    last = [] if loops else [f"messages and messages[-1]{_role(traced.source, '[a-z_]+')}"]
    near = [text for _, text in sorted(found)]
    yield from dict.fromkeys([*near[:2], *own, *before, *last, *near[2:]])


def _role(source: str, name: str) -> str:
    """Return what asks a message for the assistant's role, as the template asks those of some name."""
    access = re.search(rf"\b{name}(\.role|\[(['\"])role\2\])", source)
    quote = access[2] if access and access[2] else '"' if source.count('"user"') else "'"
    return f"{access[1] if access else '.role'} == {quote}{ROLE}{quote}"
