"""The checkpoint has no chat template.

## What
None of the files that can hold a chat template holds one, or one of them is empty.

## Why
Without a template, `apply_chat_template` raises an error, with an empty one it prints nothing, and every trainer and
server falls back on a format of its own: the model is trained on one text and served with another.

## Example
A directory with `tokenizer.json` and a `tokenizer_config.json` that has no `chat_template`.

## Fix
Write the template that the model was trained with to `chat_template.jinja`. No tool can guess it.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.checkpoint.template_copies import GGUF_TEMPLATE, JINJA
from template_fix.results import Finding, Level, Place
from template_fix.tokens.loaders import is_gguf
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF101"
LEVEL = Level.WARNING
SUMMARY = "no chat template"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where no file holds a chat template, and for each template that is empty."""
    fix = "write the template that the model was trained with to "
    if not subject.checkpoint.templates:
        message = "no chat template in tokenizer_config.json, chat_template.jinja or any other file"
        home = JINJA
        if is_gguf(subject.checkpoint):
            message, home = f"no chat template: the metadata have no {GGUF_TEMPLATE}", GGUF_TEMPLATE
        yield Finding(CODE, LEVEL, message, fix=f"{fix}{home}")
    for copy in subject.checkpoint.templates:
        if not copy.source.strip():
            place = Place(copy.file, template=copy.variant)
            yield Finding(CODE, LEVEL, "the chat template is empty", place, fix=fix + copy.file)
