"""Leaves what came of a command as a page for browsers, and complaints on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from template_fix.cli.run import FAILED
from template_fix.results import Failed, Outcome
from template_fix.text.display import one_line

if TYPE_CHECKING:
    from template_fix.data.check import DataReport
    from template_fix.data.runs.check import RunReport
    from template_fix.engine.compare import Comparison

Value = TypeVar("Value")


def complain(message: str) -> None:
    """Put one line on stderr."""
    print(f"template-fix: {one_line(message)}", file=sys.stderr)


def with_page(code: int, page: str | None, render: Callable[[Value], str], outcome: Value) -> int:
    """Write what came of a command as a page, where one is wanted; the exit code is 2 where that can't be done."""
    if page is None:
        return code
    from template_fix.disk.page_file import write_page

    return with_file(code, lambda: write_page(Path(page), render(outcome)))


def with_file(code: int, write: Callable[[], None]) -> int:
    """Write a file; the exit code is 2 where that can't be done."""
    from template_fix.disk.store import WriteError

    try:
        write()
    except WriteError as error:
        complain(str(error))
        return FAILED
    return code


def outcomes_page(outcomes: Sequence[Outcome]) -> str:
    from template_fix.report.html.render import render_outcomes

    return render_outcomes(outcomes)


def data_page(outcome: DataReport | Failed) -> str:
    from template_fix.report.html.render import render_data

    return render_data(outcome)


def run_page(outcome: RunReport | Failed) -> str:
    """Return the page of a check of what a trainer's file names."""
    from template_fix.report.html.render import render_run

    return render_run(outcome)


def comparison_page(outcome: Comparison | Failed) -> str:
    from template_fix.report.html.render import render_comparison

    return render_comparison(outcome)
