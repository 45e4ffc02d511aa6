"""What each released loader makes of the token records: which tokens its ``decode`` skips.

The backend of the fast tokenizers keeps a set of special tokens: whatever was once added as special is skipped by
``decode(skip_special_tokens=True)``, even where another file says otherwise later. The loaders differ in what they
add. This module follows their code, and the slow tests compare it with the released libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import CONFIG
from template_fix.checkpoint.token_records import ADDED, GGUF_TOKENS, MAP, NAMED, TOKENIZER, TYPES, TokenRecord
from template_fix.text.json_nodes import Array, Object

ADDITIONAL_LIST = "additional_special_tokens"
EXTRA = "extra_special_tokens"
FAST4 = "transformers 4.57"
SLOW4 = "transformers 4.57 with use_fast=False"
BACKEND5 = "transformers 5 (TokenizersBackend)"
OWN5 = "transformers 5 (classes such as Qwen2Tokenizer)"
LLAMA_CPP = "llama.cpp"


class _View(NamedTuple):
    """What one release has read of a token: its entry of tokenizer.json, the one that serves as its entry of
    ``added_tokens_decoder``, the attributes that name it, and the lists that hold it."""

    json: TokenRecord | None
    decoder: TokenRecord | None
    named: tuple[TokenRecord, ...]
    listed: tuple[TokenRecord, ...]

    @property
    def known(self) -> bool:
        return self.json is not None or self.decoder is not None


def skipped_by(checkpoint: Checkpoint, token: str) -> dict[str, tuple[TokenRecord, ...]]:
    """Return for each loader the records that make ``decode(skip_special_tokens=True)`` drop ``token``.

    Where a loader keeps the token, its tuple is empty.
    """
    loaders = loaders_of(checkpoint)
    return {loader: tuple(dict.fromkeys(causes(checkpoint, token))) for loader, causes in loaders.items()}


def is_gguf(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is a GGUF file, which llama.cpp loads and whatever is made of it."""
    return GGUF_TOKENS in checkpoint.files


def skips(checkpoint: Checkpoint, token: str) -> dict[str, str | None]:
    """Return for each loader why it skips ``token`` in decoding, in a few words, None where it keeps it."""
    causes = skipped_by(checkpoint, token)
    return {loader: ", ".join(map(describe, records)) or None for loader, records in causes.items()}


def adds(checkpoint: Checkpoint, token: str) -> dict[str, bool]:
    """Return for each loader whether it makes ``token`` an added token, which is never split.

    Empty where no file lists added tokens, so that nothing is known.
    """
    if not has_decoder(checkpoint) and TOKENIZER not in checkpoint.files and ADDED not in checkpoint.files:
        return {}
    four, five = _view4(checkpoint, token), _view5(checkpoint, token)
    return {
        FAST4: bool(four.known or four.named or four.listed),
        SLOW4: bool(four.decoder or four.named or four.listed),
        BACKEND5: bool(five.known or five.named or five.listed),
        OWN5: bool(five.decoder or five.named or five.listed),
    }


def describe(record: TokenRecord) -> str:
    """Return where a record stands, in a few words."""
    if record.where == TYPES:
        return f"a control token in {record.file}"
    if record.where in ("added_tokens", "added_tokens_decoder"):
        return f"flagged special in {record.where} of {record.file}"
    if record.name and record.where != record.name:
        return f"named {record.name} in {record.where} of {record.file}"
    return f"named {record.name} in {record.file}" if record.name else f"listed in {record.where} of {record.file}"


def has_decoder(checkpoint: Checkpoint) -> bool:
    """Tell whether tokenizer_config.json has ``added_tokens_decoder``; special_tokens_map.json is unread then."""
    return _present(checkpoint, CONFIG, "added_tokens_decoder")


def _present(checkpoint: Checkpoint, file: str, key: str) -> bool:
    document = checkpoint.document(file)
    return document is not None and document.member(key) is not None


def _fast4(checkpoint: Checkpoint, token: str) -> Iterable[TokenRecord]:
    view = _view4(checkpoint, token)
    yield from _flagged(view.json, view.decoder)
    records = (*view.named, *view.listed)
    if view.decoder or not view.json or any(_is_object(checkpoint, record) for record in records[:1]):
        yield from records


def _slow4(checkpoint: Checkpoint, token: str) -> Iterable[TokenRecord]:
    view = _view4(checkpoint, token)
    return (*view.named, *view.listed)


def _backend5(checkpoint: Checkpoint, token: str) -> Iterable[TokenRecord]:
    view = _view5(checkpoint, token)
    yield from _flagged(view.json, view.decoder)
    if view.decoder or not view.json:
        yield from view.named
    if not view.known or (view.decoder and view.decoder.file == ADDED):
        for record in view.listed:
            if record.special or record.file == MAP or not _is_object(checkpoint, record):
                yield record


def _own5(checkpoint: Checkpoint, token: str) -> Iterable[TokenRecord]:
    view = _view5(checkpoint, token)
    return (*_flagged(view.decoder), *view.named, *view.listed)


def _llama_cpp(checkpoint: Checkpoint, token: str) -> Iterable[TokenRecord]:
    return _flagged(*(record for record in checkpoint.records_of(token) if record.where == TYPES))


Loaders = dict[str, Callable[[Checkpoint, str], Iterable[TokenRecord]]]
LOADERS: Loaders = {
    FAST4: _fast4,
    SLOW4: _slow4,
    BACKEND5: _backend5,
    OWN5: _own5,
}


def loaders_of(checkpoint: Checkpoint) -> Loaders:
    """Return the loaders of a checkpoint's files, each with what gives the records by which it drops a token."""
    return {LLAMA_CPP: _llama_cpp} if is_gguf(checkpoint) else LOADERS


def _is_object(checkpoint: Checkpoint, record: TokenRecord) -> bool:
    """Tell whether a token is written with its flags; such a one is added again even where its text is known."""
    return checkpoint.files[record.file].startswith("{", record.span.start)


def _flagged(*records: TokenRecord | None) -> list[TokenRecord]:
    return [record for record in records if record and record.special]


def _view4(checkpoint: Checkpoint, token: str) -> _View:
    records = checkpoint.records_of(token)
    named = [record for record in _attributes(checkpoint, records) if record.name in NAMED]
    mapped = [record for record in records if record.file == CONFIG and record.where == EXTRA and record.name]
    read = (CONFIG,) if has_decoder(checkpoint) else (CONFIG, MAP)
    listed = [record for record in records if record.where == ADDITIONAL_LIST and record.file in read]
    return _View(*_entries(checkpoint, records), (*named, *mapped), tuple(listed))


def _view5(checkpoint: Checkpoint, token: str) -> _View:
    records = checkpoint.records_of(token)
    read = (CONFIG,) if has_decoder(checkpoint) else (CONFIG, MAP)
    collections = [record for record in records if record.file in read and record.where not in ("", record.name)]
    named = [record for record in collections if record.name]
    lists = lists_of_5(checkpoint)
    listed = [record for record in collections if not record.name and (record.file, record.where) in lists]
    return _View(*_entries(checkpoint, records), (*_attributes(checkpoint, records), *named), tuple(listed))


def lists_of_5(checkpoint: Checkpoint) -> set[tuple[str, str]]:
    """Return which lists, as file and member, become the extra special tokens of transformers 5.

    A list of ``additional_special_tokens`` counts where ``extra_special_tokens`` gives none.
    """
    document = checkpoint.document(CONFIG)
    extra = document.get(EXTRA) if document else None
    used: set[tuple[str, str]] = set()
    if isinstance(extra, Array) and extra.items:
        used.add((CONFIG, EXTRA))
    elif _present(checkpoint, CONFIG, ADDITIONAL_LIST) and not (isinstance(extra, Object) and extra.members):
        used.add((CONFIG, ADDITIONAL_LIST))
    token_map = None if has_decoder(checkpoint) else checkpoint.document(MAP)
    if token_map and isinstance(token_map.get(EXTRA), Array):
        used.add((MAP, EXTRA))
    if used or isinstance(extra, Array):
        return used
    mapped = token_map is not None and _present(checkpoint, MAP, ADDITIONAL_LIST)
    return {(MAP if mapped else CONFIG, ADDITIONAL_LIST)}


def _attributes(checkpoint: Checkpoint, records: Iterable[TokenRecord]) -> tuple[TokenRecord, ...]:
    """Return the attributes that hold: those of special_tokens_map.json where it is read, else the config's."""
    token_map = None if has_decoder(checkpoint) else checkpoint.document(MAP)
    mapped = {member.key for member in token_map.root.members} if token_map else set()
    return tuple(
        record
        for record in records
        if record.name and record.where == record.name and (record.file == MAP) == (record.name in mapped)
    )


def _entries(checkpoint: Checkpoint, records: Iterable[TokenRecord]) -> tuple[TokenRecord | None, TokenRecord | None]:
    by_file = {record.file: record for record in records if record.where in ("added_tokens", "")}
    decoder = next((record for record in records if record.where == "added_tokens_decoder"), None)
    if decoder is None and not has_decoder(checkpoint):
        decoder = by_file.get(TOKENIZER) or by_file.get(ADDED)
    return by_file.get(TOKENIZER), decoder
