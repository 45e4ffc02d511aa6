"""One row of training data, by its number, as conversations to show."""

from __future__ import annotations

from collections.abc import Mapping

from template_fix.conversations.builtin import Conversation
from template_fix.conversations.rows import BrokenRow, rows_of
from template_fix.data.batches import DataError
from template_fix.data.sources import Source


def find_row(source: Source, number: int, columns: Mapping[str, str]) -> list[Conversation]:
    """Return the conversation of the row with this number, of a preference pair both sides.

    Numbers are those that a check of the data tells: of JSON lines, the lines'. Raises DataError where there is no such
    row, or no conversation in it.
    """
    last = 0
    for batch in source.batches():
        if number in batch.numbers:
            name = f"{batch.file}:{number}"
            row = next(iter(batch[batch.numbers.index(number) :][:1].rows))
            try:
                found = rows_of(row, columns)
            except BrokenRow as error:
                raise DataError(f"{name}: {error}") from None
            titles = [name] if len(found) == 1 else [f"{name}, {side}" for side in ("chosen", "rejected")]
            return [
                Conversation(title, tuple(each.messages), tuple(each.tools) if each.tools else None, each.flags)
                for title, each in zip(titles, found, strict=True)
            ]
        last = max(last, *batch.numbers, 0)
    raise DataError(f"{', '.join(source.names)}: there is no row {number:,}; the last one is {last:,}")
