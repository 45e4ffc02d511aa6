"""Rows of JSON files, read one by one: what is broken in them is a broken row, and the others are read."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from template_fix.batch_check import BATCH
from template_fix.batches import Batch, DataError
from template_fix.rows import BrokenRow

# Lines are held as they are, so that more of them make a batch than of decoded rows.
_LINES, _BATCH_BYTES = 4 * BATCH, 4 << 20
_CHUNK = 4 << 20
# As much as a literal cut off at the end of a chunk can hold.
_CUT = 16
_BETWEEN = " \t\r\n,"


def holds_lines(path: Path) -> bool:
    """Whether a .json file is one of JSON lines: its first line is an object by itself."""
    with _opened(path) as file:
        first = file.readline(_CHUNK)
        try:
            return isinstance(json.loads(first), dict)
        except ValueError:
            return False


def _opened(path: Path) -> io.BufferedReader:
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def lines(path: Path) -> Iterator[Batch]:
    with _opened(path) as raw:
        size = path.stat().st_size or 1
        file = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw
        numbers: list[int] = []
        rows: list[Any] = []
        held = 0
        for number, line in enumerate(_each_line(file), 1):
            if isinstance(line, bytes):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if not line.strip():
                    continue
                held += len(line)
            numbers.append(number)
            rows.append(line)
            if len(rows) == _LINES or held >= _BATCH_BYTES:
                yield Batch(str(path), numbers, rows, raw.tell() / size)
                numbers, rows, held = [], [], 0
        yield Batch(str(path), numbers, rows, 1.0)


def _each_line(file: Iterable[bytes]) -> Iterator[bytes | BrokenRow]:
    try:
        yield from file
    except (OSError, EOFError) as error:  # a gzip file that is cut off, a disk that fails
        yield BrokenRow(f"the file can't be read from here on: {error}")


def values(path: Path) -> Iterator[Batch]:
    """Read the rows of a JSON document, a list or one value after another, without holding all of it."""
    number = 0
    rows: list[Any] = []
    for value in _each_value(path):
        rows.append(value)
        if len(rows) == BATCH:
            yield Batch(str(path), range(number + 1, number + 1 + len(rows)), rows)
            number, rows = number + len(rows), []
    yield Batch(str(path), range(number + 1, number + 1 + len(rows)), rows, 1.0)


def _each_value(path: Path) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    with _opened(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", errors="replace") as file:
        text = file.read(_CHUNK).lstrip().removeprefix("[")
        at, more = 0, True
        while more or text[at:].strip(_BETWEEN + "]"):
            at = len(text) - len(text[at:].lstrip(_BETWEEN))
            try:
                value, at = decoder.raw_decode(text, at)
            except (json.JSONDecodeError, RecursionError) as error:
                if not (more and _is_cut(error, len(text))):
                    yield BrokenRow(f"not JSON from here on: {getattr(error, 'msg', 'nested too deeply')}")
                    return
                more = bool(chunk := file.read(_CHUNK))
                text, at = text[at:] + chunk, 0
            else:
                yield value


def _is_cut(error: Exception, length: int) -> bool:
    """Whether what can't be decoded may be whole once more of the file is read."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.pos >= length - _CUT or error.msg.startswith("Unterminated")
