"""Shows progress on a terminal; nothing is shown if stderr is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from template_fix.text.display import one_line

if TYPE_CHECKING:
    from template_fix.data.batches import Batch

Value = TypeVar("Value")
_CLEAR = "\r\x1b[K"


@contextmanager
def progress() -> Iterator[Callable[[Batch], None] | None]:
    """Yield a function to call with each batch that is done; it draws a bar on stderr. None if that is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rows]:,} rows"), TimeElapsedColumn())
    bar = Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,  # it would need a thread, and with a second thread each child process starts more slowly
    )
    with bar:
        task = bar.add_task("", total=None, rows=0)
        rows = 0

        def on_batch(batch: Batch) -> None:
            nonlocal rows
            rows += len(batch)
            bar.update(task, total=None if batch.done is None else 1.0, completed=batch.done, rows=rows, refresh=True)

        yield on_batch


def show_progress(names: Sequence[str], call: Callable[[str], Value], *, silent: bool) -> Iterator[Value]:
    """Yield the result of a call for each name; show on stderr which of them is being worked on.

    It is shown on a terminal only, if there are several names and the work is ``silent``, or prints elsewhere. What
    takes longer than a second is always shown there.
    """
    watched = len(names) > 1 and sys.stderr.isatty() and (silent or not sys.stdout.isatty())
    for number, name in enumerate(names, 1):
        label = f"{number:,} of {len(names):,}: {one_line(name, 60)}" if len(names) > 1 else one_line(name, 60)
        with _show_waiting(label, at_once=watched):
            made = call(name)
        yield made


@contextmanager
def _show_waiting(label: str, *, at_once: bool) -> Iterator[None]:
    """Show on stderr, if it is a terminal, what is being done and for how long; the line is gone in the end."""
    if not sys.stderr.isatty():
        yield
        return
    from template_fix.bounds import child
    from template_fix.report.terminal import width_of

    began, shown = time.monotonic(), at_once
    room = width_of(sys.stderr) - 1  # a line that wraps could not be cleared

    def show(doing: str) -> None:
        nonlocal shown
        taken = time.monotonic() - began
        if at_once or taken >= 1:
            shown = True
            _show_line(one_line(f"{label}: {doing}, {taken:.0f} s" if taken >= 1 and doing else label, room))

    if at_once:
        _show_line(one_line(label, room))
    child.on_wait = show
    try:
        yield
    finally:
        child.on_wait = None
        if shown:
            _show_line("")


def _show_line(text: str) -> None:
    with suppress(OSError):  # a terminal that is gone stops no work
        print(f"{_CLEAR}{text}", end="", file=sys.stderr, flush=True)
