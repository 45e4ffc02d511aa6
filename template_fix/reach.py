"""What no conversation reaches in a turn's way: nobody knows whether the model writes it, so it can't be marked."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.cells import ROLE, Unmarkable
from template_fix.jinja import undeclared, walk
from template_fix.marking import Plan
from template_fix.pieces import Body
from template_fix.text import Span

_KNOWN = frozenset(
    {
        *("role", "content", "tool_calls", "name", "tool_call_id", "reasoning_content", "reasoning", "thinking"),
        *("type", "text", "function", "arguments", "id", "get", "startswith", "endswith", "length"),
        *("first", "last", "index0", "index", "previtem", "nextitem"),
    }
)
# The variables that every rendering gets.
_GIVEN = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
# What templates call the assistant's role.
_NAMES = (ROLE, "model", "ai", "gpt")


def refuse_unreached(plan: Plan) -> None:
    """Raise Unmarkable where an output in a turn's way was never reached; the plan's wraps must have been found."""
    _reached(plan, plan.traced.pieces.root, in_loop=False)


def _reached(plan: Plan, body: Body, in_loop: bool) -> None:
    """Raise Unmarkable where an output in a turn's way was never reached, so that nobody knows what it prints."""
    for index in sorted(index for number, index in plan.opened if number == body.number):
        unit = body.units[index]
        inside = in_loop or isinstance(unit.node, nodes.For)
        for inner, other, test in zip(unit.bodies, _of_others(unit.node), _tests(unit.node), strict=True):
            _reached(plan, inner, inside)
            output = _first_output(inner)
            if inside and not other and not plan.traced.entered(inner) and output:
                raise Unmarkable(
                    f"no conversation reaches the output `{plan.traced.shown(output)}`, so nothing tells whether the "
                    "model writes it",
                    output,
                    _fields(test, undeclared(plan.traced.template.source)),
                )


def _of_others(node: nodes.Node) -> Iterator[bool]:
    """Yield, for each body of a block, whether it is there for other roles than the assistant's."""
    if not isinstance(node, nodes.If):
        yield from (False for _ in range(2 if getattr(node, "else_", None) else 1))
        return
    taken = False
    for branch in (node, *node.elif_):
        yield taken or _asks_for_another(branch.test)
        taken = taken or _holds_for_all_turns(branch.test)
    if node.else_:
        yield taken


def _tests(node: nodes.Node) -> Iterator[nodes.Node | None]:
    """Yield the test of each body of a block, None for one without."""
    yield node.iter if isinstance(node, nodes.For) else getattr(node, "test", None)
    yield from (branch.test for branch in getattr(node, "elif_", ()))
    if getattr(node, "else_", None):
        yield None


def _fields(test: nodes.Node | None, variables: frozenset[str]) -> frozenset[str]:
    """Return the names of the variables and fields that a test reads, but for those that are always there."""
    found, own = set[str](), set[str]()
    for node in walk(test) if test else ():
        if isinstance(node, nodes.Getattr):
            found.add(node.attr)
        elif isinstance(node, nodes.Name) and node.name in variables - _GIVEN:
            own.add(node.name)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            found.add(str(node.arg.value))
        elif isinstance(node, nodes.Call) and node.args and isinstance(node.args[0], nodes.Const):
            found.add(str(node.args[0].value))
    return frozenset({*own, *(name for name in found - _KNOWN if name.isidentifier())})


def _asks_for_another(test: nodes.Node) -> bool:
    """Whether a test holds for no message of the assistant's."""
    if isinstance(test, nodes.And):
        return _asks_for_another(test.left) or _asks_for_another(test.right)
    if isinstance(test, nodes.Or):
        return _asks_for_another(test.left) and _asks_for_another(test.right)
    roles = _roles(test)
    return bool(roles) and not any(each in _NAMES for each in roles)


def _holds_for_all_turns(test: nodes.Node) -> bool:
    """Whether a test holds for every message of the assistant's."""
    if isinstance(test, nodes.And):
        return _holds_for_all_turns(test.left) and _holds_for_all_turns(test.right)
    if isinstance(test, nodes.Or):
        return _holds_for_all_turns(test.left) or _holds_for_all_turns(test.right)
    return any(each in _NAMES for each in _roles(test))


def _roles(test: nodes.Node) -> list[object]:
    """Return the roles that a test compares one with."""
    if not isinstance(test, nodes.Compare) or test.ops[0].op not in ("eq", "in"):
        return []
    roles = [each.value for each in walk(test.ops[0].expr) if isinstance(each, nodes.Const)]
    return roles if all(isinstance(each, str) for each in roles) else []


def _first_output(body: Body) -> Span | None:
    """Return the first output of a body that would print more than white space, if there is any."""
    for unit in body.units:
        if any(piece.literal is None or piece.literal.strip() for piece in unit.pieces) and not _raises(unit.node):
            return unit.span
        for inner in unit.bodies:
            if found := _first_output(inner):
                return found
    return None


def _raises(node: nodes.Node) -> bool:
    """Whether an output only makes the template fail."""
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "raise_exception"
