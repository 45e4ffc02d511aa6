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
from typing import NamedTuple

from jinja2 import nodes

from template_fix.cutting import Cut, Header, Rest
from template_fix.fold import alike
from template_fix.jinja import environment, is_marker, walk
from template_fix.proposers.splice import literal

NAMES = ("turn", "header", "start", "rest", "end")
# What the tests and values of a capture may be made of: nothing that fails or changes anything.
_HARMLESS = (
    *(nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Add, nodes.Sub, nodes.Neg),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test, nodes.CondExpr),
)
_METHODS, _FILTERS = frozenset({"split", "startswith", "endswith"}), frozenset({"length", "join"})


class Capture(NamedTuple):
    """How a captured turn is printed: how it is cut, and the test that tells it from others, "" for none."""

    cut: Cut
    test: str = ""

    def opening(self) -> list[str]:
        """Return the tags in front of what is captured."""
        return ["set turn"]

    def closing(self) -> list[str]:
        """Return the tags behind what is captured, expressions to print with ``= `` in front."""
        header, rest = self.cut.header, self.cut.rest
        start = "start" if header.text or header.more else ""
        end = "end" if rest.ends or rest.tails else ""
        tags = ["endset"]
        if start:
            tags += [*(f"set header = {value}" for value in _header(header)), "set start = header | length"]
        if end:
            value = _rest(rest, "turn[start:]" if start else "turn")
            tags += [f"set rest = {value}", "set end = (turn | length) - (rest | length)"]
        asked = _asked(start, end)
        tags.append(f"if {conjunct(self.test)} and {asked}" if self.test else f"if {asked}")
        tags += ["= turn[:start]"] if start else []
        whole = f"= turn[{start}:{end}]" if start or end else "= turn"
        tags += ["generation", whole, "endgeneration"]
        tags += ["= turn[end:]"] if end else []
        otherwise = ["else", "= turn"] if start or end or self.test else []
        return [*tags, *otherwise, "endif"]


def _asked(start: str, end: str) -> str:
    """Return the test whether the model writes anything of a turn: no marker may enclose nothing."""
    if start:
        return f"start < {end}" if end else "start < turn | length"
    return "end > 0" if end else "turn"


def _header(header: Header) -> Iterator[str]:
    text = literal(header.text)
    front = f"turn.split({text})[0] + {text}"
    if header.text:
        yield f"{front} if {text} in turn else ''" if header.optional else front
    if header.more:
        chosen = "''"
        for more in reversed(header.more):
            chosen = f"({literal(more)} if turn[header | length:].startswith({literal(more)}) else {chosen})"
        yield f"header + {chosen}" if header.text else chosen.replace("turn[header | length:]", "turn")


def _rest(rest: Rest, turn: str) -> str:
    if rest.tails:
        chosen = "''"
        for tail in reversed(rest.tails):
            chosen = f"{literal(tail)} if turn.endswith({literal(tail)}) else {chosen}"
        return chosen
    ends = [literal(end) for end in rest.ends]
    if rest.first:
        return f"{turn}.split({ends[0]})[1:] | join({ends[0]})"
    behind = turn + "".join(f".split({end})[-1]" for end in ends)
    asked = " or ".join(f"{end} in {turn}" for end in ends)
    return f"{behind} if {asked} else ''" if rest.optional else behind


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
    if not isinstance(block.target, nodes.Name) or block.target.name != NAMES[0] or block.filter:
        return 0
    for count, node in enumerate(rest, start=2):
        if isinstance(node, nodes.Assign):
            named = isinstance(node.target, nodes.Name) and node.target.name in NAMES[1:]
            own = {each.name for each in walk(node.node) if isinstance(each, nodes.Name)} <= set(NAMES)
            if not named or not own or not _harmless(node.node):
                return 0
        elif isinstance(node, nodes.If):
            return count if _three(node, rest[: count - 2]) else 0
        elif not _blank(node):
            return 0
    return 0


def _three(node: nodes.If, sets: Iterable[nodes.Node]) -> bool:
    """Whether a block prints three slices of a text in their order, or else the text; ``sets`` stand in front of it."""
    values = {
        each.target.name: each.node
        for each in sets
        if isinstance(each, nodes.Assign) and isinstance(each.target, nodes.Name)
    }
    start, end = ("start" if "start" in values else "", "end" if "end" in values else "")
    asked = node.test.right if isinstance(node.test, nodes.And) else node.test
    printed = [
        *([f"turn[:{start}]"] if start else []),
        f"turn[{start}:{end}]" if start or end else "turn",
        *([f"turn[{end}:]"] if end else []),
    ]
    shown = [part for each in node.body for part in _outputs(each)]
    counted = not start or isinstance(values["start"], nodes.Filter)  # a length, so that it isn't negative
    return (
        counted
        and not node.elif_
        and _harmless(node.test)
        and alike(asked, _parsed(_asked(start, end)))
        and alike(shown, [_parsed(each) for each in printed])
        and (
            alike([part for each in node.else_ for part in _outputs(each)], [_parsed("turn")])
            or (not node.else_ and alike(node.test, _parsed("turn")))  # of nothing, nothing is printed
        )
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


def _blank(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Output) and not node.nodes


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
