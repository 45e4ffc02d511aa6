"""System texts that are dropped: they are owed a turn of their own, in the form that the template prints one in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.examination import Rendering
from template_fix.contract.mended import Owed
from template_fix.contract.placing import locate
from template_fix.contract.turn_ends import MARK, parts_around_texts, turn_ends
from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Failure
from template_fix.repair.mends import Mend
from template_fix.repair.message_reads import access
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import literal, tag_behind, tag_in_front
from template_fix.repair.study import Study

_SHAPES = ("sua", "suaua", "uasua", "suasua", "uas", "uasu", "usua", "uctasua", "suasuasua")
_ASKED = "And then?"
_TITLE = "print system texts that are dropped as turns of their own"
# How roles are spelled in headers.
_ROLES = (("user", "system"), ("User", "System"), ("USER", "SYSTEM"))
_WHY = "A system text that was dropped is a turn of its own, as the template prints one; all else is printed as before."


class _Frame(NamedTuple):
    """What stands in front of a system text, and behind it; ``header`` begins a question, ``end`` ends turns."""

    front: str
    behind: str
    header: str
    end: str


def _frame(study: Study) -> _Frame | None:
    """Return the form of a system text, None unless the template prints one somewhere that is a turn by itself."""
    ends = turn_ends(study.examined)
    plain, more = (parts_around_texts(study.examined, shape) for shape in ("ua", "uaua"))
    begun = more and (more[2].partition(ends.between)[2].lstrip() if ends and ends.between else _from_mark(more[2]))
    if ends is None or not plain or not more or not begun or not plain[0].endswith(begun):
        return None
    bos = str(study.variables.get("bos_token", ""))
    default, first = plain[0].removeprefix(bos).removesuffix(begun), parts_around_texts(study.examined, "sua")
    front = first[0].removeprefix(bos) if first else ""
    # Where questions aren't ended, a system text isn't, either.
    end = ends.between if ends.between in more[1] else ""
    found = _first(front, first[1], default, begun, end) if first else _default(default, begun, ends.between)
    return _Frame(*found, begun, ends.between) if found else None


def _from_mark(text: str) -> str:
    mark = MARK.search(text)
    return text[mark.start() :] if mark else ""


def _first(front: str, behind: str, default: str, header: str, end: str) -> tuple[str, str] | None:
    """Return what stands around the first system text, of what stands in front of it and up to the question's.

    It is that of a question with another role, or all that a system text brings, or what the default is put between.
    """
    if not behind.endswith(header):
        return None
    behind = behind.removesuffix(header)
    if not (MARK.search(behind) or not (end or behind.strip())):
        return None
    like_a_question = next((each for each in _as_system(header) if front.endswith(each)), "")
    if like_a_question and behind.strip() == end:
        return like_a_question, behind
    if front.startswith(default):
        front = front[len(default) :]
        return (front, behind) if MARK.match(front) else None
    begin, opened = MARK.match(header), [each.start() for each in MARK.finditer(front)]
    own = [at for at in opened if begin and front.startswith(begin.group(), at)]
    front = front[(own or opened)[-1] :] if opened else ""
    return (front, behind) if front and "\n" not in front.strip() else None


def _default(default: str, header: str, end: str) -> tuple[str, str] | None:
    """Return what stands around the template's own system text, where it is like a question with another role."""
    for front in _as_system(header) if end else ():
        said, _, behind = default.partition(front)[2].partition(end)
        if said.strip() and not behind.strip():
            return front, end + behind
    return None


def _as_system(header: str) -> Iterator[str]:
    return (header.replace(user, system) for user, system in _ROLES if user in header)


def _probes(study: Study) -> Iterator[Probe]:
    for shape in _SHAPES:
        yield study.asked(shape)


def _owed(study: Study) -> Owed:
    frame = _frame(study)

    def owed(each: Rendering, old: str | Failure) -> tuple[str, ...]:
        if frame is None or isinstance(old, Failure):
            return ()
        # All of them, or the first by itself, where no loop gets to see the others.
        texts = [_with_system_texts(study, each, frame, old, upto) for upto in (each.upto, 1)]
        return tuple(text for text in dict.fromkeys(texts) if text != old)

    return owed


def _with_system_texts(study: Study, each: Rendering, frame: _Frame, text: str, upto: int) -> str:
    """Return a text with the system texts of the first messages in their places."""
    for message in reversed(range(upto)):
        if each.probe.messages[message]["role"] == "system":
            text = _with_system_text(study, each, frame, text, message)
    return text


def _with_system_text(study: Study, each: Rendering, frame: _Frame, text: str, message: int) -> str:
    """Return a text with the system text of a message in its place, if it isn't there."""
    said = each.probe.messages[message]["content"]
    at = _place(study, each, frame, text, message) if isinstance(said, str) and said not in text else -1
    return f"{text[:at]}{frame.front}{said}{frame.behind}{text[at:]}" if at >= 0 else text


def _place(study: Study, each: Rendering, frame: _Frame, text: str, message: int) -> int:
    """Return where a system text belongs, -1 where that can't be told.

    That is in front of the question that follows, behind the end of the turn before, or where a question would begin.
    """
    parts = [part for part in each.probe.parts if part.message < each.upto]
    placed = [(part.message, span) for part, span in zip(parts, locate(parts, text), strict=True) if span]
    before = max((span.end for number, span in placed if number < message), default=0)
    ahead = min((span.start for number, span in placed if number > message), default=len(text))
    if message + 1 < each.upto and each.probe.messages[message + 1]["role"] == "user":
        return ahead - len(frame.header) if text[before:ahead].endswith(frame.header) else -1
    if frame.end and frame.end in text[before:]:
        return len(text) - len(text[before:].partition(frame.end)[2].lstrip())
    asked = [*each.probe.messages[:message], {"role": "user", "content": _ASKED}]
    told = study.examined.renderer(asked, each.probe.tools, **study.examined.set_for(each.probe))
    front = told.partition(frame.header + _ASKED)[0] if isinstance(told, str) else None
    return len(front) if front and text.startswith(front) else -1


def _proposals(study: Study, owed: Owed) -> Iterator[Proposal]:
    frame = _frame(study)
    if frame is None:
        return
    for loop in study.template.all_nodes:
        if not isinstance(loop, nodes.For) or not isinstance(loop.target, nodes.Name):
            continue
        head = study.template.span(loop.test or loop.iter)
        if head is None:
            continue
        role, content = (access(study.template, loop.target.name, key) for key in ("role", "content"))
        tag = f"{{{{- {literal(frame.front)} ~ {content} ~ {literal(frame.behind)} }}}}"
        for where in ("", " and not loop.first", " and loop.first"):
            test = f"{role} == 'system' and {content} is string{where}"
            edit = tag_behind(study.template, head.end, (test, tag))
            yield Proposal("TF214", "mend", _TITLE, _WHY, edit.span, (edit,))
    yield from _in_front(study, frame)


def _in_front(study: Study, frame: _Frame) -> Iterator[Proposal]:
    """Yield edits that print the first system text in front of a loop, which may be over all other messages."""
    test = "messages and messages[0].role == 'system' and messages[0].content is string"
    tag = f"{{{{- {literal(frame.front)} ~ messages[0].content ~ {literal(frame.behind)} }}}}"
    for loop in study.template.tree.body:
        span = study.template.span(loop) if isinstance(loop, nodes.For) else None
        if span:
            edit = tag_in_front(study.template, span.start + 1, (test, tag))
            yield Proposal("TF214", "mend", _TITLE, _WHY, edit.span, (edit,))


_UNKNOWN = "nothing that the template prints tells in which form the model knows a system text there"
MEND = Mend(_probes, _owed, _proposals, unknown=_UNKNOWN)
