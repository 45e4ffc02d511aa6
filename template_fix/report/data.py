"""Reports on training data: how much of it a model's templates lose, the worst rows, and what a repair leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from template_fix.data.survey import SHOWN, Reason, Survey, Tally, Trouble
from template_fix.report.excerpts import shorten_pieces
from template_fix.report.findings import counted
from template_fix.report.terminal import Line, Piece, Style, line
from template_fix.text.display import cut, short


def survey_lines(survey: Survey) -> Iterator[Line]:
    """Yield what is said of a data set."""
    tally = survey.before
    yield line(Piece(short(", ".join(survey.names)), "title"), f": {_rows(tally.rows)}", hang=2)
    yield from tally_lines(tally)
    for title, reasons in (("Not rendered", tally.why_failed), ("Broken", tally.why_broken)):
        yield from _reasons(title, reasons)
    if tally.worst:
        yield line("")
        yield line(Piece("Most is lost in", "title"))
    for trouble in tally.worst:
        yield from _trouble(trouble)
    if survey.after is not None and survey.after.rows:
        yield line("")
        yield from _after(survey.after)


def tally_lines(tally: Tally) -> Iterator[Line]:
    """Yield the counts: what is lost in rows and characters."""
    for what, rows, lost, size, gone in (
        ("reasoning", tally.reasoning_rows, tally.reasoning_rows_lost, tally.reasoning, tally.reasoning_lost),
        ("answers", tally.answer_rows, tally.answer_rows_lost, tally.answer, tally.answer_lost),
    ):
        if not rows:
            yield line(f"{what}: no row has any", indent=2)
        elif not lost:
            yield line(f"{what}: ", Piece("all kept", "good"), f", in {_rows(rows)} that {_have(rows)} some", indent=2)
        else:
            share = f"{gone:,} of {size:,} characters"
            yield line(
                f"{what}: ", Piece(f"{lost:,} of {_rows(rows)}", "error"), f" lose some, {share}", indent=2, hang=2
            )
    if tally.prompt_differs:
        yield _count(tally.prompt_differs, "not beginning with the generation prompt", "warning")
    if tally.failed:
        yield _count(tally.failed, "not rendered", "error")
    if tally.broken:
        yield _count(tally.broken, "broken", "error")


def survey_json(survey: Survey) -> dict[str, Any]:
    """Return a survey for programs; docs/json.md describes the keys."""
    after = survey.after
    return {
        "names": list(survey.names),
        "before": tally_json(survey.before),
        "after": tally_json(after) if after is not None else None,
    }


def tally_json(tally: Tally) -> dict[str, Any]:
    """Return the counts, the worst rows, and the reasons of those that are broken or fail."""
    worst = [{"file": each.file, "number": each.number, **each.verdict._asdict()} for each in tally.worst]
    reasons = {name: [each._asdict() for each in getattr(tally, name)] for name in ("why_broken", "why_failed")}
    return {**asdict(tally), "worst": worst, **reasons}


def _count(rows: int, what: str, style: Style) -> Line:
    return line(Piece(_rows(rows), style), f" {what}", indent=2)


def _rows(number: int) -> str:
    return f"{number:,} row" if number == 1 else f"{number:,} rows"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _reasons(title: str, reasons: Iterable[Reason]) -> Iterator[Line]:
    most = sorted(reasons, key=lambda each: -each.rows)
    if most:
        yield line("")
        yield line(Piece(title, "title"))
    for each in most[:SHOWN]:
        first = "" if each.rows == 1 else f" (and {counted(each.rows - 1, 'more row')})"
        yield line(Piece(f"{short(each.file)}:{each.number}: ", "dim"), cut(each.reason), first, indent=2, hang=2)
    if len(most) > SHOWN:
        yield line(f"and for {counted(len(most) - SHOWN, 'other reason')}", indent=2)


def _trouble(trouble: Trouble) -> Iterator[Line]:
    told = trouble.verdict
    lost = [
        f"{part:,} of {whole:,} characters of {what}"
        for part, whole, what in (
            (told.reasoning_lost, told.reasoning, "reasoning"),
            (told.answer_lost, told.answer, "answers"),
        )
        if part
    ]
    where = Piece(f"{short(trouble.file)}:{trouble.number}: ", "dim")
    yield line(where, " and ".join(lost), f", in message {told.cut_from}:", indent=2, hang=2)
    yield line(*shorten_pieces([Piece(told.cut, "lost")]), indent=4)


def _after(after: Tally) -> Iterator[Line]:
    """Say what is left of the trouble once the templates are repaired."""
    yield line(Piece("With the repaired template", "title"), f", of the {_rows(after.rows)} in trouble:", hang=2)
    yield from tally_lines(after)
    for title, reasons in (("Still not rendered", after.why_failed),):
        yield from _reasons(title, reasons)
