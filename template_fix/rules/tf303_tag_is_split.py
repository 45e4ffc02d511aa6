"""A reasoning tag is not one token.

## What
The tag isn't an added token, or is none for some loaders, so it is encoded as several pieces of text.

## Why
A model learns a tag of its own far more easily than a run of pieces that also occur elsewhere, and the pieces merge
with the text beside them, so that the same tag has several spellings in ids. vLLM refuses to start a reasoning parser
whose tags aren't entries of the vocabulary. Where only some loaders split the tag, a model that was trained with one
of them meets ids in another that it has never seen.

## Example
`added_tokens_decoder` of tokenizer_config.json lists 11 tokens and lacks `<think>`, which tokenizer.json has: classes
such as Qwen2Tokenizer of transformers 5 take the shorter list for the whole, and split the tag into `<`, `think`, `>`.

## Fix
A tag that one file lists and another lacks is entered there too, under its id. A tag that no file lists needs a new
embedding, so it takes training: `tokenizer.add_tokens` and `model.resize_token_embeddings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from template_fix.finding import Evidence, Finding, Level, Place
from template_fix.records import TOKENIZER
from template_fix.subject import Subject
from template_fix.tokens import Vocabulary, adds, listed, tokens_in, unflag

CODE = "TF303"
LEVEL = Level.WARNING
SUMMARY = "a reasoning tag is not one token"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each tag that a released loader splits. Raises CheckpointError.

    Without a tokenizer.json there is no vocabulary to try it on, and nothing is said.
    """
    for tag in dict.fromkeys(tag for pair in subject.tags for tag in pair):
        by_loader = adds(subject.checkpoint, tag)
        splitting = [loader for loader, added in by_loader.items() if not added]
        if by_loader and tokens_in(subject.checkpoint, tag) == (tag,):
            pieces = Vocabulary(subject.checkpoint).pieces(tag, added=not splitting)
            if len(pieces) > 1:
                yield _finding(subject, tag, splitting or list(by_loader), len(by_loader), pieces)


def _finding(
    subject: Subject, tag: str, splitting: Sequence[str], loaders: int, pieces: Sequence[str]
) -> Finding:
    checkpoint = subject.checkpoint
    where = "every loader" if len(splitting) == loaders else listed(splitting)
    record = next(iter(checkpoint.records_of(tag)), None)
    place = checkpoint.place(record.file, record.span) if record else Place(TOKENIZER)
    shown = Evidence(f"encode({tag!r}) in {where}", tag, " | ".join(pieces))
    message = f"{tag} is not one token in {where}: it is split into {listed(map(repr, pieces))}"
    return Finding(CODE, LEVEL, message, place, (shown,), _fix(subject, tag))


def _fix(subject: Subject, tag: str) -> str:
    if unflag(subject.checkpoint, [tag]).edits:
        return "enter it in added_tokens_decoder of tokenizer_config.json too, with the same id"
    return "add it with tokenizer.add_tokens and train its embedding, or use tags that the vocabulary has"
