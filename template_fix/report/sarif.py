"""Reports as SARIF 2.1.0, for code scanning and editors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from urllib.parse import quote

from template_fix.checkpoint.checkpoint import folder_of
from template_fix.checkpoint.gguf import is_gguf
from template_fix.report.pages import Page
from template_fix.results import Evidence, Failed, Finding, Place, Report
from template_fix.text.display import cut
from template_fix.version import version

# How many experiments of a finding are shown.
_SHOWN = 2
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif_log(outcomes: Sequence[Report | Failed], rules: Sequence[Page]) -> dict[str, object]:
    """Return a SARIF log with one run for all models, and the pages of all rules."""
    numbers = {rule.code: index for index, rule in enumerate(rules)}
    driver = {"name": "template-fix", "version": version(), "rules": [_rule(rule) for rule in rules]}
    reports = [outcome for outcome in outcomes if isinstance(outcome, Report)]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation([outcome for outcome in outcomes if isinstance(outcome, Failed)])],
        "results": [_result(report.model, finding, numbers) for report in reports for finding in report.findings],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Page) -> dict[str, object]:
    return {
        "id": rule.code,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.page},
        "defaultConfiguration": {"level": rule.level},
    }


def _invocation(failures: Sequence[Failed]) -> dict[str, object]:
    notes = [{"level": "error", "message": {"text": failure.message}} for failure in failures]
    return {"executionSuccessful": not failures, "toolExecutionNotifications": notes}


def _result(model: str, finding: Finding, numbers: dict[str, int]) -> dict[str, object]:
    text = f"{cut(finding.message)} Fix: {cut(finding.fix)}" if finding.fix else cut(finding.message)
    shown = [_evidence_text(evidence) for evidence in finding.evidence[:_SHOWN]]
    result: dict[str, object] = {
        "ruleId": finding.code,
        "level": finding.level.value,
        "message": {"text": "\n\n".join([text, *shown])},
        "locations": [{"physicalLocation": _location(model, finding.place)}],
        "partialFingerprints": {"templateFix/v1": finding.fingerprint},
    }
    return {**result, "ruleIndex": numbers[finding.code]} if finding.code in numbers else result


def _evidence_text(evidence: Evidence) -> str:
    """Return an experiment as text: what was tried, and what shows it."""
    texts = zip(evidence.labels, (evidence.given, evidence.printed), strict=True)
    lost = f"\nlost: {cut(' … '.join(evidence.lost))}" if evidence.lost else ""
    return cut(evidence.subject) + "".join(f"\n{label}: {cut(text)}" for label, text in texts if text) + lost


def _location(model: str, place: Place | None) -> dict[str, object]:
    whole = place is None or is_gguf(Path(model))  # the metadata of a GGUF file has no lines
    file = folder_of(model) / place.file if place and not whole else Path(model)
    location: dict[str, object] = {"artifactLocation": {"uri": _uri(file)}}
    if place and not whole and place.line is not None:
        location["region"] = _region(place)
    return location


def _region(place: Place) -> dict[str, object]:
    region: dict[str, object] = {"startLine": place.line}
    if place.column is not None:
        region["startColumn"] = place.column
        if place.end_line is not None and (place.end_line, place.end_column) != (place.line, place.column):
            region |= {"endLine": place.end_line, "endColumn": place.end_column}
    return region


def _uri(path: PurePath) -> str:
    """Return a relative path as a relative reference, which readers resolve in the repository; else a file URI."""
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))
