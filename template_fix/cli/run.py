"""Calls functions for the command line: returns their value or a Failed, and works out the exit code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from template_fix.cli import CLEAN, FAILED, FINDINGS
from template_fix.options import rule_codes
from template_fix.results import Failed, Finding, Level, Outcome, Patched
from template_fix.text.display import UserError, one_line

Value = TypeVar("Value")


def try_each(models: Iterable[str], call: Callable[[str], Value]) -> Iterator[Value | Failed]:
    """Yield the result of a call for each model, or a Failed with the reason."""
    return (try_one(model, partial(call, model)) for model in models)


def try_one(model: str, call: Callable[[], Value]) -> Value | Failed:
    """Return the result of a call for a model, or a Failed: for an error that the user can fix, or a bug of ours."""
    try:
        return call()
    except UserError as error:
        return Failed(model, str(error))
    except RuntimeError as error:
        from template_fix.bounds.limits import ChildError

        if not isinstance(error, ChildError):
            raise
        message = f"{model}: template-fix itself failed on this {_describe_fault(str(error))}; please report it"
        return Failed(model, one_line(message))


def _describe_fault(trace: str) -> str:
    """Return the error and its place from the traceback of a child process."""
    places = list(re.finditer(r'^  File "(?:.*[\\/])?(.+?)", line (\d+)', trace, re.MULTILINE))
    error = places and re.search(r"^([\w.]+)(.*)", trace[places[-1].end() :], re.MULTILINE)
    return f"({error[1]} in {places[-1][1]}, line {places[-1][2]}){error[2]}" if error else f"({trace})"


def exit_code(outcomes: Iterable[Outcome], *, strict: bool = False) -> int:
    """Return 2 if a model couldn't be read or its template can't be run, else 1 if findings remain that count, else 0.

    It is also 1 if generation markers were requested and a template could not get any.
    """
    return max((_exit_code_of(outcome, strict) for outcome in outcomes), default=CLEAN)


def _exit_code_of(outcome: Outcome, strict: bool) -> int:
    if isinstance(outcome, Failed):
        return FAILED
    findings = (outcome.result.after if isinstance(outcome, Patched) else outcome).findings
    # Nothing else is known about a template that doesn't parse or run.
    untried = rule_codes("readable")
    if any(finding.code in untried for finding in findings):
        return FAILED
    unmarked = isinstance(outcome, Patched) and outcome.result.unmarked
    return FINDINGS if unmarked or any(_counts(finding, strict) for finding in findings) else CLEAN


def _counts(finding: Finding, strict: bool) -> bool:
    return finding.level is Level.ERROR or (strict and finding.level is Level.WARNING)
