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

from collections.abc import Iterable, Iterator, Mapping, Sequence

from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.results import Evidence, Finding, Level, Place
from template_fix.tokens.loaders import LOADERS, adds
from template_fix.tokens.reasoning_tokens import listed, tokens_in
from template_fix.tokens.stub_tokenizer import Vocabulary
from template_fix.tokens.tagged_checkpoint import Subject
from template_fix.tokens.unflag import flag_span, unflag

CODE = "TF303"
LEVEL = Level.WARNING
SUMMARY = "a reasoning tag is not one token"
NEEDS = (TOKENIZER,)
UNFLAGGED = True


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for the tags that the same released loaders split. Raises CheckpointError.

    Without a tokenizer.json there is no vocabulary to try it on, and nothing is said.
    """
    split: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {}
    for tag in dict.fromkeys(tag for pair in subject.tags for tag in pair):
        by_loader = adds(subject.checkpoint, tag)
        splitting = tuple(loader for loader, added in by_loader.items() if not added)
        if by_loader and tokens_in(subject.checkpoint, tag) == (tag,):
            pieces = Vocabulary(subject.checkpoint).pieces(tag, added=not splitting)
            if len(pieces) > 1:
                split.setdefault(splitting, {})[tag] = pieces
    for loaders, tags in split.items():
        yield _finding(subject, loaders if 0 < len(loaders) < len(LOADERS) else (), tags)


def _finding(subject: Subject, loaders: tuple[str, ...], tags: Mapping[str, Sequence[str]]) -> Finding:
    where = listed(loaders) if loaders else "every loader"
    splits = [f"{tag} is split into {listed(map(repr, pieces))}" for tag, pieces in tags.items()]
    evidence = (Evidence(f"encode({tag!r}) in {where}", tag, " | ".join(pieces)) for tag, pieces in tags.items())
    message = f"in {where}, {listed(splits)}"
    fix, patch_with = _fix(subject, tags)
    return Finding(CODE, LEVEL, message, _place(subject, next(iter(tags))), tuple(evidence), fix, patch_with)


def _place(subject: Subject, tag: str) -> Place:
    record = next(iter(subject.checkpoint.records_of(tag)), None)
    if record is None:
        return Place(TOKENIZER)
    return subject.checkpoint.place(record.file, flag_span(subject.checkpoint, record, "content"))


def _fix(subject: Subject, tags: Iterable[str]) -> tuple[str, str | None]:
    """Return what is to be done, and the options with which ``patch`` does it."""
    if unflag(subject.checkpoint, tags).edits:
        return "enter them in added_tokens_decoder of tokenizer_config.json too, with the same ids", ""
    return "add them with tokenizer.add_tokens and train their embeddings, or use tags that the vocabulary has", None
