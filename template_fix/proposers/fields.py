"""Reasoning in a field, folded into the turn as the template would print it inside of content.

The places are found by experiment: expressions that read the ``content`` of an assistant message in a conversation
whose reasoning field is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from jinja2 import nodes

from template_fix.contract import Examination, generation_header
from template_fix.jinja import Template, Token, lex, walk
from template_fix.probes import Probe
from template_fix.proposers import Proposal
from template_fix.proposers.splice import replaced
from template_fix.tags import Tags
from template_fix.text import Edit, Span
from template_fix.trace import Site, Trace

FIELD = "reasoning_content"


def proposals(template: Template, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield the fold of ``reasoning_content`` into every place where a message's content is read to be printed.

    ``switch`` is the test, in template syntax, that the edit is switched by.
    """
    if f"field {FIELD}" not in examined.unsupported:
        return
    trace = Trace(template, examined.renderer.variables)
    spans = list(_reads(trace, examined))
    title = f"print {FIELD} inside of the turn"
    why = f"The template reads no reasoning field; with this edit, {FIELD} is printed as reasoning in content is."
    once = tuple(dict.fromkeys(_bound(template, spans, examined.tags, switch)))
    each = tuple(_fold(span, template.source, examined.tags, switch) for span in spans)
    openings = tuple(dict.fromkeys(_openings(template, trace, examined, switch)))
    for edits in (once, each, each + openings if openings else ()):
        if edits:
            yield Proposal("TF203", "field fold", title, why, spans[0], edits)


def _bound(template: Template, spans: Sequence[Span], tags: Tags, switch: str) -> Iterator[Edit]:
    """Yield the edit that folds the field where the variable is bound which the message is read from."""
    tokens = [token for token in lex(template.source) if token.kind == "block_end"]
    for span in spans:
        content = span.of(template.source)
        name = re.split(r"[.\[]", content)[0].strip()
        binding = _binding(template, name, span)
        if binding:
            end = next(token for token in tokens if token.start >= binding.end)
            field = FIELD.join(content.rsplit("content", 1))
            whole = f"{_opening(tags)} ~ {field} ~ {_closing(tags)} ~ ({content} or '')"
            test = f"{switch} and {field} and ({content} is string or not {content})"
            yield _statement(template.source, end, f"if {test}", f"set {name} = dict({name}, content={whole})", "endif")


def _statement(source: str, tag: Token, *tags: str) -> Edit:
    """Return the edit that puts tags behind the end of another, laid out as the template is.

    Whitespace is only put where the dash of the next tag takes it away again, in every Jinja there is.
    """
    dash = "-" if tag.text.startswith("-") else ""
    at = tag.start + len(f"{dash}%}}")
    line = re.match(r"\r?\n([ \t]*)", source[at:])
    first, middle, last = (f"\n{line[1]}", f"\n{line[1]}    ", f"\n{line[1]}") if line else ("", "", "")
    opening, inner, closing = tags
    return Edit(Span(at, at), f"{first}{{%- {opening} %}}{middle}{{%- {inner} %}}{last}{{%- {closing} {dash}%}}")


def _binding(template: Template, name: str, read: Span) -> Span | None:
    """Return the end of what gives ``name`` its value last before it is read: a loop over messages, or a ``set``."""
    found: Span | None = None
    for node in walk(template.tree):
        if isinstance(node, nodes.For | nodes.Assign) and _sets(node, name):
            span = template.span(node)
            inside = span and span.start < read.start and (isinstance(node, nodes.Assign) or read.end <= span.end)
            if inside:
                found = template.span((node.test or node.iter) if isinstance(node, nodes.For) else node) or found
    return found


def _sets(node: nodes.For | nodes.Assign, name: str) -> bool:
    return isinstance(node.target, nodes.Name) and node.target.name == name


def _openings(template: Template, trace: Trace, examined: Examination, switch: str) -> Iterator[Edit]:
    """Yield the edits that fold the field into turns without content: into the first output of such a turn."""
    for seen in examined:
        for part in seen.lost if seen.probe.form == FIELD and seen.text is not None else ():
            message = seen.probe.messages[part.message]
            if part.kind == "reasoning" and message.get("content") is None and message.get("tool_calls"):
                number = _first_output(trace, examined, seen.probe, part.message)
                name = _message_name(template, trace.outputs[number].span) if number is not None else None
                if number is not None and name:
                    header = generation_header(examined, seen.probe, part.message)
                    yield _led(template, trace.outputs[number], name, header, examined.tags, switch)


def _first_output(trace: Trace, examined: Examination, probe: Probe, message: int) -> int | None:
    """Return the number of the first expression that is printed of a message."""
    printed: list[list[tuple[int, str]]] = []
    for upto in (message, message + 1):
        trace.follow("")
        Examination(trace, [probe], examined.tags).text(probe, upto)
        printed.append([(number, text) for number, text in trace.recorder.outputs if text])
    before, with_it = printed
    same = next((i for i, (a, b) in enumerate(zip(before, with_it, strict=False)) if a != b), len(before))
    return with_it[same][0] if same < len(with_it) else None


def _message_name(template: Template, at: Span) -> str | None:
    """Return the variable of the outermost loop around a place: the message that is being printed."""
    for node in walk(template.tree):
        span = template.span(node)
        if isinstance(node, nodes.For) and span and span.start < at.start < span.end:
            return node.target.name if isinstance(node.target, nodes.Name) else None
    return None


def _led(template: Template, site: Site, name: str, header: str, tags: Tags, switch: str) -> Edit:
    """Return the edit that prints the field in front of an output, behind the header that it begins with."""
    leaf = site.node
    while isinstance(leaf, nodes.BinExpr):
        leaf = leaf.left
    span = template.span(leaf) or site.span
    text = span.of(template.source)
    field = f"{name}['{FIELD}']" if f"{name}[" in template.source else f"{name}.{FIELD}"
    block = f"{_opening(tags)} ~ {field} ~ {_closing(tags)}"
    whole = f"{block} ~ {text}"
    if isinstance(leaf, nodes.Const) and header and text.count(header) == 1:
        front, back = text.split(header)
        whole = f"{front}{header}{text[-1]} ~ {block} ~ {text[0]}{back}"
    inner = " and loop.first" if _in_inner_loop(template, span) else ""
    return replaced(span, f"{whole} if {switch} and {field}{inner} else {text}")


def _in_inner_loop(template: Template, at: Span) -> bool:
    loops = (template.span(node) for node in walk(template.tree) if isinstance(node, nodes.For))
    return sum(span is not None and span.start < at.start < span.end for span in loops) > 1


def _reads(trace: Trace, examined: Examination) -> Iterator[Span]:
    """Yield where ``content`` is read from the message of an assistant, and not just looked at in a test."""
    holders: set[int] = set()
    for seen in examined:
        answers = [part for part in seen.probe.parts if part.kind == "answer"]
        if seen.probe.form == FIELD and seen.text is not None and answers:
            trace.follow(answers[-1].text)
            Examination(trace, [seen.probe], examined.tags).text(seen.probe)
            holders |= trace.recorder.holders
    tested = {number for test in trace.tests.values() for number in test.inside}
    for number in sorted(holders - tested):
        site = trace.values[number]
        if isinstance(site.node, nodes.Getattr | nodes.Getitem) and _key(site.node) == "content":
            yield site.span


def _key(node: nodes.Getattr | nodes.Getitem) -> object:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) else None


def _fold(span: Span, source: str, tags: Tags, switch: str) -> Edit:
    content = span.of(source)
    field = FIELD.join(content.rsplit("content", 1))
    folded = f"{_opening(tags)} ~ {field} ~ {_closing(tags)} ~ ({content} or '')"
    return replaced(span, f"{folded} if {switch} and {field} else {content}")


def _opening(tags: Tags) -> str:
    return _literal(tags.open + tags.lead)


def _closing(tags: Tags) -> str:
    return _literal(tags.trail + tags.close + tags.gap)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
