"""A printed turn, captured in a variable and printed in three: the header, what the model writes, and the rest.

    {%- set turn %}…{%- endset %}
    {%- set header = turn.split('<|im_start|>assistant\\n')[0] + '<|im_start|>assistant\\n' %}
    {%- set start = header | length %}
    {%- set rest = turn[start:].split('<|im_end|>')[-1] %}
    {%- set end = (turn | length) - (rest | length) %}
    {%- if message.role == 'assistant' and start < end %}
    {{- turn[:start] }}{%- generation %}{{- turn[start:end] }}{%- endgeneration %}{{- turn[end:] }}
    {%- else %}
    {{- turn }}
    {%- endif %}

Whatever ``start`` and ``end`` are, the turn is printed whole and once: three slices of a text, each beginning where the
one before it ended, are the text. Without a header, or without a rest, there is no ``start``, or no ``end``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from jinja2 import nodes

from template_fix.jinja.environment import environment
from template_fix.jinja.queries import alike, is_marker, walk
from template_fix.markers.cutting import Cut, Header, Rest
from template_fix.repair.splice import literal

NAMES, PREFIX = ("turn", "header", "start", "rest", "end"), "marked_"
# What the tests and values of a capture may be made of: nothing that fails or changes anything.
_HARMLESS = (
    *(nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Add, nodes.Sub, nodes.Neg),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test, nodes.CondExpr),
)
_METHODS, _FILTERS = frozenset({"split", "startswith", "endswith"}), frozenset({"length", "join"})


class Capture(NamedTuple):
    """How a captured turn is printed: how it is cut, and the test that tells it from others, "" for none.

    ``prefix`` stands in front of the capture's own names, for templates that have variables called so.
    """

    cut: Cut
    test: str = ""
    prefix: str = ""

    def opening(self) -> list[str]:
        """Return the tags in front of what is captured."""
        return [f"set {self.prefix}turn"]

    def closing(self) -> list[str]:
        """Return the tags behind what is captured, expressions to print with ``= `` in front."""
        header, rest, own = self.cut.header, self.cut.rest, self.prefix
        start = f"{own}start" if header.text or header.more else ""
        end = f"{own}end" if rest.ends or rest.tails or rest.other else ""
        turn, tags = f"{own}turn", ["endset"]
        if start:
            tags += [*(f"set {own}header = {value}" for value in _header(header, own))]
            tags.append(f"set {start} = {own}header | length")
        if end:
            value = _rest(rest, f"{turn}[{start}:]" if start else turn)
            tags += [f"set {own}rest = {value}", f"set {end} = ({turn} | length) - ({own}rest | length)"]
        asked = _asked(turn, start, end)
        tags.append(f"if {conjunct(self.test)} and {asked}" if self.test else f"if {asked}")
        front, marked, behind = _parts(turn, start, end)
        tags += [f"= {each}" for each in front]
        tags += ["generation", f"= {marked}", "endgeneration"]
        tags += [f"= {each}" for each in behind]
        otherwise = ["else", f"= {turn}"] if start or end or self.test else []
        return [*tags, *otherwise, "endif"]


def _parts(turn: str, start: str, end: str) -> tuple[list[str], str, list[str]]:
    """Return what is printed of a turn: in front of what the model writes, that, and what is behind it."""
    front, behind = [f"{turn}[:{start}]"] if start else [], [f"{turn}[{end}:]"] if end else []
    return front, f"{turn}[{start}:{end}]" if start or end else turn, behind


def _asked(turn: str, start: str, end: str) -> str:
    """Return the test whether the model writes anything of a turn: no marker may enclose nothing."""
    if start:
        return f"{start} < {end}" if end else f"{start} < {turn} | length"
    return f"{end} > 0" if end else turn


def _header(header: Header, own: str) -> Iterator[str]:
    text, turn, rest, asked = literal(header.text), f"{own}turn", f"{own}turn", ""
    if header.text:
        front = f"{turn}.split({text})[0] + {text}"
        yield f"{front} if {text} in {turn} else ''" if header.optional else front
        rest = f"{turn}[{own}header | length:]"
        asked = f"{own}header and " if header.optional else ""
    if header.more:
        chosen = "''"
        for more in map(literal, reversed(header.more)):
            chosen = f"({more} if {asked}{rest}.startswith({more}) else {chosen})"
        yield f"{own}header + {chosen}" if header.text else chosen


def _rest(rest: Rest, behind: str) -> str:
    if rest.other:
        other = literal(rest.other)
        otherwise = _rest(replace(rest, other=""), behind)
        return f"{behind}[({behind}.split({other})[0]) | length:] if {other} in {behind} else ({otherwise})"
    if not rest.ends and not rest.tails:
        return "''"
    if rest.tails:
        chosen = "''"
        for tail in map(literal, reversed(rest.tails)):
            chosen = f"{tail} if {behind}.endswith({tail}) else {chosen}"
        return chosen
    ends = [literal(end) for end in rest.ends]
    if rest.first:
        return f"{behind}.split({ends[0]})[1:] | join({ends[0]})"
    last = behind + "".join(f".split({end})[-1]" for end in ends)
    asked = " or ".join(f"{end} in {behind}" for end in ends)
    return f"{last} if {asked} else ''" if rest.optional else last


def conjunct(test: str) -> str:
    """Return a test as it is written beside an ``and``."""
    parsed = environment().parse(f"{{{{ {test} }}}}").body[0]
    alone = isinstance(parsed, nodes.Output) and isinstance(parsed.nodes[0], nodes.Or | nodes.CondExpr)
    return f"({test})" if alone else test


def restored(body: Sequence[nodes.Node]) -> tuple[list[nodes.Node], bool]:
    """Return statements with captured turns put back in their places, and whether each capture was one of these."""
    found: list[nodes.Node] = []
    at, sound = 0, True
    while at < len(body):
        node = body[at]
        count = _printed_in_three(body[at:]) if isinstance(node, nodes.AssignBlock) else 0
        if count:
            assert isinstance(node, nodes.AssignBlock)
            found += node.body
            sound = sound and not any(isinstance(each, nodes.Break | nodes.Continue) for each in _own(node.body))
            at += count
        else:
            found.append(node)
            at += 1
    return found, sound


def _printed_in_three(body: Sequence[nodes.Node]) -> int:
    """Return how many statements capture a text and print it whole and once, 0 where the first ones don't."""
    block, *rest = body
    assert isinstance(block, nodes.AssignBlock)
    own = captures(block)
    if own is None or block.filter:
        return 0
    names = {f"{own}{name}" for name in NAMES}
    for count, node in enumerate(rest, start=2):
        if isinstance(node, nodes.Assign):
            read = {each.name for each in walk(node) if isinstance(each, nodes.Name)}
            if not isinstance(node.target, nodes.Name) or node.target.name == f"{own}{NAMES[0]}":
                return 0
            if not read <= names or not _harmless(node.node):
                return 0
        elif isinstance(node, nodes.If):
            return count if _three(own, node, rest[: count - 2]) else 0
        else:
            return 0
    return 0


def captures(node: nodes.Node) -> str | None:
    """Return what stands in front of the names of a capture, None where a statement captures no turn."""
    name = getattr(node.target, "name", "") if isinstance(node, nodes.AssignBlock) else ""
    return str(name)[: -len(NAMES[0])] if name in (NAMES[0], f"{PREFIX}{NAMES[0]}") else None


def _three(own: str, node: nodes.If, sets: Iterable[nodes.Node]) -> bool:
    """Whether a block prints three slices of a text in their order, or else the text; ``sets`` stand in front of it."""
    values = {
        each.target.name: each.node
        for each in sets
        if isinstance(each, nodes.Assign) and isinstance(each.target, nodes.Name)
    }
    turn, start, end = f"{own}turn", *(name if (name := f"{own}{each}") in values else "" for each in ("start", "end"))
    asked = node.test.right if isinstance(node.test, nodes.And) else node.test
    front, marked, behind = _parts(turn, start, end)
    shown = [part for each in node.body for part in _outputs(each)]
    otherwise = [part for each in node.else_ for part in _outputs(each)]
    counted = not start or getattr(values[start], "name", "") == "length"  # so that it isn't negative
    return (
        counted
        and not node.elif_
        and _harmless(node.test)
        and alike(asked, _parsed(_asked(turn, start, end)))
        and alike(shown, [_parsed(each) for each in (*front, marked, *behind)])
        # Of nothing, nothing is printed.
        and alike(otherwise, [_parsed(turn)] if otherwise or not alike(node.test, _parsed(turn)) else [])
    )


def _outputs(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield what an output prints, with or without a marker around it; anything else stays itself."""
    if is_marker(node):
        assert isinstance(node, nodes.CallBlock)
        for each in node.body:
            yield from _outputs(each)
    elif isinstance(node, nodes.Output):
        yield from node.nodes
    else:
        yield node


def _harmless(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Call):
        called = node.node
        known = isinstance(called, nodes.Getattr) and called.attr in _METHODS
        return known and all(map(_harmless, (called.node, *node.args))) and not node.kwargs  # type: ignore[attr-defined]
    if isinstance(node, nodes.Filter):
        return node.name in _FILTERS and all(map(_harmless, (node.node, *node.args)))  # type: ignore[arg-type]
    return isinstance(node, _HARMLESS) and all(map(_harmless, node.iter_child_nodes()))


def _parsed(expression: str) -> nodes.Node:
    output = environment().parse(f"{{{{ {expression} }}}}").body[0]
    assert isinstance(output, nodes.Output)
    return output.nodes[0]


def _own(body: Iterable[nodes.Node]) -> Iterator[nodes.Node]:
    """Yield the statements in a body, but for those of loops in it."""
    for node in body:
        yield node
        if not isinstance(node, nodes.For | nodes.Macro):
            yield from _own(node.iter_child_nodes())
