"""A turn that isn't ended before a question: it is owed its end, as it has one where an empty answer stands between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.examination import Rendering, generation_header
from template_fix.contract.mended import Owed
from template_fix.contract.placing import locate
from template_fix.contract.turn_ends import TurnEnds, parts_around_texts, turn_ends
from template_fix.conversations.probe import Part, Probe
from template_fix.jinja.renderer import Failure, Message
from template_fix.repair.mends import Mend
from template_fix.repair.message_reads import access, enclosing_loops, first_output
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import literal, tag_in_front
from template_fix.repair.study import Study
from template_fix.text.edits import Span

_SHAPES = ("uctu", "uctua", "suctua", "uctctua", "uctuctua", "uctuuctaua", "uvtua", "uctau")
_FORMS = (("", False), (None, False), (None, True))
_WHY = "A turn that a question follows ends as other turns do; nothing else is printed differently."


class _Gap(NamedTuple):
    """What is to be printed between two messages, and where in the text."""

    at: int
    text: str


def _probes(study: Study) -> Iterator[Probe]:
    for shape in _SHAPES:
        for empty, legacy in _FORMS:
            yield study.asked(shape, empty=empty, legacy=legacy)
    yield _without_call(study.asked("uctua"))


def _without_call(called: Probe) -> Probe:
    """Return a conversation without its call, so that a result follows the first question."""
    parts = (part for part in called.parts if part.message != 1)
    return replace(
        called,
        shape="utua",
        messages=(called.messages[0], *called.messages[2:]),
        parts=tuple(part._replace(message=part.message - (part.message > 1)) for part in parts),
        cuts=(1, 2, 3),
        ordinary=False,
        special="a result without its call",
    )


def _owed(study: Study) -> Owed:
    ends = turn_ends(study.examined)

    def owed(each: Rendering, old: str | Failure) -> tuple[str, ...]:
        text = old
        for message in reversed(range(1, each.upto)):
            gap = _gap(study, ends, each, text, message) if ends and ends.between and isinstance(text, str) else None
            if gap and isinstance(text, str):
                text = f"{text[: gap.at]}{gap.text}{text[gap.at :]}"
        return (text,) if isinstance(text, str) and text != old else ()

    return owed


def _gap(study: Study, ends: TurnEnds, each: Rendering, text: str, message: int) -> _Gap | None:
    """Return what is missing in front of a question, None where it is none, or what stands before it is ended."""
    messages = each.probe.messages
    if messages[message]["role"] != "user" or messages[message - 1]["role"] != "tool":
        return None
    parts = [part for part in each.probe.parts if part.message < each.upto]
    between = _between(parts, text, message)
    header = _header(study, ends)
    if between is None or ends.within(between.of(text)) or not header or not between.of(text).endswith(header):
        return None
    at = between.end - len(header)
    closing = _closing(study, ends, each, message)
    return _Gap(at, closing) if closing else None


def _closing(study: Study, ends: TurnEnds, each: Rendering, message: int) -> str:
    """Return what ends a turn behind a result: what an empty answer adds there, unless that begins another turn."""
    shown = each.probe.messages
    usual = _tail(study, ends)
    parts = [part for part in each.probe.parts if part.message <= message]
    empty: Message = {"role": "assistant", "content": ""}
    with_empty = [*shown[:message], empty, *shown[message : message + 1]]
    told = [_printed(study, each, given) for given in (shown[: message + 1], with_empty)]
    found = [(text, _between(parts, text, message)) for text in told if isinstance(text, str)]
    was, now = [span.of(text) for text, span in found if span] if len(found) == len(told) else ("", "")
    header = _header(study, ends)
    front = was.removesuffix(header)
    if not (now.startswith(front) and now.endswith(header) and len(now) > len(was)):
        return usual
    added = now[len(front) : len(now) - len(header)]
    begun = generation_header(study.examined, each.probe, message)
    return added if ends.between in added and not (begun and begun in added) else usual


def _printed(study: Study, each: Rendering, messages: Sequence[Message]) -> str | Failure:
    return study.examined.renderer(messages, each.probe.tools, **study.examined.set_for(each.probe))


def _between(parts: Sequence[Part], text: str, message: int) -> Span | None:
    """Return where what stands between a message's text and all texts before it is."""
    placed = [(part, span) for part, span in zip(parts, locate(parts, text), strict=True) if span]
    before = [span.end for part, span in placed if part.message < message]
    own = [span.start for part, span in placed if part.message == message]
    return Span(max(before), min(own)) if before and own and max(before) <= min(own) else None


def _tail(study: Study, ends: TurnEnds) -> str:
    """Return the end of a turn with the white space behind it, as it stands between an answer and a question."""
    between = (parts_around_texts(study.examined, "uaua") or ["", "", ""])[2]
    behind = between.partition(ends.between)[2]
    return ends.between + behind[: len(behind) - len(behind.lstrip())]


def _header(study: Study, ends: TurnEnds) -> str:
    """Return what a question begins with where the turn before it is ended."""
    between = (parts_around_texts(study.examined, "uaua") or ["", "", ""])[2]
    return between.partition(ends.between)[2].lstrip()


def _proposals(study: Study, owed: Owed) -> Iterator[Proposal]:
    ends = turn_ends(study.examined)
    asked, closing = _shown(study, ends) if ends and ends.between else (None, "")
    if asked is None or study.trace is None or ends is None:
        return
    site = first_output(study.trace, asked, asked.shape.index("tu") + 1)
    loops = list(enclosing_loops(study.template, site.span)) if site else []
    loops = [loop for loop in loops if isinstance(loop.target, nodes.Name)]
    if site is None or not loops:
        return
    title = f"print {ends.between} in front of a question that follows a tool result"
    for test, tags in _guarded(study, loops[-1], f"{{{{- {literal(closing)} }}}}"):
        edit = tag_in_front(study.template, site.span.start, (test, tags), kind="variable_begin")
        yield Proposal("TF209", "mend", title, _WHY, edit.span, (edit,))


def _guarded(study: Study, loop: nodes.For, printed: str) -> Iterator[tuple[str, str]]:
    """Yield tests and tags, short ones first, that print something in a loop over messages behind a tool result.

    The last ones do where nothing was said beside the call: a turn that says something behind a result may be ended.
    """
    name = loop.target.name if isinstance(loop.target, nodes.Name) else ""
    role = access(study.template, name, "role")
    behind = "not loop.first and loop.previtem" + role.removeprefix(name) + " == 'tool'"
    messages = study.template.text(loop.iter)
    shown = messages if isinstance(loop.iter, nodes.Name) else f"({messages})"
    last = f"({shown}[:loop.index0] | selectattr('role', 'equalto', 'assistant') | list)[-1:]"
    content = access(study.template, name, "content").removeprefix(name)
    silent = (
        f"{{%- for called in {last} %}}\n    {{%- if not called{content} %}}\n        {printed}\n"
        "    {%- endif %}\n{%- endfor %}"
    )
    for tags in (printed, silent):
        for test in (behind, f"{behind} and {role} == 'user'"):
            yield test, tags


def _shown(study: Study, ends: TurnEnds | None) -> tuple[Probe | None, str]:
    """Return a conversation in which a turn isn't ended before a question, and what it lacks."""
    for asked in study.examined.probes.values():
        whole = Rendering(asked, len(asked.messages))
        text = whole.text(study.examined)
        at = asked.shape.find("tu") + 1
        gap = _gap(study, ends, whole, text, at) if ends and at and isinstance(text, str) and not asked.flags else None
        if gap:
            return asked, gap.text
    return None, ""


MEND = Mend(_probes, _owed, _proposals)
