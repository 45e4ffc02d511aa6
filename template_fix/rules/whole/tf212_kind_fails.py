"""Every conversation of a kind fails.

## What
Conversations with tools, with a system text, or with contents as lists of text blocks all fail, in each form that was
tried, though others are printed. It is an error of the template, and not a refusal: one that says with
`raise_exception` what it doesn't take is none.

## Why
The template means to take these conversations, and has a mistake on the way. Whoever brings one sees an error of
Python and none of the template.

## Example
`{{ tools | map(attribute='function') | tojson }}`: *Object of type generator is not JSON serializable*.

## Fix
Mend the line that is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from template_fix.conversations.growth import with_bare_functions
from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Failure
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level
from template_fix.tokens.reasoning_tokens import listed

CODE = "TF212"
LEVEL = Level.WARNING
SUMMARY = "every conversation of a kind fails"


_WITH_TOOLS = ("with tools", "with tool calls")


class _Kind(NamedTuple):
    """Conversations of a kind, in all forms, with those beside them that have to be printed for it to be at fault."""

    name: str
    probes: Sequence[Probe]
    beside: Sequence[Probe]


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for each reason for which all conversations of a kind fail, though others are printed."""
    failed: dict[tuple[str, int], list[_Kind]] = {}
    for kind in _kinds(study):
        first = study.examined.text(kind.probes[0])
        beside = all(study.prints(each) for each in kind.beside)
        if isinstance(first, Failure) and beside and all(_fails(study, each) for each in kind.probes):
            failed.setdefault((first.reason, first.line), []).append(kind)
    for (reason, line), kinds in failed.items():
        otherwise = (
            any(study.prints(each) for each in with_bare_functions(study.tags))
            if kinds[0].name in _WITH_TOOLS
            else False
        )
        evidence = tuple(Evidence(kind.probes[0].describe(), printed=reason, labels=("in", "fails")) for kind in kinds)
        message = f"every conversation {listed([kind.name for kind in kinds], 'or')} fails: {reason}"
        fix = "bring tools and calls as bare functions, which it prints" if otherwise else None
        yield Found(message, places.line(study, line), evidence, fix, Level.NOTE if otherwise else None)


def _kinds(study: Study) -> Iterator[_Kind]:
    asked, system, again, beside, call = map(study.asked, ("ua", "sua", "uaua", "uvta", "ucta"))
    offered = replace(asked, offered=True)
    nulls = [study.asked("ucta", empty=None, legacy=legacy) for legacy in (False, True)]
    yield _Kind("with tools", [offered], [asked])
    yield _Kind("with tool calls", [beside, call, *nulls], [asked])
    yield _Kind("with a system text", [system], [asked])
    yield _Kind("without tools", [asked, system, again], [offered])
    lists = [study.asked(shape, text_lists=True) for shape in ("ua", "sua", "uvta", "ucta")]
    yield _Kind("with contents in lists and a system text", lists[1:2], [lists[0], system])
    yield _Kind("with contents in lists and tool calls", lists[2:], [lists[0], beside])


def why_not(study: Study) -> str:
    """Return which kinds fail of which nothing can be said, since what they are held against isn't printed, or "".

    That a template takes no lists at all is a form of its own.
    """
    untold = [
        kind.name
        for kind in _kinds(study)
        if any(not (each.text_lists or study.prints(each)) for each in kind.beside)
        and all(_fails(study, each) for each in kind.probes)
    ]
    return f"conversations {listed(untold, 'or')} fail, and nothing like them is printed" if untold else ""


def _fails(study: Study, asked: Probe) -> bool:
    text = study.examined.text(asked)
    return isinstance(text, Failure) and not text.raised
