"""Tags that a template prints around every turn, left out where the content brings its own.

Some families print a closing tag in front of each answer, as the sign that it wasn't reasoned about. Once the reasoning
inside of content is kept, that tag would stand in front of the block.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract import Examination
from template_fix.jinja import Template, walk
from template_fix.proposers import Proposal
from template_fix.proposers.messages import READ, Binding
from template_fix.proposers.splice import literal, replaced
from template_fix.tags import Tags
from template_fix.text import Edit, Span
from template_fix.trace import Trace


def proposals(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield, for each literal that prints a reasoning tag in a loop over messages, its omission beside such content.

    ``switch`` is the test, in template syntax, that the edits are switched by.
    """
    template, tags = trace.template, examined.tags
    if not tags.paired or not any(seen.breaks("printed", "well-formed") for seen in examined):
        return
    blocks: list[Edit] = []
    for node, content in _literals(template):
        span = template.span(node)
        if span is not None and isinstance(node.value, str):
            yield from _left_out(span, span.of(template.source), content, tags, switch)
            if _empty_block(node.value, tags):
                yield _filled(span, span.of(template.source), content, tags, switch)
                blocks.append(_without_block(span, span.of(template.source), content, tags, switch))
    if blocks:
        yield Proposal(
            "TF207",
            "stray tag",
            "leave the empty block out where the content brings its own",
            "An empty block is printed in front of the turn, whatever the content holds.",
            blocks[0].span,
            tuple(blocks),
        )


def _left_out(span: Span, whole: str, content: str, tags: Tags, switch: str) -> Iterator[Proposal]:
    for tag in (tags.open, tags.close):
        if whole.count(tag) == 1 and tags.open not in whole.replace(tag, "", 1):
            yield Proposal(
                "TF207",
                "stray tag",
                f"leave {tag} out where the content brings its own tags",
                f"{tag} is printed in front of the turn, whatever the content holds.",
                span,
                (_beside_content(span, whole, whole.replace(tag, ""), content, tags, switch),),
            )


def _beside_content(span: Span, whole: str, without: str, content: str, tags: Tags, switch: str) -> Edit:
    """Return the edit that prints a literal otherwise in turns whose content brings tags."""
    return replaced(span, f"{without} if {switch} and '{tags.close}' in ({content} or '') else {whole}")


def _without_block(span: Span, whole: str, content: str, tags: Tags, switch: str) -> Edit:
    front, _, rest = whole.partition(tags.open)
    _, _, back = rest.partition(tags.close)
    return _beside_content(span, whole, front + back, content, tags, switch)


def _empty_block(text: str, tags: Tags) -> bool:
    _, found, behind = text.partition(tags.open)
    return bool(found) and behind.lstrip().startswith(tags.close)


def _filled(span: Span, whole: str, content: str, tags: Tags, switch: str) -> Proposal:
    """Return the proposal that puts the reasoning field into a block that is printed empty."""
    field = Binding("", content, span).access("reasoning_content")
    front, _, rest = whole.partition(tags.open)
    _, _, back = rest.partition(tags.close)
    opening, closing = literal(tags.open + tags.lead)[1:-1], literal(tags.trail + tags.close)[1:-1]
    block = f"{front}{opening}{whole[-1]} ~ {field} ~ {whole[0]}{closing}{back}"
    return Proposal(
        "TF201",
        "empty block",
        "print the reasoning in the block that stands empty",
        "An empty block is printed in front of the turn, whether it has reasoning or not.",
        span,
        (replaced(span, f"{block} if {switch} and {field} else {whole}"),),
    )


def _literals(template: Template) -> Iterator[tuple[nodes.Const, str]]:
    """Yield each string constant that is printed in a loop over messages, with what reads the content there."""
    for loop in walk(template.tree):
        if isinstance(loop, nodes.For) and isinstance(loop.target, nodes.Name):
            content = _content(template, loop)
            if content:
                yield from ((each, content) for each in _printed(loop))


def _printed(loop: nodes.For) -> Iterator[nodes.Const]:
    for node in walk(loop):
        if isinstance(node, nodes.Output):
            for each in walk(node):
                if isinstance(each, nodes.Const) and isinstance(each.value, str):
                    yield each


def _content(template: Template, loop: nodes.For) -> str:
    """Return the expression that reads the content of the message that a loop is about, "" where it reads none."""
    for node in walk(loop):
        if isinstance(node, nodes.Getattr | nodes.Getitem) and READ.fullmatch(template.text(node)):
            return template.text(node)
    return ""
