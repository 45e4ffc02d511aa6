"""The files disagree on a reasoning tag.

## What
One file calls a tag special and another one ordinary, or two give it different ids.

## Why
Each release of transformers reads other files, and each engine its own: the same directory keeps the tags in one place
and drops them in another, and saving the tokenizer makes one of the two the only truth. With two ids, a class that
numbers the tokens by one file feeds the model another embedding than it was trained with.

## Example
tokenizer.json flags `<think>` special, `added_tokens_decoder` of tokenizer_config.json doesn't: transformers 4.57
drops the tag in decoding, the slow tokenizer and Qwen2Tokenizer of transformers 5 keep it.

## Fix
All files are made to say that the tag is an ordinary added token. Ids that differ are left to you: only the model's
embeddings tell which one is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from template_fix.checkpoint.checkpoint import TokenRecord
from template_fix.results import Evidence, Finding, Level
from template_fix.tokens.loaders import skips
from template_fix.tokens.reasoning_tokens import listed
from template_fix.tokens.tagged_checkpoint import TOKEN_FILES, Subject
from template_fix.tokens.unflag import ENTRIES, flag_span

CODE = "TF302"
LEVEL = Level.WARNING
SUMMARY = "the files disagree on whether a tag is special"
NEEDS = TOKEN_FILES
UNFLAGGED = True


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for tags that are special here and ordinary there, and one for each with two ids."""
    disputes: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for tag in dict.fromkeys(tag for pair in subject.tags for tag in pair):
        records = subject.checkpoint.records_of(tag)
        special, ordinary = _saying(records, True), _saying(records, False)
        if special and ordinary:
            disputes.setdefault((special, ordinary), []).append(tag)
        yield from _two_ids(subject, tag, records)
    for (special, ordinary), tags in disputes.items():
        yield _dispute(subject, tags, special, ordinary)


def _saying(records: Sequence[TokenRecord], special: bool) -> tuple[str, ...]:
    """Return where the records stand that call their token special, or those that call it ordinary."""
    return tuple(dict.fromkeys(_where(record) for record in records if _special(record) is special))


def _special(record: TokenRecord) -> bool | None:
    """Return what a record says of its token; a list or an attribute says that it is special."""
    if record.where in ENTRIES:
        return bool(record.special)
    return True if record.where else None


def _where(record: TokenRecord) -> str:
    return f"{record.where} of {record.file}" if record.where else record.file


def _dispute(subject: Subject, tags: list[str], special: Sequence[str], ordinary: Sequence[str]) -> Finding:
    checkpoint = subject.checkpoint
    records = checkpoint.records_of(tags[0])
    at = next(record for record in records if _special(record))
    by_loader = skips(checkpoint, tags[0])
    effect = "\n".join(f"{loader}: {'dropped' if reason else 'kept'}" for loader, reason in by_loader.items())
    said = f"special: {listed(special)}\nordinary: {listed(ordinary)}"
    return Finding(
        CODE,
        LEVEL,
        f"{listed(tags)} {'are' if len(tags) > 1 else 'is'} special in {listed(special)}, "
        f"but ordinary in {listed(ordinary)}",
        checkpoint.place(at.file, flag_span(checkpoint, at)),
        (
            Evidence(
                f"{tags[0]}: what the files say, and what decoding does", said, effect, labels=("files", "decoding")
            ),
        ),
        "let all files call it an ordinary added token",
        "",
    )


def _two_ids(subject: Subject, tag: str, records: Sequence[TokenRecord]) -> Iterator[Finding]:
    by_id = {record.id: record for record in records if record.id is not None}
    if len(by_id) > 1:
        said = listed(f"{number} in {_where(record)}" for number, record in by_id.items())
        last = list(by_id.values())[-1]
        place = subject.checkpoint.place(last.file, last.span)
        fix = "give it the id that the model was trained with"
        yield Finding(CODE, LEVEL, f"{tag} has the id {said}", place, (), fix)
