#!/usr/bin/env python3
"""Checks and repairs every template of a corpus, and tells what came of it, family by family.

    corpus.py [--corpus DIR] [--only FAMILY]... [--first N] [--jobs N] [--json FILE]

What isn't about reasoning (TF209 to TF220) is counted by itself: in how many templates each rule finds more than notes,
and in how many that is gone where `patch` is asked for it (--select).

DIR holds a directory for each family, with templates in it; by default it is ../shared/corpus/templates beside the
repository. A template is *defective* where it isn't lossless, well-formed or stable on an ordinary conversation, *fully
repaired* where none is left on which it isn't. Whether a repair made anything worse is found out anew, without the
judge: both templates are rendered over the battery of either and compared. Exits 1 where anything was made worse, where
a template was changed that needed no repair, or where one could not be worked on.

With transformers in the environment, times are also told as multiples of importing it in the same run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path
from statistics import median
from typing import TypeVar

from template_fix.bounds.limits import ChildError, LimitExceeded, run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.contract.examination import FIELD, SAFE, Examination
from template_fix.contract.placing import locate
from template_fix.conversations.probe import Probe
from template_fix.engine.patch import check, patch, special_tokens
from template_fix.jinja.folding import SWITCH, equal_when_off
from template_fix.jinja.renderer import Renderer
from template_fix.options import Options
from template_fix.repair.study import Setting, Study
from template_fix.results import Level, PatchResult, Report
from template_fix.rules import WHOLE_RULES, codes, rule_of
from template_fix.text.edits import common_prefix

CORPUS = Path(__file__).resolve().parents[2] / "shared/corpus/templates"
WHOLE = codes(WHOLE_RULES)
PROPERTIES = {
    **dict.fromkeys(("printed", "once"), "lossless"),
    **dict.fromkeys(("in order", "well-formed", "alike"), "well-formed"),
}
# What engines look for in the text of a template; a repair may not take it away.
SNIFFED = (
    *("content.split('</think>')", "<think>", "</think>", "reasoning_content"),
    "<|im_start|>assistant\\n<think>\\n",
)
IMPORT = """
import time
start = time.perf_counter()
import transformers
from transformers import AutoTokenizer
print(time.perf_counter() - start)
"""
# How many templates apart the import is measured again, and what is known so far is written.
MEASURED, WRITTEN = 40, 10
R = TypeVar("R")


@dataclass(frozen=True)
class Examined:
    """What a template does on ordinary conversations: ``broken`` counts, by property, those that it prints badly."""

    reasoning: bool
    ignores_field: bool
    broken: dict[str, int]
    example: str = ""

    @property
    def kind(self) -> str:
        """Return what a repair owes to the template."""
        if not self.reasoning:
            return "plain"
        return "defective" if self.broken else "field" if self.ignores_field else "safe"


@dataclass(frozen=True)
class Row:
    """What came of one template; ``error`` is set, and nothing else, where it couldn't be worked on.

    ``silenced`` is the first conversation that used to fail and is now printed with a loss: no harm by the contract,
    but a loss that nobody is told of any more. ``found`` are the codes of rules on the whole template, ``mended`` those
    of them that are gone where they are selected. ``added`` counts bytes, ``longest`` the characters of the longest new
    line.
    """

    family: str
    file: str
    error: str = ""
    before: Examined | None = None
    after: Examined | None = None
    changed: bool = False
    worse: tuple[str, ...] = ()
    silenced: str = ""
    found: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    check_seconds: float = 0.0
    patch_seconds: float = 0.0
    edits: int = 0
    added: int = 0
    longest: int = 0

    @property
    def kind(self) -> str:
        """Return what a repair owes to the template, or that it can't be read."""
        return self.before.kind if self.before else "unread"

    @property
    def result(self) -> str:
        """Return what came of the repair of a defective template."""
        if self.kind != "defective":
            return ""
        return "refused" if not self.changed else "partly" if self.after and self.after.broken else "fully"


def worked_on(job: tuple[str, str, str]) -> Row:
    """Return what comes of one template: its family, its file's name and its text."""
    family, file, source = job
    checkpoint = Checkpoint(file, {"chat_template.jinja": source})
    try:
        report, checking = timed(lambda: check(checkpoint, Options(cache=False)))
        # What isn't about reasoning has a judge of its own, and changes what is printed whatever is passed.
        result, patching = timed(lambda: patch(checkpoint, Options(ignore=WHOLE, cache=False)))
        patched = result.changed["chat_template.jinja"][1] if result.changed else source
        before, after, worse, silenced = run_bounded(compared, source, patched)
        found = whole_codes(report)
        mended = found - whole_codes(patch(checkpoint, Options(select=found, cache=False)).after) if found else found
    except (ChildError, LimitExceeded, ValueError) as error:
        return Row(family, file, " ".join(str(error).split())[-300:])
    times = (round(checking, 3), round(patching, 3))
    whole = tuple(sorted(found)), tuple(sorted(mended))
    size = (sum(len(repair.edits) for repair in result.kept), *growth(source, patched))
    came = (worse, silenced, *whole, reasons(result))
    return Row(family, file, "", before, after, patched != source, *came, *times, *size)


def whole_codes(report: Report) -> frozenset[str]:
    """Return the codes of findings, notes apart, that the rules on the whole template have."""
    return frozenset(each.code for each in report.findings if each.level is not Level.NOTE) & WHOLE


def growth(source: str, patched: str) -> tuple[int, int]:
    """Return how many bytes a repair adds, and how long its longest line is."""
    known = set(source.split("\n"))
    lines = (len(line) for line in patched.split("\n") if line not in known)
    return len(patched.encode()) - len(source.encode()), max(lines, default=0)


def timed(work: Callable[[], R]) -> tuple[R, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def reasons(result: PatchResult) -> tuple[str, ...]:
    return tuple(f"{refusal.repair.title}: {refusal.reason}" for refusal in result.refused)


def compared(source: str, patched: str) -> tuple[Examined | None, Examined | None, tuple[str, ...], str]:
    """Return what a template and its repair do, in what the repair is worse, and what it silences.

    Use it inside `limits.run_bounded`.
    """
    setting = Setting(tuple(special_tokens(Checkpoint("", {"chat_template.jinja": source})).items()))
    old = Study(source, setting)
    if old.unreadable:
        return None, None, ("a template that can't be read was changed",) if patched != source else (), ""
    before = examined(old, old)
    if patched == source:
        return before, before, (), ""
    new = Study(patched, setting)
    if new.unreadable:
        return before, None, (f"it can't be read any more: {new.unreadable}",), ""
    worse = dict.fromkeys(why for study in (old, new) for why in deteriorations(study, source, patched))
    return before, examined(new, old), tuple(worse), silenced(old.examined, new.examined)


def silenced(old: Examination, new: Examination) -> str:
    for probe in old.probes.values():
        now = new.observe(probe)
        if probe.ordinary and old.observe(probe).text is None and now.text is not None and now.lost:
            return f"{now.lost[0].kind} ({probe.describe()})"
    return ""


def examined(study: Study, original: Study) -> Examined:
    """Return what is counted of a template; what its original accepted counts, even if it accepts less."""
    seen = study.examined
    broken: Counter[str] = Counter()
    example = ""
    for probe in seen.probes.values():
        failed = {PROPERTIES.get(held.property, held.property) for held in seen.observe(probe).breaks(*SAFE)}
        if failed and (seen.owed(probe) or original.examined.owed(probe)):
            broken.update(failed)
            example = example or probe.describe()
    return Examined(study.reasoning, study.reasoning and FIELD in seen.unsupported, dict(broken), example)


def deteriorations(study: Study, source: str, patched: str) -> Iterator[str]:
    """Yield in what ``patched`` is worse than ``source`` on the battery of ``study``, without asking the judge."""
    probes, tags = study.examined.probes.values(), study.tags
    old, new = (Examination(Renderer(text, study.variables), probes, tags) for text in (source, patched))
    off = [Examination(each.renderer, probes, tags, {SWITCH: False}) for each in (old, new)]
    for probe in probes:
        for what in worse_on(probe, old, new):
            yield f"{what} ({probe.describe()})"
        for upto, prompt in ends(probe):
            if off[0].text(probe, upto, prompt) != off[1].text(probe, upto, prompt):
                yield f"with {SWITCH}=false it prints something else ({probe.describe()})"
    if not equal_when_off(source, patched):
        yield f"with {SWITCH}=false it is another program"
    for text in SNIFFED:
        if text in source and text not in patched:
            yield f"its text lacks {text!r}"


def worse_on(probe: Probe, old: Examination, new: Examination) -> Iterator[str]:
    was, now = old.observe(probe), new.observe(probe)
    if was.text is None:
        return
    if now.text is None:
        yield f"it fails: {now.failure}"
        return
    owed = old.owed(probe)
    for held in sorted(was.held - now.held):
        if held.property == "printed" or (owed and held.property in SAFE):
            yield f"{held.property} no longer holds"
    if owed and not was.breaks(*SAFE) and was.text != now.text:
        yield "a conversation that was printed well is printed differently"
    if any(prompted_otherwise(old, new, probe, turn) for turn in probe.turns()):
        yield "the generation prompt is another"


def prompted_otherwise(old: Examination, new: Examination, probe: Probe, turn: int) -> bool:
    """Whether a prompt is another; one that was printed unasked may be printed only where it is asked for."""
    before, after = (prompt_of(seen, probe, turn) for seen in (old, new))
    return before not in (None, after) and _behind(old, probe, turn, True) != _behind(new, probe, turn, True)


def prompt_of(seen: Examination, probe: Probe, turn: int) -> str | None:
    """Return what asking for a turn adds behind the conversation, None where that can't be rendered."""
    told, asked = (_behind(seen, probe, turn, prompt) for prompt in (False, True))
    return None if told is None or asked is None else asked[common_prefix(told, asked) :]


def _behind(seen: Examination, probe: Probe, turn: int, prompt: bool) -> str | None:
    """Return what stands behind the last text of the messages in front of a turn."""
    text = seen.text(probe, turn, prompt=prompt)
    if not isinstance(text, str):
        return None
    spans = locate([part for part in probe.parts if part.message < turn], text)
    return text[max((span.end for span in spans if span), default=0) :]


def ends(probe: Probe) -> Iterator[tuple[int, bool]]:
    for upto in (*probe.cuts, len(probe.messages)):
        yield from ((upto, prompt) for prompt in (False, True))


def jobs_of(corpus: Path, only: Sequence[str], first: int | None) -> Iterator[tuple[str, str, str]]:
    for family in sorted(path for path in corpus.iterdir() if path.is_dir() and (not only or path.name in only)):
        for file in sorted(family.glob("*.jinja"))[:first]:
            yield family.name, file.name, file.read_bytes().decode()


def import_seconds() -> float | None:
    """Return how long it takes to import transformers, None where it isn't installed."""
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True)
    return float(done.stdout) if done.returncode == 0 else None


def rows_of(jobs: Sequence[tuple[str, str, str]], processes: int, imports: list[float]) -> Iterator[Row]:
    """Yield a row for each job; now and then the import of transformers is measured beside them."""
    with Pool(processes) as pool:
        for number, row in enumerate(pool.imap(worked_on, jobs)):
            measured = import_seconds() if number % MEASURED == 0 else None
            imports += [measured] if measured else []
            if number % WRITTEN == 0:
                print(f"{number} of {len(jobs)}", file=sys.stderr, flush=True)
            yield row


COUNTS: dict[str, Callable[[Row], bool]] = {
    "templates": lambda row: True,
    "know reasoning": lambda row: row.kind not in ("plain", "unread"),
    "defective": lambda row: row.kind == "defective",
    "not lossless": lambda row: breaks(row, "lossless"),
    "not well-formed": lambda row: breaks(row, "well-formed"),
    "not stable": lambda row: breaks(row, "stable"),
    "fully repaired": lambda row: row.result == "fully",
    "partly": lambda row: row.result == "partly",
    "refused": lambda row: row.result == "refused",
    "made worse": lambda row: bool(row.worse),
    "errors silenced": lambda row: bool(row.silenced),
    "ignore fields": lambda row: row.before is not None and row.before.ignores_field,
    "fields folded": lambda row: row.after is not None and row.before is not None and folded(row.before, row.after),
    "safe, changed": lambda row: row.kind == "safe" and row.changed,
    "no reasoning, changed": lambda row: row.kind in ("plain", "unread") and row.changed,
    "not worked on": lambda row: bool(row.error),
}
for _code in sorted(WHOLE):
    COUNTS[f"{_code} found"] = lambda row, code=_code: code in row.found  # type: ignore[misc]
    if rule_of(_code).patch_with is not None:
        COUNTS[f"{_code} mended"] = lambda row, code=_code: code in row.mended  # type: ignore[misc]
MUST_BE_NONE = ("made worse", "safe, changed", "no reasoning, changed", "not worked on")


def breaks(row: Row, name: str) -> bool:
    return row.kind == "defective" and row.before is not None and name in row.before.broken


def folded(before: Examined, after: Examined) -> bool:
    return before.ignores_field and not after.ignores_field


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the counts, a column for each family and one for all."""
    families = sorted({row.family for row in rows})
    groups = [[row for row in rows if row.family == family] for family in families] + [list(rows)]
    heads = [*families, "all"]
    widths = [max(len(head), 4) + 2 for head in heads]
    yield " " * 22 + "".join(head.rjust(width) for head, width in zip(heads, widths, strict=True))
    for name, counts in COUNTS.items():
        numbers = [sum(map(counts, group)) for group in groups]
        yield name.ljust(22) + "".join(str(n or "-").rjust(width) for n, width in zip(numbers, widths, strict=True))


def timings(rows: Sequence[Row], imports: Sequence[float]) -> Iterator[str]:
    """Yield the times of check and patch, of templates that know reasoning."""
    known = [row for row in rows if row.kind in ("safe", "field", "defective")]
    unit = median(imports) if imports else None
    if unit:
        yield f"importing transformers: {unit:.2f} s, median of {len(imports)}"
    for name in ("check", "patch"):
        times = sorted((getattr(row, f"{name}_seconds"), row.file) for row in known)
        if times:
            middle, (slowest, file) = median(seconds for seconds, _ in times), times[-1]
            yield f"{name}: median {told(middle, unit)}; slowest {told(slowest, unit)}, {file}"


def sizes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield what repairs add to templates: what a maintainer has to read."""
    changed = [row for row in rows if row.changed]
    for name, what in (("edits", "edits"), ("added", "bytes added"), ("longest", "characters in the longest new line")):
        if counts := sorted((getattr(row, name), row.file) for row in changed):
            middle, (most, file) = median(count for count, _ in counts), counts[-1]
            yield f"repair: {what}: median {middle:g}, sum {sum(count for count, _ in counts)}; most {most}, {file}"


def told(seconds: float, unit: float | None) -> str:
    return f"{seconds:.2f} s" + (f" ({seconds / unit:.2f} imports)" if unit else "")


def remaining(rows: Iterable[Row]) -> Iterator[str]:
    """Yield a line for each template that came out in any other way than it should."""
    for row in rows:
        where = f"{row.family}/{row.file}"
        if row.error:
            yield f"not worked on: {where}: {row.error}"
        yield from (f"made worse: {where}: {why}" for why in row.worse[:3])
        if row.kind in ("safe", "plain", "unread") and row.changed:
            yield f"changed ({row.kind}): {where}"
        if row.silenced:
            yield f"error silenced: {where}: it no longer fails, and loses: {row.silenced}"
        if row.result in ("partly", "refused") and row.after:
            left = ", ".join(f"not {name} in {number}" for name, number in sorted(row.after.broken.items()))
            why = f"; {row.refused[0]}" if row.refused else ""
            yield f"{row.result}: {where}: {left}, such as {row.after.example}{why}"
        if row.after and row.after.ignores_field:
            yield f"field ignored: {where}"


def main() -> int:
    arguments = parsed()
    jobs = list(jobs_of(arguments.corpus, arguments.only, arguments.first))
    imports: list[float] = []
    rows: list[Row] = []
    for row in rows_of(jobs, arguments.jobs, imports):
        rows.append(row)
        if arguments.json and (len(rows) == len(jobs) or len(rows) % WRITTEN == 0):
            record = {"import_seconds": imports, "rows": [asdict(row) for row in rows]}
            arguments.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    for text in (*table(rows), "", *timings(rows, imports), *sizes(rows), "", *remaining(rows)):
        print(text)
    return int(any(COUNTS[name](row) for name in MUST_BE_NONE for row in rows))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--only", action="append", default=[], metavar="FAMILY")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N templates of each family")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if not arguments.corpus.is_dir():
        parser.error(f"{arguments.corpus} is not there; name a directory of templates with --corpus DIR")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
