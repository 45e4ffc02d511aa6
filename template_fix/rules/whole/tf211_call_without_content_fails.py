"""A tool call without content fails.

## What
A message that only calls a tool has no text: its `content` is empty, None, or not there at all. The template prints
such calls in one of these forms and fails on another.

## Why
Rows come in each of them, as OpenAI-like servers and data sets have it, and the formatting of a whole data set stops
at the first. transformers 5 takes `content: None` out of a message before a template sees it, so that what ran with
transformers 4 fails there, and the other way round.

## Example
`{{ message.content.split('</think>')[-1] }}` where the message has no `content`: *'dict object' has no attribute
'content'*.

## Fix
Let the template read `message.content or ''` (which is right for all three); `patch` does so. Until then, give each
call `"content": ""`.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Failure
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level
from template_fix.tokens.reasoning_tokens import listed

CODE = "TF211"
LEVEL = Level.WARNING
SUMMARY = "a tool call without content fails"
PATCH_WITH = ""

# The forms, with what passes them so: transformers 5 drops what is None, transformers 4 leaves it.
_FORMS = (
    ("is empty text", "", False),
    ("isn't there", None, False),
    ("is None", None, True),
)


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where calls without content fail in one form, and calls are printed in another."""
    tried = [(how, _call(study, empty, legacy)) for how, empty, legacy in _FORMS]
    if why_not(study):
        return
    failed = [
        (how, asked, text)
        for how, asked in tried
        if isinstance(text := study.examined.text(asked), Failure) and not text.raised
    ]
    if not failed:
        return
    evidence = tuple(Evidence(asked.describe(), printed=why.reason, labels=("in", "fails")) for _, asked, why in failed)
    where, first = listed([how for how, _, _ in failed], "or"), failed[0][2]
    # Who still has transformers 4 may meet it, all others don't.
    level = Level.NOTE if all(asked.legacy for _, asked, _ in failed) else None
    fix = "let the template read `content or ''`, or give calls an empty text as content"
    yield Found(
        f"a tool call fails where its content {where}: {first.reason}",
        places.line(study, first.line),
        evidence,
        fix,
        level,
    )


def _call(study: Study, empty: str | None, legacy: bool) -> Probe:
    return study.asked("ucta", empty=empty, legacy=legacy)


def why_not(study: Study) -> str:
    """Return why calls can't be tried, "" where one is printed in some form."""
    beside = study.asked("uvta")
    tried = (beside, *(_call(study, empty, legacy) for _, empty, legacy in _FORMS))
    return "" if any(study.prints(each, "call") for each in tried) else "no tool call is printed"
