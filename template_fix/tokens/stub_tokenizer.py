"""Running the tokenizers library on a checkpoint without loading its vocabulary.

What is skipped in decoding, and what a tag swallows, depends on the added tokens alone: they are tried on a tokenizer
whose vocabulary is an alphabet. How a tag is split depends on the few entries of the vocabulary that are made of its
letters: it is tried on those. Each takes milliseconds, where loading all takes half a second.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from template_fix.bounds.limits import MEGABYTES, LimitExceeded, run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.json_file import Document
from template_fix.checkpoint.token_records import FLAGS, TOKENIZER, TokenRecord
from template_fix.text.json_nodes import Bulk, JsonObject, Object

if TYPE_CHECKING:
    from tokenizers import Tokenizer

R = TypeVar("R")
# Computing time for the tokenizer of a model.
SECONDS = 6.0
BYTE_LEVEL: JsonObject = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BARE: JsonObject = {
    "version": "1.0",
    "added_tokens": [],
    "pre_tokenizer": BYTE_LEVEL,
    "decoder": BYTE_LEVEL,
    "model": {"type": "BPE"},
}


def within_limits(
    checkpoint: Checkpoint,
    purpose: str,
    function: Callable[..., R],
    *args: object,
    computing: float = SECONDS,
    megabytes: int = MEGABYTES,
) -> R:
    """Return ``function(*args)``, which runs the tokenizers library on a checkpoint, computed in a child process.

    Raises CheckpointError that names the ``purpose`` where it takes more time or memory than it may.
    """
    try:
        return run_bounded(
            function,
            *args,
            seconds=10 * computing,
            computing=computing,
            megabytes=megabytes,
            doing="trying its tokens",
        )
    except LimitExceeded as error:
        raise CheckpointError(f"{checkpoint.name}/{TOKENIZER}: was stopped: to {purpose} {error}") from None


@contextmanager
def tokenizers_errors(where: str) -> Iterator[None]:
    """Turn whatever the tokenizers library raises into a CheckpointError; ``where`` names the file.

    It raises bare Exception for what it can't read, and lets panics of its own through, which aren't even that.
    """
    try:
        yield
    except CheckpointError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise CheckpointError(f"{where}: tokenizers can't read it: {' '.join(str(error).split())}") from None


@dataclass(frozen=True)
class Vocabulary:
    """The tokenizer of a checkpoint; where there is no tokenizer.json, a byte-level one with the recorded tokens."""

    checkpoint: Checkpoint

    def round_trip(self, text: str, special: Mapping[str, bool], skip: bool = True) -> str:
        """Return ``decode(encode(text), skip_special_tokens=skip)`` where the tokens in ``special`` are so or not.

        All other added tokens are as tokenizer.json has them. Raises CheckpointError where the tokenizers library
        can't read that file.
        """
        flags = {token: {"special": value} for token, value in special.items()}
        return self._round_trip(text, flags, skip)

    def round_trip_as(self, text: str, record: TokenRecord) -> str:
        """Return ``decode(encode(text))`` where one token has the flags of ``record``. Raises as ``round_trip``."""
        flags = {name: bool(getattr(record, name)) for name in FLAGS}
        return self._round_trip(text, {record.content: flags}, skip=False)

    def _round_trip(self, text: str, flags: Mapping[str, Mapping[str, bool]], skip: bool) -> str:
        with self._library():
            tokenizer = self._tokenizer(_alphabet, text, flags)
            return str(tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids, skip_special_tokens=skip))

    def pieces(self, token: str, added: bool) -> tuple[str, ...]:
        """Return the tokens that ``token`` is encoded to, as an added token or as the vocabulary alone has it.

        Without a tokenizer.json nothing is known of the vocabulary, and nothing is returned. Raises as
        ``round_trip``.
        """
        if self._document is None:
            return ()
        with self._library():
            if added:
                tokenizer = self._tokenizer(_alphabet, token, {token: {}})
            else:
                tokenizer = self._tokenizer(lambda model: self._entries_of(token, model), token, {}, hidden=token)
            return tuple(tokenizer.encode(token, add_special_tokens=False).tokens)

    def encoded(self, text: str, parts: Mapping[str, object], special: bool = False) -> tuple[str, ...]:
        """Return the tokens of a text where some parts of tokenizer.json are others, with those that are put round it
        where ``special`` asks for them. Raises as ``round_trip``."""
        with self._library():
            tokenizer = self._tokenizer(lambda model: self._entries_of(text, model), text, {}, parts=parts)
            return tuple(tokenizer.encode(text, add_special_tokens=special).tokens)

    def words(self, text: str, parts: Mapping[str, object]) -> tuple[str, ...]:
        """Return what a text is split into before it is encoded, as ``encoded`` does, without a vocabulary."""
        with self._library():
            tokenizer = self._tokenizer(_alphabet, text, {}, parts=parts)
            normal = tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text
            rule = tokenizer.pre_tokenizer
            return tuple(word for word, _ in rule.pre_tokenize_str(normal)) if rule else (normal,)

    def id_of(self, token: str) -> int | None:
        """Return the id that the vocabulary of tokenizer.json gives ``token``, None where it has no such entry."""
        for spelling in dict.fromkeys(json.dumps(token, ensure_ascii=ascii_only) for ascii_only in (False, True)):
            at = self._vocab.find(spelling)
            while at >= 0:
                number = _NUMBER.match(self._vocab, at + len(spelling))
                if number and _opens(self._vocab, at):
                    return int(number.group(1))
                at = self._vocab.find(spelling, at + 1)
        return None

    @cached_property
    def _document(self) -> Document | None:
        return self.checkpoint.document(TOKENIZER)

    @cached_property
    def _json(self) -> JsonObject:
        return dict(self._document.plain()) if self._document else BARE

    @cached_property
    def _vocab(self) -> str:
        return self._text("vocab")

    def _text(self, key: str) -> str:
        """Return the text of the vocabulary or the merges."""
        model = self._document.get("model") if self._document else None
        part = model.get(key) if isinstance(model, Object) else None
        return part.span.of(self._document.text) if self._document and isinstance(part, Bulk) else ""

    def _tokenizer(
        self,
        fill: Callable[[JsonObject], JsonObject],
        text: str,
        flags: Mapping[str, Mapping[str, bool]],
        hidden: str | None = None,
        parts: Mapping[str, object] | None = None,
    ) -> Tokenizer:
        from tokenizers import Tokenizer

        model = self._json.get("model")
        if not isinstance(model, dict):
            raise CheckpointError(f"{self.checkpoint.name}/{TOKENIZER}: it has no model; save the tokenizer again")
        stored = [record for record in self.checkpoint.records if record.where == "added_tokens"]
        met = [record for record in stored if record.content in text and record.content != hidden]  # others do nothing
        entries = {record.content: _as_entry(record) for record in met}
        entries |= {token: self._entry(token) for token in flags if token not in entries}
        added = [{**entry, **flags.get(token, {})} for token, entry in entries.items()]
        content = {**self._json, **(parts or {}), "added_tokens": added, "model": {**model, **fill(model)}}
        return Tokenizer.from_str(json.dumps(content))

    @contextmanager
    def _library(self) -> Iterator[None]:
        """Turn whatever the tokenizers library raises into a CheckpointError."""
        with tokenizers_errors(f"{self.checkpoint.name}/{TOKENIZER}"):
            yield

    def _entry(self, token: str) -> JsonObject:
        """Return an entry for a token that tokenizer.json lacks, with the flags that another file gives it."""
        record = next(iter(self.checkpoint.records_of(token)), None)
        return {**dict.fromkeys(FLAGS, False), **(_as_entry(record) if record else {}), "id": 0, "content": token}

    def _entries_of(self, token: str, model: JsonObject) -> JsonObject:
        """Return a vocabulary and merges of those entries that can be met on the way to ``token``."""
        # A blank parts the two of a merge; a vocabulary spells it otherwise.
        letters = {*token, *(_BYTES[byte] for byte in token.encode()), "\u2581", "\u0120"} - set('"\\ ')
        # No piece is longer than the token, be it in bytes with a space in front.
        some = f"([{re.escape(''.join(sorted(letters)))}]{{1,{len(token.encode()) + 1}}})"
        if model.get("type") == "Unigram":
            scores = re.findall(rf'\[\s*"{some}"\s*,\s*(-?[\d.eE+-]+)\s*\]', self._vocab)
            return {"vocab": [["<unk>", 0.0], *([piece, float(score)] for piece, score in scores)], "unk_id": 0}
        found = re.finditer(rf'"{some}"\s*:\s*(\d+)', self._vocab)
        vocab = {entry.group(1): int(entry.group(2)) for entry in found if _opens(self._vocab, entry.start())}
        for piece in (model.get("unk_token"), *(f"<0x{byte:02X}>" for byte in range(256))):
            if piece and piece not in vocab and (model.get("byte_fallback") or piece == model.get("unk_token")):
                vocab[piece] = len(vocab) + 10**7
        return {"vocab": vocab, **self._merges(some, vocab, model)}

    def _merges(self, some: str, vocab: Mapping[str, int], model: JsonObject) -> JsonObject:
        if "merges" not in model:
            return {}
        text = self._text("merges")
        found = re.finditer(rf'"{some}(?: |"\s*,\s*"){some}"', text)
        pairs = [[*pair.groups()] for pair in found if _opens(text, pair.start())]
        return {"merges": [[a, b] for a, b in pairs if a in vocab and b in vocab and a + b in vocab]}


def _as_entry(record: TokenRecord) -> JsonObject:
    """Return an entry of added_tokens with what a record says, and nothing that it doesn't."""
    values = {name: getattr(record, name) for name in ("id", "content", *FLAGS)}
    return {name: value for name, value in values.items() if value is not None}


_NUMBER = re.compile(r"\s*:\s*(\d+)")


def _opens(text: str, at: int) -> bool:
    """Tell whether the quote at ``at`` opens a string; one inside of a string has a backslash before it."""
    return text[at - 1] != "\\"


def _byte_alphabet() -> dict[int, str]:
    """Return the character that stands for each byte in a byte-level vocabulary."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = (byte for byte in range(256) if byte not in shown)
    return {**{byte: chr(byte) for byte in shown}, **{byte: chr(256 + order) for order, byte in enumerate(hidden)}}


_BYTES = _byte_alphabet()


def _alphabet(model: JsonObject) -> JsonObject:
    """Return a vocabulary of single letters, such that ASCII text comes back from it as it went in."""
    pieces = [*_BYTES.values(), "\u2581", " ", "\n", *(f"<0x{byte:02X}>" for byte in range(256))]
    unknown = model.get("unk_token")
    letters = dict.fromkeys([*([unknown] if unknown else []), *pieces])
    if model.get("type") == "Unigram":
        return {"vocab": [["<unk>", 0.0], *([letter, -1.0] for letter in letters)], "unk_id": 0}
    vocab = {letter: order for order, letter in enumerate(letters)}
    return {"vocab": vocab, "merges": []} if "merges" in model or model.get("type") == "BPE" else {"vocab": vocab}
