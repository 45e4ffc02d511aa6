"""Texts of contents that are lists of blocks, put together in a namespace.

A template may add them up in a loop, which Jinja forgets as each iteration ends, or print nothing in their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from jinja2 import nodes

from template_fix.jinja.queries import lost_sums, walk
from template_fix.jinja.templates import Template, lex
from template_fix.repair.message_reads import content_reader
from template_fix.repair.proposers import Basis, Proposal, short
from template_fix.repair.splice import put_expression, tag_behind, tag_in_front
from template_fix.text.edits import Edit, Span, apply


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that add up in a namespace what a loop over blocks sets a variable to, or what no loop reads."""
    if not any(seen.probe.text_lists and seen.lost for seen in basis.examined):
        return
    # Where no text of any list is printed, the template takes none, and nothing is owed.
    takes = any(basis.examined.listed(seen) and seen.lost for seen in basis.examined)
    for place, content, blocks in _emptied(basis.template) if takes else ():
        why = f"Where {short(content)} is a list of blocks, no text is taken from it."
        edits = _joined(basis.template, place, blocks, basis.switch)
        yield Proposal("TF206", "emptied list", f"print the texts of the blocks of {short(content)}", why, place, edits)
    for loop, assigned in lost_sums(basis.template.tree):
        around, at = basis.template.span(loop), basis.template.span(assigned.node)
        if around and at and isinstance(assigned.target, nodes.Name):
            yield Proposal(
                "TF206",
                "lost sum",
                f"add {short(at.of(basis.template.source))} up in a namespace",
                "What a set in a loop makes is gone as the iteration ends.",
                at,
                _summed(basis.template, around, assigned.node, assigned.target.name, basis.switch),
            )


def _summed(template: Template, loop: Span, value: nodes.Node, name: str, switch: str) -> tuple[Edit, ...]:
    """Return the edits that begin a sum in front of a loop, add to it beside a ``set``, and take it behind the loop."""
    at, kept = template.span(value) or loop, f"joined_{name}"
    read = [each for each in walk(value) if isinstance(each, nodes.Name) and each.name == name]
    places = [Span(span.start - at.start, span.end - at.start) for span in map(template.span, read) if span]
    added = apply(at.of(template.source), [Edit(place, f"{kept}.text") for place in places])
    return (
        tag_in_front(template, loop.start, (switch, f"{{%- set {kept} = namespace(text={name}) %}}")),
        tag_behind(template, at.end, (switch, f"{{%- set {kept}.text = {added} %}}")),
        tag_behind(template, loop.end, (switch, f"{{%- set {name} = {kept}.text %}}")),
    )


def _emptied(template: Template) -> Iterator[tuple[Span, str, str]]:
    """Yield each empty text that stands in the place of a content unless that is a text, with the content.

    The last is the expression of its blocks, where a tag in front of that place asks for them.
    """
    for node in template.all_nodes:
        if isinstance(node, nodes.CondExpr):
            given: list[nodes.Node | None] = [node.expr1, node.expr2]
        elif isinstance(node, nodes.If):
            given = [each.node for part in (*node.body, *node.else_) for each in walk(part) if _assigns(each)]
        else:
            continue
        asked = [each.node for each in walk(node.test) if isinstance(each, nodes.Test) and each.name == "string"]
        for value in given if asked else ():
            span = template.span(value) if isinstance(value, nodes.Const) and value.value == "" else None
            if span and (content_reader(asked[0]) or isinstance(asked[0], nodes.Name)):
                content = template.text(asked[0])
                blocks = f"{content} or []"
                inline = isinstance(node, nodes.CondExpr)
                yield span, content, f"([] if {content} is string else {blocks})" if inline else blocks


def _assigns(node: nodes.Node) -> TypeGuard[nodes.Assign]:
    return isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name)


def _joined(template: Template, at: Span, blocks: str, switch: str) -> tuple[Edit, ...]:
    """Return the edits that put the texts of blocks together, and in the place of an empty text."""
    begins = (token for token in lex(template.source) if token.kind.endswith("_begin") and token.end <= at.start)
    *_, begin = (token.kind for token in begins)
    tags = (
        "{%- set joined_blocks = namespace(text='') %}"
        f"\n{{%- for block in {blocks} %}}"
        "\n    {%- if block.text %}"
        "\n        {%- set joined_blocks.text = joined_blocks.text + block.text %}"
        "\n    {%- endif %}"
        "\n{%- endfor %}"
    )
    return (
        tag_in_front(template, at.start, (switch, tags), kind=begin),
        put_expression(at, f"joined_blocks.text if {switch} else {at.of(template.source)}"),
    )
