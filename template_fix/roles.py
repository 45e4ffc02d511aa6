"""What a template's tests say of the role of a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

from template_fix.jinja import walk

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
