"""What no conversation has reached of a template, and conversations with the fields and variables that it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from jinja2 import nodes

from template_fix.conversations.growth import with_block, with_field, with_other_arguments, with_variable
from template_fix.conversations.probe import Probe
from template_fix.jinja.queries import calls, names_in, undeclared, walk
from template_fix.markers.output_trace import Body
from template_fix.markers.places import Place, Traced
from template_fix.markers.role_tests import asks_for_role
from template_fix.markers.wanted_mask import Mask
from template_fix.text.edits import Span

# How often the battery grows by fields that nobody set.
_ROUNDS = 3
# What every conversation has, or every rendering gets.
_KNOWN = frozenset(
    {
        *("role", "content", "tool_calls", "name", "tool_call_id", "reasoning_content", "reasoning", "thinking"),
        *("text", "function", "arguments", "id", "get", "startswith", "endswith", "length"),
        *("first", "last", "index0", "index", "previtem", "nextitem"),
        *("messages", "tools", "documents", "add_generation_prompt"),
    }
)

_NEIGHBOURS = frozenset({"nextitem", "previtem", "messages"})


class Unreached(NamedTuple):
    """A body that no conversation ran through: its first output, its test, and whether it prints another message.

    ``by_role`` tells that its block asks for the role of a message. ``path`` are the statements around it, each by its
    body and its index there.
    """

    output: Span
    test: nodes.Node | None
    others: bool
    by_role: bool
    path: tuple[tuple[int, int], ...]

    def within(self, place: Place) -> bool:
        """Whether it stands in a place."""
        return any(body == place.body and place.first <= index <= place.last for body, index in self.path)


def find_unreached(traced: Traced) -> Iterator[Unreached]:
    """Yield the first output of each body that no conversation ran through, though one came to its test."""
    for body in traced.bodies.values():
        for index, unit in enumerate(body.units if body.number in traced.entered else ()):
            by_role = any(test is not None and asks_for_role(test) for test in _tests(unit.node))
            for inner, test in zip(unit.bodies, _tests(unit.node), strict=False):
                prompt = test is not None and "add_generation_prompt" in names_in(test)
                output = _first_output(inner) if inner.number not in traced.entered and not prompt else None
                if output:
                    around = ((each.number, at) for each, at in traced.around(body.number))
                    yield Unreached(output, test, _prints_others(inner), by_role, ((body.number, index), *around))


def enlarge_to_reach(traced: Traced, arguments: type) -> Traced:
    """Return a traced template with a larger battery: one that reaches what fields and variables can."""
    asked: set[tuple[str, object]] = set()
    variables = undeclared(traced.source)
    traced = _enlarged(traced, with_other_arguments(traced.mask.examined.tags, arguments))
    for _ in range(_ROUNDS):
        missed = (each for each in find_unreached(traced) if any(map(traced.looped, each.path)))
        new = {pair for each in missed for pair in _asked(each.test, variables)} - asked
        if not new:
            break
        asked |= new
        traced = _enlarged(traced, _setting(sorted(new, key=str), variables, traced.mask, arguments))
    return traced


def _enlarged(traced: Traced, probes: Iterable[Probe]) -> Traced:
    """Return a traced template with those conversations, too, that reach something."""
    more = list(_reaching(traced, traced.mask.as_taken(probes)))
    return replace(traced, mask=traced.mask.enlarged(more)) if more else traced


def _reaching(traced: Traced, probes: Iterable[Probe]) -> Iterator[Probe]:
    """Yield the conversations that are printed whole, and run through what no other one did."""
    known = set(traced.entered)
    for each in probes:
        if None in traced.mask.examined.observe(each).spans:
            continue
        run = traced.trace.run(each, traced.mask.examined.set_for(each))
        if run and not run[1].entered() <= known:
            known |= run[1].entered()
            yield each


def _setting(
    wanted: Iterable[tuple[str, object]], variables: frozenset[str], mask: Mask, arguments: type
) -> Iterator[Probe]:
    """Yield conversations that set variables and fields of a template, each by itself, and all variables together."""
    tags = mask.examined.tags
    own = [(name, value) for name, value in wanted if name in variables]
    for name, value in own:
        yield from with_variable(tags, arguments, name, value)
    flags = tuple((name, True if value is None else value) for name, value in own)
    for name, value in wanted:
        if name == "type":
            yield from with_block(tags, arguments, str(value))
        elif name not in variables:
            yield from with_field(tags, arguments, name, value)
            if own:
                yield from with_field(tags, arguments, name, value, flags)


def _prints_others(body: Body) -> bool:
    """Whether a body may print another message than the one whose turn it is."""
    read = [unit.node.iter if isinstance(unit.node, nodes.For) else unit.node for unit in body.every_unit()]
    every = [each for node in read if not isinstance(node, nodes.If) for each in walk(node)]
    return any(getattr(each, "attr", getattr(each, "name", "")) in _NEIGHBOURS for each in every)


def _tests(node: nodes.Node) -> Iterator[nodes.Node | None]:
    """Yield the test of each body of a block, None for one without."""
    yield node.iter if isinstance(node, nodes.For) else getattr(node, "test", None)
    yield from (branch.test for branch in getattr(node, "elif_", ()))
    yield None


def _asked(test: nodes.Node | None, variables: frozenset[str]) -> Iterator[tuple[str, object]]:
    """Yield the variables and fields that a test reads, each with what it is compared with, None for nothing."""
    found: dict[str, object] = {}
    for node in walk(test) if test else ():
        found.update((name, found.get(name)) for name in _read(node, variables))
        if isinstance(node, nodes.Compare) and node.ops[0].op in ("eq", "in"):
            values = [each.value for each in walk(node.ops[0].expr) if isinstance(each, nodes.Const)]
            found.update((name, values[0]) for each in walk(node.expr) for name in _read(each, variables) if values)
    yield from ((name, value) for name, value in found.items() if isinstance(value, str | int | None))


def _read(node: nodes.Node, variables: frozenset[str]) -> Iterator[str]:
    """Yield the name of the field or the variable that a node reads."""
    name = getattr(node, "attr", None) if isinstance(node, nodes.Getattr) else None
    if isinstance(node, nodes.Name):
        name = node.name if node.name in variables else None
    elif isinstance(node, nodes.Getitem):
        name = getattr(node.arg, "value", None)
    elif isinstance(node, nodes.Call) and node.args:
        name = getattr(node.args[0], "value", None)
    if isinstance(name, str) and name.isidentifier() and name not in _KNOWN:
        yield name


def _first_output(body: Body) -> Span | None:
    """Return the first output of a body that would print more than white space, if there is any."""
    for unit in body.every_unit():
        shows = any(piece.literal is None or piece.literal.strip() for piece in unit.pieces)
        if shows and not calls(unit.node, "raise_exception"):
            return unit.span
    return None
