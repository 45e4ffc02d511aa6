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
`template-fix patch` adds the id of the token to `eos_token_id` in generation_config.json, or in config.json where that
is what counts; a list of several is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from template_fix.checkpoint.stop_tokens import GENERATION, MODEL, read_stop_tokens
from template_fix.results import Finding, Level, Repair, Target
from template_fix.text.edits import Edit, Span
from template_fix.text.json_nodes import Array, Node
from template_fix.tokens.reasoning_tokens import listed
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF503"
LEVEL = Level.WARNING
SUMMARY = "the end-of-turn token doesn't stop generation"
NEEDS = (GENERATION, MODEL)


class _Missing(NamedTuple):
    """A token that ends turns and its id, the file that says what stops, the tokens that it names, and its list."""

    token: str
    id: int
    file: str
    known: tuple[str, ...]
    node: Node


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where none of the tokens that end turns is one that generation stops at."""
    missing = _missing(subject)
    if missing:
        yield Finding(
            CODE,
            LEVEL,
            f"turns end with {missing.token}, and generate() stops only at {listed(missing.known, 'or')}",
            subject.checkpoint.place(missing.file, missing.node.span),
            fix=f"add {missing.id}, the id of {missing.token}, to eos_token_id in {missing.file}",
            patch_with="",
        )


def repairs(subject: Subject, named: bool) -> Iterator[Repair]:
    """Yield the edit that adds the token to those at which generation stops."""
    missing = _missing(subject)
    if missing:
        title = f"let generation stop at {missing.token}, too"
        why = f"Turns end with it; generate() stops at what eos_token_id of {missing.file} names."
        yield Repair((CODE,), title, why, "stop tokens", ((missing.file, _added(subject, missing)),), Target.FILES)


def _missing(subject: Subject) -> _Missing | None:
    checkpoint = subject.checkpoint
    stopped = read_stop_tokens(checkpoint)
    tokens = [(stop, record.id) for stop in subject.stops for record in checkpoint.records_of(stop) if record.id]
    if not stopped or not stopped[1] or not tokens or any(stop in stopped[1] for stop in subject.stops):
        return None
    document = checkpoint.document(stopped[0])
    node = document.get("eos_token_id") if document else None
    return _Missing(*tokens[0], *stopped, node) if node else None


def _added(subject: Subject, missing: _Missing) -> Edit:
    """Return the edit that makes a list of an id, or puts one more into a list, in the layout that it has."""
    node, text = missing.node, subject.checkpoint.files[missing.file]
    if not isinstance(node, Array):
        return Edit(node.span, f"[{node.span.of(text)}, {missing.id}]")
    between = text[node.items[-2].span.end : node.items[-1].span.start] if len(node.items) > 1 else ", "
    at = node.items[-1].span.end
    return Edit(Span(at, at), f"{between}{missing.id}")
