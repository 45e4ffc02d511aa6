"""Reports on training data: what a model's templates lose of it, the worst rows, and what a repaired template loses."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.data.rewrite import Rewritten
from template_fix.data.survey import Survey
from template_fix.data.tally import COUNTS, Counted, Found, Tally
from template_fix.data.troubles.kinds import KINDS
from template_fix.report.excerpts import shorten_pieces
from template_fix.report.findings import count
from template_fix.report.terminal import Line, Piece, Style, line
from template_fix.text.display import cut, one_line, short
from template_fix.text.json_nodes import JsonObject

_SHOWN = 3
# The advice if no repair keeps the reasoning of these rows.
_PLACE = (
    "--rewrite OUT.jsonl gives the rows with their reasoning where this template prints it; "
    "patch --select TF203 lets a template print reasoning that has no place for it"
)
_VERSIONS = {4: "4.57", 5: "5"}
_STYLES: dict[str, Style] = {"error": "error", "warning": "warning", "note": ""}
# Verbs whose form for one row isn't just the verb with an s.
_ONE = {"have": "has", "are": "is", "hold": "holds", "aren't": "isn't", "don't": "doesn't"}
# In JSON, these kinds are in keys of their own.
_REASONS = {"why_broken": ("layout", "broken"), "why_failed": ("failed",)}
_APART = ("broken", "failed")


def survey_lines(survey: Survey) -> Iterator[Line]:
    """Yield the report on a data set."""
    tally = survey.before
    version = f", rendered as transformers {_VERSIONS[survey.release]} does" if tally.rendered else ""
    yield line(Piece(short(", ".join(survey.names)), "title"), f": {_count_rows(tally.rows)}{version}", hang=2)
    yield from _kept_lines(tally)
    for each in tally.troubles:
        yield line("")
        yield from _trouble_lines(each)
    if tally.worst:
        yield line("")
        yield line(Piece("Most is lost in", "title"))
    for found in tally.worst:
        yield from _worst_lines(found)
    if tally.reasoning_rows_lost and (survey.after is None or survey.after.reasoning_rows_lost):
        yield line("next: ", _PLACE, indent=2, hang=2)
    if survey.after is not None and survey.after.rows:
        yield line("")
        yield from _after_lines(survey.after)
    if survey.rewritten:
        yield line("")
        yield _rewritten_line(survey.rewritten)


def _kept_lines(tally: Tally) -> Iterator[Line]:
    """Yield how much is kept and lost, in rows and characters."""
    if tally.judged:
        yield _kept_line(
            "reasoning", tally.reasoning_rows, tally.reasoning_rows_lost, tally.reasoning, tally.reasoning_lost, tally
        )
        yield _kept_line("answers", tally.answer_rows, tally.answer_rows_lost, tally.answer, tally.answer_lost, tally)
    elif tally.rows:
        why = "has a turn of the model" if tally.rendered else "was rendered"
        yield line(f"reasoning and answers: not judged, as no row {why}", indent=2)
    if tally.prompt_differs:
        rows = Piece(_count_rows(tally.prompt_differs), "warning")
        verb = _conjugate("don't", tally.prompt_differs)
        yield line(rows, f" that {verb} begin with the generation prompt", indent=2)


def _kept_line(what: str, rows: int, lost: int, size: int, gone: int, tally: Tally) -> Line:
    if not rows and what == "answers" and (unclosed := tally.having("unclosed")):
        return line(
            f"{what}: none, as {_count_rows(unclosed)} never {_conjugate('close', unclosed)} the reasoning", indent=2
        )
    if not rows:
        whole = tally.judged == tally.rows and not tally.having("column_unread")
        return line(
            f"{what}: no row has any" if whole else f"{what}: none in the turns of {_count_rows(tally.judged)}",
            indent=2,
        )
    if lost:
        share = f"{gone:,} of {size:,} characters"
        return line(
            f"{what}: ", Piece(f"{lost:,} of {_count_rows(rows)}", "error"), f" lose some, {share}", indent=2, hang=2
        )
    some = f"{_count_rows(rows)} that {_conjugate('have', rows)} some"
    if what == "reasoning" and (wrong := tally.having("reasoning_as_text")):
        plain = Piece(f"printed as plain text in {_count_rows(wrong)}", "error")
        return line(f"{what}: ", plain, f", of {some}", indent=2, hang=2)
    return line(f"{what}: ", Piece("all kept", "good"), f", in {some}", indent=2)


def _conjugate(verb: str, number: int) -> str:
    """Return a verb in the form for this number of rows."""
    return verb if number != 1 else _ONE.get(verb, f"{verb}s")


def _headline(each: Counted, indent: int = 0) -> Line:
    """Return the sentence on all rows with one kind of trouble."""
    kind = KINDS[each.kind]
    verb, _, rest = kind.says.partition(" ")
    rows = Piece(_count_rows(each.rows), "title" if not indent else _STYLES[kind.level])
    return line(rows, f" {_conjugate(verb, each.rows)} {rest}", indent=indent, hang=2)


def _trouble_lines(each: Counted) -> Iterator[Line]:
    """Yield examples of rows with one kind of trouble, the most frequent first, and the advice."""
    yield _headline(each)
    examples = sorted((example for example in each.examples if example.file), key=lambda example: -example.rows)
    for example in examples[:_SHOWN]:
        message = f", message {example.message}" if example.message else ""
        more = f" (and {count(example.rows - 1, 'more row')})" if example.rows > 1 else ""
        where = Piece(f"{short(example.file)}:{example.number}{message}: ", "dim")
        yield line(where, cut(example.shown), more, indent=2, hang=2)
    rest = each.rows - sum(example.rows for example in examples[:_SHOWN])
    if rest:
        yield line(f"and {count(rest, 'other row')}", indent=2)
    if KINDS[each.kind].do:
        yield line("next: ", KINDS[each.kind].do, indent=2, hang=2)


def survey_json(survey: Survey) -> JsonObject:
    """Return a survey for programs; docs/json.md describes the keys."""
    after = survey.after
    return {
        "names": list(survey.names),
        "transformers": _VERSIONS[survey.release],
        "before": _tally_json(survey.before),
        "after": _tally_json(after) if after is not None else None,
        "rewritten": survey.rewritten._asdict() if survey.rewritten else None,
    }


def _tally_json(tally: Tally) -> JsonObject:
    reasons = {
        name: [
            {"reason": each.shown or "for other reasons", "rows": each.rows, "file": each.file, "number": each.number}
            for counted_rows in tally.troubles
            if counted_rows.kind in kinds
            for each in counted_rows.examples
        ]
        for name, kinds in _REASONS.items()
    }
    troubles = [_counted_json(each) for each in tally.troubles if each.kind not in _APART]
    counts = {name: getattr(tally, name) for name in COUNTS}
    return {**counts, "worst": list(map(_found_json, tally.worst)), **reasons, "troubles": troubles}


def _found_json(found: Found) -> JsonObject:
    columns = {name: value for name, value in found.verdict._asdict().items() if name != "troubles"}
    return {"file": found.file, "number": found.number, **columns}


def _counted_json(each: Counted) -> JsonObject:
    kind = KINDS[each.kind]
    summary = {"kind": kind.name, "level": kind.level, "rows": each.rows, "message": f"rows {kind.says}"}
    examples = [example._asdict() for example in each.examples if example.file]
    return {**summary, "fix": kind.do or None, "examples": examples}


def _count_rows(number: int) -> str:
    return f"{number:,} row" if number == 1 else f"{number:,} rows"


def _worst_lines(found: Found) -> Iterator[Line]:
    verdict = found.verdict
    lost = [
        f"{part:,} of {whole:,} characters of {what}"
        for part, whole, what in (
            (verdict.reasoning_lost, verdict.reasoning, "reasoning"),
            (verdict.answer_lost, verdict.answer, "answers"),
        )
        if part
    ]
    where = Piece(f"{short(found.file)}:{found.number}: ", "dim")
    yield line(where, " and ".join(lost), f", in message {verdict.cut_from}:", indent=2, hang=2)
    yield line(*shorten_pieces([Piece(verdict.cut, "lost")]), indent=4)


def _rewritten_line(counts: Rewritten) -> Line:
    """Return how many rows were rewritten; each was rendered, and its reasoning was printed as reasoning."""
    rest = []
    if counts.repaired:
        rest.append(f"; {_count_rows(counts.repaired)} of these fit only the repaired template: run patch first")
    if counts.left:
        rest.append(f"; {_count_rows(counts.left)} left unchanged: in no form is their reasoning printed")
    if counts.unread:
        rest.append(f"; {_count_rows(counts.unread)} can't be read")
    return line(Piece("Rewritten", "title"), f": {counts.rewritten:,} of {_count_rows(counts.rows)}", *rest, hang=2)


def _after_lines(after: Tally) -> Iterator[Line]:
    """Yield what the repaired templates still lose of the rows in trouble."""
    yield line(Piece("With the repaired template", "title"), f", of the {_count_rows(after.rows)} in trouble:", hang=2)
    yield from _kept_lines(after)
    for each in after.troubles:
        yield from _trouble_lines(each) if each.kind == "failed" else [_headline(each, indent=2)]


def concise_survey_lines(survey: Survey) -> Iterator[str]:
    """Yield a line for the row that loses most, and for each kind of trouble, at the first row that has it."""
    tally = survey.before
    for found in tally.worst[:1]:
        lost = f"{tally.lossy:,} of {count(tally.rendered, 'row')} lose reasoning or answers"
        yield one_line(f"{found.file}:{found.number}: lost error {lost}")
    for each in tally.troubles:
        kind, first = KINDS[each.kind], next(iter(each.examples))
        verb, _, rest = kind.says.partition(" ")
        told = f"{_count_rows(each.rows)} {_conjugate(verb, each.rows)} {rest}"
        yield one_line(f"{first.file}:{first.number}: {each.kind} {kind.level} {told}: {cut(first.shown)}")
