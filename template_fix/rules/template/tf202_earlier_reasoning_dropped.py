"""An earlier turn's reasoning is dropped.

## What
A turn's reasoning is printed while the turn stands last, and gone once a question follows.

## Why
Whoever trains on several turns of a conversation at once loses the reasoning of all but the last. In reinforcement
learning and in cached serving, the text of a turn changes after the model wrote it. Many vendors leave old reasoning
out on purpose, to keep prompts short: whoever only serves the model need not care, and `preserve_thinking=false` keeps
their prompts as they are.

## Example
`{% if loop.index0 > ns.last_query_index %}` prints the reasoning of turns behind the last question alone.

## Fix
`template-fix patch` prints it in every turn unless `preserve_thinking=false` is passed.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.repair.study import Found, Study
from template_fix.results import Level

CODE = "TF202"
LEVEL = Level.ERROR
SUMMARY = "an earlier turn's reasoning is dropped"
PATCH_WITH = ""
ON_PURPOSE = True

_FIX = "let the template print it in every turn"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where a turn's reasoning isn't printed once more messages follow."""
    lost = study.reasoning_lost(last=False)
    if lost:
        seen, part = lost
        evidence = study.evidence(seen, part.message, [part])
        yield Found(
            "the template drops the reasoning of earlier turns",
            study.cause(seen.probe, part),
            (evidence,),
            f"{_FIX}{study.own_way}",
            sought=True,
        )
