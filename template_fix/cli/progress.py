"""Progress of long work: a bar with an estimate on a terminal, and nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from template_fix.text.display import one_line

if TYPE_CHECKING:
    from template_fix.data.batches import Batch

Value = TypeVar("Value")
_CLEAR = "\r\x1b[K"


@contextmanager
def progress() -> Iterator[Callable[[Batch], None] | None]:
    """Yield what hears of each batch that is done and draws the bar on stderr, None where that is no terminal."""
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
        auto_refresh=False,  # that takes a thread, and beside one each batch would start more slowly
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
    """Yield what a call makes of each name, and tell on stderr which of how many it is at.

    Only where that is a terminal, and where the work is ``silent`` there: nothing else shows how far it is.
    """
    watched = len(names) > 1 and sys.stderr.isatty() and (silent or not sys.stdout.isatty())
    for number, name in enumerate(names, 1):
        if watched:
            print(f"{_CLEAR}{number:,} of {len(names):,}: {one_line(name, 60)}", end="", file=sys.stderr, flush=True)
        try:
            made = call(name)
        finally:
            if watched:
                print(_CLEAR, end="", file=sys.stderr, flush=True)
        yield made
