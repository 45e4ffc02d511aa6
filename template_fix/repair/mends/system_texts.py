"""System texts further on that are dropped: they are owed the form of the first one, where that is like other turns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.mended import Owed, Rendering
from template_fix.contract.placing import end_of, locate
from template_fix.contract.turn_ends import parts_around_texts, turn_ends
from template_fix.conversations.probe import Probe, probe
from template_fix.jinja.renderer import Failure
from template_fix.repair.mends import Mend
from template_fix.repair.message_reads import access
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import literal, tag_behind
from template_fix.repair.study import Study

_SHAPES = ("uasua", "suasua", "uas", "uasu", "usua", "uctasua", "suasuasua")
# How roles are spelled in headers.
_ROLES = (("user", "system"), ("User", "System"), ("USER", "SYSTEM"))
_WHY = "A system text further on is printed as the first one is, which differs from a question by its role alone."


class _Frame(NamedTuple):
    """What stands in front of a system text, and behind it; ``end`` is what ends any turn."""

    front: str
    behind: str
    end: str


def _frame(study: Study) -> _Frame | None:
    """Return the form of a system text, None unless it is that of a question with another role."""
    ends = turn_ends(study.examined)
    first, asked = (parts_around_texts(study.examined, shape) for shape in ("sua", "uaua"))
    if ends is None or not ends.between or first is None or asked is None:
        return None
    header = asked[2].partition(ends.between)[2].lstrip()
    behind = first[1].removesuffix(header)
    if not header or not first[1].endswith(header) or behind.strip() != ends.between:
        return None
    for user, system in _ROLES:
        front = header.replace(user, system)
        if front != header and first[0].endswith(front):
            return _Frame(front, behind, ends.between)
    return None


def _probes(study: Study) -> Iterator[Probe]:
    for shape in _SHAPES:
        yield probe(shape, study.tags, "plain", arguments=study.arguments)


def _owed(study: Study) -> Owed:
    frame = _frame(study)

    def owed(each: Rendering, old: str | Failure) -> tuple[str, ...]:
        text = old
        for message in range(1, each.upto):
            if frame and isinstance(text, str) and each.probe.messages[message]["role"] == "system":
                text = _with_system_text(each, frame, text, message)
        return (text,) if isinstance(text, str) and text != old else ()

    return owed


def _with_system_text(each: Rendering, frame: _Frame, text: str, message: int) -> str:
    """Return a text with the system text of a message in its place, if it isn't there."""
    said = each.probe.messages[message]["content"]
    if not isinstance(said, str) or said in text:
        return text
    before = [part for part in each.probe.parts if part.message < message]
    behind = end_of(locate(before, text))
    at = text.find(frame.end, behind)
    if at < 0:
        return text
    rest = text[at + len(frame.end) :]
    at += len(frame.end) + len(rest) - len(rest.lstrip())
    return f"{text[:at]}{frame.front}{said}{frame.behind}{text[at:]}"


def _proposals(study: Study, owed: Owed) -> Iterator[Proposal]:
    frame = _frame(study)
    for loop in study.template.all_nodes if frame else ():
        head = study.template.span(loop.test or loop.iter) if isinstance(loop, nodes.For) else None
        if head is None or frame is None or not isinstance(loop, nodes.For) or not isinstance(loop.target, nodes.Name):
            continue
        role, content = (access(study.template, loop.target.name, key) for key in ("role", "content"))
        tag = f"{{{{- {literal(frame.front)} ~ {content} ~ {literal(frame.behind)} }}}}"
        for later in ("", " and not loop.first"):
            test = f"{role} == 'system' and {content} is string{later}"
            edit = tag_behind(study.template, head.end, (test, tag))
            yield Proposal("TF214", "mend", "print system texts further on as the first one", _WHY, edit.span, (edit,))


_UNKNOWN = "nothing that the template prints tells in which form the model knows a system text there"
MEND = Mend(_probes, _owed, _proposals, unknown=_UNKNOWN)
