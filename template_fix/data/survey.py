"""What a model's templates lose of a whole data set: batches checked in several processes, and what they add up to."""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from template_fix.bounds.limits import LimitExceeded, start
from template_fix.data.batches import Batch
from template_fix.data.losses import Verdict
from template_fix.data.rewrite import Rewritten
from template_fix.data.row_check import BATCH_SECONDS, NOT_TRIED, PATIENCE, STOPPED, RowCheck, halved
from template_fix.data.troubles.kinds import KINDS
from template_fix.text.display import cut, one_line

# How many rows of each kind are shown, and how many different reasons are told apart.
SHOWN, _REASONS = 5, 50
# By which reasons that are the same name different places.
_NUMBER = re.compile(r"\[\d+\]")
_LONGEST_CUT, _LONGEST_REASON = 2000, 500


class Found(NamedTuple):
    """One row in a report: its file, its number in it, and what is wrong with it."""

    file: str
    number: int
    verdict: Verdict

    def as_line(self) -> dict[str, Any]:
        """Return it for a line of a file: where it is, its kinds of trouble, what shows the first, and what is cut."""
        told = self.verdict
        kinds = sorted(told.kinds, key=list(KINDS).index)
        first = next((each for each in told.troubles if each.kind == kinds[0]), None)
        shown, message = (first.shown, first.message) if first else (told.failure or told.broken, told.cut_from)
        where = {"file": self.file, "number": self.number, "message": message}
        return {**where, "kind": kinds[0], "kinds": kinds, "shown": one_line(shown, _LONGEST_REASON), "cut": told.cut}


class Example(NamedTuple):
    """One trouble of one row: where it is, the number of the message, from 1 or 0, and what shows it."""

    file: str
    number: int
    message: int
    shown: str


class Counted(NamedTuple):
    """A kind of trouble, by its name in `kinds.KINDS`, how many rows have it, and the first of them."""

    kind: str
    rows: int
    examples: tuple[Example, ...]


class Reason(NamedTuple):
    """Why rows are broken or fail, how many do so, and the first of them."""

    reason: str
    rows: int
    file: str
    number: int


@dataclass(frozen=True)
class Tally:
    """What became of some rows.

    ``rows`` are all, of which ``broken`` hold no conversation, ``layout`` of these as their
    columns are others, and ``failed`` aren't rendered, ``stopped`` of these as
    the template exceeded its limits. ``reasoning`` and ``answer`` count the characters of the rendered ones,
    ``…_lost`` what is lost of them, ``…_rows`` the rows that have any, and ``…_rows_lost`` those that lose any;
    ``lossy`` are the rows that lose either. ``prompt_differs`` counts rows that don't begin with their own prompt.
    ``worst`` are those that lose most. ``troubles`` counts rows by kind of trouble, and ``troubled`` those that have an
    error among them and are none of the above.
    """

    rows: int = 0
    broken: int = 0
    failed: int = 0
    stopped: int = 0
    reasoning_rows: int = 0
    reasoning_rows_lost: int = 0
    reasoning: int = 0
    reasoning_lost: int = 0
    answer_rows: int = 0
    answer_rows_lost: int = 0
    answer: int = 0
    answer_lost: int = 0
    lossy: int = 0
    prompt_differs: int = 0
    layout: int = 0
    troubled: int = 0
    troubles: tuple[Counted, ...] = ()
    worst: tuple[Found, ...] = ()
    why_broken: tuple[Reason, ...] = ()
    why_failed: tuple[Reason, ...] = ()

    @property
    def harmed(self) -> int:
        """How many rows aren't trained on as they are: they lose something, fail, or are broken."""
        return self.lossy + self.failed + self.broken + self.troubled

    @property
    def rendered(self) -> int:
        """How many rows could be judged."""
        return self.rows - self.failed - self.broken

    def having(self, kind: str) -> int:
        """Return how many rows have a kind of trouble."""
        return sum(each.rows for each in self.troubles if each.kind == kind)

    @property
    def mendable(self) -> bool:
        """Whether there are rows of which a repaired template may make more."""
        return bool(self.lossy or self.failed or self.prompt_differs)

    def __add__(self, other: Tally) -> Tally:
        summed = {name: getattr(self, name) + getattr(other, name) for name in COUNTS}
        return Tally(
            **summed,
            troubles=_counted((*self.troubles, *other.troubles)),
            worst=_worst((*self.worst, *other.worst)),
            why_broken=_merged((*self.why_broken, *other.why_broken)),
            why_failed=_merged((*self.why_failed, *other.why_failed)),
        )


COUNTS = tuple(name for name, default in vars(Tally()).items() if isinstance(default, int))


@dataclass(frozen=True)
class Survey:
    """What is lost of a data set: ``before``, and ``after`` with the repaired templates.

    ``after`` is of those rows alone that were in trouble before, None where there are none, or no repair. ``names`` are
    the data as they were named, ``release`` the transformers as which rows are rendered, ``listed`` the rows in trouble
    of one batch, and ``rewritten`` what became of them where they were to be rewritten.
    """

    names: tuple[str, ...]
    before: Tally = field(default_factory=Tally)
    after: Tally | None = None
    listed: tuple[Found, ...] = ()
    release: int = 5
    rewritten: Rewritten | None = None

    def __add__(self, other: Survey) -> Survey:
        after = self.after + other.after if self.after and other.after else self.after or other.after
        listed = (*self.listed, *other.listed)
        return replace(self, before=self.before + other.before, after=after, listed=listed)


@dataclass(frozen=True)
class Checks:
    """The check of a model's rows, and the one with its repaired templates, if there are any."""

    now: RowCheck
    repaired: RowCheck | None = None

    def survey(self, batch: Batch) -> Survey:
        """Return what becomes of one batch. Use it inside `limits.bounded`; raises LimitExceeded."""
        rows = list(batch.rows)
        told = self.now.within(rows)
        before = tallied(batch, batch.numbers, told)
        listed = tuple(_listed(batch, told))
        if self.repaired is None:
            return Survey((), before, None, listed)
        hit = [at for at, each in enumerate(told) if not each.broken and (not each.lossless or each.prompt_differs)]
        again = self.repaired.within(rows[at] for at in hit)
        return Survey((), before, tallied(batch, [batch.numbers[at] for at in hit], again), listed)

    def begin(self, batch: Batch) -> Callable[[], Survey]:
        """Begin the survey of a batch in a process of its own, and return what waits for it."""
        wait = start(self.survey, batch, seconds=10 * BATCH_SECONDS, computing=BATCH_SECONDS)

        def result() -> Survey:
            try:
                survey = wait()
            except LimitExceeded as error:
                parts = halved(self.survey, batch, self.stopped, error)
                return sum(parts[1:], parts[0])
            if not survey.before.stopped:
                for check in filter(None, (self.now, self.repaired)):
                    check.warm()
            return survey

        return result

    def stopped(self, batch: Batch, why: str) -> Survey:
        """Return what stands for rows that can't be tried."""
        verdicts = [Verdict(failure=why)] * len(batch)
        told = tallied(batch, batch.numbers, verdicts)
        return Survey((), told, told if self.repaired else None, tuple(_listed(batch, verdicts)))


def surveyed(
    now: RowCheck,
    batches: Iterable[Batch],
    processes: int = 1,
    told: Callable[[Batch], None] | None = None,
    mended: Callable[[], RowCheck | None] | None = None,
    listed: Callable[[Found], None] | None = None,
) -> Survey:
    """Return what is lost of all batches, checked by ``processes`` at once; ``told`` hears of each that is done.

    ``listed`` hears of each row in trouble, in order.

    ``mended`` gives the check with the repaired templates, None where there are none. It is asked once there are rows
    in trouble: data that is kept whole doesn't wait for a repair.
    """
    survey = Survey((), release=now.release)
    for batch, part in _finished(now, batches, processes, mended):
        for found in part.listed if listed else ():
            assert listed
            listed(found)
        survey += replace(part, listed=())
        if told:
            told(batch)
    return survey


def _finished(
    now: RowCheck, batches: Iterable[Batch], processes: int, mended: Callable[[], RowCheck | None] | None
) -> Iterator[tuple[Batch, Survey]]:
    """Yield each batch with its survey, in order, having begun as many as there are processes."""
    checks = Checks(now)
    running: deque[tuple[Batch, Callable[[], Survey]]] = deque()
    stopped = 0

    def ended() -> tuple[Batch, Survey]:
        nonlocal checks, mended, stopped
        batch, wait = running.popleft()
        survey = wait()
        stopped += survey.before.stopped
        if mended and survey.before.mendable:
            checks, mended = Checks(now, mended()), None
        if checks.repaired and survey.before.mendable and survey.after is None:
            survey = checks.begin(batch)()
        return batch, survey

    try:
        for batch in batches:
            untried = partial(checks.stopped, batch, NOT_TRIED)
            running.append((batch, untried if stopped >= PATIENCE else checks.begin(batch)))
            if len(running) >= processes:
                yield ended()
        while running:
            yield ended()
    finally:
        for _, wait in running:  # where this ends early: what was begun must be waited for
            with suppress(Exception):
                wait()


def tallied(batch: Batch, numbers: Sequence[int], told: Sequence[Verdict]) -> Tally:
    """Return what the verdicts on rows of a batch, and their numbers, add up to."""
    lossy: list[Found] = []
    reasons: dict[str, list[Reason]] = {"broken": [], "failed": []}
    for number, each in zip(numbers, told, strict=True):
        for kind, reason in (("broken", each.broken), ("failed", each.failure)):
            if reason:
                reasons[kind].append(Reason(one_line(reason, _LONGEST_REASON), 1, batch.file, number))
        if each.cut:
            lossy.append(Found(batch.file, number, each._replace(cut=cut(each.cut, _LONGEST_CUT))))
    return Tally(
        rows=len(told),
        broken=len(reasons["broken"]),
        failed=len(reasons["failed"]),
        stopped=sum(each.failure.startswith(STOPPED) for each in told),
        reasoning_rows=sum(each.reasoning > 0 for each in told),
        reasoning_rows_lost=sum(each.reasoning_lost > 0 for each in told),
        reasoning=sum(each.reasoning for each in told),
        reasoning_lost=sum(each.reasoning_lost for each in told),
        answer_rows=sum(each.answer > 0 for each in told),
        answer_rows_lost=sum(each.answer_lost > 0 for each in told),
        answer=sum(each.answer for each in told),
        answer_lost=sum(each.answer_lost for each in told),
        lossy=sum(bool(each.reasoning_lost or each.answer_lost) for each in told),
        prompt_differs=sum(each.prompt_differs for each in told),
        layout=sum("layout" in each.kinds for each in told if each.troubles),
        troubled=sum(each.harmed and each.lossless for each in told if each.troubles),
        troubles=_counted(_troubles(batch.file, numbers, told)),
        worst=_worst(lossy),
        why_broken=_merged(reasons["broken"]),
        why_failed=_merged(reasons["failed"]),
    )


def _listed(batch: Batch, told: Sequence[Verdict]) -> Iterator[Found]:
    for number, each in zip(batch.numbers, told, strict=True):
        if each.kinds:
            yield Found(batch.file, number, each._replace(cut=cut(each.cut, _LONGEST_CUT)))


def _troubles(file: str, numbers: Iterable[int], told: Sequence[Verdict]) -> Iterator[Counted]:
    """Yield each kind of trouble of each row, with its first place."""
    for number, each in zip(numbers, told, strict=True):
        first = {trouble.kind: trouble for trouble in reversed(each.troubles)}
        for kind, trouble in first.items():
            shown = one_line(trouble.shown, _LONGEST_REASON)
            yield Counted(kind, 1, (Example(file, number, trouble.message, shown),))


def _counted(parts: Iterable[Counted]) -> tuple[Counted, ...]:
    """Return one entry for each kind, in the order of `kinds.KINDS`, with the first examples."""
    found: dict[str, Counted] = {}
    for each in parts:
        known = found.get(each.kind, Counted(each.kind, 0, ()))
        found[each.kind] = Counted(each.kind, known.rows + each.rows, (*known.examples, *each.examples)[:SHOWN])
    return tuple(found[kind] for kind in KINDS if kind in found)


def _worst(troubles: Iterable[Found]) -> tuple[Found, ...]:
    return tuple(
        heapq.nlargest(SHOWN, troubles, key=lambda each: each.verdict.reasoning_lost + each.verdict.answer_lost)
    )


def _merged(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return one entry for each reason; beyond so many, the others are one."""
    found: dict[str, Reason] = {}
    for each in reasons:
        key = _NUMBER.sub("[]", each.reason)
        if key not in found and len(found) >= _REASONS:
            key, each = "", each._replace(reason="for other reasons")
        known = found.get(key)
        found[key] = known._replace(rows=known.rows + each.rows) if known else each
    return tuple(found.values())
