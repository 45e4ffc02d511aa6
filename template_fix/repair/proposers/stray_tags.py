"""Tags that a template prints around every turn, left out where the content brings its own, and tags that it lacks.

Some families print a closing tag in front of each answer, as the sign that it wasn't reasoned about. Once the reasoning
inside of content is kept, that tag would stand in front of the block. Others print reasoning in a field bare, since the
generation prompt has the opening tag, or the content brings both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.examination import Observation
from template_fix.conversations.tags import Tags
from template_fix.jinja.queries import walk
from template_fix.jinja.templates import Template, lex
from template_fix.repair.message_reads import content_reader, other_key
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.splice import literal, put_expression
from template_fix.text.edits import Edit, Span


class _Printed(NamedTuple):
    """Text with reasoning tags that a template prints in front of a turn: where it stands, and as a string literal.

    ``content`` is the expression that reads the content of the turn's message. ``bare`` is text of the template itself.
    """

    at: Span
    whole: str
    content: str
    bare: bool

    def edit(self, text: str) -> Edit:
        """Return the edit that prints what an expression gives in its place."""
        return Edit(self.at, f"{{{{ {text} }}}}") if self.bare else put_expression(self.at, text)

    def beside_content(self, without: str, tag: str, switch: str) -> Edit:
        """Return the edit that prints another literal in turns whose content brings a tag."""
        return self.edit(self.without(without, tag, switch))

    def without(self, without: str, tag: str, switch: str) -> str:
        """Return the expression of another literal in turns whose content brings a tag, and of this one in others."""
        return f"{without} if {switch} and '{tag}' in ({self.content} or '') else {self.whole}"


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that leave tags out where there are too many, and those that add them where there are none."""
    yield from _omitted(basis)
    yield from _added(basis)


def _omitted(basis: Basis) -> Iterator[Proposal]:
    """Yield, for each text that prints a reasoning tag in a loop over messages, its omission beside such content."""
    tags, switch = basis.tags, basis.switch
    if not tags.paired or not any(seen.breaks("printed", "well-formed") for seen in basis.examined):
        return
    found = list(_printed(basis.template, tags))
    for printed in found:
        yield from _left_out(printed, tags, switch)
    blocks = [printed for printed in found if _empty_block(printed.whole, tags)]
    for block in blocks:
        yield _filled(block, tags, switch, block.whole)
        yield _filled(block, tags, switch, block.without("".join(_around_block(block.whole, tags)), tags.open, switch))
    # A lone closing tag in the content may be one that the answer speaks of.
    for tag in (tags.close, tags.open) if blocks else ():
        yield Proposal(
            "TF207",
            "stray tag",
            "leave the empty block out where the content brings its own",
            "An empty block is printed in front of the turn, whatever the content holds.",
            blocks[0].at,
            tuple(block.beside_content("".join(_around_block(block.whole, tags)), tag, switch) for block in blocks),
        )


def _left_out(printed: _Printed, tags: Tags, switch: str) -> Iterator[Proposal]:
    for tag in (tags.open, tags.close):
        without = printed.whole.replace(tag, "")
        if printed.whole.count(tag) == 1 and tags.open not in without:
            yield Proposal(
                "TF207",
                "stray tag",
                f"leave {tag} out where the content brings its own tags",
                f"{tag} is printed in front of the turn, whatever the content holds.",
                printed.at,
                (printed.beside_content(without, tags.close, switch),),
            )


def _around_block(whole: str, tags: Tags) -> tuple[str, str]:
    front, _, rest = whole.partition(tags.open)
    return front, rest.partition(tags.close)[2]


def _empty_block(whole: str, tags: Tags) -> bool:
    """Whether a literal prints an opening tag and the closing one with nothing but whitespace between them."""
    _, found, behind = whole.replace("\\n", "\n").partition(tags.open)
    return bool(found) and behind.lstrip().startswith(tags.close)


def _filled(printed: _Printed, tags: Tags, switch: str, otherwise: str) -> Proposal:
    """Return the proposal that puts the reasoning field into a block that is printed empty, if there is one."""
    whole = printed.whole
    field = other_key(printed.content, "reasoning_content")
    front, back = _around_block(whole, tags)
    opening, closing = literal(tags.open + tags.lead)[1:-1], literal(tags.trail + tags.close)[1:-1]
    block = f"{front}{opening}{whole[-1]} ~ {field} ~ {whole[0]}{closing}{back}"
    return Proposal(
        "TF201",
        "empty block",
        "print the reasoning in the block that stands empty",
        "An empty block is printed in front of the turn, whether it has reasoning or not.",
        printed.at,
        (printed.edit(f"{block} if {switch} and {field} else {otherwise}"),),
    )


def _printed(template: Template, tags: Tags) -> Iterator[_Printed]:
    """Yield each text that is printed in a loop over messages: its string constants, and what of its own has tags."""
    texts = [token for token in lex(template.source) if token.kind == "data"]
    for loop in template.all_nodes:
        content, around = _content(template, loop), template.span(loop)
        if content and around:
            for node in _constants(loop):
                span = template.span(node)
                if span is not None:
                    yield _Printed(span, span.of(template.source), content, bare=False)
            for token in texts:
                tagged = _tagged(token.text, tags)
                if tagged and around.start <= token.start < around.end:
                    at = Span(token.start + tagged.start(), token.start + tagged.end())
                    yield _Printed(at, literal(tagged.group()), content, bare=True)


def _tagged(text: str, tags: Tags) -> re.Match[str] | None:
    """Return the part of a text from its first reasoning tag to its last one."""
    tag = f"(?:{re.escape(tags.open)}|{re.escape(tags.close)})"
    return re.search(rf"{tag}(?:.*{tag})?", text, re.DOTALL)


def _constants(loop: nodes.Node) -> Iterator[nodes.Const]:
    printed = (each for output in loop.find_all(nodes.Output) for each in walk(output))
    return (each for each in printed if isinstance(each, nodes.Const) and isinstance(each.value, str))


def _content(template: Template, loop: nodes.Node) -> str:
    """Return the expression that reads the content of the message that a loop is about, "" where it reads none."""
    for node in walk(loop) if isinstance(loop, nodes.For) and isinstance(loop.target, nodes.Name) else ():
        if not isinstance(node, nodes.Call) and content_reader(node):
            return template.text(node)
    return ""


def _added(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that put the tags that are missing around what prints a field."""
    tags, source = basis.tags, basis.template.source
    found = (each for each in basis.examined if each.probe.shape == "ur" and each.probe.form in basis.fields)
    seen = next((each for each in found if each.breaks("well-formed") and not (each.lost or each.probe.flags)), None)
    missing = _lacking(seen, tags) if seen else ("", "")
    if seen is None or not any(missing):
        return
    thought = next(part for part in seen.probe.parts if part.kind == "reasoning")
    for number, text in basis.trace.record(seen.probe).outputs:
        if thought.text in text:
            site = basis.trace.outputs[number]
            front, behind = (literal(each) if each else "" for each in missing)
            printed = site.span.of(source)
            inner = f"({printed})" if isinstance(site.node, nodes.CondExpr) else printed
            whole = " ~ ".join(filter(None, (front, inner, behind)))
            yield Proposal(
                "TF207",
                "missing tag",
                f"print {' and '.join(filter(None, (front and tags.open.strip(), behind and tags.close.strip())))}"
                " around reasoning in a field, too",
                "Reasoning in a field is printed without the tags that delimit it.",
                site.span,
                (put_expression(site.span, f"{whole} if {basis.switch} else {printed}"),),
            )


def _lacking(seen: Observation, tags: Tags) -> tuple[str, str]:
    """Return what has to stand in front of the reasoning of a turn, and behind it, and doesn't."""
    spans: dict[str, Span] = {part.kind: span for part, span in seen.placed}
    text, thought = seen.text or "", spans["reasoning"]
    before, behind = text[spans["question"].end : thought.start], text[thought.end : spans["answer"].start]
    front = "" if tags.open.strip() in before else tags.open + tags.lead
    return front, "" if tags.closes(behind.lstrip()) else tags.trail + tags.close + tags.gap
