"""Drop sites: expressions into which a lost text goes and out of which it doesn't come.

The proposal puts the operand that held the text in the place of the whole. Where that is a name for the pieces of a
text that was split, it puts the text there.

A template that fails on a list of text blocks where it takes a text apart must not print the list as it stands once the
text is kept whole: so there are edits for texts alone. Nor must one that prints contents behind tool calls print the
reasoning there that led to them: so there are edits for turns without calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from jinja2 import nodes

from template_fix.contract.examination import SAMPLE, Observation
from template_fix.conversations.probe import Part
from template_fix.jinja.templates import Template
from template_fix.repair.message_reads import access, content_reader, message_name
from template_fix.repair.proposers import Basis, Proposal, short
from template_fix.repair.splice import put_expression
from template_fix.repair.trials import find_drops, prints_the_same
from template_fix.text.edits import Edit, Span

_READ = r"([\w.\[\]'\"]+)"
# A value that is kept as it is, in the place of a whole; it may be cut to size.
_KEPT = re.compile(rf"\(+{_READ}(?: or ''\)| \| trim)?")


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that keep what drop sites take out of conversations that are printed badly."""
    trace, examined, _ = basis
    found: dict[tuple[int, int], str] = {}
    split: dict[tuple[Span, str], str] = {}
    for seen in examined.failing[:SAMPLE]:
        for part in seen.lost:
            code = "TF202" if part.kind == "reasoning" else "TF206"
            split.update(dict.fromkeys(_split(basis, seen, part), code))
            for number, fed in find_drops(trace, seen.probe, part):
                asked = number in trace.tests  # a test that takes a message for its outcome is no test any more
                if not asked and not prints_the_same(trace.forced(operands={number: fed}), examined, [seen.probe]):
                    found.setdefault((number, fed), code)
    for (at, kept), code in split.items():
        yield _kept(basis, at, kept, code)
    for (number, fed), code in found.items():
        whole, text = trace.values[number], trace.values[fed]
        kept = text.span.of(trace.template.source)
        around = trace.values.get(fed - 1)
        # A filter makes a text of a content that is missing.
        filtered = around and isinstance(around.node, nodes.Filter) and content_reader(text.node)
        yield _kept(basis, whole.span, f"({kept} or '')" if filtered else kept, code)
        if (joined := _joined(trace.template, whole.span)) and isinstance(text.node, nodes.Name):
            # What is put together of a piece and a constant ends without the white space that the text ends in.
            yield _kept(basis, joined, f"{kept}.rstrip()", code)


def for_texts(proposal: Proposal, switch: str) -> Proposal:
    """Return a proposal for texts alone, or as it is where it keeps no value."""
    return proposal._replace(edits=tuple(Edit(edit.span, _for_texts(edit.text, switch)) for edit in proposal.edits))


def for_answers(template: Template, proposal: Proposal, switch: str) -> Proposal:
    """Return a proposal for turns without tool calls; what it makes of constants, such as headers, is for all turns."""

    def alone(edit: Edit) -> Edit:
        name = message_name(template, edit.span)
        if not name or edit.span.of(template.source).startswith(("'", '"')):
            return edit
        test = f"{switch} and not {access(template, name, 'tool_calls')}"
        whole = rf"(not )?{re.escape(switch)}"
        return Edit(edit.span, re.sub(whole, lambda found: f"not ({test})" if found[1] else test, edit.text))

    return proposal._replace(edits=tuple(map(alone, proposal.edits)))


def _for_texts(text: str, switch: str) -> str:
    """Return the text of an edit that keeps a value, or prints one where there is one, with a test for texts."""
    front, choice, whole = text.partition(f" if {switch} else ")
    kept = _KEPT.fullmatch(front) if choice else None
    if kept:
        return f"{front} if {switch} and {kept[1]} is string else {whole}"
    return re.sub(rf"({re.escape(switch)} and ){_READ}(?= and | -?%}})", r"\1\2 is string and \2", text)


def _joined(template: Template, piece: Span) -> Span | None:
    """Return the whole of which a piece is the beginning, and constants the rest."""
    for node in template.all_nodes:
        parts = (
            node.nodes
            if isinstance(node, nodes.Concat)
            else [node.left, node.right]
            if isinstance(node, nodes.Add)
            else []
        )
        if parts and template.span(parts[0]) == piece and all(isinstance(each, nodes.Const) for each in parts[1:]):
            return template.span(node)
    return None


def _kept(basis: Basis, at: Span, kept: str, code: str) -> Proposal:
    whole = at.of(basis.template.source)
    why = f"The text goes into {short(whole)} and doesn't come out."
    edit = put_expression(at, f"{kept} if {basis.switch} else {whole}")
    return Proposal(code, "experiment", f"keep what {short(whole)} drops", why, at, (edit,))


def _split(basis: Basis, seen: Observation, part: Part) -> Iterator[tuple[Span, str]]:
    """Yield where a piece is taken of a text that was split, without the piece that held the lost one, and the text."""
    trace, texts = basis.trace, _texts(basis.template)
    holders = trace.record(seen.probe, wanted=part.text).holders if texts else set()
    for number in sorted(holders):
        node = trace.values[number].node
        if isinstance(node, nodes.Name) and node.name in texts:
            around = [site for site in trace.values.values() if number in site.inside]
            taken = min(
                (site for site in around if site.number not in holders), key=lambda site: len(site.inside), default=None
            )
            if taken:
                yield taken.span, texts[node.name]


def _texts(template: Template) -> Mapping[str, str]:
    """Return the text of which each name is set to the pieces."""
    found: dict[str, str] = {}
    for node in template.all_nodes:
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name) and isinstance(node.node, nodes.Call):
            method = node.node.node
            if isinstance(method, nodes.Getattr) and method.attr == "split":
                found[node.target.name] = template.text(method.node)
    return found
