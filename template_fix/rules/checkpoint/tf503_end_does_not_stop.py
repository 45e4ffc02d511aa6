"""The token that ends a turn doesn't stop generation.

## What
The template ends turns with one token, and `eos_token_id` of generation_config.json (or, without it, of config.json)
names others.

## Why
`generate()` stops at what the generation config names, not at the tokenizer's `eos_token`. The model ends its turn as
it was trained to, and goes on: it writes the user's next message, too.

## Example
A template with `<|im_end|>`, and a generation_config.json with the id of `<|endoftext|>` alone.

## Fix
Add the id of the token to `eos_token_id` in generation_config.json; a list of several is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.checkpoint.stop_tokens import stopping
from template_fix.results import Finding, Level
from template_fix.tokens.reasoning_tokens import listed
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF503"
LEVEL = Level.WARNING
SUMMARY = "the end-of-turn token doesn't stop generation"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where none of the tokens that end turns is one that generation stops at."""
    checkpoint = subject.checkpoint
    stopped = stopping(checkpoint)
    tokens = [(stop, record.id) for stop in subject.stops for record in checkpoint.records_of(stop) if record.id]
    if not stopped or not stopped[1] or not tokens or any(stop in stopped[1] for stop in subject.stops):
        return
    file, known = stopped
    stop, number = tokens[0]
    document = checkpoint.document(file)
    node = document.get("eos_token_id") if document else None
    yield Finding(
        CODE,
        LEVEL,
        f"turns end with {stop}, and generate() stops only at {listed(known, 'or')}",
        checkpoint.place(file, node.span) if node else None,
        fix=f"add {number}, the id of {stop}, to eos_token_id in {file}",
    )
