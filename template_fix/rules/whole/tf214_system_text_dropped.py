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
Let the template print it, or refuse it with `raise_exception`; `patch` prints those further on where the first one
tells in which form. Until then, put the text in front of the user's first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from template_fix.conversations.probe import Probe, probe
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.results import Level

CODE = "TF214"
LEVEL = Level.ERROR
SUMMARY = "a system text is dropped"
PATCH_WITH = ""
IN_SOME_ROWS = True

_FIX = "let the template print it, or put it into a user's message"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for the first kind of conversation in which a system text alone isn't printed."""
    first, later, both = (probe(shape, study.tags, "plain") for shape in ("sua", "uasua", "suasua"))
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
            yield Found(message, None, (evidence,), _FIX, level)
            return


def _dropped(study: Study, asked: Probe) -> bool:
    """Whether a system text is all that isn't printed of a conversation."""
    text = study.examined.text(asked)
    return isinstance(text, str) and {part.kind for part in places.observed(asked, text).lost} == {"system"}
