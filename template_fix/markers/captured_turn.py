"""A printed turn, captured in a variable and printed in three: the header, what the model writes, and the rest.

    {%- set turn_text %}…{%- endset %}
    {%- set turn_header = turn_text.split('<|im_start|>assistant\\n')[0] + '<|im_start|>assistant\\n' %}
    {%- set turn_start = turn_header | length %}
    {%- set turn_rest = turn_text[turn_start:].split('<|im_end|>')[-1] %}
    {%- set turn_end = (turn_text | length) - (turn_rest | length) %}
    {%- if message.role == 'assistant' and turn_start < turn_end %}
        {{- turn_text[:turn_start] }}
        {%- generation %}
            {{- turn_text[turn_start:turn_end] }}
        {%- endgeneration %}
        {{- turn_text[turn_end:] }}
    {%- else %}
        {{- turn_text }}
    {%- endif %}

Whatever ``turn_start`` and ``turn_end`` are, the turn is printed whole and once: three slices of a text, each beginning
where the one before it ended, are the text. And no marker encloses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from jinja2 import nodes

from template_fix.jinja.environment import environment
from template_fix.jinja.queries import alike, names_in
from template_fix.markers.cut_rules import Cut

NAMES = frozenset({"turn_text", "turn_header", "turn_start", "turn_rest", "turn_end"})
_ASKED = "turn_start < turn_end"
# How a captured turn is printed: ``= x`` stands for an output of ``x``.
_PRINTED = (
    *("= turn_text[:turn_start]", "generation", "= turn_text[turn_start:turn_end]", "endgeneration"),
    *("= turn_text[turn_end:]", "else", "= turn_text", "endif"),
)
# What the tests and values of a capture may be made of: nothing that fails or changes anything.
_HARMLESS = (
    *(nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Add, nodes.Sub, nodes.Neg),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Test, nodes.CondExpr),
)
_METHODS, _FILTERS = frozenset({"split", "startswith", "endswith"}), frozenset({"length", "join"})


def capture_tags(cut: Cut, test: str) -> tuple[list[str], list[str]]:
    """Return the tags in front of a captured turn, and those behind it.

    ``test`` holds exactly for the model's turns; it is "" where no other messages are printed there.
    """
    asked = f"{_conjunct(test)} and {_ASKED}" if test else _ASKED
    return ["set turn_text"], ["endset", *(f"set {each}" for each in cut.sets()), f"if {asked}", *_PRINTED]


def _conjunct(test: str) -> str:
    """Return a test as it is written beside an ``and``."""
    output = environment().parse(f"{{{{ {test} }}}}").body[0]
    alone = isinstance(output, nodes.Output) and isinstance(output.nodes[0], nodes.Or | nodes.CondExpr)
    return f"({test})" if alone else test


def is_capture(node: nodes.Node) -> bool:
    """Whether a statement captures a turn."""
    return isinstance(node, nodes.AssignBlock) and getattr(node.target, "name", "") == "turn_text"


def restore_captures(body: Sequence[nodes.Node]) -> list[nodes.Node] | None:
    """Return statements with captured turns put back in their places, None where one isn't printed whole and once."""
    found: list[nodes.Node] = []
    behind = iter(body)
    for node in behind:
        if not isinstance(node, nodes.AssignBlock) or not is_capture(node):
            found.append(node)
            continue
        sets: dict[str, nodes.Node] = {}
        for each in behind:
            if not isinstance(each, nodes.Assign) or not isinstance(each.target, nodes.Name):
                break
            sets[each.target.name] = each.node
            if not names_in(each) <= NAMES or not _harmless(each.node):
                return None
        else:
            return None
        start = sets.get("turn_start")
        counted = getattr(start, "name", "") == "length" or start == nodes.Const(0)  # so that it isn't negative
        leaves = any(isinstance(inner, nodes.Break | nodes.Continue) for inner in _own(node.body))
        named = "turn_text" not in sets and "turn_end" in sets
        if not named or not counted or leaves or node.filter or not _printed_in_three(each):
            return None
        found += node.body
    return found


def _printed_in_three(node: nodes.Node) -> bool:
    """Whether a block prints three slices of a text in their order, or else the text."""
    if not isinstance(node, nodes.If) or not _harmless(node.test):
        return False
    asked = node.test.right if isinstance(node.test, nodes.And) else node.test
    return alike(nodes.If(asked, node.body, node.elif_, node.else_), _form())


@lru_cache(maxsize=1)
def _form() -> nodes.Node:
    tags = (f"{{{{ {tag[2:]} }}}}" if tag.startswith("=") else f"{{% {tag} %}}" for tag in (f"if {_ASKED}", *_PRINTED))
    return environment().parse("".join(tags)).body[0]


def _harmless(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Call):
        known = isinstance(node.node, nodes.Getattr) and node.node.attr in _METHODS and not node.kwargs
        return known and all(map(_harmless, (node.node, *node.args)))
    if isinstance(node, nodes.Filter):
        return node.name in _FILTERS and all(map(_harmless, node.iter_child_nodes()))
    return isinstance(node, _HARMLESS) and all(map(_harmless, node.iter_child_nodes()))


def _own(body: Iterable[nodes.Node]) -> Iterator[nodes.Node]:
    """Yield the statements in a body, but for those of loops in it."""
    for node in body:
        yield node
        if not isinstance(node, nodes.For | nodes.Macro):
            yield from _own(node.iter_child_nodes())
