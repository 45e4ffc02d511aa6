"""Progress of long work: a bar with an estimate on a terminal, and nothing where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from template_fix.data.batches import Batch


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
