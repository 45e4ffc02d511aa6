"""Reports as JSON. docs/json.md describes every key; within a schema keys are only added, never changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import accumulate
from typing import TYPE_CHECKING

from template_fix.report.diffs import raw_diff
from template_fix.results import Evidence, Failed, Finding, Outcome, Patched, PatchResult, Refusal, Repair, Report
from template_fix.text.display import cut, mask_secrets, scrub_all
from template_fix.version import version

if TYPE_CHECKING:
    from template_fix.report.showing.mask import Masked
    from template_fix.report.showing.rendering import Shown
    from template_fix.report.showing.show import Showing, TagTokens

SCHEMA = 1
# The most characters of each text in evidence.
_LONGEST = 20_000


def document(command: str, content: Mapping[str, object]) -> str:
    """Return the JSON text of an answer of ``command``; it is ASCII, so that no terminal or locale can garble it."""
    document = {"schema": SCHEMA, "version": version(), "command": command, **content}
    return json.dumps(scrub_all(document), indent=2)


def outcomes_json(outcomes: Sequence[Outcome], exit_code: int) -> dict[str, object]:
    """Return the answer of ``check`` and ``patch``: an entry for each model, in the order of the command line."""
    return {"exit_code": exit_code, "models": [_outcome_json(outcome) for outcome in outcomes]}


def report_json(report: Report) -> dict[str, object]:
    """Return the report on one model."""
    templates = tuple(replace(each, source="") for each in report.templates)
    values = asdict(replace(report, findings=(), known=(), templates=templates))
    for template in values["templates"]:
        del template["source"]
    found = {name: [_finding_json(each) for each in getattr(report, name)] for name in ("findings", "known")}
    return {**values, **found, "unjudged": list(report.unjudged)}


def _finding_json(finding: Finding) -> dict[str, object]:
    evidence = tuple(map(_shorten_evidence, finding.evidence))
    shown = replace(
        finding,
        message=cut(finding.message, _LONGEST),
        evidence=evidence,
        fix=finding.fix and cut(finding.fix, _LONGEST),
    )
    return {**asdict(shown), "fingerprint": finding.fingerprint}


def evidence_json(evidence: Evidence) -> dict[str, object]:
    """Return one experiment."""
    return asdict(_shorten_evidence(evidence))


def _shorten_evidence(evidence: Evidence) -> Evidence:
    """Return an experiment with long texts cut around the lost parts, and as many lost parts as fit."""
    lost, stray = _fit(evidence.lost), _fit(evidence.stray)
    return replace(
        evidence,
        given=_cut_around(evidence.given, lost),
        printed=_cut_around(evidence.printed, stray),
        lost=lost,
        stray=stray,
    )


def _fit(parts: Sequence[str]) -> tuple[str, ...]:
    ends = accumulate(map(len, parts))
    fitting = tuple(part for part, end in zip(parts, ends, strict=True) if end <= _LONGEST)
    return fitting or tuple(cut(part, _LONGEST) for part in parts[:1])


def _cut_around(text: str, parts: Sequence[str]) -> str:
    """Return ``text``, or of a long one the part around the first of ``parts``."""
    if len(text) <= _LONGEST:
        return text
    start = max(0, text.find(parts[0]) - _LONGEST // 4) if parts else 0
    return cut(mask_secrets(text)[start:], _LONGEST)


def showing_json(showing: Showing) -> dict[str, object]:
    """Return the answer of ``show``: for each conversation its turns as runs of text, and the tokens of the tags."""
    return {
        "model": showing.model,
        "template": showing.template,
        "variant": showing.variant,
        "conversations": [shown_json(shown) for shown in showing.shown],
        "tags": [_tag_json(tag) for tag in showing.tags],
        "note": showing.note,
        "engine": showing.engine,
        "otherwise": list(showing.otherwise),
        "masks": [_mask_json(masked) for masked in showing.masks],
        "mask_note": showing.mask_note,
    }


def shown_json(shown: Shown) -> dict[str, object]:
    """Return one conversation; the kept and template runs together are the rendering."""
    turns = [{"role": turn.role, "runs": [run._asdict() for run in turn.runs]} for turn in shown.turns]
    return {"title": shown.title, "failure": shown.failure, "turns": turns}


def _mask_json(masked: Masked) -> dict[str, object]:
    """Return the tokens of one conversation."""
    return {"tokenized": masked.tokenized, "tokens": [token._asdict() for token in masked.tokens]}


def _tag_json(tag: TagTokens) -> dict[str, object]:
    tokens = [{"id": number, "token": token} for number, token in tag.tokens]
    return {"tag": tag.tag, "tokens": tokens, "special": tag.special}


def _outcome_json(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, Failed):
        return {"model": outcome.model, "error": outcome.message}
    if isinstance(outcome, Patched):
        return _patched_json(outcome)
    return report_json(outcome)


def _patched_json(patched: Patched) -> dict[str, object]:
    result = patched.result
    return {
        "model": result.before.model,
        "written": patched.written,
        "changed": sorted(result.changed),
        "copied": list(patched.copied),
        "left": list(patched.left),
        **repaired_json(result),
    }


def repaired_json(result: PatchResult) -> dict[str, object]:
    """Return the results of a repair of one model."""
    return {
        "before": report_json(result.before),
        "after": report_json(result.after),
        "asked": dict(result.asked),
        "elsewhere": None if result.elsewhere is None else asdict(result.elsewhere),
        "served": None if result.served is None else evidence_json(result.served),
        "kept": [_repair_json(repair) for repair in result.kept],
        "refused": [_refusal_json(refusal) for refusal in result.refused],
        "diff": raw_diff(result),
    }


def _refusal_json(refusal: Refusal) -> dict[str, object]:
    evidence = [evidence_json(each) for each in refusal.evidence]
    return {**_repair_json(refusal.repair), "reason": refusal.reason, "evidence": evidence, "decide": refusal.decide}


def _repair_json(repair: Repair) -> dict[str, object]:
    return {
        "codes": list(repair.codes),
        "title": repair.title,
        "why": repair.why,
        "source": repair.source,
        "target": repair.target.value,
        "edits": [
            {"file": file, "start": edit.span.start, "end": edit.span.end, "text": edit.text}
            for file, edit in repair.edits
        ],
    }
