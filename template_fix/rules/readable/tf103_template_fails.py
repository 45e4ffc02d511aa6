"""The template fails, or exceeds its limits, on every ordinary conversation.

## What
No conversation of a question and an answer can be rendered: the template raises an error for each, or takes more time
or memory than the tool allows it.

## Why
A template is a program, and one from the Hub is somebody else's. What never ends here never ends in training, either.

## Example
`{% for i in range(100000) %}{% for j in range(100000) %}…`, or a template that needs a variable nobody passes.

## Fix
The message names the error. Where it is a missing variable, the tokenizer's configuration should define it.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.bounds.limits import LimitExceeded
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level
from template_fix.text.edits import Span

CODE = "TF103"
LEVEL = Level.ERROR
SUMMARY = "the template fails, or exceeds its limits, on every ordinary conversation"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where nothing can be rendered within the limits."""
    if isinstance(study.unreadable, LimitExceeded):
        yield Found(
            f"the template was stopped: {study.unreadable}",
            Span(0, 0),
            fix="find what takes so much; it would in training, too",
        )
    if study.unreadable is not None:
        return
    ordinary = [seen for seen in study.examined if seen.probe.ordinary]
    if all(seen.text is None for seen in ordinary):
        first = ordinary[0]
        shown = Evidence(first.probe.describe(), str(list(first.probe.messages)), first.failure, labels=("in", "error"))
        yield Found(f"the template fails on every conversation: {first.failure}", Span(0, 0), (shown,))
