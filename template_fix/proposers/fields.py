"""Reasoning in a field, folded into the turn as the template would print it inside of content.

The places are found by experiment: expressions that read the ``content`` of an assistant message in a conversation
whose reasoning field is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from jinja2 import nodes

from template_fix.contract import Examination
from template_fix.jinja import Template, Token, lex, walk
from template_fix.proposers import Proposal
from template_fix.proposers.splice import replaced
from template_fix.tags import Tags
from template_fix.text import Edit, Span
from template_fix.trace import Trace

FIELD = "reasoning_content"


def proposals(template: Template, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield the fold of ``reasoning_content`` into every place where a message's content is read to be printed.

    ``switch`` is the test, in template syntax, that the edit is switched by.
    """
    if f"field {FIELD}" not in examined.unsupported:
        return
    spans = list(_reads(template, examined))
    title = f"print {FIELD} inside of the turn"
    why = f"The template reads no reasoning field; with this edit, {FIELD} is printed as reasoning in content is."
    once = tuple(dict.fromkeys(_bound(template, spans, examined.tags, switch)))
    each = tuple(_fold(span, template.source, examined.tags, switch) for span in spans)
    for edits in (once, each):
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
        target = getattr(node, "target", None)
        span = template.span(node)
        if isinstance(node, nodes.For | nodes.Assign) and isinstance(target, nodes.Name) and span:
            if target.name == name and span.start < read.start and (isinstance(node, nodes.Assign) or read.end <= span.end):
                head = template.span((node.test or node.iter) if isinstance(node, nodes.For) else node)
                found = head or found
    return found


def _reads(template: Template, examined: Examination) -> Iterator[Span]:
    """Yield where ``content`` is read from the message of an assistant, and not just looked at in a test."""
    trace = Trace(template, examined.renderer.variables)
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
