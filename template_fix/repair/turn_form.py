"""What a turn should read like, learned from where the template prints it well, and where in others it belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.examination import Examination, Observation, generation_header
from template_fix.conversations.probe import Probe
from template_fix.conversations.tags import MARKUP
from template_fix.jinja.templates import Template, lex
from template_fix.repair.message_reads import first_output, leftmost
from template_fix.repair.proposers import Basis
from template_fix.repair.splice import literal, put_expression, tag_behind
from template_fix.text.edits import Edit, Span, common_prefix
from template_fix.trace.recorder import Site


class Form(NamedTuple):
    """How one text of a turn is printed: the key of the message that it comes in, and what stands around it."""

    key: str
    front: str
    behind: str

    def whole(self, read: str) -> str:
        """Return the expression of all of it, given what reads the text."""
        front, behind = (literal(text) if text else "" for text in (self.front, self.behind))
        return " ~ ".join(filter(None, (front, read, behind)))

    def output(self, read: str) -> str:
        """Return the tag that prints all of it, given what reads the text."""
        return f"{{{{- {self.whole(read)} }}}}"


def learn(basis: Basis, seen: Observation, message: int, upto: int | None = None) -> dict[str, Form]:
    """Return how reasoning and answers are printed in turns without calls, by their kind, as far as they are.

    What such a turn has in common with the one that is looked at, its header and its end, is left out. With ``upto``,
    that one is looked at together with all that follows it in a conversation of so many messages.
    """
    examined, fields = basis.examined, basis.fields
    other, answered = _turn(examined, seen.probe, message, upto), _plainly(examined, "ua", "plain")
    reasoned = _plainly(examined, "ur", fields[0]) if fields else None
    if not other or not answered:
        return {}
    found = {"answer": Form("content", *_around(_turn(examined, answered, 1), answered.parts[-1].text, other))}
    if reasoned:
        (_, thought, answer), turn = reasoned.parts, _turn(examined, reasoned, 1)
        front, _ = _around(turn, thought.text, other)
        behind = turn.partition(thought.text)[2].partition(answer.text)[0].removesuffix(found["answer"].front)
        found = {"reasoning": Form(fields[0], front, behind), **found}
    return found


def behind_header(
    basis: Basis, seen: Observation, message: int, guarded: Sequence[tuple[str, str]], upto: int | None = None
) -> Iterator[Edit]:
    """Yield the edit that puts tags, each where a test holds, behind the header of a turn, where that is found.

    It is a literal that is printed by itself, or text of the template's own in front of what else is printed first.
    ``upto`` says of how many messages the conversation is in which the turn is looked for.
    """
    template, header = basis.template, generation_header(basis.examined, seen.probe, message)
    site = first_output(basis.trace, seen.probe, message, upto) if header else None
    if site is None:
        return
    if isinstance(site.node, nodes.Const) and str(site.node.value).strip() == header:
        yield tag_behind(template, site.span.end, *guarded, kind="variable_end")
        return
    data = [token for token in lex(template.source) if token.kind == "data" and token.end <= site.span.start]
    for token in reversed(data):
        at = token.text.rfind(header)
        if at >= 0:
            place, rest = token.start + at + len(header), token.text[at + len(header) :]
            if not template.source.startswith(("{{-", "{%-"), token.end):  # which would take the white space away
                place += len(rest) - len(rest.lstrip())
            tags = "".join(f"{{% if {test} %}}{tag}{{% endif %}}" for test, tag in guarded)
            yield Edit(Span(place, place), tags)
            return


def in_header(template: Template, site: Site, header: str, form: Form, read: str, test: str) -> Edit:
    """Return the edit that prints a text where a test holds in front of an output, behind the header it begins with."""
    span = leftmost(template, site)
    text = span.of(template.source)
    whole = f"{form.whole(read)} ~ {text}"
    if text[0] in "'\"" and header and text.count(header) == 1:
        front, back = text.split(header)
        blank = re.match(r"(?:\\n|\s)*", back)  # what ends the header stands in front of the block, as in the prompt
        front, back = (f"{front}{header}{blank.group()}", back[blank.end() :]) if blank else (front + header, back)
        opening, closing = literal(form.front)[1:-1], literal(form.behind)[1:-1]
        whole = f"{front}{opening}{text[-1]} ~ {read} ~ {text[0]}{closing}{back}"
    return put_expression(span, f"{whole} if {test} else {text}")


def _plainly(examined: Examination, shape: str, form: str) -> Probe | None:
    """Return a conversation without calls all of which is printed."""
    found = (seen for seen in examined if seen.probe.shape == shape and seen.probe.form == form and not seen.lost)
    return next((seen.probe for seen in found if seen.text and not (seen.probe.flags or seen.probe.text_lists)), None)


def _turn(examined: Examination, probe: Probe, message: int, upto: int | None = None) -> str:
    """Return what is printed of a message that stands last, and of all up to another, "" where that fails."""
    before, after = (examined.text(probe, end) for end in (message, upto or message + 1))
    return after[common_prefix(before, after) :] if isinstance(before, str) and isinstance(after, str) else ""


def _around(turn: str, text: str, other: str) -> tuple[str, str]:
    """Return what stands in front of a text and behind it, but for what another turn begins and ends with, too."""
    begin, end = _boundary(turn, other), len(turn) - _boundary(turn, other, backward=True)
    at = turn.index(text)
    return turn[min(begin, at) : at], turn[at + len(text) : max(end, at + len(text))]


def _boundary(one: str, other: str, *, backward: bool = False) -> int:
    """Return how much two texts have in common at their beginnings, or ends, without cutting a mark in two."""
    size = common_prefix(one[::-1], other[::-1]) if backward else common_prefix(one, other)
    for text in (one, other):
        for mark in MARKUP.finditer(text):
            start, end = (len(text) - mark.end(), len(text) - mark.start()) if backward else mark.span()
            if start < size < end:
                size = start
    return size
