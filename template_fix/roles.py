"""What a template's tests say of the role of a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import nodes

from template_fix.jinja import names_in, walk

if TYPE_CHECKING:
    from template_fix.placement import Place, Traced

ROLE = "assistant"
# What templates call the assistant's role, and what a message's role is kept in.
_NAMES = (ROLE, "model", "ai", "gpt")
_ROLE_FIELDS = ("role", "from")


def other_roles(tree: nodes.Template) -> list[str]:
    """Return the roles that a template asks for besides the usual ones."""
    asking = Asking(named_after_roles(tree))
    asked = (role for test in tree.find_all(nodes.Compare) for role in asking.roles(test))
    usual = {*_NAMES, "user", "system", "tool"}
    return list(dict.fromkeys(role for role in asked if isinstance(role, str) and role and role not in usual))


def named_after_roles(tree: nodes.Template) -> frozenset[str]:
    """Return the names of variables that hold roles: those called so, and those that are set to one."""
    sets = [each for each in tree.find_all(nodes.Assign) if isinstance(each.target, nodes.Name)]
    return frozenset({"role", *(each.target.name for each in sets if any(map(_reads_role, walk(each.node))))})  # type: ignore[attr-defined]


def _reads_role(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Getattr):
        return node.attr in _ROLE_FIELDS
    return isinstance(node, nodes.Getitem | nodes.Const) and (
        getattr(node, "value", None) in _ROLE_FIELDS or getattr(getattr(node, "arg", None), "value", "") in _ROLE_FIELDS
    )


class Asking(NamedTuple):
    """What tests say of roles. ``names`` are the variables that hold one."""

    names: frozenset[str]

    def others(self, node: nodes.Node) -> Iterator[bool]:
        """Yield, for each body of a block, whether it is there for other roles than the assistant's."""
        if not isinstance(node, nodes.If):
            yield from (False for _ in range(2 if getattr(node, "else_", None) else 1))
            return
        taken = False
        for branch in (node, *node.elif_):
            yield taken or self.for_another(branch.test)
            taken = taken or self.for_all_turns(branch.test)
        if node.else_:
            yield taken

    def for_another(self, test: nodes.Node) -> bool:
        """Whether a test holds for no message of the assistant's."""
        if isinstance(test, nodes.And):
            return self.for_another(test.left) or self.for_another(test.right)
        if isinstance(test, nodes.Or):
            return self.for_another(test.left) and self.for_another(test.right)
        roles = self.roles(test)
        return bool(roles) and not any(each in _NAMES for each in roles)

    def for_all_turns(self, test: nodes.Node) -> bool:
        """Whether a test holds for every message of the assistant's."""
        if isinstance(test, nodes.And):
            return self.for_all_turns(test.left) and self.for_all_turns(test.right)
        if isinstance(test, nodes.Or):
            return self.for_all_turns(test.left) or self.for_all_turns(test.right)
        return any(each in _NAMES for each in self.roles(test))

    def roles(self, test: nodes.Node) -> list[object]:
        """Return the roles that a test compares one with."""
        if not isinstance(test, nodes.Compare) or test.ops[0].op not in ("eq", "in"):
            return []
        of_role = any(_reads_role(each) or getattr(each, "name", "") in self.names for each in walk(test.expr))
        roles = [each.value for each in walk(test.ops[0].expr) if isinstance(each, nodes.Const)]
        return roles if of_role and all(isinstance(each, str) for each in roles) else []


def turn_tests(traced: Traced, place: Place) -> Iterator[str]:
    """Yield tests for the assistant's role that can be asked in front of a place, in the template's own words first."""
    template, names = traced.outputs.template, traced.visible(place)
    at = traced.span(place).start
    found: list[tuple[int, str]] = []
    for node in template.all_nodes:
        span = template.span(node) if isinstance(node, nodes.Compare) else None
        if span and isinstance(node, nodes.Compare) and node.ops[0].op == "eq" and names_in(node) <= names:
            value = node.ops[0].expr
            if isinstance(value, nodes.Const) and value.value in _NAMES and not list(node.find_all(nodes.Call)):
                found.append((abs(span.start - at), " ".join(span.of(template.source).split())))
    loops = [loop.target.name for loop in traced.loops(place) if isinstance(loop.target, nodes.Name)]
    own = [f"{name}{_role(traced.source, name)}" for name in loops]
    before = [f"loop.previtem is defined and loop.previtem{_role(traced.source, name)}" for name in loops[:1]]
    last = [] if loops else [f"messages and messages[-1]{_role(traced.source, '[a-z_]+')}"]
    near = [text for _, text in sorted(found)]
    yield from dict.fromkeys([*near[:2], *own, *before, *last, *near[2:]])


def _role(source: str, name: str) -> str:
    """Return what asks a message for the assistant's role, as the template asks those of some name."""
    access = re.search(rf"\b{name}(\.role|\[(['\"])role\2\])", source)
    quote = access[2] if access and access[2] else '"' if source.count('"user"') else "'"
    return f"{access[1] if access else '.role'} == {quote}{ROLE}{quote}"
