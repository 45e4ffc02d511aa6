"""The text of a turn that calls tools, where only the branch for turns without calls prints any.

The branch for calls learns to print the text as the other one does, in front of the calls. That fits families whose
turn is made of pieces with a header each; in others the judge refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.examination import Examination, Observation
from template_fix.conversations.probe import CALLS, Part
from template_fix.jinja.templates import Template, Token, lex
from template_fix.repair.message_reads import READ
from template_fix.repair.proposers import Proposal
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Trace


class _Branch(NamedTuple):
    """The source between two tags, with the marks that end the one in front and begin the one behind."""

    opening: str
    text: str
    closing: str


def proposals(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield the edits that print a turn's text in the branch for its tool calls, too.

    ``switch`` is the test, in template syntax, that the edits are switched by.
    """
    lost = next(((seen, part) for seen in examined.failing for part in seen.lost if _beside_call(seen, part)), None)
    if lost is None:
        return
    template = trace.template
    asked = {template.span(node.test) for node in template.all_nodes if isinstance(node, nodes.If) and _goes_on(node)}
    for number, site in trace.tests.items():
        printed = _printed_otherwise(trace, examined, number, *lost) if site.span in asked else None
        read = READ.search(printed.text) if printed else None
        if printed and read:
            edit = _said_first(template, site.span, printed, f"{switch} and {read.group()}")
            yield Proposal(
                "TF206",
                "branch",
                f"print {read.group()} in front of tool calls, too",
                "A turn's text is printed only where the turn calls no tools.",
                site.span,
                (edit,),
            )


def _goes_on(node: nodes.If) -> bool:
    """Whether a statement has something to print where its test fails."""
    return bool(node.else_ or node.elif_)


def _beside_call(seen: Observation, part: Part) -> bool:
    return part.kind == "answer" and seen.probe.shape[part.message] in CALLS


def _printed_otherwise(
    trace: Trace, examined: Examination, number: int, seen: Observation, part: Part
) -> _Branch | None:
    """Return the branch that prints a text once a test fails, if it does nothing else."""
    trace.follow("")
    with trace.changed(tests={number: False}):
        Examination(trace, [seen.probe], examined.tags).text(seen.probe)
    sites = [trace.outputs[each] for each, text in trace.recorder.outputs if part.text in text]
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
    mark = _mark(head)
    return _Branch(mark, template.source[head.start + len(mark) : foot.start], foot.text) if whole else None


def _begin(tags: list[Token], end: Token) -> int:
    """Return where the text inside of a tag begins."""
    return tags[tags.index(end) - 1].end


def _mark(end: Token) -> str:
    """Return the end of a tag without the whitespace that it strips."""
    return "-%}" if end.text.startswith("-") else "%}"


def _said_first(template: Template, test: Span, printed: _Branch, condition: str) -> Edit:
    """Return the edit that repeats a branch behind the tag of a test; its whitespace is stripped as it was."""
    end = next(token for token in lex(template.source) if token.kind == "block_end" and token.start >= test.end)
    at = end.start + len(_mark(end))
    line = re.match(r"\r?\n[ \t]*", template.source[at:])
    begin = line.group() if line else ""
    block = f"{{%- if {condition} {printed.opening}{printed.text}{printed.closing} endif {_mark(end)}"
    return Edit(Span(at, at), begin + block)
