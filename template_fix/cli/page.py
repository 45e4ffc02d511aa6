"""Writes the results of a command as a page for browsers, and error messages to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from template_fix.cli import FAILED
from template_fix.results import Failed, Outcome
from template_fix.text.display import one_line

if TYPE_CHECKING:
    from template_fix.data.check import DataReport
    from template_fix.data.runs.check import RunReport
    from template_fix.engine.compare import Comparison

Value = TypeVar("Value")


def complain(message: str) -> None:
    """Print an error message as one line on stderr."""
    print(f"template-fix: {one_line(message)}", file=sys.stderr)


def with_page(code: int, page: str | None, render: Callable[[Value], str], outcome: Value) -> int:
    """Write an outcome as a page, if one is wanted, and return the exit code: ``code``, or 2 if writing failed."""
    if page is None:
        return code
    from template_fix.disk.page_file import write_page

    return with_file(code, lambda: write_page(Path(page), render(outcome)))


def with_file(code: int, write: Callable[[], None]) -> int:
    """Call ``write`` and return the exit code: ``code``, or 2 if writing failed."""
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
