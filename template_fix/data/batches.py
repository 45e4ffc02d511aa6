"""Rows that lie together in one file, and streams of them: the first so many, or so many at random."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from random import Random
from typing import Any

from template_fix.conversations.rows import BrokenRow
from template_fix.data.row_check import BATCH
from template_fix.text.display import UserError

# How many rows are checked at first.
_FEW = 250


class DataError(UserError, ValueError):
    """Data that can't be read at all; the message is one line that says what to do."""


def unreadable(why: str) -> BrokenRow:
    """Return what stands for all rows of a file that can't be read any further."""
    return BrokenRow(f"the file can't be read from here on: {why}")


@dataclass(frozen=True)
class Batch:
    """Rows that lie together: the file, their numbers in it from 1 (of JSON lines, the lines'), and the rows.

    ``rows`` are mappings of columns, their JSON text, or BrokenRow errors; they may be decoded only when they are
    iterated. ``done`` is how much of all data is read with them, from 0 to 1, None where that isn't known.
    """

    file: str
    numbers: Sequence[int]
    rows: Any
    done: float | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, part: slice) -> Batch:
        return replace(self, numbers=self.numbers[part], rows=self.rows[part])


def rising(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the same rows, at first few at a time: what is found of these is known to all that are begun later."""
    most = _FEW
    for batch in batches:
        while len(batch) > most:
            yield batch[:most]
            batch, most = batch[most:], 2 * most
        yield batch


def limited(batches: Iterable[Batch], limit: int | None) -> Iterator[Batch]:
    """Yield the first ``limit`` rows, all where it is None."""
    left = limit
    for batch in batches:
        if left is None:
            yield batch
        elif left > 0:
            yield batch[:left]
            left -= min(len(batch), left)
        if left == 0:
            return


def _held(rows: Any) -> list[object]:
    try:
        return list(rows)
    except MemoryError:
        return [BrokenRow("it takes more memory than a row may")]


def sampled(batches: Iterable[Batch], size: int) -> Iterator[Batch]:
    """Yield ``size`` rows, each with the same chance and in their order; all data is read, but only they are kept."""
    chosen: list[tuple[int, Batch]] = []
    seen, chance = 0, Random(0)
    for batch in batches:
        for index in range(len(batch)):
            at = seen if seen < size else chance.randrange(seen + 1)
            if at < size:
                one = batch[index : index + 1]
                chosen[at : at + 1] = [(seen, replace(one, rows=_held(one.rows), done=None))]
            seen += 1
    for file, some in groupby(sorted(chosen, key=lambda each: each[0]), key=lambda each: each[1].file):
        ones = [one for _, one in some]
        for start in range(0, len(ones), BATCH):
            part = ones[start : start + BATCH]
            yield Batch(file, [one.numbers[0] for one in part], [one.rows[0] for one in part])
