"""What a model's templates lose of a whole data set: its batches, checked in several processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from html import escape
from itertools import islice
from typing import NamedTuple

from template_fix.bounds.limits import LimitExceeded, start
from template_fix.data.batches import Batch, rising
from template_fix.data.losses import Verdict
from template_fix.data.rewrite import Rewritten
from template_fix.data.row_check import BATCH_SECONDS, RowCheck, in_parts
from template_fix.data.tally import Found, Tally, found_in, shortened, tallied
from template_fix.data.troubles.kinds import KINDS
from template_fix.data.verdicts import NOT_TRIED, PATIENCE, Verdicts

# So many rows are told of at once.
_FEW = 500


@dataclass(frozen=True)
class Survey:
    """What is lost of a data set: ``before``, and ``after`` with the repaired templates.

    ``after`` is of those rows alone that were in trouble before, None where there are none, or no repair. ``names`` are
    the data as they were named, ``release`` the transformers as which rows are rendered, and ``rewritten`` what became
    of the rows where they were to be rewritten.
    """

    names: tuple[str, ...]
    before: Tally = field(default_factory=Tally)
    after: Tally | None = None
    release: int = 5
    rewritten: Rewritten | None = None

    def __repr__(self) -> str:
        return f"<Survey: {self.before.harmed:,} of {self.before.rows:,} rows in trouble>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{kind.level}</td><td>{each.rows:,} rows {escape(kind.says)}</td><td>{escape(kind.do)}</td></tr>"
            for each in self.before.troubles
            for kind in [KINDS[each.kind]]
        )
        return f"<p><b>{escape(repr(self).strip('<>'))}</b></p>" + (f"<table>{rows}</table>" if rows else "")


class _Part(NamedTuple):
    """The survey of some rows of one file, with those in trouble, and what was recorded of them."""

    before: Tally
    after: Tally | None
    found: tuple[Found, ...]
    learned: bytes = b""


@dataclass(frozen=True)
class _Surveyor:
    """The survey of batches by a check; ``listing`` tells whether the rows in trouble are wanted one by one."""

    check: RowCheck
    listing: bool

    def survey(self, batch: Batch) -> _Part:
        """Return what becomes of one batch. Use it inside `limits.run_bounded`; raises LimitExceeded."""
        both = self.check.both(batch.rows)
        parts = [self._few(batch.file, numbers, islice(both, len(numbers))) for numbers in _by_few(batch.numbers)]
        return _joined(parts)._replace(learned=self.check.learned())

    def _few(self, file: str, numbers: Sequence[int], both: Iterable[Verdicts]) -> _Part:
        """Return what becomes of a few rows: what is told of most of them is dropped before that of others is held."""
        now, repaired = zip(*both, strict=True)
        hit = [number for number, each in zip(numbers, repaired, strict=True) if each]
        after = tallied(file, hit, [each for each in repaired if each]) if self.check.repaired else None
        return self._part(file, numbers, now)._replace(after=after)

    def _part(self, file: str, numbers: Sequence[int], verdicts: Sequence[Verdict]) -> _Part:
        found = found_in(file, numbers, verdicts) if self.listing else ()
        return _Part(tallied(file, numbers, verdicts), None, tuple(found))

    def begin(self, batch: Batch) -> Callable[[], _Part]:
        """Begin the survey of a batch in a process of its own, and return what waits for it."""
        wait = start(self.survey, batch, seconds=10 * BATCH_SECONDS, computing=BATCH_SECONDS)

        def result() -> _Part:
            try:
                part = wait()
            except LimitExceeded as error:
                return _joined(in_parts(self.survey, batch, self.stopped, error))
            if not part.before.stopped:
                self.check.learn(part.learned)
                self.check.warm()
            return part._replace(learned=b"")

        return result

    def stopped(self, batch: Batch, why: str) -> _Part:
        """Return what stands for rows that can't be tried."""
        part = self._part(batch.file, batch.numbers, [Verdict(failure=why)] * len(batch))
        return part._replace(after=part.before if self.check.repaired else None)


def _by_few(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[at : at + _FEW] for at in range(0, len(numbers), _FEW))


def _joined(parts: Iterable[_Part]) -> _Part:
    before, after, found = Tally(), None, list[Found]()
    for part in parts:
        before += part.before
        after = after + part.after if after and part.after else after or part.after
        found += part.found
    return _Part(before, after, tuple(found))


def surveyed(
    now: RowCheck,
    batches: Iterable[Batch],
    processes: int = 1,
    on_batch: Callable[[Batch], None] | None = None,
    mended: Callable[[], RowCheck | None] | None = None,
    listed: Callable[[Found], None] | None = None,
) -> Survey:
    """Return what is lost of all batches, checked by ``processes`` at once.

    ``on_batch`` is called with each batch that is done, ``listed`` with each row in trouble, in order. ``mended`` gives
    the check with the repaired templates, or None. It is called once there are rows in trouble: data that is kept
    whole doesn't wait for a repair.
    """
    total = _joined([])
    for batch, part in _finished(_Surveyor(now, listed is not None), batches, processes, mended):
        if listed:
            for found in part.found:
                listed(found)
        total = _joined([total, part._replace(found=())])
        if on_batch:
            on_batch(batch)
    return Survey((), shortened(total.before), total.after and shortened(total.after), now.release)


def _finished(
    surveyor: _Surveyor, batches: Iterable[Batch], processes: int, mended: Callable[[], RowCheck | None] | None
) -> Iterator[tuple[Batch, _Part]]:
    """Yield each batch with its survey, in order, having begun as many as there are processes."""
    running: deque[tuple[Batch, Callable[[], _Part]]] = deque()
    stopped = 0

    def ended() -> tuple[Batch, _Part]:
        nonlocal surveyor, mended, stopped
        batch, wait = running.popleft()
        part = wait()
        stopped += part.before.stopped
        if mended and part.before.mendable:
            surveyor, mended = replace(surveyor, check=replace(surveyor.check, repaired=mended())), None
        if surveyor.check.repaired and part.before.mendable and part.after is None:
            part = surveyor.begin(batch)()
        return batch, part

    try:
        for batch in rising(batches):
            untried = partial(surveyor.stopped, batch, NOT_TRIED)
            running.append((batch, untried if stopped >= PATIENCE else surveyor.begin(batch)))
            if len(running) >= processes:
                yield ended()
        while running:
            yield ended()
    finally:
        for _, wait in running:  # where this ends early: what was begun must be waited for
            with suppress(Exception):
                wait()
