#!/usr/bin/env python3
"""Checks templates that their vendors fixed, before and after, and tells which codes each has: fixed ones have fewer.

    history.py BEFORE AFTER [BEFORE AFTER]...
    history.py --trl DIR

With --trl, DIR is the folder of templates that TRL brings (`trl/chat_templates` of an installation), and the pairs are
the revisions there, x, x_v2, x_v3 and so on, in the order in which vendors published them. A code that has come is told
with the reason: the template before does as much harm to the conversation that shows it, under another code, or the fix
brought the defect, as was read in what both print. Exits 1 where a code has come without a reason.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from template_fix.bounds.limits import run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import check
from template_fix.options import Options
from template_fix.repair.study import Setting, Study
from template_fix.results import Level
from template_fix.rules import rule_of

# The order of revisions where it isn't that of their numbers, as TRL's README.md tells it by the vendor's commits; what
# is published later follows.
PUBLISHED = {"gemma4": (2, 3, 1, 4, 5)}
# Defects that a fix brought: the pair and the code, with what was read in the texts that both print.
BROUGHT = {
    ("gemma4_v2", "gemma4_v3", "TF204"): "text beside a call stood behind the call, and stands behind its result now",
    ("gemma4_v2", "gemma4_v3", "TF209"): (
        "a result was a turn of a role of its own that was ended; it is in the model's turn now, which v5 ends again"
    ),
}
# Tokenizers differ in nothing that a template does; this one lets templates print their special tokens.
TOKENS = (("bos_token", "<s>"), ("eos_token", "</s>"))
CONFIG = json.dumps(dict(TOKENS))


def source_of(path: Path) -> str:
    return path.read_bytes().decode()


def codes_of(path: Path) -> frozenset[str]:
    """Return the codes of all findings on a template that are more than notes."""
    files = {"chat_template.jinja": source_of(path), "tokenizer_config.json": CONFIG}
    found = check(Checkpoint(path.name, files), Options(cache=False)).findings
    return frozenset(each.code for each in found if each.level is not Level.NOTE)


def revisions(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each template of TRL with the revision that follows it."""
    numbered: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob("*.jinja")):
        name = re.fullmatch(r"(.+?)(?:_v(\d+))?((?:_training)?)", path.stem)
        assert name is not None
        numbered.setdefault(name[1] + name[3], {})[int(name[2] or 1)] = path
    for name, versions in numbered.items():
        order = [*PUBLISHED.get(name, ()), *sorted(versions)]
        yield from pairwise(versions[number] for number in dict.fromkeys(order) if number in versions)


def as_bad_before(before: Path, after: Path, code: str) -> bool:
    """Whether a template loses as much of the conversation that shows a code in the next one. Within limits only."""
    studies = [Study(source_of(path), Setting(TOKENS)) for path in (before, after)]
    shown = [found.evidence for found in rule_of(code).check(studies[1]) if found.evidence]
    probes = studies[1].examined.probes.values()
    asked = next((each for each in probes if shown and each.describe() == shown[0][0].subject), None)
    if asked is None:
        return False
    old, new = ({part.text for part in study.examined.observe(asked).lost} for study in studies)
    return bool(new) and new <= old


def told(before: Path, after: Path) -> tuple[str, bool]:
    """Return what became of the codes from one template to the next, and whether each that has come has a reason."""
    old, new = codes_of(before), codes_of(after)
    gone, kept, come = (" ".join(sorted(codes)) or "-" for codes in (old - new, old & new, new - old))
    lines = [f"{before.stem} -> {after.stem}: gone {gone}; kept {kept}; come {come}"]
    reasons = {code: reason_for(before, after, code) for code in sorted(new - old)}
    lines += [f"    {code}: {reason or 'NO REASON KNOWN'}" for code, reason in reasons.items()]
    return "\n".join(lines), all(reasons.values())


def reason_for(before: Path, after: Path, code: str) -> str:
    """Return why a template has a code that the one before hasn't, "" where nothing is known."""
    if run_bounded(as_bad_before, before, after, code):
        return "the one before loses as much of the conversation that shows it, or more, under another code"
    brought = BROUGHT.get((before.stem, after.stem, code))
    return f"the fix brought it: {brought}" if brought else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("templates", nargs="*", type=Path)
    parser.add_argument("--trl", type=Path, metavar="DIR")
    given = parser.parse_args()
    if len(given.templates) % 2 or not (given.templates or given.trl):
        parser.error("name pairs of templates, before and after, or a folder with --trl")
    listed: Sequence[Path] = given.templates
    pairs = [*zip(listed[::2], listed[1::2], strict=True), *(revisions(given.trl) if given.trl else ())]
    results = [told(*pair) for pair in pairs]
    print("\n".join(line for line, _ in results))
    return int(not all(fewer for _, fewer in results))


if __name__ == "__main__":
    sys.exit(main())
