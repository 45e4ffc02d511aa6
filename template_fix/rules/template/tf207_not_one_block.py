"""Reasoning is printed, but not in one block of its own.

## What
The reasoning is there, with doubled tags, a stray closing tag in front of it, no tag at all, printed twice, or behind
the tool calls that it led to; or the same reasoning comes out differently from a field and from inside of content.

## Why
The model learns a format that no prompt asks for and no parser reads.

## Example
A template that prints `<think>` before every turn, and content that brings its own: `<think>\\n<think>\\n…`.

## Fix
`template-fix patch` where an edit provably can; otherwise bring reasoning in the form that the template prints well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from template_fix.contract.examination import Observation
from template_fix.conversations.battery import LONE_CLOSING_TAG
from template_fix.repair.study import Found, Study
from template_fix.results import Level

CODE = "TF207"
LEVEL = Level.ERROR
SUMMARY = "reasoning is printed, but not in one block of its own"
PATCH_WITH = ""

_MESSAGES = {
    "well-formed": "reasoning isn't printed in one block of its own",
    "in order": "reasoning is printed behind the tool calls that it led to",
    "once": "a text of the turn is printed more than once",
    "alike": "reasoning from a field is printed differently from the same reasoning inside of content",
}


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for each way in which printed reasoning isn't in a block of its own."""
    reported: set[str] = set()
    for seen in study.owed() if study.reasoning else ():
        if seen.lost or seen.probe.shape in LONE_CLOSING_TAG:
            continue
        broken = {held.property for held in seen.breaks(*_MESSAGES)}
        for held in seen.breaks(*_MESSAGES):
            # What isn't in a block of its own is printed differently from what is: that is one fault.
            if held.property not in reported and not (held.property == "alike" and "well-formed" in broken):
                reported.add(held.property)
                behind = held.property == "in order"
                evidence = study.evidence(seen, seen.probe.parts[held.of].message if behind else _turn(seen))
                if held.property == "well-formed":
                    evidence = replace(evidence, stray=_in_front(study, seen, evidence.printed))
                yield Found(_MESSAGES[held.property], study.change(seen), (evidence,), sought=True)


def _in_front(study: Study, seen: Observation, printed: str) -> tuple[str, ...]:
    """Return the tags, and what else stands between them and the reasoning, where the block isn't its own."""
    reasoning = next((part.text for part in seen.probe.parts if part.kind == "reasoning" and part.text in printed), "")
    front = printed.partition(reasoning)[0] if reasoning else ""
    _, tag, rest = front.partition(study.tags.open)
    return (tag + rest,) if tag else ()


def _turn(seen: Observation) -> int:
    return max((part.message for part in seen.probe.parts if part.kind in ("reasoning", "answer")), default=0)
