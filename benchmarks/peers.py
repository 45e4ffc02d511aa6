#!/usr/bin/env python3
"""Holds what chatlint finds in templates against what template-fix does, a row for each template.

    python -m venv PEER && PEER/bin/pip install chatlint==0.1.2
    peers.py PEER TEMPLATES... [--json FILE]

PEER is the environment that chatlint is installed in: it is run as a program, and is nothing that this project needs.
TEMPLATES are files or folders of them. chatlint's defects are counted by its properties, and each property is held
against the codes that speak of the same; what neither tool was asked is no difference. Levels count as they are told.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import check
from template_fix.results import Level

VERSION = "0.1.2"
# Tokenizers differ in nothing that a template does; this one lets templates print their special tokens.
CONFIG = '{"bos_token": "<s>", "eos_token": "</s>"}'
_DEFECT = re.compile(r"^  \[(error|warning)\] (\w+) / (\w+)$", re.MULTILINE)
# What of template-fix speaks of the same as a property of chatlint.
SAME: Mapping[str, frozenset[str]] = {
    "renders": frozenset({"TF103", "TF211", "TF212", "TF219"}),
    "marker_balance": frozenset({"TF209", "TF210", "TF216", "TF217", "TF207"}),
    "no_repr_leak": frozenset({"TF213"}),
    "content_order": frozenset({"TF206", "TF214", "TF215", "TF201", "TF202", "TF203"}),
    "prefix_stability": frozenset({"TF204", "TF202", "TF205", "TF210"}),
    "time_invariance": frozenset({"TF218"}),
}


@dataclass(frozen=True)
class Row:
    """What both tools say of one template: chatlint's defects by level and property, and the codes of template-fix.

    ``theirs`` are the properties with errors that no code speaks of, ``ours`` the codes, notes apart, that no defect of
    chatlint speaks of. ``forms`` are what template-fix says that the template refuses as a whole.
    """

    template: str
    errors: Mapping[str, int]
    warnings: Mapping[str, int]
    codes: tuple[str, ...]
    notes: tuple[str, ...]
    forms: tuple[str, ...]
    theirs: tuple[str, ...]
    ours: tuple[str, ...]


def defects_of(program: Path, template: Path) -> Counter[tuple[str, str]]:
    """Return how many defects of each level and property chatlint reports."""
    done = subprocess.run(
        [str(program), "check", "--show", "100000", str(template)], capture_output=True, text=True, timeout=300
    )
    return Counter((level, name) for level, name, _ in _DEFECT.findall(done.stdout))


def row_of(program: Path, template: Path) -> Row:
    """Return what both tools say of one template."""
    found = defects_of(program, template)
    errors, warnings = ({name: n for (level, name), n in found.items() if level == of} for of in ("error", "warning"))
    files = {"chat_template.jinja": template.read_bytes().decode(), "tokenizer_config.json": CONFIG}
    report = check(Checkpoint(template.name, files))
    codes = sorted({each.code for each in report.findings if each.level is not Level.NOTE})
    notes = sorted({each.code for each in report.findings} - {*codes})
    told = {*codes, *notes}
    theirs = [name for name in errors if not told & SAME.get(name, frozenset())]
    spoken = {code for name in (*errors, *warnings) for code in SAME.get(name, ())}
    forms = tuple(form for each in report.templates for form in each.forms)
    ours = [code for code in codes if code not in spoken]
    return Row(template.name, errors, warnings, tuple(codes), tuple(notes), forms, tuple(theirs), tuple(ours))


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each template, and then what it comes to."""
    for row in rows:
        errors = " ".join(f"{name}:{number}" for name, number in sorted(row.errors.items())) or "-"
        yield f"{row.template}: chatlint {errors}; template-fix {' '.join(row.codes) or '-'}"
    yield ""
    yield f"templates: {len(rows)}"
    yield f"with errors of chatlint: {sum(bool(row.errors) for row in rows)}, {_sum(row.errors for row in rows)} in all"
    yield f"with errors or warnings of template-fix: {sum(bool(row.codes) for row in rows)}"
    for name in sorted(SAME):
        having = [row for row in rows if name in row.errors]
        agreed = sum(name not in row.theirs for row in having)
        yield f"{name}: errors of chatlint in {len(having)}, with a finding of the same in {agreed}"
    for code in sorted({code for row in rows for code in row.ours}):
        yield f"{code}: in {sum(code in row.ours for row in rows)} that chatlint says nothing of"
    yield ""
    for row in rows:
        if row.theirs:
            forms = f" (refuses {', '.join(row.forms)})" if row.forms else ""
            yield f"only chatlint: {row.template}: {', '.join(row.theirs)}{forms}"


def _sum(counts: Iterator[Mapping[str, int]]) -> int:
    return sum(sum(each.values()) for each in counts)


def templates_of(paths: Sequence[Path]) -> list[Path]:
    """Return the templates that are named, and those in folders that are."""
    return [each for path in paths for each in (sorted(path.rglob("*.jinja")) if path.is_dir() else [path])]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("peer", type=Path, metavar="PEER", help="the environment that chatlint is installed in")
    parser.add_argument("templates", nargs="+", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    program = given.peer / "bin/chatlint"
    if not program.is_file():
        parser.error(f"{program} is not there; {given.peer}/bin/pip install chatlint=={VERSION} puts it there")
    rows = [row_of(program, template) for template in templates_of(given.templates)]
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
