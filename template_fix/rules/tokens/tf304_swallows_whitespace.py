"""A reasoning tag swallows the whitespace beside it.

## What
The tag is recorded with `lstrip` or `rstrip`: encoding makes the spaces and line ends on that side a part of the token,
and they are gone from the ids.

## Why
`</think>\\n\\nThe answer` and `</think>The answer` become the same ids, so the model can't learn the form that the
template prints, and decoding gives back another text than was encoded: prompts no longer are prefixes of what follows.

## Example
`{"content": "</think>", "rstrip": true, …}`: `</think>\\n\\n42` is decoded as `</think>42`.

## Fix
None by itself: a model that was trained with such a tag has never seen whitespace beside it. Set `lstrip` and `rstrip`
to false before training, not after.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.checkpoint.checkpoint import TokenRecord
from template_fix.results import Evidence, Finding, Level
from template_fix.tokens.reasoning_tokens import listed
from template_fix.tokens.stub_tokenizer import Vocabulary
from template_fix.tokens.tagged_checkpoint import TOKEN_FILES, Subject
from template_fix.tokens.unflag import flag_span

CODE = "TF304"
LEVEL = Level.WARNING
SUMMARY = "a reasoning tag swallows the whitespace beside it"
NEEDS = TOKEN_FILES


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each tag that some file records as stripping. Raises CheckpointError."""
    for tag in dict.fromkeys(tag for pair in subject.tags for tag in pair):
        records = [record for record in subject.checkpoint.records_of(tag) if record.lstrip or record.rstrip]
        if records:
            yield from _finding(subject, records)


def _finding(subject: Subject, records: list[TokenRecord]) -> Iterator[Finding]:
    checkpoint, record = subject.checkpoint, records[0]
    sides = [flag for flag in ("lstrip", "rstrip") if getattr(record, flag)]
    given = f"6 times 7 \n{record.content}\n 42"
    printed = Vocabulary(checkpoint).round_trip_as(given, record)
    kept = Vocabulary(checkpoint).round_trip_as(given, record._replace(lstrip=False, rstrip=False))
    if printed == kept:
        return
    lost = tuple(text for flag, text in (("lstrip", " \n"), ("rstrip", "\n ")) if flag in sides)
    files = list(dict.fromkeys(each.file for each in records))
    yield Finding(
        CODE,
        LEVEL,
        f"{record.content} swallows the whitespace beside it when it is encoded: {listed(sides)} in {listed(files)}",
        checkpoint.place(record.file, flag_span(checkpoint, record, sides[0])),
        (Evidence("decode(encode(…))", given, printed, lost),),
        f"set {listed(sides)} to false in {listed(files)} before training; it changes what is encoded",
    )
