"""Reasoning of earlier turns, printed in front of their answers as it is when the turn stands last.

Some families print the last turn in a branch of its own, with an end of text that no earlier turn may have: then no
gate can be opened, and the branch for earlier turns has to learn what the other one prints.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import Examination, Observation
from template_fix.conversations.probe import Part
from template_fix.repair.message_reads import access, enclosing_loops, first_output, leftmost
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.splice import literal, put_expression
from template_fix.text.edits import Edit, common_prefix


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edit that prints a turn's reasoning field in front of what is printed first of an earlier turn."""
    fields = basis.fields
    lost = [
        (seen, part)
        for seen in basis.examined
        if seen.probe.form == "reasoning_content" and not seen.probe.varied and seen.text is not None
        for part in seen.lost
        if part.kind == "reasoning" and seen.probe.shape[part.message] == "r"
    ]
    if not fields or not lost:
        return
    for edit in dict.fromkeys(edit for seen, part in lost for edit in _led(basis, seen, part, fields[0])):
        yield Proposal(
            "TF202",
            "experiment",
            f"print {fields[0]} of earlier turns as of the last one",
            "The branch for earlier turns prints no reasoning; the one for the last turn ends the text, too.",
            edit.span,
            (edit,),
        )


def _led(basis: Basis, seen: Observation, part: Part, field: str) -> Iterator[Edit]:
    template, around = basis.template, _around(basis.examined, seen, part)
    site = first_output(basis.trace, seen.probe, part.message, len(seen.probe.messages)) if around else None
    loops = list(enclosing_loops(template, site.span)) if site else []
    if around and site and loops and isinstance(loops[0].target, nodes.Name):
        span, read = leftmost(template, site), access(template, loops[0].target.name, field)
        before, behind, text = literal(around[0]), literal(around[1]), span.of(template.source)
        yield put_expression(span, f"{before} ~ {read} ~ {behind} ~ {text} if {basis.switch} and {read} else {text}")


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
