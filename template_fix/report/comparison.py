"""The comparison of two models, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.engine.compare import LABELS, Comparison, TemplateComparison
from template_fix.report.as_json import evidence_json, report_json
from template_fix.report.excerpts import evidence_lines
from template_fix.report.findings import by_gravity, count, describe_place, verdict
from template_fix.report.terminal import Line, Piece, line
from template_fix.results import Report
from template_fix.text.display import cut, short
from template_fix.text.json_nodes import JsonObject

_MOST = 20


def comparison_lines(compared: Comparison) -> Iterator[Line]:
    """Yield the differences of two models: in findings, in rendered conversations, then in tokens."""
    yield line(
        Piece(f"{_describe_model(compared.base)} and {_describe_model(compared.tuned)}", "title"),
        ": ",
        _verdict(compared),
        hang=2,
    )
    for label, report in zip(LABELS, (compared.base, compared.tuned), strict=True):
        yield line(f"{label}: ", *verdict(report), indent=2, hang=4)
    for fate, found in (("added", compared.added), ("inherited", compared.inherited), ("repaired", compared.repaired)):
        for finding in by_gravity(found):
            place = f" at {describe_place(finding.place)}" if finding.place else ""
            name = Piece(f"{finding.level.value} {finding.code}", finding.level.value)
            yield line(f"{fate} ", name, f": {cut(finding.message)}", Piece(place, "dim"), hang=2)
    for template in compared.templates:
        yield line("")
        yield from _template_lines(template)
    if compared.tokens or compared.parts:
        yield line("")
    if compared.parts:
        yield line(Piece("tokenizer.json", "code"), f": they differ in {', '.join(compared.parts)}", hang=2)
    for change in compared.tokens[:_MOST]:
        parts = (f"{label} {short(each)}" for label, each in zip(LABELS, (change.base, change.tuned), strict=True))
        yield line(Piece(short(change.token), "code"), f": {'; '.join(parts)}", hang=2)
    if len(compared.tokens) > _MOST:
        yield line(f"and {count(len(compared.tokens) - _MOST, 'more token')}; --format json lists all")


def _verdict(compared: Comparison) -> Piece:
    if compared.differs:
        return Piece("they differ", "warning")
    if compared.unknown:
        return Piece("templates could not be compared", "warning")
    return Piece("no difference was found", "good")


def _describe_model(report: Report) -> str:
    return short(report.model) + (f" at {report.revision[:8]}" if report.revision else "")


def _template_lines(template: TemplateComparison) -> Iterator[Line]:
    name = Piece(f"{short(template.variant)} template: ", "title")
    if template.failure:
        yield line(name, cut(template.failure), hang=2)
        return
    printed = f"{template.otherwise} of {count(template.tried, 'conversation')} printed differently"
    if template.otherwise:
        yield line(name, Piece(printed, "warning"), hang=2)
    else:
        spelled = "the same to the letter" if template.same_text else "the same text, in a different spelling"
        yield line(name, f"{spelled}: {count(template.tried, 'conversation')} printed alike", hang=2)
    for evidence in template.shown:
        yield from evidence_lines(evidence, 2)


def comparison_json(compared: Comparison, exit_code: int) -> JsonObject:
    """Return the answer of ``compare``."""
    named = (("added", compared.added), ("inherited", compared.inherited), ("repaired", compared.repaired))
    return {
        "exit_code": exit_code,
        "base": report_json(compared.base),
        "tuned": report_json(compared.tuned),
        **{name: sorted({finding.code for finding in found}) for name, found in named},
        "templates": [
            {
                "variant": each.variant,
                "same_text": each.same_text,
                "tried": each.tried,
                "otherwise": each.otherwise,
                "shown": [evidence_json(evidence) for evidence in each.shown],
                "failure": each.failure,
            }
            for each in compared.templates
        ],
        "parts": list(compared.parts),
        "tokens": [change._asdict() for change in compared.tokens],
    }
