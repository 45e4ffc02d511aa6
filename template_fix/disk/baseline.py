"""A baseline: a file with the known findings of a project, so that only new ones count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from os.path import normpath
from pathlib import Path
from typing import Any

from template_fix.disk.page_file import write_page
from template_fix.results import Failed, Finding, Level, Report
from template_fix.text.display import UserError, scrub_all

MARK = '"template-fix baseline"'
_VERSION = 1
_LARGEST = 1 << 26
_LEVELS = {level.value: number for number, level in enumerate(Level)}


@dataclass(frozen=True)
class Baseline:
    """The known findings: for each model and fingerprint, their levels.

    Findings with a code in ``never`` always count: a template that can't be read may have any other finding as well.
    """

    known: Mapping[tuple[str, str], tuple[Level, ...]]
    never: Collection[str] = ()

    def without_known(self, outcome: Report | Failed) -> Report | Failed:
        """Return an outcome with its known findings moved to ``known``; a finding with a graver level is new."""
        if isinstance(outcome, Failed):
            return outcome
        model, used = normpath(outcome.model), Counter[str]()
        new: list[Finding] = []
        known: list[Finding] = []
        for finding in outcome.findings:
            levels = self.known.get((model, finding.fingerprint), ())
            number = used[finding.fingerprint]
            used[finding.fingerprint] += 1
            graver = number >= len(levels) or _LEVELS[finding.level.value] < _LEVELS[levels[number].value]
            (new if graver or finding.code in self.never else known).append(finding)
        return replace(outcome, findings=tuple(new), known=tuple(known))


def read_baseline(path: str, never: Collection[str] = ()) -> Baseline:
    """Return the baseline in a file; ``never`` is as in `Baseline`. Raises UserError if it can't be read."""
    try:
        with Path(path).open("rb") as file:
            content: Any = json.loads(file.read(_LARGEST))
        if content[json.loads(MARK)] != _VERSION:
            raise UserError(f"{path}: is a baseline of a newer template-fix; update template-fix")
        known: dict[tuple[str, str], tuple[Level, ...]] = {}
        for entry in content["findings"]:
            key = str(entry["model"]), str(entry["fingerprint"])
            known[key] = (*known.get(key, ()), Level(entry["level"]))
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: is no baseline; --write-baseline {path} writes one") from None
    return Baseline(known, never)


def baseline_text(outcomes: Iterable[Report | Failed], never: Collection[str] = ()) -> str:
    """Return the text of a baseline of all findings, known ones included, in an order that depends only on them."""
    entries = [
        {
            "model": normpath(report.model),
            "code": finding.code,
            "level": finding.level.value,
            "fingerprint": finding.fingerprint,
            "message": finding.message,
        }
        for report in outcomes
        if isinstance(report, Report)
        for finding in (*report.findings, *report.known)
        if finding.code not in never
    ]
    entries.sort(key=lambda entry: [entry[key] for key in ("model", "code", "fingerprint", "level", "message")])
    return json.dumps(scrub_all({json.loads(MARK): _VERSION, "findings": entries}), indent=1) + "\n"


def write_baseline(path: str, outcomes: Iterable[Report | Failed], never: Collection[str] = ()) -> None:
    """Write a baseline; an older baseline is replaced, any other file is refused. Raises WriteError."""
    write_page(Path(path), baseline_text(outcomes, never), "baseline", MARK)
