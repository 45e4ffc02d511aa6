"""Reasoning inside of content, moved to the field that the template prints.

The counterpart of `fields`: some families print the reasoning that comes in a field and cut the same reasoning out of
the content, or put it in another place. Where a message is bound, its content is taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from jinja2 import nodes

from template_fix.contract.examination import FIELD
from template_fix.conversations.probe import Key
from template_fix.conversations.tags import Tags
from template_fix.jinja.queries import calls, walk
from template_fix.jinja.renderer import REASONING_FIELDS, Failure
from template_fix.jinja.templates import Template
from template_fix.repair.message_reads import (
    Binding,
    access,
    bindings,
    content_reader,
    message_name,
    reads,
    rebind,
    with_keys,
)
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.proposers.fields import NAME, alias, own_fields
from template_fix.repair.splice import behind_tag, literal
from template_fix.repair.trials import find_flips
from template_fix.text.edits import Edit, Span, common_prefix


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edit that hands reasoning inside of content to the template as a field."""
    template, examined, switch = basis.template, basis.examined, basis.switch
    inline = (seen for seen in examined if seen.probe.form == "inline")
    bad = any(seen.breaks("printed", "in order", "well-formed", "alike") for seen in inline)
    if not bad and FIELD not in examined.unsupported:
        return
    bound = bindings(template, reads(basis))
    own = [name for each in bound for name in own_fields(basis, each)]
    fields = own or basis.fields or [name for name in REASONING_FIELDS if name in template.source]
    if not (bad or own) or not fields:
        return
    renaming = fields[0] != NAME and FIELD in examined.unsupported
    loops = {template.span(node.test or node.iter) for node in template.all_nodes if isinstance(node, nodes.For)}
    looped = [each for each in bound if each.head in loops]
    allowed = tuple(_admitting_both(basis, fields[0]))
    # Where there are several loops, such as one for history and one for the rest, one of them may do it already.
    groups = (bound, *([each] for each in looped if len(looped) > 1))
    lists = any(seen.breaks("printed", "well-formed") for seen in examined if seen.probe.text_lists)
    for begun, listed, chosen in product((True, False), (False, True)[: 1 + lists], groups):
        shown = [_shown(template, each) if listed else "" for each in chosen]
        if listed and not all(shown):
            continue
        edits = tuple(
            _taken_apart(template, each, examined.tags, fields[0], switch, text, begun=begun)
            for each, text in zip(chosen, shown, strict=True)
        )
        yield from _proposal(edits)
        yield from (each for admitted in allowed for each in _proposal((*edits, admitted)))
        if renaming:
            named = (alias(template, each, fields[0], switch) for each in chosen)
            both = (Edit(one.span, one.text + other.text) for one, other in zip(edits, named, strict=True))
            yield from _proposal(tuple(both))


def _admitting_both(basis: Basis, field: str) -> Iterator[Edit]:
    """Yield the edits that print text and reasoning beside calls where a template refuses a turn that has both.

    They are printed as in a turn without calls: content that is taken apart has both.
    """
    trace, template = basis.trace, basis.template
    refused, plain = (basis.examined.probes.get((shape, Key("reasoning_content"))) for shape in ("uwtr", "ur"))
    seen = basis.examined.observe(plain) if plain else None
    if refused is None or not isinstance(basis.examined.text(refused), Failure) or seen is None or seen.lost:
        return
    text = seen.text or ""
    _, thought, said = (span for span in seen.spans if span)
    begin = common_prefix(str(basis.examined.text(seen.probe, 1)), text)
    shown = (text[begin : thought.start], text[thought.end : said.start], text[said.end :])
    front, between, behind = map(literal, shown)
    tests = {trace.tests[number].span: number for number, outcome in find_flips(trace, refused) if not outcome}
    for node in template.all_nodes:
        at = template.span(node.test) if isinstance(node, nodes.If) else None
        if isinstance(node, nodes.If) and at in tests and _refuses(node):
            forced, name = trace.forced(tests={tests[at]: False}), message_name(template, at)
            if name and isinstance(forced(refused.messages, refused.tools), str):
                told, content = access(template, name, field), access(template, name, "content")
                output = f"{{{{- {front} ~ {told} ~ {between} ~ {content} ~ {behind} }}}}"
                yield _with_branch(template, node, at, basis.switch, output)


def _with_branch(template: Template, node: nodes.If, at: Span, switch: str, output: str) -> Edit:
    """Return the edit that has a branch of its own, with an output, in front of the one that a test leads to."""
    test, (_, mark, line) = at.of(template.source), behind_tag(template, at.end)
    own = re.search(r"\n[ \t]*(?=\{%-?\s*(?:el)?if\b[^\n]*$)", template.source[: at.start])
    inner = f"({test})" if isinstance(node.test, nodes.CondExpr | nodes.Or) else test
    outer = own.group() if own and line else ""
    return Edit(at, f"{switch} and {inner} {mark}{line}{output}{outer}{{%- elif {test}")


def _refuses(node: nodes.If) -> bool:
    """Whether a test leads straight to an error with words for people."""
    printed = (each for part in node.body if isinstance(part, nodes.Output) for each in part.nodes)
    return any(calls(each, "raise_exception") for each in printed)


def _proposal(edits: tuple[Edit, ...]) -> Iterator[Proposal]:
    if edits:
        yield Proposal(
            "TF201",
            "inline to field",
            "print reasoning inside of content like reasoning in a field",
            "Reasoning in a field is printed; the same reasoning inside of content isn't, or not in its place.",
            edits[0].span,
            edits,
        )


def _shown(template: Template, binding: Binding) -> str:
    """Return the call that makes text of a message's content, of a list too, "" where there is none."""
    for node in template.all_nodes:
        named = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name)
        if named and any(content_reader(each) == binding.name for each in walk(node)):
            return template.text(node)
    return ""


def _taken_apart(
    template: Template, binding: Binding, tags: Tags, field: str, switch: str, shown: str, *, begun: bool
) -> Edit:
    """Return the edit that splits the content at its reasoning tags where the message is bound.

    ``shown`` is what makes text of it, "" where only texts are split. ``begun`` asks for content that begins with the
    opening tag; otherwise that may have been in the prompt.
    """
    content, opening, closing = binding.access("content"), literal(tags.open), literal(tags.close)
    turn = f"{binding.access('role')} == 'assistant' and {content}{'' if shown else ' is string'}"
    content = shown or content
    start = f" and {content}.strip().startswith({opening})" if begun else ""
    test = f"{switch} and {turn}{start} and {closing} in {content}"
    reasoning = f"{content}.split({closing})[0].split({opening})[-1].strip()"
    if begun:
        reasoning = f"({content}.split({closing})[0].split({opening})[1:] | join({opening})).strip()"
    answer = f"({content}.split({closing})[1:] | join({closing})).lstrip()"
    return rebind(template, binding, test, with_keys(template, binding, **{field: reasoning, "content": answer}))
