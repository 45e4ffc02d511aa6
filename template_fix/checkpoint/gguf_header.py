"""The header of a GGUF file, read within bounds: its metadata by their keys, and where each value lies.

The `gguf` package reads such files, too, but it maps the whole of one and makes objects of every value, as many as the
file says that there are. A stranger's file can say anything, and this module needs little of it: so it is read here, no
further than the header goes, and no package has to be installed. Tests compare both readers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from template_fix.checkpoint.json_file import CheckpointError

MAGIC, VERSIONS = b"GGUF", (2, 3)
UINT32, INT32, STRING, ARRAY = 4, 5, 8, 9
# What a value of each type takes, and how struct calls those that are read.
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, UINT32: 4, INT32: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_WHOLE = {UINT32: "I", INT32: "i", 10: "Q", 11: "q"}
# The largest vocabularies take 20 MB with their merges; models of many experts have some thousand tensors.
LARGEST_HEADER = 64 << 20
MOST_KEYS, MOST_TENSORS, LONGEST_KEY = 10_000, 200_000, 65_535
_CHUNK = 1 << 20


class Entry(NamedTuple):
    """A value of the metadata: its type, and from where to where its bytes go; of an array, those of its ``items``."""

    type: int
    start: int
    end: int
    items: int | None = None


class Header(NamedTuple):
    """What stands in front of a file's tensors.

    ``raw`` are its bytes, ``entries`` the metadata by their keys, ``metadata_end`` is where these end; the data of
    ``tensors`` begin at ``data``, which is a multiple of ``alignment``. ``order`` is the byte order as struct names it.
    """

    name: str
    raw: bytes
    order: str
    entries: Mapping[str, Entry]
    metadata_end: int
    tensors: int
    alignment: int

    @property
    def data(self) -> int:
        """Where the tensors' data begin."""
        return -(-len(self.raw) // self.alignment) * self.alignment

    def text(self, key: str) -> str | None:
        """Return the text of a key, None where there is none. Raises CheckpointError where it is something else."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        if entry.type != STRING or entry.items is not None:
            raise CheckpointError(f"{self.name}: {key} should be a text")
        try:
            return self.raw[entry.start + 8 : entry.end].decode()
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{self.name}: {key} is not UTF-8 (byte {error.start})") from None

    def number(self, key: str) -> int | None:
        """Return the whole number of a key, None where there is none."""
        entry = self.entries.get(key)
        if entry is None or entry.type not in _WHOLE or entry.items is not None:
            return None
        return int(struct.unpack_from(self.order + _WHOLE[entry.type], self.raw, entry.start)[0])

    def numbers(self, key: str) -> tuple[int, ...]:
        """Return the array of 32 bit numbers of a key, empty where there is none. Raises as `text`."""
        entry = self.entries.get(key)
        if entry is None:
            return ()
        if entry.type not in (UINT32, INT32) or entry.items is None:
            raise CheckpointError(f"{self.name}: {key} should be an array of 32 bit numbers")
        return struct.unpack_from(f"{self.order}{entry.items}{_WHOLE[entry.type]}", self.raw, entry.start)

    def texts(self, key: str) -> tuple[bytes, ...]:
        """Return the array of texts of a key as their bytes, empty where there is none. Raises as `text`."""
        entry = self.entries.get(key)
        if entry is None:
            return ()
        if entry.type != STRING or entry.items is None:
            raise CheckpointError(f"{self.name}: {key} should be an array of texts")
        return tuple(self._texts(entry.start, entry.items))

    def _texts(self, at: int, items: int) -> Iterator[bytes]:
        length = struct.Struct(self.order + "Q")
        for _ in range(items):
            end = at + 8 + length.unpack_from(self.raw, at)[0]
            yield self.raw[at + 8 : end]
            at = end


def read_header(path: Path, name: str) -> Header:
    """Return the header of a file, which messages call ``name``. Raises CheckpointError, and OSError."""
    with open(path, "rb") as file:
        return _Reader(name, file).header()


class _Reader:
    """Reads on in a file for as far as a header goes, and says what is wrong with it."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name, self.file = name, file
        self.raw, self.at, self.order = bytearray(), 0, "<"

    def header(self) -> Header:
        if self._take(4) != MAGIC:
            raise self._error("this is no GGUF file: it doesn't begin with GGUF; download it again")
        if self._number("H") == 0:
            self.order = ">"
        self.at = 4
        version = self._number("I")
        if version not in VERSIONS:
            raise self._error(f"is of version {version} of GGUF; known are {' and '.join(map(str, VERSIONS))}")
        tensors, keys = self._number("Q"), self._number("Q")
        for number, most, what in ((keys, MOST_KEYS, "keys"), (tensors, MOST_TENSORS, "tensors")):
            if number > most:
                raise self._error(f"{number:,} {what} are more than a model has; at most {most:,}")
        entries: dict[str, Entry] = {}
        for _ in range(keys):
            key = self._key()
            if key in entries:
                raise self._error(f"the key {key[:80]!r} stands twice in the metadata")
            entries[key] = self._value(key, self._number("I"))
        end = self.at
        for _ in range(tensors):
            self._tensor()
        header = Header(self.name, bytes(self.raw[: self.at]), self.order, entries, end, tensors, 32)
        alignment = header.number("general.alignment")
        if alignment is None:
            return header
        if not 0 < alignment <= _CHUNK or alignment & (alignment - 1):
            raise self._error(f"general.alignment is {alignment}, and no power of two that a file is laid out by")
        return Header(self.name, header.raw, self.order, entries, end, tensors, alignment)

    def _error(self, message: str) -> CheckpointError:
        return CheckpointError(f"{self.name}: {message}")

    def _reach(self, end: int) -> None:
        """Read until the first ``end`` bytes of the file are in the buffer."""
        if end > LARGEST_HEADER:
            most = LARGEST_HEADER >> 20
            raise self._error(f"what stands in front of the tensors is more than {most} MB, which is all that is read")
        while len(self.raw) < end:
            part = self.file.read(_CHUNK)
            if not part:
                raise self._error("is cut off in front of its tensors; download it again")
            self.raw += part

    def _take(self, size: int) -> bytes:
        self._reach(self.at + size)
        self.at += size
        return bytes(self.raw[self.at - size : self.at])

    def _number(self, form: str) -> int:
        layout = struct.Struct(self.order + form)
        return int(layout.unpack(self._take(layout.size))[0])

    def _key(self) -> str:
        length = self._number("Q")
        if length > LONGEST_KEY:
            raise self._error(f"a key of {length:,} bytes is longer than any is; download it again")
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise self._error("a key of the metadata is not UTF-8; download it again") from None

    def _value(self, key: str, type: int) -> Entry:
        start, items = self.at, None
        if type == ARRAY:  # llama.cpp knows no arrays of arrays either
            type, items = self._number("I"), self._number("Q")
            start = self.at
        if type == STRING:
            self._skip_texts(1 if items is None else items)
        elif type in _SIZES:
            self._skip(_SIZES[type] * (1 if items is None else items))
        else:
            raise self._error(f"{key[:80]} has a value of the type {type}, which is none of GGUF's; download it again")
        return Entry(type, start, self.at, items)

    def _skip(self, size: int) -> None:
        self._reach(self.at + size)
        self.at += size

    def _skip_texts(self, items: int) -> None:
        """Read over texts; there may be half a million, so this looks at what is at hand itself."""
        self._reach(self.at + 8 * min(items, LARGEST_HEADER))
        length, raw, at = struct.Struct(self.order + "Q"), self.raw, self.at
        for _ in range(items):
            if at + 8 > len(raw):
                self._reach(at + 8)
            at += 8 + length.unpack_from(raw, at)[0]
            if at > len(raw):
                self._reach(at)
        self.at = at

    def _tensor(self) -> None:
        self._key()
        dimensions = self._number("I")
        if dimensions > 8:
            raise self._error(f"a tensor of {dimensions:,} dimensions is none; download it again")
        self._skip(8 * dimensions + 4 + 8)
