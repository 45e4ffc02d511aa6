"""Text beside tool calls, printed in front of the results of the calls and not behind them.

A family may print a call's results inside of the turn, ahead of the turn's own text: then the text moves as soon as the
results come. What the model wrote in one piece has to stay in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import Observation
from template_fix.jinja.templates import Template, lex
from template_fix.repair.message_reads import Binding, bindings, first_output, reads, with_keys
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.splice import literal
from template_fix.text.edits import Edit, Span


def proposals(basis: Basis) -> Iterator[Proposal]:
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
    tag = [token for token in lex(template.source) if token.kind == "block_begin" and token.start < statement.start][-1]
    content, calls = binding.access("content"), binding.access("tool_calls")
    text = (
        f"{tag.text} if {switch} and {calls} and {content} is string %}}{{{{- {content} | trim }}}}"
        f"{{%- set {binding.name} = {with_keys(template, binding, content=literal(''))} %}}{{%- endif %}}"
    )
    return Edit(Span(tag.start, tag.start), text)
