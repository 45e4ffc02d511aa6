"""The template doesn't parse.

## What
Jinja can't read the template: a tag isn't closed, a word is misspelled, an expression makes no sense.

## Why
Nothing can be rendered with it, neither in training nor in serving.

## Example
`{% if message.role == 'user' %}` without its `{% endif %}`.

## Fix
Mend the line that the finding names, as the message says.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.jinja.renderer import RenderError
from template_fix.jinja.templates import ParseError
from template_fix.repair.study import Found, Study
from template_fix.results import Level
from template_fix.text.edits import Span

CODE = "TF102"
LEVEL = Level.ERROR
SUMMARY = "the template doesn't parse"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where Jinja can't read or compile the template."""
    error = study.unreadable
    if isinstance(error, ParseError):
        at = Span(error.offset, error.offset + 1)
        yield Found(f"the template doesn't parse: {error.message}", at, fix="mend the template at this place")
    elif isinstance(error, RenderError):
        yield Found(f"the template doesn't compile: {error}", Span(0, 0), fix="make the template simpler")
