"""Reasoning of earlier turns, printed in front of their answers as it is when the turn stands last.

Some families print the last turn in a branch of its own, with an end of text that no earlier turn may have: then no
gate can be opened, and the branch for earlier turns has to learn what the other one prints.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import Examination, Observation, generation_header
from template_fix.conversations.probe import Part
from template_fix.repair.message_reads import access, enclosing_loops, first_output
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.turn_form import Form, behind_header, in_header, learn
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
    """Yield edits of what is printed first of the turn: in front of it, or behind the header that it begins with."""
    template, count = basis.template, len(seen.probe.messages)
    site = first_output(basis.trace, seen.probe, part.message, count)
    loops = list(enclosing_loops(template, site.span)) if site else []
    if site and loops and isinstance(loops[0].target, nodes.Name):
        read = access(template, loops[0].target.name, field)
        test, around = f"{basis.switch} and {read}", _around(basis.examined, seen, part)
        if around:
            yield in_header(template, site, "", Form(field, *around), read, test)
        elif form := learn(basis, seen, part.message, count).get("reasoning"):
            header = generation_header(basis.examined, seen.probe, part.message)
            yield in_header(template, site, header, form, read, test)
            yield from behind_header(basis, seen, part.message, [(test, form.output(read))], count)


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
