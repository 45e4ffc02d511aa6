"""The last turn's reasoning is dropped.

## What
A conversation ends with an assistant message that holds reasoning, and the template doesn't print it.

## Why
This is the message that a model is trained on. The reasoning never reaches the training text, the loss looks healthy,
and the model unlearns to think.

## Example
`{% set content = content.split('</think>')[-1] %}` cuts `<think>…</think>` out of the content and prints it nowhere.

## Fix
`template-fix patch` keeps the text unless `preserve_thinking=false` is passed.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.jinja.queries import lost_sums
from template_fix.repair.study import Found, Study
from template_fix.results import Level

CODE = "TF201"
LEVEL = Level.ERROR
SUMMARY = "the last turn's reasoning is dropped"
PATCH_WITH = ""

_FIX = "let the template print it"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where a turn's reasoning isn't printed although the turn stands last."""
    lost = study.reasoning_lost(last=True)
    if lost:
        seen, part = lost
        evidence = study.evidence(seen, part.message, [part])
        sums = lost_sums(study.template.tree) if seen.probe.text_lists else ()
        yield Found(
            "the template drops the reasoning of the last turn",
            study.cause(seen.probe, part) or next((study.template.span(each.node) for _, each in sums), None),
            (evidence,),
            f"{_FIX}{study.own_way}",
            sought=True,
        )
