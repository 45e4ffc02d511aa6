#!/usr/bin/env python3
"""Holds the repairs of TRL's stored templates against TRL's own training versions of them, under one contract.

    trl_templates.py (--wheel FILE | --templates DIR) [--json FILE]

TRL ships a training version beside each template whose text it knows, as ``name_training.jinja`` beside ``name.jinja``
(trl 1.16.0: 41 originals). FILE is its wheel, DIR its directory ``trl/chat_templates``. Each original, TRL's version
and ours are rendered over the original's battery. A version is *safe* where no ordinary conversation is left on which
it isn't lossless, well-formed and stable. Conversations that both print well are compared, rendering by rendering.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from corpus import Examined, examined

from template_fix.bounds.limits import run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.contract.examination import Examination
from template_fix.engine.patch import patch, special_tokens
from template_fix.jinja.renderer import Renderer
from template_fix.options import Options
from template_fix.repair.study import Setting, Study
from template_fix.rules import WHOLE_RULES, codes

FOLDER = "trl/chat_templates/"


@dataclass(frozen=True)
class Row:
    """What became of one template: by TRL's version, None where there is none, and by ours.

    ``otherwise`` counts the conversations, of those ``compared``, that both print well and not alike; ``example`` is
    the first, with what TRL prints and what we print.
    """

    name: str
    original: Examined | None
    trl: Examined | None
    ours: Examined | None
    changed: bool
    compared: int = 0
    otherwise: int = 0
    example: tuple[str, str, str] = ("", "", "")


def row_of(name: str, source: str, training: str | None) -> Row:
    """Return what becomes of one template, given its text and that of TRL's version."""
    options = Options(ignore=codes(WHOLE_RULES), cache=False)
    result = patch(Checkpoint(name, {"chat_template.jinja": source}), options)
    patched = result.changed["chat_template.jinja"][1] if result.changed else source
    return run_bounded(compared, name, source, training, patched)


def compared(name: str, source: str, training: str | None, patched: str) -> Row:
    """Return the row of a template; use it inside `limits.run_bounded`."""
    setting = Setting(tuple(special_tokens(Checkpoint("", {"chat_template.jinja": source})).items()))
    study = Study(source, setting)
    if study.unreadable:
        return Row(name, None, None, None, patched != source)
    trl, ours = ((Study(text, setting) if text is not None else None) for text in (training, patched))
    assert ours is not None
    row = Row(name, examined(study, study), trl and seen_as(trl, study), seen_as(ours, study), patched != source)
    return replace(row, **alike(study, training, patched)) if training is not None else row


def seen_as(version: Study, original: Study) -> Examined:
    """Return how a version does on the battery of the original, spelled with the original's tags."""
    renderer = version.examined.renderer
    case = Examination(renderer, original.examined.probes.values(), original.tags)
    version.case, version.reasoning = type(version.case)(case, case), original.reasoning
    return examined(version, original)


def safe(version: Examined | None) -> bool:
    """Whether a version prints every ordinary conversation well."""
    return version is not None and not version.broken


def alike(study: Study, training: str, patched: str) -> dict[str, Any]:
    """Return how often, and where first, two versions print otherwise what both print well."""
    battery = study.examined.probes.values()
    trl, ours = (Examination(Renderer(text, study.variables), battery, study.tags) for text in (training, patched))
    probes = [probe for probe in battery if trl.safe(probe) and ours.safe(probe)]
    differing = [probe for probe in probes if trl.text(probe) != ours.text(probe)]
    first = differing[0] if differing else None
    example = (first.describe(), str(trl.text(first)), str(ours.text(first))) if first else ("", "", "")
    return {"compared": len(probes), "otherwise": len(differing), "example": example}


def templates(arguments: argparse.Namespace) -> Mapping[str, str]:
    """Return the text of each template that TRL ships, by its name."""
    if arguments.wheel:
        with zipfile.ZipFile(arguments.wheel) as wheel:
            names = [name for name in wheel.namelist() if name.startswith(FOLDER) and name.endswith(".jinja")]
            return {Path(name).stem: wheel.read(name).decode() for name in names}
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(arguments.templates.glob("*.jinja"))}


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each template that knows reasoning, and the counts."""
    yield f"{'':34}{'original':>16}{'TRL':>16}{'ours':>16}   rendered alike, of what both print well"
    for row in sorted(rows, key=lambda row: row.name):
        if row.original and row.original.reasoning:
            told = (told_of(each) for each in (row.original, row.trl, row.ours))
            yield f"{row.name:34}" + "".join(f"{each:>16}" for each in told) + f"   {likeness(row)}"
    knowing = [row for row in rows if row.original and row.original.reasoning]
    defective = [row for row in knowing if row.original and row.original.broken]
    yield ""
    yield f"{len(rows)} templates, {len(knowing)} know reasoning, {len(defective)} of them defective"
    for name, version in (("TRL", "trl"), ("ours", "ours")):
        yield f"{name}: {sum(safe(getattr(row, version)) for row in defective)} of the defective ones safe"
    yield f"changed though they know no reasoning: {sum(row.changed for row in rows if row not in knowing)}"


def told_of(version: Examined | None) -> str:
    return "none" if version is None else "safe" if safe(version) else f"{sum(version.broken.values())} broken"


def likeness(row: Row) -> str:
    if not row.compared:
        return ""
    same = row.compared - row.otherwise
    return f"{same} of {row.compared}" + (f"; not: {row.example[0]}" if row.otherwise else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--wheel", type=Path, metavar="FILE")
    source.add_argument("--templates", type=Path, metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    found = templates(arguments)
    originals = [name for name in found if not name.endswith("_training")]
    rows = [row_of(name, found[name], found.get(f"{name}_training")) for name in sorted(originals)]
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    print("\n".join(table(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
