"""The content of a page as plain values: texts in pieces, excerpts of templates, rows of a diff.

Texts of strangers are made safe here: invisible characters are escaped, secrets masked, long texts cut. The page's
template escapes HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from template_fix.engine.compare import Comparison
from template_fix.report.diffs import readable_diff
from template_fix.report.excerpts import highlight
from template_fix.report.findings import by_gravity, describe_place, proof_lines, verdict
from template_fix.report.pages import load_page
from template_fix.report.terminal import Line, Piece, Style, mask_pieces
from template_fix.results import Evidence, Failed, Finding, Outcome, Patched, Place, Report
from template_fix.text.display import cut, make_presentable

# The most characters of a text, lines around a fault, and lines of a whole template.
_LONGEST, _AROUND, _MOST_LINES = 20_000, 6, 2_000


class Experiment(NamedTuple):
    """What was tried, and the texts that show the result, each with a label."""

    subject: str
    texts: tuple[tuple[str, list[Piece]], ...]


class Row(NamedTuple):
    """A line of a template: its number, its text in pieces, and whether a fault is in it."""

    number: int
    pieces: list[Piece]
    fault: bool


class Found(NamedTuple):
    """A finding; ``fate`` is "gone", "left", "added", "inherited" or "repaired", "" if there is only one report."""

    code: str
    level: str
    message: str
    place: str
    fix: str
    meaning: str
    experiments: list[Experiment]
    source: list[Row]
    fate: str = ""


class Repaired(NamedTuple):
    """A repair that was made, or one that was refused, with the reason."""

    title: str
    why: str
    codes: str
    refused: bool
    experiments: Sequence[Experiment] = ()
    decide: str = ""


class Model(NamedTuple):
    """Everything that is shown of one model; ``failure`` is why it could not be read."""

    name: str
    verdict: list[Piece]
    failure: str = ""
    findings: Sequence[Found] = ()
    repairs: Sequence[Repaired] = ()
    diff: Sequence[tuple[str, str]] = ()
    proof: Sequence[list[Piece]] = ()
    templates: Sequence[tuple[str, list[Row]]] = ()


def make_harmless(text: str) -> str:
    """Return a text with its line ends and other invisible characters escaped; of a long text, both ends."""
    return "\n".join(make_presentable(row) for row in cut(text, _LONGEST).replace("\r\n", "\n").split("\n"))


def safe_pieces(pieces: Iterable[Piece]) -> list[Piece]:
    """Return pieces of one text, safe to show and without secrets."""
    return [Piece(make_harmless(piece.text), piece.style) for piece in mask_pieces(list(pieces)) if piece.text]


def safe_text(text: str) -> str:
    """Return a text, safe to show and without secrets."""
    return "".join(piece.text for piece in safe_pieces([Piece(text)]))


def line_pieces(line: Line) -> list[Piece]:
    """Return a line of a report in pieces."""
    return safe_pieces(line.pieces)


def view_experiment(evidence: Evidence) -> Experiment:
    """Return an experiment with styles for its lost and stray parts."""
    sides: tuple[tuple[str, str, tuple[str, ...], Style], ...] = (
        (evidence.labels[0], evidence.given, evidence.lost, "lost"),
        (evidence.labels[1], evidence.printed, evidence.stray, "stray"),
    )
    texts = (
        (safe_text(label), safe_pieces(highlight(text, parts, style))) for label, text, parts, style in sides if text
    )
    return Experiment(safe_text(evidence.subject), tuple(texts))


def view_finding(finding: Finding, sources: Mapping[tuple[str, str], str], fate: str = "") -> Found:
    """Return a finding with the lines of its template around the fault."""
    place = finding.place
    return Found(
        finding.code,
        finding.level.value,
        safe_text(finding.message),
        safe_text(describe_place(place)) if place else "",
        safe_text(finding.fix or ""),
        load_page(finding.code).page,
        [view_experiment(each) for each in finding.evidence],
        _rows_around(place, sources) if place else [],
        fate,
    )


def _rows_around(place: Place, sources: Mapping[tuple[str, str], str]) -> list[Row]:
    source = sources.get((place.file, place.template or ""))
    if source is None or place.template_line is None:
        return []
    return [row for row in _rows(source, [place]) if abs(row.number - place.template_line) <= _AROUND]


def _rows(source: str, places: Iterable[Place]) -> Iterator[Row]:
    at_fault = {each.template_line: each for each in places if each.template_line is not None}
    for number, text in enumerate(source.split("\n"), 1):
        place = at_fault.get(number)
        if place is None or place.template_column is None:
            yield Row(number, safe_pieces([Piece(text)]), False)
            continue
        start = place.template_column - 1
        end = start + max(place.width, 1)
        parts = Piece(text[:start]), Piece(text[start:end], "error"), Piece(text[end:])
        yield Row(number, safe_pieces(parts), True)


def view_model(outcome: Outcome) -> Model:
    """Return the view of a check or a patch."""
    if isinstance(outcome, Failed):
        return Model(safe_text(outcome.model), [Piece("not read", "error")], safe_text(outcome.message))
    if isinstance(outcome, Patched):
        return _view_patched(outcome)
    return _view_checked(outcome)


def sources_of(report: Report) -> dict[tuple[str, str], str]:
    """Return the templates of a report by file and variant."""
    return {(each.file, each.variant): each.source for each in report.templates if each.source}


def _view_checked(report: Report) -> Model:
    sources = sources_of(report)
    places: dict[tuple[str, str | None], list[Place]] = {}
    for place in filter(None, (each.place for each in report.findings)):
        places.setdefault((place.file, place.template), []).append(place)
    templates = [
        (safe_text(f"{variant} template in {file}"), _all_rows(source, places.get((file, variant), [])))
        for (file, variant), source in sources.items()
    ]
    findings = [view_finding(each, sources) for each in by_gravity(report.findings)]
    return Model(safe_text(report.model), safe_pieces(verdict(report)), findings=findings, templates=templates)


def _all_rows(source: str, places: Iterable[Place]) -> list[Row]:
    rows = [row for row, _ in zip(_rows(source, places), range(_MOST_LINES), strict=False)]
    left = source.count("\n") + 1 - len(rows)
    return [*rows, Row(len(rows) + 1, [Piece(f"… and {left:,} more lines", "dim")], False)] if left else rows


def _view_patched(patched: Patched) -> Model:
    result = patched.result
    after = _view_checked(result.after)
    left, sources = {finding.code for finding in result.after.findings}, sources_of(result.before)
    gone = [view_finding(each, sources, "gone") for each in by_gravity(result.before.findings) if each.code not in left]
    repairs = [
        Repaired(safe_text(each.title), safe_text(each.why), ", ".join(each.codes), False) for each in result.kept
    ]
    repairs += [
        Repaired(
            safe_text(each.repair.title),
            safe_text(each.reason),
            ", ".join(each.repair.codes),
            True,
            [view_experiment(shown) for shown in each.evidence],
            safe_text(each.decide),
        )
        for each in result.refused
    ]
    return Model(
        after.name,
        safe_pieces([*verdict(result.before), Piece("; after: "), *verdict(result.after)]),
        findings=[*gone, *(each._replace(fate="left") for each in after.findings)],
        repairs=repairs,
        diff=_diff_rows(readable_diff(result)),
        proof=[line_pieces(each) for each in proof_lines(result)] if result.kept else [],
        templates=after.templates,
    )


_KINDS = {"+": "added", "-": "taken", "@": "hunk"}


def _diff_rows(diff: str) -> list[tuple[str, str]]:
    rows = diff.removesuffix("\n").split("\n") if diff else []
    return [("hunk" if row.startswith(("+++", "---")) else _KINDS.get(row[:1], ""), safe_text(row)) for row in rows]


def view_comparison(both: Comparison) -> list[Found]:
    """Return the findings of both models, each with its fate."""
    base, tuned = sources_of(both.base), sources_of(both.tuned)
    fates = (("added", both.added, tuned), ("inherited", both.inherited, tuned), ("repaired", both.repaired, base))
    return [view_finding(each, sources, fate) for fate, some, sources in fates for each in by_gravity(some)]
