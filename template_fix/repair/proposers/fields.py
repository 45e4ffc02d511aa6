"""Reasoning in a field, folded into the turn as the template would print it inside of content.

The places are found by experiment: what reads the ``content`` of an assistant's message, and what is printed first of a
turn without content.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import FIELD, Examination, generation_header
from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import REASONING_FIELDS
from template_fix.jinja.templates import Template
from template_fix.repair.message_reads import (
    Binding,
    access,
    bindings,
    enclosing_loops,
    first_output,
    leftmost,
    reads,
    rebind,
    with_keys,
)
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import literal, replaced
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Site, Trace

NAME = "reasoning_content"


def proposals(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield ways to print ``reasoning_content`` inside of the turn: where its message is bound, or where it is read.

    ``switch`` is the test, in template syntax, that the edits are switched by.
    """
    if FIELD not in examined.unsupported:
        return
    template = trace.template
    spans = reads(trace, examined)
    bound = bindings(template, spans)
    once = tuple(_rebound(template, binding, examined.tags, switch) for binding in bound)
    each, texts = (
        tuple(_folded(template, span, examined.tags, switch, alone) for span in spans) for alone in (False, True)
    )
    openings = tuple(dict.fromkeys(_openings(template, trace, examined, switch)))
    title = f"print {NAME} inside of the turn"
    why = f"The template reads no reasoning field; with this edit, {NAME} is printed as reasoning in content is."
    read = (name for name in REASONING_FIELDS if f"field {name} in transformers 4" not in examined.unsupported)
    named = tuple(renamed(template, binding, name, switch) for name in read for binding in bound)
    for edits in (named, each, texts, once, *((each + openings, texts + openings) if openings else ())):
        if edits:
            yield Proposal("TF203", "field fold", title, why, spans[0] if spans else edits[0].span, edits)


def renamed(template: Template, binding: Binding, field: str, switch: str) -> Edit:
    """Return the edit that hands the field on by the name of the one that the template reads."""
    given, read = binding.access(NAME), binding.access(field)
    named = with_keys(template, binding, **{field: given})
    return rebind(template, binding, f"{switch} and {given} and not {read}", named)


def _rebound(template: Template, binding: Binding, tags: Tags, switch: str) -> Edit:
    """Return the edit that puts the field in front of the content where the message is bound."""
    content, field = binding.access("content"), binding.access(NAME)
    whole = f"{_block(field, tags)} ~ ({content} or '')"
    test = f"{switch} and {field} and ({content} is string or not {content})"
    return rebind(template, binding, test, with_keys(template, binding, content=whole))


def _folded(template: Template, span: Span, tags: Tags, switch: str, texts_alone: bool) -> Edit:
    """Return the edit that puts the field in front of the content where it is read, and is a text or missing.

    ``texts_alone`` leaves missing contents as they are: a conversation that fails for one shall go on failing.
    """
    content = span.of(template.source)
    field = Binding("", content, span).access(NAME)
    if texts_alone:
        test, whole = f"{switch} and {field} and {content} is string", f"{_block(field, tags)} ~ {content}"
    else:
        test = f"{switch} and {field} and ({content} is string or not {content})"
        whole = f"{_block(field, tags)} ~ ({content} or '')"
    return replaced(span, f"{whole} if {test} else {content}")


def _block(field: str, tags: Tags) -> str:
    return f"{literal(tags.open + tags.lead)} ~ {field} ~ {literal(tags.trail + tags.close + tags.gap)}"


def _openings(template: Template, trace: Trace, examined: Examination, switch: str) -> Iterator[Edit]:
    """Yield the edits that fold the field into turns without content: into the first output of such a turn."""
    for seen in examined:
        for part in seen.lost if seen.probe.form == NAME and seen.text is not None else ():
            message = seen.probe.messages[part.message]
            if part.kind == "reasoning" and message.get("content") is None and message.get("tool_calls"):
                site = first_output(trace, examined, seen.probe, part.message)
                if site:
                    header = generation_header(examined, seen.probe, part.message)
                    yield from _led(template, site, header, examined.tags, switch)


def _led(template: Template, site: Site, header: str, tags: Tags, switch: str) -> Iterator[Edit]:
    """Yield the edit that prints the field in front of an output, behind the header that it begins with."""
    span = leftmost(template, site)
    loops = list(enclosing_loops(template, span))
    if not loops or not isinstance(loops[0].target, nodes.Name):
        return
    text, name = span.of(template.source), loops[0].target.name
    field = access(template, name, NAME)
    whole = f"{_block(field, tags)} ~ {text}"
    if text[0] in "'\"" and header and text.count(header) == 1:
        front, back = text.split(header)
        opening, closing = literal(tags.open + tags.lead)[1:-1], literal(tags.trail + tags.close + tags.gap)[1:-1]
        whole = f"{front}{header}{opening}{text[-1]} ~ {field} ~ {text[0]}{closing}{back}"
    inner = " and loop.first" if len(loops) > 1 else ""
    yield replaced(span, f"{whole} if {switch} and {field}{inner} else {text}")
