"""The checkpoint has no chat template.

## What
None of the files that can hold a chat template holds one.

## Why
Without a template, `apply_chat_template` raises an error, and every trainer and server falls back on a format of its
own: the model is trained on one text and served with another.

## Example
A directory with `tokenizer.json` and a `tokenizer_config.json` that has no `chat_template`.

## Fix
Write the template that the model was trained with to `chat_template.jinja`. No tool can guess it.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.finding import Finding, Level
from template_fix.subject import Subject

CODE = "TF101"
LEVEL = Level.WARNING
SUMMARY = "no chat template"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where no file holds a chat template."""
    if not subject.checkpoint.templates:
        yield Finding(
            CODE,
            LEVEL,
            "no chat template in tokenizer_config.json, chat_template.jinja or any other file",
            fix="write the template that the model was trained with to chat_template.jinja",
        )
