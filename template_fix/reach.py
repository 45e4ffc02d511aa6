"""What no conversation reaches in a turn's way: nobody knows whether the model writes it, so it can't be marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from jinja2 import nodes

from template_fix.cells import EITHER, IN, NONE, OUT, SPLIT, Unmarkable, Wrap
from template_fix.jinja import calls, names_in, undeclared, walk
from template_fix.marking import Plan
from template_fix.pieces import Body, Unit
from template_fix.roles import Asking, named_after_roles
from template_fix.text import Span

_KNOWN = frozenset(
    {
        *("role", "content", "tool_calls", "name", "tool_call_id", "reasoning_content", "reasoning", "thinking"),
        *("text", "function", "arguments", "id", "get", "startswith", "endswith", "length"),
        *("first", "last", "index0", "index", "previtem", "nextitem"),
    }
)
# The variables that every rendering gets.
_GIVEN = frozenset({"messages", "tools", "documents", "add_generation_prompt"})
# What the results of calls are called.
_RESULTS = re.compile("result|response|output|observation")


def refuse_unreached(plan: Plan, wraps: Sequence[Wrap]) -> None:
    """Raise Unmarkable where an output in a turn's way was never reached: nobody knows where what it prints belongs.

    What stands between what the model writes is the model's as well, whether or not it was reached, but for the results
    of calls. ``wraps`` are those of the plan.
    """
    _Reach(plan, wraps).body(plan.traced.pieces.root, in_loop=False)


class _Reach:
    def __init__(self, plan: Plan, wraps: Sequence[Wrap]) -> None:
        self.traced, self.opened = plan.traced, plan.opened
        self.wrapped = {
            (wrap.body.number, unit) for wrap in wraps for unit in range(wrap.first.unit, wrap.last.unit + 1)
        }
        self.tree = plan.traced.template.tree
        self.asking = Asking(named_after_roles(self.tree))
        probes = plan.traced.mask.examined.probes.values()
        self.keys = frozenset(key for probe in probes for key in _keys(probe.messages))
        sets = self.tree.find_all(nodes.Assign)
        self.spaces = {getattr(each.target, "name", "") for each in sets if calls(each.node, "namespace")}
        loops = (loop.target for loop in self.tree.find_all(nodes.For))
        self.items = frozenset(target.name for target in loops if isinstance(target, nodes.Name))

    def body(self, body: Body, in_loop: bool, behind: str = NONE) -> None:
        """Refuse what was never reached in a body in which turns are printed, or nothing.

        ``behind`` is where what follows the body prints.
        """
        kinds = {cell.unit: cell.kind for cell in reversed(self.traced.cells(body))}
        for index, unit in reversed(list(enumerate(body.units))):
            if (body.number, index) in self.wrapped:
                self.inside(unit)
            elif unit.pieces and kinds.get(index) == NONE and in_loop and behind in (IN, EITHER):
                self.silent(unit)
            elif (body.number, index) in self.opened or kinds.get(index) == NONE:
                self.block(unit, in_loop or isinstance(unit.node, nodes.For), kinds[index], behind)
            behind = self.first(body, index, kinds.get(index, NONE), behind)

    def block(self, unit: Unit, in_loop: bool, kind: str, behind: str) -> None:
        if not unit.bodies:
            return
        behind = NONE if isinstance(unit.node, nodes.For) else behind
        for inner, other, test in zip(unit.bodies, self.asking.others(unit.node), _tests(unit.node), strict=True):
            output = _first_output(inner)
            if self.traced.entered(inner):
                self.body(inner, in_loop, behind)
            # In front of a header, or behind an end, what prints nothing elsewhere is no turn's.
            elif in_loop and not other and output and (kind != NONE or behind in (IN, EITHER)):
                raise self.unreached(output, test)

    def silent(self, unit: Unit) -> None:
        """Refuse an output of a message's own field that no conversation has."""
        read = [each for each in walk(unit.node) if isinstance(getattr(each, "node", None), nodes.Name)]
        if any(each.node.name in self.items and [*_read(each, frozenset())] for each in read):  # type: ignore[attr-defined]
            raise self.unreached(unit.span, unit.node)

    def first(self, body: Body, index: int, kind: str, behind: str) -> str:
        """Return where a unit and what follows it print first."""
        unit = body.units[index]
        if kind != SPLIT or not unit.bodies:
            return behind if kind == NONE else kind
        firsts = {self.first_of(inner) for inner in unit.bodies}
        return IN if IN in firsts else EITHER if EITHER in firsts else OUT

    def first_of(self, body: Body) -> str:
        kinds = {cell.unit: cell.kind for cell in reversed(self.traced.cells(body))}
        found = NONE
        for index in reversed(range(len(body.units))):
            found = self.first(body, index, kinds.get(index, NONE), found)
        return found

    def inside(self, unit: Unit) -> None:
        """Refuse what is no part of a turn, and was never reached, inside of what is wrapped."""
        if unit.pieces and any(_RESULTS.search(field) for field in self.fields(unit.node) - self.keys):
            raise self.unreached(unit.span, unit.node)
        for inner, test in zip(unit.bodies, _tests(unit.node) if unit.bodies else (), strict=True):
            output = _first_output(inner)
            if output and not self.traced.entered(inner) and self.prints_others(unit, inner):
                raise self.unreached(output, test)
            for each in inner.units:
                self.inside(each)

    def prints_others(self, unit: Unit, body: Body) -> bool:
        """Whether a body that was never reached prints what may be other messages, or the results of calls."""
        outputs = [each.node for each in body.every_unit() if each.pieces]
        read = [unit.node.iter] if isinstance(unit.node, nodes.For) else []
        names = {name for node in (*outputs, *read) for name in names_in(node)}
        fields = {field for node in outputs for field in self.fields(node)}
        neighbours = {"nextitem", "previtem"} & fields or "messages" in names
        return bool(neighbours) or any(map(_RESULTS.search, fields))

    def fields(self, node: nodes.Node) -> set[str]:
        """Return the names of the fields that an expression reads, by itself and in the macros that it calls."""
        called = {getattr(each.node, "name", "") for each in walk(node) if isinstance(each, nodes.Call)}
        macros = [macro for macro in self.tree.find_all(nodes.Macro) if macro.name in called]
        every = [each for part in (node, *macros) for each in walk(part)]
        read = [each for each in every if getattr(getattr(each, "node", None), "name", "") not in self.spaces]
        found = {each.attr for each in read if isinstance(each, nodes.Getattr)}
        keys = (getattr(each.arg, "value", None) for each in read if isinstance(each, nodes.Getitem))
        return found | {key for key in keys if isinstance(key, str)}

    def unreached(self, output: Span, test: nodes.Node | None) -> Unmarkable:
        return Unmarkable(
            f"no conversation reaches the output `{self.traced.shown(output)}`, so nothing tells whether the "
            "model writes it",
            output,
            _fields(test, undeclared(self.traced.template.source)),
        )


def _keys(value: object) -> Iterator[str]:
    """Yield the keys of all mappings in a value."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _keys(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _keys(each)


def _tests(node: nodes.Node) -> Iterator[nodes.Node | None]:
    """Yield the test of each body of a block, None for one without."""
    yield node.iter if isinstance(node, nodes.For) else getattr(node, "test", None)
    yield from (branch.test for branch in getattr(node, "elif_", ()))
    if getattr(node, "else_", None):
        yield None


def _fields(test: nodes.Node | None, variables: frozenset[str]) -> frozenset[tuple[str, Any]]:
    """Return the names of the variables and fields that a test reads, but for those that are always there.

    Each comes with the value that the test compares it with, None where it compares it with none.
    """
    found: dict[str, Any] = {}
    for node in walk(test) if test else ():
        found.update((name, found.get(name)) for name in _read(node, variables))
        if isinstance(node, nodes.Compare) and node.ops[0].op in ("eq", "in"):
            values = [each.value for each in walk(node.ops[0].expr) if isinstance(each, nodes.Const)]
            names = [name for each in walk(node.expr) for name in _read(each, variables)]
            found.update((name, values[0]) for name in names if values)
    return frozenset((name, value) for name, value in found.items() if isinstance(value, str | int | None))


def _read(node: nodes.Node, variables: frozenset[str]) -> Iterator[str]:
    """Yield the name of the field or the variable that a node reads."""
    if isinstance(node, nodes.Name):
        yield from {node.name} & (variables - _GIVEN)
        return
    name = getattr(node, "attr", None) if isinstance(node, nodes.Getattr) else None
    if isinstance(node, nodes.Getitem):
        name = getattr(node.arg, "value", None)
    elif isinstance(node, nodes.Call) and node.args:
        name = getattr(node.args[0], "value", None)
    if isinstance(name, str) and name.isidentifier() and name not in _KNOWN | _GIVEN:
        yield name


def _first_output(body: Body) -> Span | None:
    """Return the first output of a body that would print more than white space, if there is any."""
    for unit in body.every_unit():
        shows = any(piece.literal is None or piece.literal.strip() for piece in unit.pieces)
        if shows and not calls(unit.node, "raise_exception"):
            return unit.span
    return None
