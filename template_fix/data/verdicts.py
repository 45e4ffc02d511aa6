"""The verdicts on rows, some at a time: each step is done for all of them, so that what it needs stays at hand.

One row after the other, each with all steps, takes half as long again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from itertools import islice
from typing import NamedTuple, TypeVar

from template_fix.bounds.limits import LimitExceeded
from template_fix.conversations.rows import BrokenRow, Row, UnknownLayout, columns_of, rows_of
from template_fix.data.losses import Verdict, verdict
from template_fix.data.shapes.operations import is_recording
from template_fix.data.shapes.row_texts import RowParser
from template_fix.data.shapes.shapes import Shapes
from template_fix.data.troubles.failures import explained
from template_fix.data.troubles.kinds import Trouble
from template_fix.data.troubles.view import RowTemplate, View
from template_fix.jinja.renderer import Failure

Value = TypeVar("Value")
# Which template a conversation is rendered with.
Chooser = Callable[[Row], RowTemplate]
# A template that exceeds its limits on that many rows isn't tried on the others.
PATIENCE = 3
STOPPED = "the template was stopped: "
NOT_TRIED = f"not tried: the template had exceeded its limits on {PATIENCE} rows before it"
_AT_ONCE, _BYTES_AT_ONCE = 50, 1 << 20


class Verdicts(NamedTuple):
    """The verdict on a row, and of one in trouble that with the repaired templates, where there are some."""

    now: Verdict
    repaired: Verdict | None = None


class _Stopped(Failure):
    """A rendering that exceeded its limits, or wasn't tried since others had."""


@dataclass
class _Patience:
    """How many rows have exceeded their limits in a step so far."""

    stopped: int = 0

    def tried(self, work: Callable[..., Value], *given: object) -> Value | _Stopped:
        """Return what ``work`` does, or why it was stopped."""
        if self.stopped >= PATIENCE:
            return _Stopped(NOT_TRIED)
        try:
            return work(*given)
        except LimitExceeded as error:
            self.stopped += 1
            return _Stopped(f"{STOPPED}{error}")


def verdicts(
    values: Iterable[object],
    columns: Mapping[str, str],
    now: Chooser,
    repaired: Chooser | None = None,
    shapes: Shapes[Verdicts] | None = None,
) -> Iterator[Verdicts]:
    """Yield the verdicts on each row: a mapping of columns, or its JSON text; ``columns`` are as in `rows.rows_of`.

    Where a row is like others in all but its texts, a program of ``shapes`` tells that was recorded of them; without,
    each row is rendered. Works inside of `limits.run_bounded` alone.
    """
    patience, parser = (_patience(), _patience()), RowParser(columns_of(columns)[1])
    for part in _parts(values):
        if any(each.stopped for steps in patience for each in steps):
            shapes = None  # whether a row is tried depends on those before it
        read = [_read(value, columns, shapes, parser) for value in part]
        rendered = _rendered([each for each in read if isinstance(each, list)], now, repaired, patience)
        yield from [next(rendered) if isinstance(each, list) else each for each in read]


def _rendered(
    rows: list[list[Row]], now: Chooser, repaired: Chooser | None, patience: tuple[tuple[_Patience, ...], ...]
) -> Iterator[Verdicts]:
    """Yield the verdicts on rows that are rendered, of each its conversations."""
    first = _joined(rows, now, patience[0])
    hit = [row for row, verdict in zip(rows, first, strict=True) if verdict.mendable]
    second = iter(_joined(hit, repaired, patience[1]) if repaired else ())
    return (Verdicts(verdict, next(second, None) if verdict.mendable else None) for verdict in first)


def _joined(rows: list[list[Row]], template_of: Chooser, patience: tuple[_Patience, ...]) -> list[Verdict]:
    """Return the verdict on each row, of both of its conversations where there are two."""
    flat = [each for row in rows for each in row]
    judged = _judged(flat, [template_of(each) for each in flat], patience)
    return [reduce(Verdict.joined, islice(judged, len(row))) for row in rows]


def shapes_of(columns: Mapping[str, str], now: Chooser, repaired: Chooser | None = None) -> Shapes[Verdicts]:
    """Return what answers for rows of the same shape as others, having seen none yet."""
    return Shapes(partial(_of_one, columns, now, repaired), *columns_of(columns))


def _of_one(columns: Mapping[str, str], now: Chooser, repaired: Chooser | None, value: object) -> Verdicts:
    """Return the verdicts on one row, which may have placeholders. Raises BrokenRow, LimitExceeded, …"""
    rows = rows_of(value, columns)

    def by(template_of: Chooser) -> Verdict:
        return reduce(Verdict.joined, (_rendering(row, template_of(row)) for row in rows))

    first = by(now)
    return Verdicts(first, by(repaired) if repaired and first.mendable else None)


def _rendering(row: Row, template: RowTemplate) -> Verdict:
    template = template.recording if is_recording() else template
    printed = template.print(row)
    if isinstance(printed, Failure):
        raise BrokenRow(printed.reason)
    return verdict(View(row, template, printed, template.print_prompt(row)))


def _parts(values: Iterable[object]) -> Iterator[list[object]]:
    """Yield some values at a time, fewer where they are long texts: decoded, they take many times as much memory."""
    part, size = list[object](), 0
    for value in values:
        part.append(value)
        size += len(value) if isinstance(value, (bytes, str)) else 0
        if len(part) == _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield part
            part, size = [], 0
    yield part


def verdict_on(row: Row, template: RowTemplate) -> Verdict:
    """Return the verdict on one conversation. Works inside of `limits.run_bounded` alone."""
    return next(_judged([row], [template], _patience()))


def _read(
    value: object, columns: Mapping[str, str], shapes: Shapes[Verdicts] | None, parser: RowParser
) -> list[Row] | Verdicts:
    """Return the conversations of a row, or the verdicts on it where they are known already."""
    try:
        if not isinstance(value, (bytes, str)):
            return (shapes and shapes.answer(value)) or rows_of(value, columns)
        row = parser.parse(value)
        # A program holds all that it makes of a row until its end.
        return (shapes and len(value) <= _BYTES_AT_ONCE and shapes.answer(row)) or rows_of(row, columns)
    except UnknownLayout as error:
        return Verdicts(Verdict(broken=str(error), troubles=(Trouble("layout", 0, str(error)),)))
    except BrokenRow as error:
        return Verdicts(Verdict(broken=str(error)))


def _patience() -> tuple[_Patience, ...]:
    """Return the patience with each step: one row's second step comes after another's first."""
    return _Patience(), _Patience(), _Patience()


def _judged(rows: list[Row], templates: list[RowTemplate], patience: tuple[_Patience, ...]) -> Iterator[Verdict]:
    """Yield the verdict on each conversation."""
    printing, prompting, judging = patience
    printed = [printing.tried(template.print, row) for row, template in zip(rows, templates, strict=True)]
    prompts = [
        prompting.tried(template.print_prompt, row) if isinstance(text, str) else None
        for row, template, text in zip(rows, templates, printed, strict=True)
    ]
    for each in zip(rows, templates, printed, prompts, strict=True):
        verdict = judging.tried(_verdict, *each)
        yield Verdict(failure=verdict.reason) if isinstance(verdict, _Stopped) else verdict


def _verdict(
    row: Row, template: RowTemplate, printed: str | Failure, prompt: str | Failure | None
) -> Verdict | _Stopped:
    for each in (printed, prompt):
        if isinstance(each, _Stopped):
            return each
    if isinstance(printed, Failure):
        return Verdict(failure=explained(row, template, printed), troubles=row.troubles)
    return verdict(View(row, template, printed, prompt))
