"""Prints the results of commands as text, JSON or SARIF, and returns the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from template_fix.cli import CLEAN, FAILED, FINDINGS
from template_fix.cli.page import comparison_page, complain, data_page, outcomes_page, run_page, with_file, with_page
from template_fix.cli.run import exit_code
from template_fix.options import rule_codes
from template_fix.report.checks import check_lines, concise_lines, summary_lines, verdict_line, workflow_commands
from template_fix.report.diffs import raw_diff, readable_diff
from template_fix.report.findings import patch_lines
from template_fix.report.terminal import Line, line, printer, width_of
from template_fix.results import Failed, Outcome, Patched, Report
from template_fix.text.display import make_presentable, scrub, scrub_all, short
from template_fix.text.json_nodes import JsonObject

if TYPE_CHECKING:
    from template_fix.data.check import DataReport
    from template_fix.data.runs.check import RunReport
    from template_fix.data.survey import Survey
    from template_fix.engine.compare import Comparison
    from template_fix.report.showing.show import Showing
    from template_fix.share.plan import Plan
    from template_fix.share.push import Pushed

Format = Literal["text", "concise", "github", "json", "sarif"]
Value = TypeVar("Value")
AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


# What ``patch`` can print alone on stdout: a readable diff, a diff for git, or the repaired template from stdin.
Alone = Literal["diff", "raw", "template"]
_ALONE: dict[Alone, Callable[[Patched], str]] = {
    "diff": lambda patched: readable_diff(patched.result),
    "raw": lambda patched: raw_diff(patched.result),
    "template": lambda patched: patched.text,
}


class Reporting(NamedTuple):
    """How ``check`` prints its results, and which findings count for the exit code."""

    form: Format = "text"
    strict: bool = False
    exit_zero: bool = False
    verbose: bool = False
    quiet: bool = False
    statistics: bool = False
    page: str | None = None
    baseline: str | None = None
    new_baseline: str | None = None

    def exit_code(self, outcomes: Iterable[Outcome], more: int = CLEAN) -> int:
        """Return the exit code of outcomes (see `run.exit_code`), or ``more`` if that is higher."""
        code = max(exit_code(outcomes, strict=self.strict), more)
        return CLEAN if self.exit_zero and code == FINDINGS else code


def print_check(outcomes: Iterable[Report | Failed], reporting: Reporting) -> int:
    """Print the reports of ``check``: as text, each as soon as it is ready, then a summary. Return the exit code."""
    seen = list(_print_reports(outcomes, reporting))
    code = reporting.exit_code(seen)
    if reporting.form == "json":
        _print_outcomes("check", seen, code)
    elif reporting.form == "sarif":
        _print_sarif(seen)
    elif reporting.statistics or (reporting.form == "text" and len(seen) > 1):
        printer(sys.stdout)([*[line("")] * (not reporting.statistics), *summary_lines(seen)])
    if reporting.new_baseline is not None:
        from template_fix.disk.baseline import write_baseline

        known = partial(write_baseline, reporting.new_baseline, seen, rule_codes("readable"))
        code = with_file(CLEAN if code == FINDINGS else code, known)
    return with_page(code, reporting.page, outcomes_page, seen)


def _print_reports(outcomes: Iterable[Report | Failed], reporting: Reporting) -> Iterable[Report | Failed]:
    if reporting.statistics or reporting.form in ("json", "sarif"):
        return _complain_of_failures(outcomes)
    if reporting.form == "text":
        return _print_each(outcomes, quiet=reporting.quiet, verbose=reporting.verbose)
    return _print_single_lines(outcomes, workflow_commands if reporting.form == "github" else concise_lines)


def _print_single_lines(
    outcomes: Iterable[Report | Failed], lines: Callable[[Report | Failed], Iterable[str]]
) -> Iterator[Report | Failed]:
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            complain(outcome.message)
        for text in lines(outcome):
            print(scrub(text), flush=True)
        yield outcome


def print_data(outcome: DataReport | Failed, reporting: Reporting) -> int:
    """Print the report of ``check`` with training data. Rows that lose something count like errors."""
    from template_fix.report.data import concise_survey_lines, survey_json, survey_lines

    code = FAILED
    if not isinstance(outcome, Failed):
        lost = _has_losses(outcome.survey, reporting)
        code = reporting.exit_code([outcome.report], FINDINGS if lost else CLEAN)

    def content(found: DataReport) -> JsonObject:
        from template_fix.report.as_json import report_json

        return {"exit_code": code, "models": [{**report_json(found.report), "data": survey_json(found.survey)}]}

    def lines(found: DataReport) -> Iterator[Line]:
        yield from _report_lines(found.report, width_of(sys.stdout), quiet=reporting.quiet, verbose=reporting.verbose)
        yield line("")
        yield from survey_lines(found.survey)

    if reporting.form == "concise" and not isinstance(outcome, Failed):
        for text in (*concise_lines(outcome.report), *concise_survey_lines(outcome.survey)):
            print(scrub(text))
    else:
        print_one("check", outcome, reporting.form, content, lines)
    return with_page(code, reporting.page, data_page, outcome)


def print_run(outcome: RunReport | Failed, reporting: Reporting) -> int:
    """Print what a training run would lose. The exit code is 2 if some data could not be read."""
    from template_fix.report.runs import run_json, run_lines

    code = FAILED
    if not isinstance(outcome, Failed):
        lost = any(_has_losses(survey, reporting) for survey in outcome.surveys)
        code = FAILED if outcome.untold else reporting.exit_code([outcome.report], FINDINGS if lost else CLEAN)

    def lines(found: RunReport) -> Iterator[Line]:
        width, own = width_of(sys.stdout), found.config.template is None
        if reporting.quiet:
            return run_lines(found, [verdict_line(found.report)])
        return run_lines(found, check_lines(found.report, width, verbose=reporting.verbose, advise=own))

    print_one("check", outcome, reporting.form, lambda found: run_json(found, code), lines)
    return with_page(code, reporting.page, run_page, outcome)


def _has_losses(survey: Survey, reporting: Reporting) -> bool:
    """Whether rows lose something, or, with --strict, don't begin with their own prompt."""
    return bool(survey.before.harmed or (reporting.strict and survey.before.prompt_differs))


def print_patch(
    outcomes: Iterable[Patched | Failed],
    form: Format,
    *,
    alone: Alone | None,
    unchanged: bool,
    page: str | None = None,
) -> int:
    """Print the results of ``patch``; if a text is wanted ``alone`` on stdout, the rest is printed on stderr.

    With ``unchanged`` (patch --check), a change counts like an error for the exit code.
    """
    if form == "json":
        results = _complain_of_failures(outcomes)
    else:
        results = list(_print_text_alone(outcomes, _ALONE[alone]) if alone else _print_each(outcomes))
    changed = any(isinstance(each, Patched) and each.result.changed for each in results)
    code = max(exit_code(results), FINDINGS if unchanged and changed else CLEAN)
    if form == "json":
        _print_outcomes("patch", results, code)
    return with_page(code, page, outcomes_page, results)


def print_comparison(outcome: Comparison | Failed, form: Format, page: str | None = None) -> int:
    """Print the differences of two models and return 0 for none, 1 for some, 2 if something could not be compared."""
    from template_fix.report.comparison import comparison_json, comparison_lines

    code = CLEAN
    if isinstance(outcome, Failed) or outcome.unknown:
        code = FAILED
    elif outcome.differs:
        code = FINDINGS
    print_one("compare", outcome, form, lambda found: comparison_json(found, code), comparison_lines)
    return with_page(code, page, comparison_page, outcome)


def print_undo(directory: str, restored: tuple[str, ...] | Failed, form: Format) -> int:
    """Print which files ``undo`` restored."""

    def lines(names: tuple[str, ...]) -> list[Line]:
        return [line(f"{short(directory)}: restored {', '.join(map(short, names))}", hang=2)]

    print_one("undo", restored, form, lambda names: {"model": directory, "restored": list(names)}, lines)
    return FAILED if isinstance(restored, Failed) else CLEAN


def print_push(pushed: Pushed | Failed, form: Format) -> int:
    """Print the result of a push. The exit code is 2 if the user declined it."""
    from template_fix.share.report import push_lines, pushed_json

    print_one("push", pushed, form, pushed_json, push_lines)
    if isinstance(pushed, Failed) or pushed.state == "declined":
        return FAILED
    return exit_code([pushed.plan.result.after])


def print_plan(plan: Plan) -> None:
    """Print a summary of what is about to be sent, on stderr."""
    from template_fix.share.report import summary_lines

    printer(sys.stderr)(summary_lines(plan))


def print_show(showing: Showing | Failed, form: Format) -> int:
    """Print rendered conversations. The exit code is 2 if the template refused all of them."""
    from template_fix.report.as_json import showing_json
    from template_fix.report.showing.lines import showing_lines

    print_one("show", showing, form, showing_json, showing_lines)
    failed = isinstance(showing, Failed) or all(shown.failure is not None for shown in showing.shown)
    return FAILED if failed else CLEAN


def print_rules(code: str | None, form: Format) -> int:
    """Print the page of one rule, or the table of all."""
    from template_fix.options import UnknownCodeError
    from template_fix.report.pages import load_page, load_pages, page_lines, table_lines

    try:
        found = [load_page(code)] if code else load_pages()
    except UnknownCodeError as error:
        complain(str(error))
        return FAILED
    lines = page_lines(found[0]) if code else table_lines(found)
    print_one("explain", found, form, lambda rules: {"rules": [each._asdict() for each in rules]}, lambda _: lines)
    return CLEAN


def print_one(
    command: str,
    outcome: Value | Failed,
    form: Format,
    content: Callable[[Value], JsonObject],
    lines: Callable[[Value], Iterable[Line]],
) -> None:
    """Print an outcome as JSON (``content``) or as text (``lines``); a failure is printed on stderr, too."""
    if isinstance(outcome, Failed):
        complain(outcome.message)
        if form == "json":
            _print_json(command, {"model": outcome.model, "error": outcome.message})
    elif form == "json":
        _print_json(command, content(outcome))
    else:
        printer(sys.stdout)(lines(outcome))


def _report_lines(report: Report, width: int, *, quiet: bool, verbose: bool) -> Iterable[Line]:
    return [verdict_line(report)] if quiet else check_lines(report, width, verbose=verbose)


def _outcome_lines(outcome: Report | Patched, width: int, *, quiet: bool, verbose: bool) -> Iterable[Line]:
    if isinstance(outcome, Patched):
        return patch_lines(outcome.result, outcome.written, outcome.left, outcome.copied, width)
    return _report_lines(outcome, width, quiet=quiet, verbose=verbose)


def _print_each(outcomes: Iterable[AnyOutcome], *, quiet: bool = False, verbose: bool = False) -> Iterator[AnyOutcome]:
    """Print each outcome as soon as it is ready, and yield it."""
    put, width = printer(sys.stdout), width_of(sys.stdout)
    between: list[Line] = []
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            complain(outcome.message)
        else:
            put(between)
            put(_outcome_lines(outcome, width, quiet=quiet, verbose=verbose))
            between = [line("")] * (not quiet)
        sys.stdout.flush()
        yield outcome


def _print_text_alone(
    outcomes: Iterable[Patched | Failed], text_of: Callable[[Patched], str]
) -> Iterator[Patched | Failed]:
    """Print one text of each outcome, such as its diff, on stdout, and everything else on stderr."""
    put, width = printer(sys.stderr), width_of(sys.stderr)
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            complain(outcome.message)
        else:
            _write_exactly(text_of(outcome))
            put(patch_lines(outcome.result, outcome.written, outcome.left, outcome.copied, width))
        yield outcome


def _write_exactly(text: str) -> None:
    """Write text to stdout byte for byte; on a terminal, control characters are escaped."""
    if sys.stdout.isatty():
        text = "".join(f"{make_presentable(row)}\n" for row in text.removesuffix("\n").split("\n")) if text else ""
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _complain_of_failures(outcomes: Iterable[AnyOutcome]) -> list[AnyOutcome]:
    """Print the message of each failure, and return all outcomes."""
    kept = []
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            complain(outcome.message)
        kept.append(outcome)
    return kept


def _print_outcomes(command: str, outcomes: Sequence[Outcome], code: int) -> None:
    from template_fix.report.as_json import outcomes_json

    _print_json(command, outcomes_json(outcomes, code))


def _print_sarif(outcomes: list[Report | Failed]) -> None:
    import json

    from template_fix.report.pages import load_pages
    from template_fix.report.sarif import sarif_log

    print(json.dumps(scrub_all(sarif_log(outcomes, load_pages())), indent=2))


def _print_json(command: str, content: JsonObject) -> None:
    from template_fix.report.as_json import document

    print(document(command, content))
