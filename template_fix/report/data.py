"""Reports on training data: how much of it a model's templates lose, the worst rows, and what a repair leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from template_fix.data.rewrite import Rewritten
from template_fix.data.survey import COUNTS, SHOWN, Counted, Found, Reason, Survey, Tally
from template_fix.data.troubles.kinds import COUNTED, KINDS
from template_fix.report.excerpts import shorten_pieces
from template_fix.report.findings import counted
from template_fix.report.terminal import Line, Piece, Style, line
from template_fix.text.display import cut, short

_EXAMPLES = 3
# The way on where no repair keeps the reasoning of these rows.
_PLACE = (
    "--rewrite OUT.jsonl writes the rows with their reasoning where this template prints it; "
    "patch --select TF203 gives a template a place for reasoning that has none"
)
_VERSIONS = {4: "4.57", 5: "5"}
_STYLES: dict[str, Style] = {"error": "error", "warning": "warning", "note": ""}
# Verbs for one row that aren't made by a letter.
_ONE = {"have": "has", "are": "is", "hold": "holds"}


def survey_lines(survey: Survey) -> Iterator[Line]:
    """Yield what is said of a data set."""
    tally = survey.before
    version = f", rendered as transformers {_VERSIONS[survey.release]} does" if tally.rendered else ""
    yield line(Piece(short(", ".join(survey.names)), "title"), f": {_rows(tally.rows)}{version}", hang=2)
    yield from tally_lines(tally)
    for counted_rows in tally.troubles:
        yield from _trouble(counted_rows)
    for title, reasons in (("Not rendered", tally.why_failed), ("Broken", tally.why_broken)):
        yield from _reasons(title, reasons)
    if tally.worst:
        yield line("")
        yield line(Piece("Most is lost in", "title"))
    for found in tally.worst:
        yield from _worst(found)
    if tally.reasoning_rows_lost and (survey.after is None or survey.after.reasoning_rows_lost):
        yield line("next: ", _PLACE, indent=2, hang=2)
    if survey.after is not None and survey.after.rows:
        yield line("")
        yield from _after(survey.after)
    if survey.rewritten:
        yield line("")
        yield _rewritten(survey.rewritten)


def tally_lines(tally: Tally) -> Iterator[Line]:
    """Yield the counts: what is lost in rows and characters."""
    if tally.rendered:
        yield _kept(
            "reasoning", tally.reasoning_rows, tally.reasoning_rows_lost, tally.reasoning, tally.reasoning_lost, tally
        )
        yield _kept("answers", tally.answer_rows, tally.answer_rows_lost, tally.answer, tally.answer_lost, tally)
    elif tally.rows:
        yield line("reasoning and answers: not judged, as no row was rendered", indent=2)
    if tally.prompt_differs:
        yield _count(tally.prompt_differs, "not beginning with the generation prompt", "warning")
    if tally.failed:
        yield _count(tally.failed, "not rendered", "error")
    if tally.broken > tally.layout:
        yield _count(tally.broken - tally.layout, "broken", "error")
    if tally.layout:
        yield _count(tally.layout, "without a conversation, by their columns", "error")
    for each in tally.troubles:
        if each.kind not in COUNTED:
            yield _count(each.rows, _says(each), _STYLES[KINDS[each.kind].level])


def _kept(what: str, rows: int, lost: int, size: int, gone: int, tally: Tally) -> Line:
    if not rows and what == "answers" and (open_rows := tally.having("unclosed")):
        return line(f"{what}: none, as {_rows(open_rows)} never {_close(open_rows)} the reasoning", indent=2)
    if not rows:
        whole = tally.rendered == tally.rows
        return line(
            f"{what}: no row has any" if whole else f"{what}: none in the {_rows(tally.rendered)} rendered", indent=2
        )
    if lost:
        share = f"{gone:,} of {size:,} characters"
        return line(f"{what}: ", Piece(f"{lost:,} of {_rows(rows)}", "error"), f" lose some, {share}", indent=2, hang=2)
    if what == "reasoning" and (wrong := tally.having("reasoning_as_text")):
        rest = Piece(f"printed as plain text in {_rows(wrong)}", "error")
        return line(f"{what}: ", rest, f", of {_rows(rows)} that {_have(rows)} some", indent=2, hang=2)
    return line(f"{what}: ", Piece("all kept", "good"), f", in {_rows(rows)} that {_have(rows)} some", indent=2)


def _close(number: int) -> str:
    return "closes" if number == 1 else "close"


def _says(counted_rows: Counted) -> str:
    """Return the sentence of a kind, for one row or several."""
    says = KINDS[counted_rows.kind].says
    if counted_rows.rows > 1:
        return says
    verb, _, rest = says.partition(" ")
    return f"{_ONE.get(verb, verb + 's')} {rest}"


def _trouble(counted_rows: Counted) -> Iterator[Line]:
    """Show the first rows with a kind of trouble, and say what to do."""
    if counted_rows.kind in COUNTED:
        return
    kind = KINDS[counted_rows.kind]
    yield line("")
    yield line(Piece(_rows(counted_rows.rows), "title"), f" {_says(counted_rows)}", hang=2)
    for each in counted_rows.examples[:_EXAMPLES]:
        message = f", message {each.message}" if each.message else ""
        yield line(Piece(f"{short(each.file)}:{each.number}{message}: ", "dim"), cut(each.shown), indent=2, hang=2)
    if kind.do:
        yield line("next: ", kind.do, indent=2, hang=2)


def survey_json(survey: Survey) -> dict[str, Any]:
    """Return a survey for programs; docs/json.md describes the keys."""
    after = survey.after
    return {
        "names": list(survey.names),
        "transformers": _VERSIONS[survey.release],
        "before": tally_json(survey.before),
        "after": tally_json(after) if after is not None else None,
        "rewritten": survey.rewritten._asdict() if survey.rewritten else None,
    }


def tally_json(tally: Tally) -> dict[str, Any]:
    """Return the counts, the worst rows, and the reasons of those that are broken or fail."""
    reasons = {name: [each._asdict() for each in getattr(tally, name)] for name in ("why_broken", "why_failed")}
    troubles = [_counted_json(each) for each in tally.troubles]
    counts = {name: getattr(tally, name) for name in COUNTS}
    return {**counts, "worst": list(map(found_json, tally.worst)), **reasons, "troubles": troubles}


def found_json(found: Found) -> dict[str, Any]:
    """Return a row in a report for programs."""
    columns = {name: value for name, value in found.verdict._asdict().items() if name != "troubles"}
    return {"file": found.file, "number": found.number, **columns}


def _counted_json(each: Counted) -> dict[str, Any]:
    kind = KINDS[each.kind]
    told = {
        "kind": kind.name,
        "level": kind.level,
        "rows": each.rows,
        "message": f"rows {kind.says}",
        "fix": kind.do or None,
    }
    return {**told, "examples": [example._asdict() for example in each.examples]}


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


def _worst(found: Found) -> Iterator[Line]:
    told = found.verdict
    lost = [
        f"{part:,} of {whole:,} characters of {what}"
        for part, whole, what in (
            (told.reasoning_lost, told.reasoning, "reasoning"),
            (told.answer_lost, told.answer, "answers"),
        )
        if part
    ]
    where = Piece(f"{short(found.file)}:{found.number}: ", "dim")
    yield line(where, " and ".join(lost), f", in message {told.cut_from}:", indent=2, hang=2)
    yield line(*shorten_pieces([Piece(told.cut, "lost")]), indent=4)


def _rewritten(told: Rewritten) -> Line:
    """Say how many rows were rewritten; each of them was rendered, and shows its reasoning as such."""
    rest = [f"; {_rows(told.repaired)} of these for the repaired template: patch first"] if told.repaired else []
    rest += [f"; {_rows(told.left)} left unchanged, as no form shows the reasoning"] if told.left else []
    rest += [f"; {_rows(told.unread)} can't be read"] if told.unread else []
    return line(Piece("Rewritten", "title"), f": {told.rewritten:,} of {_rows(told.rows)}", *rest, hang=2)


def _after(after: Tally) -> Iterator[Line]:
    """Say what is left of the trouble once the templates are repaired."""
    yield line(Piece("With the repaired template", "title"), f", of the {_rows(after.rows)} in trouble:", hang=2)
    yield from tally_lines(after)
    for title, reasons in (("Still not rendered", after.why_failed),):
        yield from _reasons(title, reasons)
