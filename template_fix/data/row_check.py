"""The check of training rows by the batch: a dict of columns in, a dict of columns out.

It is a value, so that it runs unchanged in ``datasets.map``, in Ray's ``map_batches`` and in this program's own
processes. The template is run in a child process, one for each batch: a process costs some 10 ms, a row 20 µs to
200, by whether a program answers for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from template_fix.bounds.limits import LimitExceeded, TimeExceeded, allow_unbounded_steps, limit_memory, run_bounded
from template_fix.conversations.rows import Row
from template_fix.data.losses import Verdict
from template_fix.data.shapes.shapes import Shapes
from template_fix.data.troubles.view import RowTemplate, pieces_of
from template_fix.data.verdicts import NOT_TRIED, PATIENCE, STOPPED, Verdicts, shapes_of, verdicts
from template_fix.jinja.renderer import RenderError
from template_fix.options import Flags

Rows = TypeVar("Rows", bound="Sliceable")
Value = TypeVar("Value")


class Sliceable(Protocol):
    """Rows: as many as ``len`` says, and parts of them."""

    def __len__(self) -> int: ...

    def __getitem__(self: Rows, part: slice, /) -> Rows: ...


BATCH = 1000
# Computing time; a batch takes a hundredth of it.
BATCH_SECONDS = 15.0
_WARM_MEGABYTES = 128


@dataclass(frozen=True, eq=False)
class RowCheck:
    """Checks what a model's chat templates lose of rows of training data.

    ``templates`` are pairs of name and source, ``variables`` of name and value (``bos_token``, …), ``tags`` of opening
    and closing reasoning tag, ``columns`` of what a column is (``messages``, ``tools``, …) and what it is called here.
    ``release`` is that of transformers: 5 passes reasoning under all its names and drops what is None, 4 does neither.
    ``own`` are the pairs of tags that stand for this model's reasoning, and ``media`` the templates for rows with
    images, where a processor has others. ``exact`` renders each row, also where others of its shape were.
    ``repaired`` is the check with repaired templates, which rows in trouble are tried with.
    """

    templates: tuple[tuple[str, str], ...] = field(repr=False)
    variables: Flags = ()
    tags: tuple[tuple[str, str], ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    release: int = 5
    own: tuple[tuple[str, str], ...] = ()
    media: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    exact: bool = False
    repaired: RowCheck | None = field(default=None, repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RowCheck) and self._all == other._all

    def __hash__(self) -> int:
        return hash(self._all)

    @property
    def _all(self) -> tuple[object, ...]:
        """All that it has, variables as text: a list has no hash, and 1 equals True, which is printed differently."""
        return tuple({**vars(self), "variables": repr(self.variables)}.values())

    def __call__(self, batch: Mapping[str, object]) -> dict[str, list[object]]:
        """Return the columns of `losses.Verdict` for a batch of rows, given as columns of equal length.

        ``troubles`` are names of `kinds.KINDS`, with commas between. The columns may be lists or NumPy arrays. A row
        that is broken or fails says so in its columns; nothing is raised but RenderError for a template that can't be
        compiled.
        """
        columns = {name: values if isinstance(values, list) else plain(values) for name, values in batch.items()}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        verdicts = self.verdicts(rows)
        kinds = [",".join(dict.fromkeys(trouble.kind for trouble in each.troubles)) for each in verdicts]
        return {**{name: [getattr(each, name) for each in verdicts] for name in Verdict._fields}, "troubles": kinds}

    def verdicts(self, rows: Sequence[object]) -> list[Verdict]:
        """Return the verdict on each row: a mapping of columns, or its JSON text. Templates run within limits."""
        parts = in_parts(self._taught, rows, lambda part, why: ([Verdict(failure=why)] * len(part), b""))
        for _, learned in parts:
            self.learn(learned)
        return [each for part, _ in parts for each in part]

    def _taught(self, rows: Iterable[object]) -> tuple[list[Verdict], bytes]:
        return self.within(rows), self.learned()

    def within(self, rows: Iterable[object]) -> list[Verdict]:
        """Return the same inside of `limits.run_bounded`; raises LimitExceeded where a child process dies of a row."""
        return [each.now for each in self.both(rows)]

    def both(self, rows: Iterable[object]) -> Iterator[Verdicts]:
        """Yield the same, with the verdicts that the repaired templates bring."""
        shapes = None if self.exact else _shapes(self)
        if shapes:
            shapes.start()
        return verdicts(rows, dict(self.columns), self.template, self._repaired_template, shapes)

    @property
    def _repaired_template(self) -> Callable[[Row], RowTemplate] | None:
        return self.repaired.template if self.repaired else None

    def learned(self) -> bytes:
        """Return what was recorded in this process since the last time, for `learn` in the one that began it."""
        return b"" if self.exact else _shapes(self).learned()

    def learn(self, learned: bytes) -> None:
        """Take over what a child process has recorded of rows, for others to inherit."""
        if learned:
            _shapes(self).learn(learned)

    def template(self, row: Row) -> RowTemplate:
        """Return the template that a conversation is rendered with: one for tools, where it has some, or for images."""
        templates = dict(self.media if self.media and row.media else self.templates)
        source = templates.get("tool_use" if row.tools else "default") or templates.get("default")
        return _template(source or next(iter(templates.values())), self)

    def warm(self) -> None:
        """Compile the templates here, for the child processes to inherit.

        Call it where they were compiled within limits before, so that the time it takes is known; one that takes much
        memory is left to them.
        """
        with suppress(RenderError, MemoryError), limit_memory(_WARM_MEGABYTES), allow_unbounded_steps():
            for _, source in self.templates:
                _template(source, self)
                pieces_of(source)
        if self.repaired:
            self.repaired.warm()


@lru_cache(maxsize=8)
def _template(source: str, check: RowCheck) -> RowTemplate:
    return RowTemplate(source, check.variables, check.tags, check.own, check.release)


@lru_cache(maxsize=8)
def _shapes(check: RowCheck) -> Shapes[Verdicts]:
    return shapes_of(dict(check.columns), check.template, check._repaired_template)


def in_parts(
    work: Callable[[Rows], Value],
    rows: Rows,
    stopped: Callable[[Rows, str], Value],
    error: LimitExceeded | None = None,
) -> list[Value]:
    """Return ``work(rows)``, done within limits; where a child process dies of them, of halves, down to single rows.

    For rows that can't be tried, ``stopped`` gives what stands for them, from the rows and the reason. ``error`` tells
    that all of them have exceeded their limits before.
    """
    results: list[Value] = []
    waiting: list[tuple[Rows, LimitExceeded | None]] = [(rows, error)]
    faults = 0
    while waiting:
        part, why = waiting.pop()
        if why is None:
            if faults >= PATIENCE:
                results.append(stopped(part, NOT_TRIED))
                continue
            try:
                results.append(run_bounded(work, part, seconds=10 * BATCH_SECONDS, computing=BATCH_SECONDS))
                continue
            except LimitExceeded as caught:
                why = caught
        if len(part) == 1 or isinstance(why, TimeExceeded):  # no single row takes a batch's time
            faults += 1
            results.append(stopped(part, f"{STOPPED}it {why}"))
        else:
            middle = len(part) // 2
            waiting += [(part[middle:], None), (part[:middle], None)]
    return results


def plain(value: object) -> Any:
    """Return a value with lists in the place of NumPy's arrays, however deep they lie."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return {key: plain(each) for key, each in value.items()} if isinstance(value, dict) else value
