"""The check of a training run, as text and as JSON: how its configuration was understood, and what it would lose."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from template_fix.data.runs.check import RunReport
from template_fix.report.as_json import report_json
from template_fix.report.data import survey_json, survey_lines
from template_fix.report.findings import next_command
from template_fix.report.terminal import Line, Piece, line
from template_fix.text.display import cut, short
from template_fix.text.json_nodes import JsonObject


def run_lines(found: RunReport, report: Iterable[Line]) -> Iterator[Line]:
    """Yield how a run's configuration was understood, then the ``report`` on its template and on each data set."""
    config = found.config
    yield line(Piece(short(config.file), "title"), f": a run of {config.trainer}")
    own = "the model's own" if config.template is None else _describe_template(config.template)
    yield line(f"template: {own}", indent=2, hang=2)
    for data in config.data:
        columns = ", ".join(f"{what}={name}" for what, name in data.columns.items())
        of_its_own = f", with a template of its own: {_describe_template(data.template)}" if data.template else ""
        names = ", ".join(map(short, data.source.names))
        yield line(f"data: {names}{f' ({columns})' if columns else ''}{of_its_own}", indent=2, hang=2)
    yield line(f"trained on: {config.trained}", indent=2, hang=2)
    for each in config.unread:
        yield line(Piece("not understood: ", "warning"), cut(each), indent=2, hang=2)
    yield line("")
    yield from report
    if found.report.findings and config.template and not _is_inside(config.template):
        yield line("")
        yield next_command("Next", f"patch {shlex.quote(config.template)}", "repairs the template of this run.")
    for survey in found.surveys:
        yield line("")
        yield from survey_lines(survey)
    for why in found.untold:
        yield line("")
        yield line(Piece("not read: ", "error"), cut(why), hang=2)
    if not config.data:
        yield line("")
        yield line("The file names no data that is rendered with a chat template.")


def _describe_template(template: str) -> str:
    """Return a template's name, or a few words for a template whose text is in the configuration."""
    return "in the file itself" if _is_inside(template) else short(template)


def _is_inside(template: str) -> bool:
    return "{%" in template or "{{" in template


def run_json(found: RunReport, exit_code: int) -> JsonObject:
    """Return the answer for a run; docs/json.md describes the keys."""
    config = found.config
    return {
        "exit_code": exit_code,
        "config": {
            "file": config.file,
            "trainer": config.trainer,
            "model": config.model,
            "template": config.template,
            "data": [{"names": list(each.source.names), "columns": dict(each.columns)} for each in config.data],
            "trained": config.trained,
            "unread": list(config.unread),
        },
        "models": [report_json(found.report)],
        "surveys": [survey_json(survey) for survey in found.surveys],
        "untold": list(found.untold),
    }
