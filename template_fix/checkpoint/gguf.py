"""A GGUF file as a checkpoint: templates and tokens in its metadata as texts, and what changes in them as bytes.

Each template is a text by the name of its key, ``tokenizer.chat_template`` or ``tokenizer.chat_template.tool_use``.
What is said of tokens that aren't plain ones is one JSON text, ``tokenizer.ggml.tokens``: special are those that
llama.cpp calls control tokens, and doesn't print.
"""

from __future__ import annotations

import json
import stat
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from template_fix.checkpoint.gguf_header import Header, read_header
from template_fix.checkpoint.json_file import CheckpointError
from template_fix.checkpoint.template_copies import is_gguf_template
from template_fix.checkpoint.token_records import GGUF_TOKENS, TYPES

SUFFIX = ".gguf"
TOKEN_TYPES = "tokenizer.ggml.token_type"
# llama.cpp's types of tokens: those that it doesn't print, and one that it does, and never splits.
_UNPRINTED, _ADDED = (2, 3), 4
_NAMED = {f"{name}_token": f"tokenizer.ggml.{name}_token_id" for name in ("bos", "eos")}
_LONGEST_TEMPLATE = 16 << 20


class Splice(NamedTuple):
    """New bytes for those of a header from ``start`` to ``end``."""

    start: int
    end: int
    new: bytes


def is_gguf(path: Path) -> bool:
    """Whether a path is that of a GGUF file, by its name."""
    return path.name.lower().endswith(SUFFIX) and not path.is_dir()


def read_gguf(path: Path, name: str) -> Header:
    """Return the header of a GGUF file. Raises CheckpointError, which calls it ``name``."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{name}: this is a device or pipe, not a file")
        return read_header(path, name)
    except FileNotFoundError:
        raise CheckpointError(f"{name}: no such file") from None
    except OSError as error:
        raise CheckpointError(f"{name}: the file can't be read: {(error.strerror or str(error)).lower()}") from None


def texts_of(header: Header) -> dict[str, str]:
    """Return what a header says of templates and tokens as texts by their names. Raises CheckpointError."""
    texts = {key: header.text(key) or "" for key in header.entries if is_gguf_template(key)}
    if long := [key for key, text in texts.items() if len(text) > _LONGEST_TEMPLATE]:
        raise CheckpointError(f"{header.name}: {long[0]} is longer than {_LONGEST_TEMPLATE >> 20} MB")
    return {**texts, GGUF_TOKENS: _tokens_text(header)}


def _tokens_text(header: Header) -> str:
    tokens, types = header.texts(GGUF_TOKENS), header.numbers(TOKEN_TYPES)
    if types and len(types) != len(tokens):
        raise CheckpointError(f"{header.name}: there are {len(tokens):,} tokens and {len(types):,} types of them")
    named = {name: header.number(key) for name, key in _NAMED.items()}
    told = {name: _decoded(tokens[at]) for name, at in named.items() if at is not None and at < len(tokens)}
    rows = [
        json.dumps({"id": at, "content": _decoded(tokens[at]), "special": type in _UNPRINTED}, ensure_ascii=False)
        for at, type in enumerate(types)
        if type in (*_UNPRINTED, _ADDED)
    ]
    lines = [f"{json.dumps(name)}: {json.dumps(token, ensure_ascii=False)}" for name, token in told.items()]
    lines += [f"{json.dumps(TYPES)}: [\n  {f',{chr(10)}  '.join(rows)}\n]"]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _decoded(token: bytes) -> str:
    return token.decode(errors="replace")


def splices(header: Header, changed: Mapping[str, tuple[str, str]]) -> list[Splice]:
    """Return what makes of a header one with the texts that a patch has changed, given before and after."""
    return sorted(each for file, texts in changed.items() for each in _splices(header, file, *texts))


def _splices(header: Header, file: str, before: str, after: str) -> Iterator[Splice]:
    if file != GGUF_TOKENS:
        entry, new = header.entries[file], after.encode()
        yield Splice(entry.start, entry.end, struct.pack(f"{header.order}Q", len(new)) + new)
        return
    one, other = ({token["id"]: token["special"] for token in json.loads(text)[TYPES]} for text in (before, after))
    start = header.entries[TOKEN_TYPES].start
    for number, special in other.items():
        if one[number] != special:
            yield Splice(start + 4 * number, start + 4 * number + 4, struct.pack(f"{header.order}I", _ADDED))
