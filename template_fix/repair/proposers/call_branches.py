"""The text of a turn that calls tools, where only the branch for turns without calls prints any.

The branch for calls learns to print the text as the other one does, in front of the calls. That fits families whose
turn is made of pieces with a header each; in others the judge refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.examination import Observation
from template_fix.conversations.probe import CALLS, Part
from template_fix.jinja.templates import Template, Token, lex
from template_fix.repair.message_reads import content_reader
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.splice import behind_tag
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Trace


class _Branch(NamedTuple):
    """The source between two tags, and where it is, with the marks that end the one in front and begin the other."""

    opening: str
    at: Span
    text: str
    closing: str


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that print a turn's text in the branch for its tool calls, too."""
    trace, examined, switch = basis
    lost = next(((seen, part) for seen in examined.failing for part in seen.lost if _beside_call(seen, part)), None)
    if lost is None:
        return
    template = trace.template
    statements = (node for node in template.all_nodes if isinstance(node, nodes.If))
    asked = {template.span(node.test) for node in statements if node.else_ or node.elif_}
    for number, site in trace.tests.items():
        printed = _printed_otherwise(trace, number, *lost) if site.span in asked else None
        read = _content_read(template, printed.at) if printed else ""
        if printed and read:
            edit = _said_first(template, site.span, printed, f"{switch} and {read}")
            yield Proposal(
                "TF206",
                "branch",
                f"print {read} in front of tool calls, too",
                "A turn's text is printed only where the turn calls no tools.",
                site.span,
                (edit,),
            )


def _beside_call(seen: Observation, part: Part) -> bool:
    return part.kind == "answer" and seen.probe.shape[part.message] in CALLS


def _printed_otherwise(trace: Trace, number: int, seen: Observation, part: Part) -> _Branch | None:
    """Return the branch that prints a text once a test fails, if it does nothing else."""
    outputs = trace.record(seen.probe, tests={number: False}).outputs
    sites = [trace.outputs[each] for each, text in outputs if part.text in text]
    branches = [_branch(trace.template, site.span) for site in sites]
    return branches[0] if len(branches) == 1 else None


def _branch(template: Template, output: Span) -> _Branch | None:
    """Return the branch that an output stands in, where it holds outputs alone."""
    tags = [token for token in lex(template.source) if token.kind in ("block_begin", "block_end")]
    head = next((tag for tag in reversed(tags) if tag.end <= output.start), None)
    foot = next((tag for tag in tags if tag.start >= output.end), None)
    if head is None or foot is None or head.kind != "block_end":
        return None
    inside = (template.source[at:].lstrip(" -+\r\n\t") for at in (_begin(tags, head), foot.end))
    opened, closed = (re.match(r"\w+", text) for text in inside)
    whole = opened and closed and opened.group() in ("else", "elif") and closed.group() in ("elif", "else", "endif")
    mark = "-%}" if head.text.startswith("-") else "%}"
    at = Span(head.start + len(mark), foot.start)
    return _Branch(mark, at, at.of(template.source), foot.text) if whole else None


def _content_read(template: Template, at: Span) -> str:
    """Return the expression that reads the content of a message in a part of a template, "" where none does."""
    for node in template.all_nodes:
        span = template.span(node)
        if span and at.start <= span.start < at.end and content_reader(node):
            return span.of(template.source)
    return ""


def _begin(tags: list[Token], end: Token) -> int:
    """Return where the text inside of a tag begins."""
    return tags[tags.index(end) - 1].end


def _said_first(template: Template, test: Span, printed: _Branch, condition: str) -> Edit:
    """Return the edit that repeats a branch behind the tag of a test; its whitespace is stripped as it was."""
    at, mark, line = behind_tag(template, test.end)
    block = f"{{%- if {condition} {printed.opening}{printed.text}{printed.closing} endif {mark}"
    return Edit(Span(at, at), line + block)
