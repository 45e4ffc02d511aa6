#!/usr/bin/env python3
"""Writes what check and patch come to, one JSON line a template, so that two versions of the package can be compared.

    parity.py [--corpus DIR] [--model DIR]... [--mark] [--jobs N] [--every N] > FILE
    parity.py --compare A B

The package is the one that PYTHONPATH names. DIR holds templates, in folders; by default it is the corpus beside the
repository. Nothing is written to a model. What check tells as JSON and SARIF is one sum. The comparison counts what
differs, and exits 1 where anything does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).resolve().parents[2] / "shared/corpus/templates"
# Tokenizers differ in nothing that a template does; this one lets templates print their special tokens.
CONFIG = json.dumps({"bos_token": "<s>", "eos_token": "</s>"})


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--model", type=Path, action="append", default=[], help="a model beside the corpus")
    parser.add_argument("--mark", action="store_true", help="ask for generation markers, too")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, help="take each N-th template alone")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("A", "B"))
    given = parser.parse_args()
    if given.compare:
        return compared(*map(lines, given.compare))
    paths = [*given.model, *sorted(given.corpus.rglob("*.jinja"))[:: given.every]]
    with Pool(given.jobs) as pool:
        for line in pool.imap(partial(outcome, given.mark), paths):
            print(json.dumps(line, ensure_ascii=False), flush=True)
    return 0


def outcome(mark: bool, path: Path) -> dict[str, Any]:
    """Return what check and patch come to for a template, or for a model's directory, as values for JSON."""
    os.environ["XDG_CACHE_HOME"] = os.devnull  # nothing that another tree found out is to count
    from template_fix import api, options
    from template_fix.report.as_json import report_json
    from template_fix.report.sarif import sarif_log

    with tempfile.TemporaryDirectory() as name:
        folder = path if path.is_dir() else Path(name)
        if not path.is_dir():
            (folder / "chat_template.jinja").write_bytes(path.read_bytes())
            (folder / "tokenizer_config.json").write_text(CONFIG)
        try:
            result = api.patch(str(folder), options.Options(mark=mark), write=False).result
        except Exception as error:  # whatever it raises is to be the same
            return {"template": str(path), "error": f"{type(error).__name__}: {error}".replace(str(folder), "DIR")}
    as_json = [report_json(result.before), sarif_log([result.before], ())]
    return {
        "template": str(path),
        "found": [told(finding) for finding in result.before.findings],
        "left": [told(finding) for finding in result.after.findings],
        "as JSON": digest(json.dumps(as_json).replace(str(folder), "DIR")),
        "evidence": digest(repr([(each.fix, each.evidence) for each in result.before.findings])),
        "conversations": [(each.tags, each.probes, each.accepted) for each in result.before.templates],
        "coverage": [(each.tests, each.exercised) for each in result.before.templates],
        "kept": [
            (each.codes, each.title, each.source, [(file, edit.span, edit.text) for file, edit in each.edits])
            for each in result.kept
        ],
        "refused": [(each.repair.codes, each.repair.title, each.reason) for each in result.refused],
        "changed": {name: digest(after) for name, (_, after) in result.changed.items()},
        "elsewhere": digest(repr((result.served, result.elsewhere))),
    }


def told(finding: Any) -> list[object]:
    place = finding.place
    at = place and (place.file, place.line, place.column, place.width)
    return [finding.code, finding.level.value, at, finding.message]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def lines(path: Path) -> dict[str, dict[str, Any]]:
    """Return the lines of a file, by the ends of their paths: a corpus may lie elsewhere."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {"/".join(row.pop("template").split("/")[-2:]): row for row in rows}


def compared(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> int:
    both = one.keys() & other.keys()
    print(f"{len(both)} templates in both, {len(one.keys() ^ other.keys())} in one alone")
    different: dict[str, list[str]] = defaultdict(list)
    for name in sorted(both):
        for what in sorted(one[name].keys() | other[name].keys()):
            if one[name].get(what) != other[name].get(what):
                different[what].append(name)
    for what, names in different.items():
        print(f"\n{what}: {len(names)}")
        for name in names[:3]:
            print(f"  {name}", *differences(one[name].get(what), other[name].get(what)), sep="\n    ")
    print(f"\n{sum(one[name] == other[name] for name in both)} of {len(both)} are the same")
    return int(bool(different))


def differences(was: Any, now: Any) -> Iterable[str]:
    """Return what only one of two values has, where they are lists, else both."""
    if not isinstance(was, list) or not isinstance(now, list):
        return [f"- {was}", f"+ {now}"]
    changed = [*(f"- {each}" for each in was if each not in now), *(f"+ {each}" for each in now if each not in was)]
    return changed or ["in another order"]


if __name__ == "__main__":
    sys.exit(main())
