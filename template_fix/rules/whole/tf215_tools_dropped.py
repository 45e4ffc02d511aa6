"""Declared tools, tool calls or tool results are dropped.

## What
The template prints a part of what belongs to tools, and drops another: it declares them and prints no call, prints
calls and declares no tools, or prints calls and no results. It doesn't refuse them either. That it prints results as
any other message and knows nothing else of tools is no finding; that it leaves them out, with the calls, is a note.

## Why
Rows are trained without the calls that the model should learn, or with calls of tools that nothing tells of. Nothing
says so.

## Example
`{{ message.content }}` is all that is printed of an assistant's message, though the system text declares the tools.

## Fix
Let the template print what is missing. Until then, write it into the contents: the calls as the declaration asks for,
the declarations into the system text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Failure
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level
from template_fix.tokens.reasoning_tokens import listed

CODE = "TF215"
LEVEL = Level.WARNING
SUMMARY = "declared tools, tool calls or tool results are dropped"

_DECLARED = "Look a word up."


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for what of tools is never printed, where the template prints the rest of them, or no result."""
    called = [each for each in _called(study) if isinstance(study.examined.text(each), str)]
    asked, system = (replace(study.asked(shape), offered=True) for shape in ("ua", "sua"))
    declared = [_declares(study, each) for each in (asked, system, *called)]
    if not called or not study.prints(replace(asked, offered=False)):
        return
    calls, results = (any(study.prints(each, kind) for each in called) for kind in ("call", "result"))
    if calls and not any(declared[:1] + declared[2:]) and isinstance(study.examined.text(asked), str):
        evidence = Evidence(asked.describe(), "", str(study.examined.text(asked)))
        where = " without a system text" if declared[1] else ""
        yield Found(f"tool calls are printed, and tools aren't declared{where}", None, (evidence,), _FIX_TOOLS)
    dropped = [kind for kind, printed in (("call", calls), ("result", results)) if not printed]
    if dropped and (calls or any(declared) or not results):
        seen = places.observed(called[0], str(study.examined.text(called[0])))
        lost = [part for part in seen.lost if part.kind == dropped[0]]
        message = f"{listed([f'tool {kind}s' for kind in dropped])} are dropped"
        message += ", though tools are declared" if any(declared) else ""
        level = None if calls or any(declared) else Level.NOTE
        yield Found(message, None, (study.evidence(seen, lost[0].message, lost),), _FIX_CALLS, level)


_FIX_TOOLS = "let the template print the tools that it is given, or put them into the system text"
_FIX_CALLS = "let the template print them, or write them into the contents"


def _called(study: Study) -> Iterator[Probe]:
    """Yield conversations with a call and its result, in all forms that a call has."""
    for shape, empty, legacy in (("uvta", "", False), ("ucta", "", False), ("ucta", None, False), ("ucta", None, True)):
        yield study.asked(shape, empty=empty, legacy=legacy)


def _declares(study: Study, asked: Probe) -> bool:
    """Whether tools are declared: by what describes them, and where none is called, by name as well."""
    text = study.examined.text(asked)
    return isinstance(text, str) and (_DECLARED in text or (asked.offered and "look_up" in text))


def why_not(study: Study) -> str:
    """Return why nothing can be said of tools, "" where it can, or the template refuses calls in its own words."""
    texts = [study.examined.text(each) for each in _called(study)]
    if all(isinstance(text, Failure) for text in texts):
        refused = all(isinstance(text, Failure) and text.raised for text in texts)
        return "" if refused else "every conversation with tool calls fails"
    return "" if study.prints(study.asked("ua")) else "a question and its answer aren't both printed"
