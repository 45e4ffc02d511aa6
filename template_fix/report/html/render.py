"""Renders a page for browsers: the values of `views` in one template, without scripts and external resources."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

from template_fix.data.check import DataReport
from template_fix.data.runs.check import RunReport
from template_fix.data.survey import Survey
from template_fix.data.tally import Found as DataRow
from template_fix.data.tally import Tally
from template_fix.data.troubles.kinds import KINDS
from template_fix.engine.compare import LABELS, Comparison
from template_fix.report.findings import count, verdict
from template_fix.report.html.views import (
    Experiment,
    Found,
    Model,
    safe_pieces,
    safe_text,
    view_comparison,
    view_experiment,
    view_model,
)
from template_fix.report.terminal import Piece
from template_fix.results import Failed, Outcome, Patched
from template_fix.version import version


class Bar(NamedTuple):
    """A bar: how much of something there is, in words and in percent."""

    what: str
    told: str
    percent: float
    level: str
    way: str = ""


class Section(NamedTuple):
    """A part of a page that is not about a single model."""

    title: str
    lines: Sequence[list[Piece]] = ()
    bars: Sequence[Bar] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[list[Piece]]] = ()
    findings: Sequence[Found] = ()
    experiments: Sequence[Experiment] = ()


def render_outcomes(outcomes: Sequence[Outcome]) -> str:
    """Return the page of a check or a patch of models."""
    what = "patch" if any(isinstance(each, Patched) for each in outcomes) else "check"
    return _render_page(f"template-fix {what}", count(len(outcomes), "model"), [view_model(each) for each in outcomes])


def render_data(found: DataReport | Failed) -> str:
    """Return the page of a check with training data."""
    if isinstance(found, Failed):
        return render_outcomes([found])
    names = ", ".join(found.survey.names)
    told = f"{safe_text(names)}: {count(found.survey.before.rows, 'row')}"
    return _render_page(
        "template-fix check --data", told, [view_model(found.report)], list(_survey_sections(found.survey))
    )


def render_run(found: RunReport | Failed) -> str:
    """Return the page of a check of a training run."""
    if isinstance(found, Failed):
        return render_outcomes([found])
    config = found.config
    told = [f"Trained on: {config.trained}.", *(f"Not understood: {each}." for each in config.unread)]
    told += [f"Not read: {why}." for why in found.untold]
    sections = [Section(f"A run of {config.trainer}", [safe_pieces([Piece(each)]) for each in told])]
    for survey in found.surveys:
        named = safe_text(", ".join(survey.names))
        sections += [each._replace(title=f"{named}: {each.title}") for each in _survey_sections(survey)]
    return _render_page("template-fix check --config", safe_text(config.file), [view_model(found.report)], sections)


def render_comparison(both: Comparison | Failed) -> str:
    """Return the page of a comparison of two models."""
    if isinstance(both, Failed):
        return render_outcomes([both])
    verdicts = [
        safe_pieces([Piece(f"{label}: {report.model}: ", "title"), *verdict(report)])
        for label, report in zip(LABELS, (both.base, both.tuned), strict=True)
    ]
    sections = [Section("The two models", verdicts, findings=view_comparison(both))]
    for each in both.templates:
        told = each.failure or f"{each.otherwise:,} of {each.tried:,} conversations are printed differently"
        shown = [view_experiment(evidence) for evidence in each.shown]
        sections.append(Section(f"{safe_text(each.variant)} template", [safe_pieces([Piece(told)])], experiments=shown))
    if both.tokens:
        rows = [[safe_pieces([Piece(cell)]) for cell in change] for change in both.tokens]
        sections.append(Section("Tokens", columns=("token", *LABELS), rows=rows))
    if both.parts:
        sections.append(Section("tokenizer.json", [[Piece(f"They differ in {', '.join(both.parts)}.")]]))
    return _render_page("template-fix compare", "what two models do differently", [], sections)


def _survey_sections(survey: Survey) -> Iterator[Section]:
    yield Section("What is lost of the data", bars=_bars(survey.before))
    if survey.before.worst:
        names = ("row", "message", "characters lost", "what is lost")
        yield Section("The rows that lose most", columns=names, rows=list(map(_worst_row, survey.before.worst)))
    if survey.after is not None and survey.after.rows:
        yield Section("What the repaired template loses of these rows", bars=_bars(survey.after))


def _bars(tally: Tally) -> list[Bar]:
    kept = (
        ("reasoning", tally.reasoning_lost, tally.reasoning),
        ("answers", tally.answer_lost, tally.answer),
    )
    bars = [
        Bar(f"{what} lost", f"{lost:,} of {size:,} characters", _percent(lost, size), "error")
        for what, lost, size in kept
        if size
    ]
    for each in tally.troubles:
        kind = KINDS[each.kind]
        told = f"{each.rows:,} of {tally.rows:,} rows"
        bars.append(Bar(f"rows that {kind.says}", told, _percent(each.rows, tally.rows), kind.level, kind.do))
    return bars


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _worst_row(row: DataRow) -> list[list[Piece]]:
    verdict = row.verdict
    lost = f"{verdict.reasoning_lost + verdict.answer_lost:,}"
    cells = (f"{row.file}:{row.number}", f"{verdict.cut_from}", lost)
    return [*(safe_pieces([Piece(cell)]) for cell in cells), safe_pieces([Piece(verdict.cut, "lost")])]


def _render_page(title: str, told: str, models: Sequence[Model], sections: Sequence[Section] = ()) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    here = files(__package__)
    style = here.joinpath("page.css").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(here.joinpath("page.html").read_text(encoding="utf-8"))
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return template.render(
        title=title,
        told=told,
        models=models,
        sections=sections,
        style=Markup(style),
        style_hash=f"sha256-{digest}",
        version=version(),
    )
