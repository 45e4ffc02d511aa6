"""What the verdicts on many rows add up to: counts, the rows that lose most, and each kind of trouble with examples."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from template_fix.data.losses import Verdict
from template_fix.data.troubles.kinds import KINDS
from template_fix.data.verdicts import STOPPED
from template_fix.text.display import cut, ends_of, one_line

# How many rows that lose most are kept, and how many different examples of a kind.
WORST, _EXAMPLES = 5, 50
# By which examples that are the same name different places.
_NUMBER = re.compile(r"\[\d+\]")
_LONGEST_CUT, _LONGEST_SHOWN = 2000, 500
# Has examples of its own: the rows that lose most.
_LOST = "lost"


class Found(NamedTuple):
    """One row in a report: its file, its number in it, and what is wrong with it."""

    file: str
    number: int
    verdict: Verdict

    def as_line(self) -> dict[str, str | int | list[str]]:
        """Return it for a line of a file: where it is, its kinds of trouble, what shows the first, and what is cut."""
        order = list(KINDS)
        troubles = sorted(self.verdict.all_troubles, key=lambda each: order.index(each.kind))
        first = troubles[0]
        return {
            "file": self.file,
            "number": self.number,
            "message": first.message,
            "kind": first.kind,
            "kinds": list(dict.fromkeys(each.kind for each in troubles)),
            "shown": one_line(first.shown, _LONGEST_SHOWN),
            "cut": self.verdict.cut,
        }


class Example(NamedTuple):
    """A row with some trouble: where it is, the message, from 1 or 0, what shows it, and how many rows show the same.

    Without a file it stands for rows that are none of the other examples.
    """

    file: str
    number: int
    message: int
    shown: str
    rows: int = 1


class Counted(NamedTuple):
    """A kind of trouble, by its name in `kinds.KINDS`, how many rows have it, and different examples."""

    kind: str
    rows: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Tally:
    """What became of some rows.

    ``rows`` are all, of which ``broken`` hold no conversation, ``layout`` of these as their columns are others, and
    ``failed`` aren't rendered, ``stopped`` of these as the template exceeded its limits. ``reasoning`` and ``answer``
    count the characters of the rendered ones, ``…_lost`` what is lost of them, ``…_rows`` the rows that have any, and
    ``…_rows_lost`` those that lose any; ``lossy`` are the rows that lose either. ``prompt_differs`` counts rows that
    don't begin with their own prompt. ``worst`` are those that lose most. ``troubles`` counts rows by kind of trouble,
    and ``troubled`` those that have an error among them and are none of the above.
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

    @property
    def harmed(self) -> int:
        """How many rows aren't trained on as they are: they lose something, fail, or are broken."""
        return self.lossy + self.failed + self.broken + self.troubled

    @property
    def rendered(self) -> int:
        """How many rows were rendered."""
        return self.rows - self.failed - self.broken

    @property
    def judged(self) -> int:
        """How many rows were rendered and have turns of the model, so that something is known of these."""
        return self.rendered - self.having("no_turn")

    @property
    def mendable(self) -> bool:
        """Whether there are rows of which a repaired template may make more."""
        return bool(self.lossy or self.failed or self.prompt_differs)

    def having(self, kind: str) -> int:
        """Return how many rows have a kind of trouble."""
        return sum(each.rows for each in self.troubles if each.kind == kind)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            **{name: getattr(self, name) + getattr(other, name) for name in COUNTS},
            troubles=_merged((*self.troubles, *other.troubles)),
            worst=_worst((*self.worst, *other.worst)),
        )


COUNTS = tuple(name for name, default in vars(Tally()).items() if isinstance(default, int))


def tallied(file: str, numbers: Sequence[int], verdicts: Sequence[Verdict]) -> Tally:
    """Return what the verdicts on rows of a file, and their numbers, add up to; it isn't `shortened` yet."""
    if not verdicts:
        return Tally()
    columns: Any = Verdict._make(zip(*verdicts, strict=True))  # all values of each field, in the place of one
    lost: list[int] = list(map(sum, zip(columns.reasoning_lost, columns.answer_lost, strict=True)))
    troubled = [each for each in verdicts if each.troubles]
    worst = heapq.nlargest(WORST, (at for at, cut in enumerate(columns.cut) if cut), key=lost.__getitem__)
    return Tally(
        rows=len(verdicts),
        broken=_some(columns.broken),
        failed=_some(columns.failure),
        stopped=sum(each.startswith(STOPPED) for each in filter(None, columns.failure)),
        reasoning_rows=_some(columns.reasoning),
        reasoning_rows_lost=_some(columns.reasoning_lost),
        reasoning=sum(columns.reasoning),
        reasoning_lost=sum(columns.reasoning_lost),
        answer_rows=_some(columns.answer),
        answer_rows_lost=_some(columns.answer_lost),
        answer=sum(columns.answer),
        answer_lost=sum(columns.answer_lost),
        lossy=_some(lost),
        prompt_differs=sum(columns.prompt_differs),
        layout=sum(any(trouble.kind == "layout" for trouble in each.troubles) for each in troubled),
        troubled=sum(each.harmed and each.lossless for each in troubled),
        troubles=_merged(_troubles(file, numbers, verdicts)),
        worst=tuple(_with_cut(Found(file, numbers[at], verdicts[at]), ends_of) for at in worst),
    )


def _some(values: Iterable[object]) -> int:
    """Return how many values are there at all: texts that aren't empty, counts above 0."""
    return sum(map(bool, values))


def found_in(file: str, numbers: Sequence[int], verdicts: Sequence[Verdict]) -> Iterator[Found]:
    """Yield each row that something is wrong with."""
    for number, each in zip(numbers, verdicts, strict=True):
        if each.troubles or not each.lossless:
            yield _with_cut(Found(file, number, each), cut)


def shortened(tally: Tally) -> Tally:
    """Return a tally with its worst rows as shown. To cut a text takes long, and few are left in the end."""
    return replace(tally, worst=tuple(_with_cut(each, cut) for each in tally.worst))


def _with_cut(found: Found, change: Callable[[str, int], str]) -> Found:
    return found._replace(verdict=found.verdict._replace(cut=change(found.verdict.cut, _LONGEST_CUT)))


def _troubles(file: str, numbers: Sequence[int], verdicts: Sequence[Verdict]) -> Iterator[Counted]:
    """Yield each kind of trouble of the rows that have the same, with the first place of the first."""
    found: dict[object, list[int]] = {}
    for at, each in enumerate(verdicts):
        if each.troubles or each.failure or each.broken:
            found.setdefault((each.troubles, each.failure, each.broken), []).append(at)
    for places in found.values():
        first = places[0]
        for kind, one in {trouble.kind: trouble for trouble in reversed(verdicts[first].all_troubles)}.items():
            if kind != _LOST:
                shown = one_line(one.shown, _LONGEST_SHOWN)
                example = Example(file, numbers[first], one.message, shown, len(places))
                yield Counted(kind, len(places), (example,))


def _merged(parts: Iterable[Counted]) -> tuple[Counted, ...]:
    """Return one entry for each kind, in the order of `kinds.KINDS`, with one example for rows that show the same."""
    found: dict[str, dict[str | None, Example]] = {}
    for part in parts:
        examples = found.setdefault(part.kind, {})
        for each in part.examples:
            key = _NUMBER.sub("[]", each.shown) if each.file else None
            if key not in examples and len(examples) >= _EXAMPLES:
                key, each = None, Example("", 0, 0, "", each.rows)
            known = examples.get(key)
            examples[key] = known._replace(rows=known.rows + each.rows) if known else each
    rows = {kind: sum(each.rows for each in examples.values()) for kind, examples in found.items()}
    return tuple(Counted(kind, rows[kind], tuple(found[kind].values())) for kind in KINDS if kind in found)


def _worst(troubles: Iterable[Found]) -> tuple[Found, ...]:
    return tuple(
        heapq.nlargest(WORST, troubles, key=lambda each: each.verdict.reasoning_lost + each.verdict.answer_lost)
    )
