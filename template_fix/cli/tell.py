"""Telling what came of a command: outcomes in, text or JSON or SARIF out, and the exit code back."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from template_fix.cli.run import CLEAN, FAILED, exit_code
from template_fix.report.findings import check_lines, diff_text, patch_lines
from template_fix.report.terminal import Line, line, printer, width_of
from template_fix.results import Failed, Outcome, Patched, Report
from template_fix.text.display import one_line, presentable, scrubbed_all, short

if TYPE_CHECKING:
    from template_fix.data.check import DataReport
    from template_fix.report.showing import Showing
    from template_fix.share.plan import Plan
    from template_fix.share.push import Pushed

Format = Literal["text", "json", "sarif"]
Told = TypeVar("Told", bound=Outcome)


def told_check(outcomes: Iterable[Report | Failed], form: Format, *, strict: bool) -> int:
    """Tell the reports of ``check``."""
    if form == "text":
        return exit_code(list(_as_text(outcomes)), strict=strict)
    reports = _complained(outcomes)
    code = exit_code(reports, strict=strict)
    if form == "json":
        _outcomes_as_json("check", reports, code)
    else:
        _as_sarif(reports)
    return code


def told_data(told: DataReport | Failed, form: Format, *, strict: bool) -> int:
    """Tell the report of ``check`` with training data, which counts as findings do."""
    from template_fix.report.data import survey_json, survey_lines

    if isinstance(told, Failed):
        return _failed("check", told, form)
    tally = told.survey.before
    code = max(exit_code([told.report], strict=strict), int(bool(tally.harmed or (strict and tally.prompt_differs))))
    if form == "json":
        from template_fix.report.as_json import report_json

        models = [{**report_json(told.report), "data": survey_json(told.survey)}]
        _json("check", {"exit_code": code, "models": models})
    else:
        put = printer(sys.stdout)
        put(check_lines(told.report, width_of(sys.stdout)))
        put([line(""), *survey_lines(told.survey)])
    return code


def told_patch(outcomes: Iterable[Patched | Failed], form: Format, *, diff: bool) -> int:
    """Tell the results of ``patch``; for a ``diff`` in text, that alone is on stdout and the rest on stderr."""
    if form == "text":
        return exit_code(list(_as_diff(outcomes) if diff else _as_text(outcomes)))
    results = _complained(outcomes)
    _outcomes_as_json("patch", results, code := exit_code(results))
    return code


def told_undo(directory: str, restored: tuple[str, ...] | Failed, form: Format) -> int:
    """Tell which files ``undo`` restored."""
    if isinstance(restored, Failed):
        return _failed("undo", restored, form)
    if form == "json":
        _json("undo", {"model": directory, "restored": list(restored)})
    else:
        printer(sys.stdout)([line(f"{short(directory)}: restored {', '.join(map(short, restored))}", hang=2)])
    return CLEAN


def told_push(pushed: Pushed | Failed, form: Format) -> int:
    """Tell what became of a push; it has failed where the user declined it."""
    from template_fix.share.report import push_lines

    if isinstance(pushed, Failed):
        return _failed("push", pushed, form)
    if form == "json":
        from template_fix.share.report import pushed_json

        _json("push", pushed_json(pushed))
    else:
        printer(sys.stdout)(push_lines(pushed))
    return FAILED if pushed.state == "declined" else exit_code([pushed.plan.result.after])


def told_plan(plan: Plan) -> None:
    """Tell on stderr, in short, what is about to be sent."""
    from template_fix.share.report import summary_lines

    printer(sys.stderr)(summary_lines(plan))


def told_show(showing: Showing | Failed, form: Format) -> int:
    """Tell what a template made of a conversation."""
    from template_fix.report.showing import showing_lines

    if isinstance(showing, Failed):
        return _failed("show", showing, form)
    if form == "json":
        from template_fix.report.as_json import showing_json

        _json("show", showing_json(showing))
    else:
        printer(sys.stdout)(showing_lines(showing))
    return FAILED if all(shown.failure is not None for shown in showing.shown) else CLEAN


def told_rules(code: str | None, form: Format) -> int:
    """Tell the page of one rule, or the table of all."""
    from template_fix.report.pages import UnknownCodeError, page, page_lines, pages, table_lines

    try:
        found = [page(code)] if code else pages()
    except UnknownCodeError as error:
        complain(str(error))
        return FAILED
    if form == "json":
        _json("explain", {"rules": [each._asdict() for each in found]})
    else:
        printer(sys.stdout)(page_lines(found[0]) if code else table_lines(found))
    return CLEAN


def complain(message: str) -> None:
    """Put one line on stderr."""
    print(f"template-fix: {one_line(message)}", file=sys.stderr)


def outcome_lines(outcome: Report | Patched, width: int) -> Iterator[Line]:
    """Yield what is to be said of one model."""
    if isinstance(outcome, Patched):
        return patch_lines(outcome.result, outcome.written, outcome.left, outcome.copied, width)
    return check_lines(outcome, width)


def _as_text(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Print each outcome as soon as it is there, and hand it on."""
    put, width = printer(sys.stdout), width_of(sys.stdout)
    between: list[Line] = []
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            complain(outcome.message)
        else:
            put(between)
            put(outcome_lines(outcome, width))
            between = [line("")]
        sys.stdout.flush()
        yield outcome


def _as_diff(outcomes: Iterable[Patched | Failed]) -> Iterator[Patched | Failed]:
    put, width = printer(sys.stderr), width_of(sys.stderr)
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            complain(outcome.message)
        else:
            _write_exactly(diff_text(outcome.result))
            put(outcome_lines(outcome, width))
        yield outcome


def _write_exactly(text: str) -> None:
    """Write text to stdout byte for byte, but harmless where it is a terminal."""
    if sys.stdout.isatty():
        text = "".join(f"{presentable(row)}\n" for row in text.removesuffix("\n").split("\n")) if text else ""
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def _complained(outcomes: Iterable[Told]) -> list[Told]:
    """Return all outcomes, having complained of those that are failures."""
    told = []
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            complain(outcome.message)
        told.append(outcome)
    return told


def _failed(command: str, failure: Failed, form: Format) -> int:
    complain(failure.message)
    if form == "json":
        _json(command, {"model": failure.model, "error": failure.message})
    return FAILED


def _outcomes_as_json(command: str, outcomes: Sequence[Outcome], code: int) -> None:
    from template_fix.report.as_json import outcomes_json

    _json(command, outcomes_json(outcomes, code))


def _as_sarif(outcomes: list[Report | Failed]) -> None:
    import json

    from template_fix.report.pages import pages
    from template_fix.report.sarif import sarif_log

    print(json.dumps(scrubbed_all(sarif_log(outcomes, pages())), indent=2))


def _json(command: str, content: dict[str, Any]) -> None:
    from template_fix.report.as_json import document

    print(document(command, content))
