#!/usr/bin/env python3
"""Checks templates that their vendors fixed, before and after, and tells which codes each has: fixed ones have fewer.

    history.py BEFORE AFTER [BEFORE AFTER]...
    history.py --trl DIR

With --trl, DIR is the folder of templates that TRL brings (`trl/chat_templates` of an installation), and the pairs are
the revisions there: x, x_v2, x_v3 and so on. Exits 1 where a fixed template has a code more than the one before.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import check
from template_fix.options import Options
from template_fix.results import Level

# Tokenizers differ in nothing that a template does; this one lets templates print their special tokens.
CONFIG = '{"bos_token": "<s>", "eos_token": "</s>"}'


def codes_of(path: Path) -> frozenset[str]:
    """Return the codes of all findings on a template that are more than notes."""
    files = {"chat_template.jinja": path.read_bytes().decode(), "tokenizer_config.json": CONFIG}
    return frozenset(
        each.code
        for each in check(Checkpoint(path.name, files), Options(cache=False)).findings
        if each.level is not Level.NOTE
    )


def revisions(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each template of TRL with the revision that follows it."""
    numbered: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob("*.jinja")):
        name = re.fullmatch(r"(.+?)(?:_v(\d+))?((?:_training)?)", path.stem)
        assert name is not None
        numbered.setdefault(name[1] + name[3], {})[int(name[2] or 1)] = path
    for versions in numbered.values():
        yield from pairwise(path for _, path in sorted(versions.items()))


def told(before: Path, after: Path) -> tuple[str, bool]:
    """Return what became of the codes from one template to the next, and whether none has come."""
    old, new = codes_of(before), codes_of(after)
    gone, kept, come = (" ".join(sorted(codes)) or "-" for codes in (old - new, old & new, new - old))
    return f"{before.stem} -> {after.stem}: gone {gone}; kept {kept}; come {come}", not new - old


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
