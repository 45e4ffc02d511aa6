"""Reasoning of earlier turns, printed in front of their answers as it is when the turn stands last.

Some families print the last turn in a branch of its own, with an end of text that no earlier turn may have: then no
gate can be opened, and the branch for earlier turns has to learn what the other one prints.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import Examination, Observation
from template_fix.conversations.probe import Part
from template_fix.jinja.renderer import REASONING_FIELDS
from template_fix.jinja.templates import Template
from template_fix.repair.message_reads import access, enclosing_loops, first_output, leftmost
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import literal, replaced
from template_fix.text.edits import Edit, common_prefix
from template_fix.trace.recorder import Trace


def proposals(trace: Trace, examined: Examination, switch: str) -> Iterator[Proposal]:
    """Yield the edit that prints a turn's reasoning field in front of what is printed first of an earlier turn.

    ``switch`` is the test, in template syntax, that the edit is switched by.
    """
    fields = [name for name in REASONING_FIELDS if f"field {name} in transformers 4" not in examined.unsupported]
    lost = [
        (seen, part)
        for seen in examined
        if seen.probe.form == "reasoning_content" and not seen.probe.varied and seen.text is not None
        for part in seen.lost
        if part.kind == "reasoning" and seen.probe.shape[part.message] == "r"
    ]
    if not fields or not lost:
        return
    template = trace.template
    edits = dict.fromkeys(
        edit for seen, part in lost for edit in _led(template, trace, examined, seen, part, fields[0], switch)
    )
    for edit in edits:
        yield Proposal(
            "TF202",
            "experiment",
            f"print {fields[0]} of earlier turns as of the last one",
            "The branch for earlier turns prints no reasoning; the one for the last turn ends the text, too.",
            edit.span,
            (edit,),
        )


def _led(
    template: Template, trace: Trace, examined: Examination, seen: Observation, part: Part, field: str, switch: str
) -> Iterator[Edit]:
    around = _around(examined, seen, part)
    site = first_output(trace, examined, seen.probe, part.message, len(seen.probe.messages)) if around else None
    loops = list(enclosing_loops(template, site.span)) if site else []
    if around and site and loops and isinstance(loops[0].target, nodes.Name):
        span, name = leftmost(template, site), loops[0].target.name
        text = span.of(template.source)
        read = access(template, name, field)
        before, behind = around
        yield replaced(
            span, f"{literal(before)} ~ {read} ~ {literal(behind)} ~ {text} if {switch} and {read} else {text}"
        )


def _around(examined: Examination, seen: Observation, part: Part) -> tuple[str, str] | None:
    """Return what has to stand before and behind the reasoning, in front of what the earlier turn begins with.

    Found by holding the turn as it is printed last against the same turn as it is printed earlier: behind the reasoning
    comes, at last, what the earlier turn begins with.
    """
    last, shorter = examined.text(seen.probe, part.message + 1), examined.text(seen.probe, part.message)
    answer = next(each for each in seen.probe.parts if each.message == part.message and each.kind == "answer")
    if not isinstance(last, str) or not isinstance(shorter, str) or seen.text is None or part.text not in last:
        return None
    begin, at = common_prefix(shorter, seen.text), last.index(part.text)
    header = seen.text[begin : seen.text.find(answer.text)]
    behind = last[at + len(part.text) : last.find(answer.text, at)]
    if begin > at or not behind.endswith(header):
        return None
    return last[begin:at], behind[: len(behind) - len(header)]
