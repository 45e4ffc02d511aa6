"""What a repair changes in other engines: conversations printed as transformers does, before and after.

    python benchmarks/engines.py [--templates DIR] [--limit N] [--jobs N]

A conversation that an engine printed as transformers does and no longer does is a loss, whatever transformers prints of
it now; one that it prints so only since is a gain. With preserve_thinking=false, a repaired template has to print in
each engine what the original prints there.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from other_engines import compared, gathered, minijinja, printed, transformers_js

from template_fix.bounds.limits import run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import patch
from template_fix.options import Options

CORPUS = Path(__file__).parents[2] / "shared/corpus/templates"


class Compared(NamedTuple):
    """What each engine prints of one template as transformers does, before and after its repair."""

    name: str
    counts: Mapping[str, Counter[str]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--templates", type=Path, default=CORPUS)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    files = sorted(given.templates.rglob("*.jinja"))[: given.limit]
    total: dict[str, Counter[str]] = {}
    changed = 0
    with Pool(given.jobs) as pool:
        for compared in pool.imap(measure, files):
            if compared is None:
                continue
            changed += 1
            for engine, counts in compared.counts.items():
                total.setdefault(engine, Counter()).update(counts)
                if counts["lost"] or counts["way back differs"]:
                    told = ", ".join(f"{name} {number}" for name, number in counts.items())
                    print(f"{compared.name} in {engine}: {told}", flush=True)
    print(f"{changed} of {len(files)} templates changed")
    for engine, counts in total.items():
        print(f"{engine}: " + ", ".join(f"{name} {counts[name]}" for name in KINDS))


KINDS = ("before", "after", "lost", "gained", "way back differs")


def measure(path: Path) -> Compared | None:
    source = path.read_bytes().decode()
    result = patch(
        Checkpoint(path.name, {"chat_template.jinja": source, "tokenizer_config.json": "{}"}), Options(cache=False)
    )
    if "chat_template.jinja" not in result.changed:
        return None
    after = result.changed["chat_template.jinja"][1]
    conversations = run_bounded(gathered, source, seconds=120)
    expected = [run_bounded(printed, each, conversations, seconds=120) for each in (source, after)]
    with ExitStack() as stack:
        engines = {"minijinja": minijinja(), "transformers.js": stack.enter_context(transformers_js())}
        counts = {
            name: compared(engine, source, after, conversations, expected) for name, engine in engines.items() if engine
        }
    return Compared(path.name, counts)


if __name__ == "__main__":
    main()
