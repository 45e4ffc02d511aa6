"""A system text is dropped.

## What
A conversation has a message of the role `system`, at its beginning or further on, and the template prints all other
texts and not this one. A template that refuses it with `raise_exception` is no finding.

## Why
The rules that an answer follows are missing in front of it: the model is trained to do as nobody asked, and in use it
is never told what it should do. Nothing says so.

## Example
`{% if messages[0].role == 'system' %}{% set messages = messages[1:] %}{% endif %}`, and the text is printed nowhere;
or every message but the first is taken for the user's or the assistant's alone.

## Fix
Let the template print it, or refuse it with `raise_exception`. `patch` prints it where a system text that the template
does print, the first one or its own default, is a turn by itself: that tells the form. Until then, put the text in
front of the user's first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from template_fix.contract.examination import Observation
from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Failure
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.repair.trials import find_drops
from template_fix.results import Level
from template_fix.text.edits import Span

CODE = "TF214"
LEVEL = Level.ERROR
SUMMARY = "a system text is dropped"
PATCH_WITH = ""
IN_SOME_ROWS = True

_FIX = "let the template print it, or put it into a user's message"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for the first kind of conversation in which a system text alone isn't printed."""
    first, later, both = (study.asked(shape) for shape in ("sua", "uasua", "suasua"))
    kinds = (
        (first, "a system text at the beginning is dropped", None),
        (replace(first, offered=True), "a system text is dropped where tools are given", None),
        (later, "a system text in the middle of a conversation is dropped", Level.WARNING),
        (both, "of several system texts not all are printed", Level.WARNING),
    )
    for asked, message, level in kinds:
        if _dropped(study, asked):
            seen = places.observed(asked, str(study.examined.text(asked)))
            evidence = study.evidence(seen, seen.lost[0].message, seen.lost)
            yield Found(message, _place(study, seen), (evidence,), _FIX, level)
            return


def _place(study: Study, seen: Observation) -> Span | None:
    """Return the test that passes a system text over, else the first expression that it goes into and doesn't leave."""
    flipped = places.test(study, seen.probe, lambda text: True)
    if flipped or study.trace is None or not study.blames:
        return flipped
    drops = find_drops(study.trace, seen.probe, seen.lost[0])
    return study.trace.values[drops[0][0]].span if drops else None


def _dropped(study: Study, asked: Probe) -> bool:
    """Whether a system text is all that isn't printed of a conversation."""
    text = study.examined.text(asked)
    return isinstance(text, str) and {part.kind for part in places.observed(asked, text).lost} == {"system"}


def why_not(study: Study) -> str:
    """Return why nothing can be said of system texts, "" where it can, or the template refuses them in words."""
    asked = study.asked("sua")
    text = study.examined.text(asked)
    if isinstance(text, Failure):
        return "" if text.raised else "every conversation with a system text fails"
    others = {part.kind for part in places.observed(asked, text).lost} - {"system"}
    return "beside a system text, other texts aren't printed either" if others else ""
