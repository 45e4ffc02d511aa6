"""Sums over the blocks of a content, which Jinja forgets as each iteration ends, kept in a namespace."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.jinja.queries import lost_sums, walk
from template_fix.jinja.templates import Template
from template_fix.repair.proposers import Basis, Proposal, short
from template_fix.repair.splice import tag_behind, tag_in_front
from template_fix.text.edits import Edit, Span, apply


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that add up in a namespace what a loop over blocks of text sets a variable to."""
    if not any(seen.probe.text_lists and seen.lost for seen in basis.examined):
        return
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
