"""Rows of JSON files, read one by one: what is broken in them is a broken row, and the others are read."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from template_fix.conversations.rows import BrokenRow, parsed
from template_fix.data.batches import Batch, DataError, unreadable
from template_fix.data.row_check import BATCH
from template_fix.text.json_nodes import JsonError
from template_fix.text.json_spans import value_at

# Lines are held as they are, so that more of them make a batch than of decoded rows.
_LINES, _BATCH_BYTES = 4 * BATCH, 8 << 20
_CHUNK = 4 << 20
# So much of a plain file is looked through at a time, and so many of its lines are read.
_PART, _AT_ONCE = 1 << 20, 50
BOM, _SPACE = b"\xef\xbb\xbf", ord(" ")
# A line is decoded in a process whose memory is bounded, a value of a document in this one, where it can take 25 times
# as much memory as its text.
_LONGEST_LINE, _LONGEST_VALUE = 64 << 20, 16 << 20
# Text is compressed to a fifth, and at most to a thousandth.
_BOMB_BYTES, _BOMB_RATIO = 16 << 20, 200
# As much as a literal cut off at the end of a chunk can hold.
_CUT = 16
_BETWEEN = re.compile(r"[ \t\r\n,]*")


def holds_lines(path: Path) -> bool:
    """Whether a .json file is one of JSON lines: its first line is an object by itself."""
    with _opened(path) as file:
        try:
            return isinstance(parsed(file.readline(_CHUNK)), dict)
        except BrokenRow:
            return False


def _opened(path: Path) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


@dataclass(frozen=True)
class _Lines:
    """Lines of a file by their places, read when they are iterated: in the process that checks them.

    The file may grow until then. Where anything but a line stands in a place, that row can't be read.
    """

    path: Path
    starts: Sequence[int]
    ends: Sequence[int]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, part: slice) -> _Lines:
        return _Lines(self.path, self.starts[part], self.ends[part])

    def __iter__(self) -> Iterator[bytes | BrokenRow]:
        for at in range(0, len(self), _AT_ONCE):
            yield from self[at : at + _AT_ONCE]._read()

    def _read(self) -> list[bytes | BrokenRow]:
        first, size = self.starts[0], self.ends[-1] - self.starts[0]
        try:
            with open(self.path, "rb") as file:
                file.seek(first)
                text = file.read(size + 1)
        except OSError as error:
            return [unreadable(error.strerror or str(error))] * len(self)
        # The last line of a file may have no end, or may have been given one.
        ended = self.ends[-1] if len(text) == size or text[size:] == b"\n" else None
        return [
            _whole(text[start - first : end - first], end == ended)
            for start, end in zip(self.starts, self.ends, strict=True)
        ]


def _whole(line: bytes, ended: bool) -> bytes | BrokenRow:
    """Return what stands in the place of a line, if it still is one: it ends there or, if ``ended``, just behind."""
    if line.find(b"\n", 0, -1) < 0 and (ended or line.endswith(b"\n")):
        return line
    return unreadable("it was changed meanwhile")


def lines(path: Path) -> Iterator[Batch]:
    """Read the rows of a file of JSON lines: where it is a plain one, only their places are found here."""
    return _placed(path) if path.is_file() and not path.name.endswith(".gz") else _decoded(path)


def _placed(path: Path) -> Iterator[Batch]:
    place = path.absolute()  # a process that was started earlier may stand in another folder
    with _opened(path) as file:
        size = path.stat().st_size or 1
        number, numbers, starts, ends = 0, list[int](), list[int](), list[int]()
        why = ""
        try:
            for start, end, blank in _each_place(file):
                if end - start > _LONGEST_LINE:
                    raise _TooLongError
                number += 1
                if blank:
                    continue
                numbers.append(number)
                starts.append(start)
                ends.append(end)
                if len(numbers) == _LINES or end - starts[0] >= _BATCH_BYTES:
                    yield Batch(str(path), numbers, _Lines(place, starts, ends), end / size)
                    numbers, starts, ends = [], [], []
        except (OSError, _TooLongError) as error:
            why = str(error)
        yield Batch(str(path), numbers, _Lines(place, starts, ends), 1.0)
        if why:
            yield Batch(str(path), [number + 1], [unreadable(why)], 1.0)


class _TooLongError(Exception):
    """A line that is too long to be a row."""

    def __init__(self) -> None:
        super().__init__(f"a line has more than {_LONGEST_LINE >> 20} MB")


def _each_place(file: io.BufferedReader) -> Iterator[tuple[int, int, bool]]:
    """Yield where each line of a file begins and ends, and whether nothing but white space is in it."""
    part = bytearray(_PART)
    behind = start = len(BOM) if file.peek(len(BOM)).startswith(BOM) else 0
    file.seek(start)
    blank = True
    while length := file.readinto(part):
        at = 0
        while end := part.find(b"\n", at, length) + 1:
            yield start, behind + end, blank and part[at] <= _SPACE and not part[at:end].strip()
            start, at, blank = behind + end, end, True
        blank = blank and not part[at:length].strip()
        behind += length
        if behind - start > _LONGEST_LINE:
            raise _TooLongError
    if start < behind:
        yield start, behind, blank


def _decoded(path: Path) -> Iterator[Batch]:
    with _opened(path) as raw:
        size = path.stat().st_size or 1
        file = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw
        numbers: list[int] = []
        rows: list[object] = []
        held = 0
        for number, line in enumerate(_each_line(file, raw), 1):
            if isinstance(line, bytes):
                line = line.removeprefix(BOM) if number == 1 else line
                if not line.strip():
                    continue
                held += len(line)
            numbers.append(number)
            rows.append(line)
            if len(rows) == _LINES or held >= _BATCH_BYTES:
                yield Batch(str(path), numbers, rows, raw.tell() / size)
                numbers, rows, held = [], [], 0
        yield Batch(str(path), numbers, rows, 1.0)


def _each_line(file: io.BufferedReader | gzip.GzipFile, raw: io.BufferedReader) -> Iterator[bytes | BrokenRow]:
    """Yield the lines of a file, which may be compressed in ``raw``, up to what can't be read."""
    size = 0
    try:
        while line := file.readline(_LONGEST_LINE + 1):
            size += len(line)
            if len(line) > _LONGEST_LINE:
                yield unreadable(str(_TooLongError()))
                return
            if size > _BOMB_BYTES and size > _BOMB_RATIO * raw.tell():
                yield unreadable(f"it is compressed to less than 1/{_BOMB_RATIO}, as no data is")
                return
            yield line
    except (OSError, EOFError, zlib.error) as error:  # a gzip file that is broken, a disk that fails
        yield unreadable(str(error))


def values(path: Path) -> Iterator[Batch]:
    """Read the rows of a JSON document, a list or one value after another, without holding all of it."""
    number = held = 0
    rows: list[object] = []
    for value, length in _each_value(path):
        rows.append(value)
        held += length
        if len(rows) == BATCH or held >= _BATCH_BYTES:
            yield Batch(str(path), range(number + 1, number + 1 + len(rows)), rows)
            number, rows, held = number + len(rows), [], 0
    yield Batch(str(path), range(number + 1, number + 1 + len(rows)), rows, 1.0)


def _each_value(path: Path) -> Iterator[tuple[object, int]]:
    """Yield each value with the length of its text, up to what can't be read."""
    with _opened(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", errors="replace") as file:
        text = file.read(_CHUNK).lstrip().removeprefix("[")
        at, more = 0, True
        while more or text[at:].strip(" \t\r\n,]"):
            start = _behind(text, at)
            try:
                value, at = value_at(text, start)
            except JsonError as error:
                why, length = error.message, len(text) - start
                if more and _is_cut(error, len(text)):
                    if length <= _LONGEST_VALUE:
                        # As much again as there is, so that a long value isn't tried too often.
                        chunk = file.read(min(max(_CHUNK, length), _LONGEST_VALUE + 1 - length))
                        text, at, more = text[start:] + chunk, 0, bool(chunk)
                        continue
                    why = f"a value has more than {_LONGEST_VALUE >> 20} MB"
                yield unreadable(why), 0
                return
            yield value, at - start


def _behind(text: str, at: int) -> int:
    """Return where the next value begins."""
    between = _BETWEEN.match(text, at)
    return between.end() if between else at


def _is_cut(error: JsonError, length: int) -> bool:
    """Whether what can't be decoded may be whole once more of the file is read."""
    return "not JSON" in error.message and (error.offset >= length - _CUT or "Unterminated" in error.message)
