"""The padding token is the end-of-turn token, so its loss is masked.

## What
`pad_token` is the token with which the template ends turns.

## Why
Collators mask the loss of padding by its id: with the same token, the end of every turn is masked, too, and the model
never learns to stop.

## Example
`"pad_token": "<|im_end|>"` in a model whose turns end with `<|im_end|>`.

## Fix
Take another token for padding that the model never writes, such as `<|endoftext|>` or one that is reserved for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.results import Finding, Level
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF504"
LEVEL = Level.WARNING
SUMMARY = "the padding token is the end-of-turn token, so its loss is masked"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where padding is done with a token that ends turns."""
    checkpoint = subject.checkpoint
    for record in checkpoint.records:
        if record.name == "pad_token" and record.content in subject.stops:
            yield Finding(
                CODE,
                LEVEL,
                f"the padding token {record.content} is also the end of a turn: collators mask the loss of both",
                checkpoint.place(record.file, record.span),
                fix="take another token for padding, one that the model never writes",
            )
            return
