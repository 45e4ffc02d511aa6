"""The padding token is the end-of-turn token, so its loss is masked.

## What
`pad_token` is the token with which the template ends turns.

## Why
Some collators mask the loss of padding by its id: with the same token, the end of every turn is masked, too, and the
model never learns to stop. DataCollatorForLanguageModeling of transformers does so, and whatever is made of it. Others
mask by length, and lose nothing: DataCollatorForSeq2Seq of transformers, and DataCollatorForLanguageModeling of TRL.

## Example
`"pad_token": "<|im_end|>"` in a model whose turns end with `<|im_end|>`.

## Fix
`template-fix patch` takes another token for padding, where the files name one that is meant for it: by `pad_token_id`
of the model's own configuration, or by a name such as `<|pad|>`. Otherwise choose one that the model never writes.
`preflight(tokenizer, collator=…)` tries the collator: where it keeps the end of a turn, this is a note.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from template_fix.checkpoint.checkpoint import TokenRecord
from template_fix.checkpoint.stop_tokens import GENERATION, MODEL
from template_fix.results import Finding, Level, Repair, Target
from template_fix.text.edits import Edit
from template_fix.tokens.tagged_checkpoint import TOKEN_FILES, Subject
from template_fix.tokens.unflag import flag_span

CODE = "TF504"
LEVEL = Level.WARNING
SUMMARY = "the padding token is the end-of-turn token, so its loss is masked"
NEEDS = TOKEN_FILES
# A token whose name says padding and nothing else: <pad>, [PAD], <|finetune_right_pad_id|>; no <|image_pad|>.
_PADDING = re.compile(r"[<\[|｜▁]*(?:finetune_|right_|left_)*pad(?:ding)?(?:_id|_token)?[>\]|｜▁]*", re.IGNORECASE)
_COLLATORS = (
    "collators that mask padding by its id mask the loss of both (DataCollatorForLanguageModeling of transformers), "
    "those that mask by length don't (that of TRL, DataCollatorForSeq2Seq)"
)


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where padding is done with a token that ends turns."""
    records = _padding(subject)
    if records:
        token, other = records[0].content, _other(subject, records[0])
        fix = "take another token for padding, one that the model never writes"
        yield Finding(
            CODE,
            LEVEL,
            f"the padding token {token} is also the end of a turn: {_COLLATORS}",
            subject.checkpoint.place(records[0].file, records[0].span),
            fix=f"pad with {other}, which the files have" if other else fix,
            patch_with="" if other else None,
        )


def repairs(subject: Subject, named: bool) -> Iterator[Repair]:
    """Yield the edits that give padding a token of its own, where the files have one."""
    records = _padding(subject)
    other = _other(subject, records[0]) if records else None
    if other:
        checkpoint = subject.checkpoint
        edits = [
            (each.file, Edit(flag_span(checkpoint, each, "content"), _spelled(other, checkpoint.files[each.file])))
            for each in records
        ]
        edits += _numbers(subject, records[0].content, other)
        why = f"The end of turns is trained again with collators that mask padding by its id. The files have {other}."
        yield Repair((CODE,), f"pad with {other}", why, "padding token", tuple(edits), Target.FILES)


def _padding(subject: Subject) -> list[TokenRecord]:
    """Return the records that name an end of turns as the padding token."""
    return [each for each in subject.checkpoint.records if each.name == "pad_token" and each.content in subject.stops]


def _other(subject: Subject, padding: TokenRecord) -> str | None:
    """Return a token that the files have for padding, and that no template prints; None where there is none."""
    checkpoint = subject.checkpoint
    numbers = {checkpoint.value(file, "pad_token_id") for file in (GENERATION, MODEL)}
    entries = [each for each in checkpoint.records if each.id is not None and each.special]
    meant = [each.content for each in entries if each.id in numbers] + [
        each.content for each in entries if _PADDING.fullmatch(each.content)
    ]
    printed = {*subject.stops, padding.content} | {
        each.content for each in checkpoint.records if each.name in ("eos_token", "bos_token", "unk_token")
    }
    sources = [copy.source for copy in checkpoint.templates]
    return next((each for each in meant if each not in printed and not any(each in text for text in sources)), None)


def _numbers(subject: Subject, padding: str, other: str) -> Iterator[tuple[str, Edit]]:
    """Yield the edits of the model's configuration, where it has the id of the former padding token."""
    ids = {name: {each.id for each in subject.checkpoint.records_of(name)} - {None} for name in (padding, other)}
    for file in (GENERATION, MODEL):
        document = subject.checkpoint.document(file)
        node = document.get("pad_token_id") if document else None
        if node and subject.checkpoint.value(file, "pad_token_id") in ids[padding]:
            yield file, Edit(node.span, str(min(filter(None, ids[other]))))


def _spelled(token: str, text: str) -> str:
    """Return a token as a string of JSON, in a file's own way with other letters than ASCII's."""
    return json.dumps(token, ensure_ascii=text.isascii())
