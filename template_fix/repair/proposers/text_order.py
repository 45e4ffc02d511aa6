"""Texts of a turn that come in the wrong order, or twice.

A family may print a call's results inside of the turn, ahead of the turn's own text: then the text moves as soon as the
results come. What the model wrote in one piece has to stay in one piece. Others print a text in two outputs of a turn.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import SAMPLE, Observation
from template_fix.jinja.templates import Template
from template_fix.repair.message_reads import Binding, access, bindings, first_output, message_name, reads, with_keys
from template_fix.repair.proposers import Basis, Proposal, short
from template_fix.repair.splice import literal, put_expression, tag_in_front
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Site


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that print the texts of a turn in their order, and once."""
    yield from _before_results(basis)
    yield from _once(basis)


def _before_results(basis: Basis) -> Iterator[Proposal]:
    """Yield the edit that prints the text of a turn before the statement that prints results is reached."""
    moved = next((seen for seen in basis.examined if _moved(seen)), None)
    if moved is None:
        return
    trace, template = basis.trace, basis.template
    result = next(part for part in moved.probe.parts if part.kind == "result")
    answer = next(part for part in moved.probe.parts if part.kind == "answer")
    recorded = trace.record(moved.probe).outputs
    printed = [trace.outputs[number].span for number, text in recorded if answer.text in text]
    for binding in bindings(template, reads(basis)):
        site = first_output(trace, moved.probe, result.message, behind=binding.head.end)
        statement = _around(template, site.span, printed) if site else None
        if statement:
            edit = _said_first(template, binding, statement, basis.switch)
            yield Proposal(
                "TF204",
                "text order",
                "print the text beside a tool call before the call's result",
                "The text of a turn that calls tools moves behind the result as soon as there is one.",
                edit.span,
                (edit,),
            )


def _moved(seen: Observation) -> bool:
    """Whether a turn's text beside its tool call stands behind the result of that call."""
    if seen.probe.shape != "uvta" or seen.lost or not seen.breaks("stable"):
        return False
    placed = {part.kind: span for part, span in reversed(seen.placed)}  # the first of each kind
    return placed["result"].end <= placed["answer"].start


def _around(template: Template, result: Span, printed: list[Span]) -> Span | None:
    """Return the outermost statement around the output of a result that doesn't print the turn's text, too."""
    for node in template.all_nodes:
        span = template.span(node)
        around = isinstance(node, nodes.If | nodes.For) and span and span.start < result.start < span.end
        if around and span and not any(span.start < each.start < span.end for each in printed):
            return span
    return None


def _said_first(template: Template, binding: Binding, statement: Span, switch: str) -> Edit:
    content, calls = binding.access("content"), binding.access("tool_calls")
    silent = f"{{%- set {binding.name} = {with_keys(template, binding, content=literal(''))} %}}"
    test = f"{switch} and {calls} and {content} is string"
    return tag_in_front(template, statement.start, (test, f"{{{{- {content} | trim }}}}\n{silent}"))


def _once(basis: Basis) -> Iterator[Proposal]:
    """Yield, for each output of a text that another output of the same turn prints, the edit that leaves it out."""
    found: dict[Site, None] = {}
    for seen in basis.examined.failing[:SAMPLE]:
        for held in seen.breaks("once"):
            part = seen.probe.parts[held.of]
            numbers = [n for n, text in basis.trace.record(seen.probe).outputs if part.text in text]
            if part.kind == "answer" and len(set(numbers)) > 1 and _in_one_turn(seen, part.text):
                found |= dict.fromkeys(basis.trace.outputs[number] for number in numbers)
    for site in found:
        name = message_name(basis.template, site.span)
        if name:
            printed = site.span.of(basis.template.source)
            test = f"{basis.switch} and {access(basis.template, name, 'role')} == 'assistant'"
            title, why = f"leave {short(printed)} out of turns", "A text is printed by two outputs of one turn."
            yield Proposal(
                "TF206", "doubled", title, why, site.span, (put_expression(site.span, f"'' if {test} else {printed}"),)
            )


def _in_one_turn(seen: Observation, text: str) -> bool:
    """Whether a text is printed twice with no text of another message between: what is quoted is no doubled text."""
    printed = seen.text or ""
    between = printed[printed.find(text) + len(text) : printed.rfind(text)]
    own = {part.message for part in seen.probe.parts if part.text == text}
    return not any(part.text in between for part in seen.probe.parts if part.message not in own)
