"""Reasoning in a field is ignored.

## What
A message brings its reasoning in `reasoning_content`, as most datasets and all OpenAI-like servers have it, and the
template prints nothing of it, although it knows reasoning inside of content.

## Why
Rows with the reasoning in a field are trained without it, and nothing says so.

## Example
A template that prints `message['content']` and never reads `message['reasoning_content']`.

## Fix
`template-fix patch` folds the field into the turn, as the template would print it inside of content, where it finds a
way that provably works; otherwise put the reasoning into the content before rendering.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import FIELD
from template_fix.repair.study import Found, Study
from template_fix.results import Level

CODE = "TF203"
LEVEL = Level.ERROR
SUMMARY = "reasoning in a field is ignored"
PATCH_WITH = ""
ASSUMES_TAGS = True
ALONE = True


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where a template with reasoning tags prints no reasoning that comes in a field."""
    if not study.reasoning or FIELD not in study.examined.unsupported:
        return
    for seen in study.examined:
        lost = [part for part in seen.lost if part.feature == FIELD]
        if lost and seen.text is not None:
            evidence = study.evidence(seen, lost[0].message, lost[:1])
            inside = f"inside of the content, between {study.tags.open} and {study.tags.close}"
            fix = f"print the field in its turn; until then, bring reasoning {inside}"
            yield Found("the template ignores reasoning in the field reasoning_content", None, (evidence,), fix)
            return
