"""Reasoning in a field, folded into the turn as the template would print it inside of content.

The places are found by experiment: what reads the ``content`` of an assistant's message, and what is printed first of a
turn without content.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jinja2 import nodes

from template_fix.contract.examination import FIELD, Observation, generation_header
from template_fix.contract.placing import locate, well_formed
from template_fix.conversations.probe import Key
from template_fix.conversations.tags import Tags
from template_fix.jinja.templates import Template
from template_fix.repair.message_reads import (
    Binding,
    access,
    asked_around,
    bindings,
    enclosing_loops,
    first_output,
    other_key,
    own_keys,
    reads,
    rebind,
    with_keys,
)
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.splice import put_expression, tag_in_front
from template_fix.repair.turn_form import Form, behind_header, in_header
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Site

NAME = "reasoning_content"


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield ways to print ``reasoning_content`` inside of the turn: where its message is bound, or where it is read."""
    template, tags, switch = basis.template, basis.tags, basis.switch
    if FIELD not in basis.examined.unsupported:
        return
    found = reads(basis)
    spans, bound = [site.span for site in found], bindings(template, found)
    once = tuple(_rebound(template, binding, tags, switch) for binding in bound)
    each, texts = (tuple(_folded(template, span, tags, switch, alone) for span in spans) for alone in (False, True))
    openings = [tuple({edit.span: edit for edit in made}.values()) for made in zip(*_openings(basis), strict=True)]
    lists = (seen for seen in basis.examined if seen.probe.listed)
    listed = tuple(dict.fromkeys(_in_front_of_lists(basis, lists)))
    either = tuple(each for each in _beside_lists(basis) if " and loop.first" not in each.text)
    wholes = tuple(dict.fromkeys(_folded_whole(template, site, tags, switch) for site in found))
    title = f"print {NAME} inside of the turn"
    why = f"The template reads no reasoning field; with this edit, {NAME} is printed as reasoning in content is."
    named = tuple(alias(template, binding, name, switch) for name in basis.fields for binding in bound)
    own = [(alias(template, binding, name, switch),) for binding in bound for name in own_fields(basis, binding)]
    opened = (read + beside for beside in dict.fromkeys(openings) for read in (each, texts))
    for edits in (named, *own, each, texts, once, *opened, listed, either, wholes):
        if edits:
            yield Proposal("TF203", "field fold", title, why, spans[0] if spans else edits[0].span, edits)


def beside_lists(basis: Basis) -> Iterator[Proposal]:
    """Yield the edit that prints ``reasoning_content`` beside a list of text blocks, where only a text has it."""
    if edits := _beside_lists(basis):
        title, why = f"print {NAME} in front of lists, too", f"Beside a list of text blocks, {NAME} isn't printed."
        yield Proposal("TF201", "field fold", title, why, edits[0].span, edits)


def alias(template: Template, binding: Binding, field: str, switch: str) -> Edit:
    """Return the edit that hands the field on by the name of the one that the template reads."""
    given, read = binding.access(NAME), binding.access(field)
    named = with_keys(template, binding, **{field: given})
    return rebind(template, binding, f"{switch} and {given} and not {read}", named)


def own_fields(basis: Basis, binding: Binding) -> Iterator[str]:
    """Yield the fields of the template's own that it prints as reasoning where it ignores all others."""
    examined = basis.examined
    probe = examined.probes.get(("uktr", Key("reasoning_content")))
    if probe is None or FIELD not in examined.unsupported:
        return
    for name in own_keys(basis.template, binding.name):
        given = tuple({**each, name: each[NAME]} if NAME in each else each for each in probe.messages)
        text = str(examined.renderer(given, probe.tools, False, **examined.set_for(probe)))
        spans = locate(probe.parts, text)
        if None not in spans and well_formed(probe, text, spans, basis.tags):
            yield name


def _rebound(template: Template, binding: Binding, tags: Tags, switch: str) -> Edit:
    """Return the edit that puts the field in front of the content where the message is bound."""
    content, field = binding.access("content"), binding.access(NAME)
    whole = f"{_form(tags).whole(field)} ~ ({content} or '')"
    test = f"{switch} and {field} and ({content} is string or not {content})"
    return rebind(template, binding, test, with_keys(template, binding, content=whole))


def _folded(template: Template, span: Span, tags: Tags, switch: str, texts_alone: bool) -> Edit:
    """Return the edit that puts the field in front of the content where it is read, and is a text or missing.

    ``texts_alone`` leaves missing contents as they are: a conversation that fails for one shall go on failing.
    """
    content = span.of(template.source)
    field = other_key(content, NAME)
    if texts_alone:
        text = f"{content} is string"
        test = f"{switch} and {field}" + ("" if asked_around(template, span, text) else f" and {text}")
        whole = f"{_form(tags).whole(field)} ~ {content}"
    else:
        test = f"{switch} and {field} and ({content} is string or not {content})"
        whole = f"{_form(tags).whole(field)} ~ ({content} or '')"
    return put_expression(span, f"{whole} if {test} else {content}")


def _folded_whole(template: Template, site: Site, tags: Tags, switch: str) -> Edit:
    """Return the edit that puts the field in front of all that a ``set`` makes of the content, where one reads it."""
    values = (node.node for node in template.all_nodes if isinstance(node, nodes.Assign))
    around = (span for span in map(template.span, values) if span and span.start <= site.span.start < span.end)
    span, content = next(around, site.span), site.span.of(template.source)
    field, whole = other_key(content, NAME), span.of(template.source)
    test = f"{switch} and {field} and ({content} is string or not {content})"
    kept = f"{content} or ''" if whole == content else whole  # what is missing is no text
    return put_expression(span, f"{_form(tags).whole(field)} ~ ({kept}) if {test} else {whole}")


def _form(tags: Tags) -> Form:
    return Form(NAME, tags.open + tags.lead, tags.trail + tags.close + tags.gap)


def _openings(basis: Basis) -> Iterator[tuple[Edit, Edit]]:
    """Yield the edits that fold the field into turns without content: into the first output, or behind the header."""
    for seen in basis.examined:
        for part in seen.lost if seen.probe.form == NAME and seen.text is not None else ():
            message = seen.probe.messages[part.message]
            if part.kind == "reasoning" and message.get("content") is None and message.get("tool_calls"):
                site = first_output(basis.trace, seen.probe, part.message)
                loops = list(enclosing_loops(basis.template, site.span)) if site else []
                if site and loops and isinstance(loops[0].target, nodes.Name):
                    field = access(basis.template, loops[0].target.name, NAME)
                    header = generation_header(basis.examined, seen.probe, part.message)
                    inner = " and loop.first" if len(loops) > 1 else ""
                    form, test = _form(basis.tags), f"{basis.switch} and {field}"
                    led = in_header(basis.template, site, header, form, field, test + inner)
                    yield led, next(behind_header(basis, seen, part.message, [(test, form.output(field))]), led)


def _beside_lists(basis: Basis) -> tuple[Edit, ...]:
    """Return the edits in front of lists in a template that takes texts, too."""
    return tuple(dict.fromkeys(_in_front_of_lists(basis, filter(basis.examined.listed, basis.examined))))


def _in_front_of_lists(basis: Basis, lists: Iterable[Observation]) -> Iterator[Edit]:
    """Yield the edits that print the field in front of the first block of a content that is a list."""
    seen = next((seen for seen in lists if seen.probe.form == NAME and seen.lost), None)
    answer = next((part for part, _ in seen.placed if part.kind == "answer"), None) if seen else None
    outputs = basis.trace.record(seen.probe).outputs if seen and answer else ()
    for site in (basis.trace.outputs[number] for number, text in outputs if answer and answer.text in text):
        loops = list(enclosing_loops(basis.template, site.span))
        if loops and isinstance(loops[0].target, nodes.Name):
            field = access(basis.template, loops[0].target.name, NAME)
            first = " and loop.first" if len(loops) > 1 else ""
            test, block = f"{basis.switch} and {field}{first}", _form(basis.tags).output(field)
            yield tag_in_front(basis.template, site.span.start, (test, block), kind="variable_begin")
