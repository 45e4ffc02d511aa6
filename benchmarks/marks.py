#!/usr/bin/env python3
"""Puts generation markers into every template of a corpus, and tells what came of it, family by family.

    marks.py [--corpus DIR | --trl DIR] [--only FAMILY]... [--jobs N] [--json FILE]

DIR holds a directory for each family, with templates in it; by default it is ../shared/corpus/templates beside the
repository. A template is *marked exactly* where every conversation is printed as before, with its generation prompts,
and the mask is what the model has to write; both are found out anew, by rendering, and that the text is the same always
is proved on the syntax trees. With --trl, DIR is trl/chat_templates of TRL: its originals are marked, and TRL's own
training versions are held to the same masks.

With transformers in the environment, times are also told as multiples of importing it in the same run.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path
from statistics import median

from corpus import CORPUS, import_seconds, jobs_of

from template_fix.bounds.limits import ChildError, LimitExceeded, run_bounded
from template_fix.jinja.renderer import Failure, Renderer, RenderError
from template_fix.markers.mark_template import find_wrong_masks, mark_template, mask_of, merge_spans
from template_fix.markers.places import Unmarkable
from template_fix.markers.proof import same_but_for_markers
from template_fix.markers.remove_markers import remove_markers
from template_fix.repair.study import Setting, Study

SETTING = Setting((("bos_token", "<s>"), ("eos_token", "</s>")), ends=("</s>",))
SECONDS = 120


@dataclass(frozen=True)
class Row:
    """What came of one template: ``marked``, ``wrong``, ``refused``, or why nothing was to be done."""

    family: str
    file: str
    result: str
    why: str = ""
    pairs: int = 0
    seconds: float = 0.0
    theirs: str = ""


def worked_on(job: tuple[str, str, str, str]) -> Row:
    """Return what comes of one template: its family, its file's name, its text, and another's version of it, or ""."""
    family, file, source, theirs = job
    try:
        return Row(family, file, *run_bounded(tried, source, theirs, seconds=SECONDS))
    except (ChildError, LimitExceeded) as error:
        return Row(family, file, "refused", " ".join(str(error).split())[-200:])


def tried(source: str, theirs: str) -> tuple[str, str, int, float, str]:
    """Mark one template; runs in a child process."""
    study = Study(source, SETTING)
    if study.unreadable is not None or not any(
        mask_of(study).of(probe) for probe in mask_of(study).examined.probes.values()
    ):
        return "prints no turn", "", 0, 0.0, ""
    judged = as_theirs(theirs) if theirs else ""
    if study.markers:
        wrong = next(find_wrong_masks(mask_of(study), study.examined.renderer), None)
        return "came marked", "" if wrong is None else put_right(study, wrong.probe.describe()), 0, 0.0, judged
    start = time.process_time()
    try:
        made = mark_template(study).source
    except Unmarkable as error:
        return "refused", error.reason, 0, time.process_time() - start, judged
    taken = time.process_time() - start
    wrong_because = "; ".join(wrongs(study, made))
    return "wrong" if wrong_because else "marked", wrong_because, made.count("endgeneration"), taken, judged


def put_right(study: Study, conversation: str) -> str:
    """Say what becomes of a template whose own markers are wrong, in one conversation for example."""
    try:
        wrong_because = "; ".join(wrongs(Study(remove_markers(study.source), SETTING), mark_template(study).source))
        left = f"still wrong: {wrong_because}" if wrong_because else "put right"
    except Unmarkable as error:
        left = f"refused: {error.reason}"
    return f"wrongly ({conversation}), {left}"


def wrongs(study: Study, made: str) -> Iterator[str]:
    """Yield what is wrong with a marked template, found out without the judge."""
    renderer, examined = Renderer(made, study.variables), mask_of(study).examined
    if not same_but_for_markers(study.source, made):
        yield "not proved to print the same"
    for probe in examined.probes.values():
        for prompt in (False, True):
            before, after = examined.text(probe, prompt=prompt), None
            after = renderer(probe.messages, probe.tools, prompt, **dict(probe.flags))
            if before != after and not (isinstance(before, Failure) and isinstance(after, Failure)):
                yield f"other text: {probe.describe()}"
        told, wanted = renderer.generated(probe.messages, probe.tools, **dict(probe.flags)), mask_of(study).of(probe)
        if wanted is not None and (isinstance(told, Failure) or merge_spans(told[1]) != merge_spans(wanted)):
            yield f"other mask: {probe.describe()}"


def as_theirs(theirs: str) -> str:
    """Say how somebody else's marked version does by the masks of its own text."""
    try:
        study = Study(theirs, SETTING)
        if study.unreadable is not None or not study.markers:
            return "unreadable" if study.unreadable is not None else "no markers"
        bare = Study(remove_markers(theirs), SETTING)
        wrong = list(find_wrong_masks(mask_of(bare), study.examined.renderer))
    except (RenderError, Unmarkable) as error:
        return str(error)
    if not wrong:
        return "exact"
    first = wrong[0]
    shown = " … ".join(first.text[start:end] for start, end in first.marked)
    return f"wrong in {len(wrong)}, such as {first.probe.describe()}: {shown[:60]!r}"


def of_trl(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    for path in sorted(folder.glob("*.jinja")):
        version = path.with_name(f"{path.stem}_training.jinja")
        if not path.stem.endswith("_training"):
            theirs = version.read_text(encoding="utf-8") if version.exists() else ""
            yield "trl", path.name, path.read_text(encoding="utf-8"), theirs


def told(rows: Iterable[Row], imports: float | None) -> None:
    rows = list(rows)
    families = sorted({row.family for row in rows})
    results = ("marked", "wrong", "refused", "came marked", "prints no turn")
    print(f"{'':16}" + "".join(f"{name:>14}" for name in [*families, "all"]))
    for result in results:
        counts = [sum(row.result == result and row.family == family for row in rows) for family in families]
        print(f"{result:16}" + "".join(f"{count or '-':>14}" for count in [*counts, sum(counts)]))
    asked = [row for row in rows if row.result in ("marked", "wrong", "refused")]
    done = [row for row in asked if row.result == "marked"]
    print(f"\n{len(done)} of {len(asked)} unmarked templates marked exactly; by pairs of markers: ", end="")
    print(", ".join(f"{count} with {pairs}" for pairs, count in sorted(Counter(row.pairs for row in done).items())))
    times = sorted(row.seconds for row in asked)
    if times:
        ratio = f" ({median(times) / imports:.2f} imports of transformers)" if imports else ""
        print(f"median {median(times):.2f} s{ratio}; slowest {times[-1]:.2f} s")
    marked = [row for row in rows if row.result == "came marked"]
    if marked:
        wrong = [row for row in marked if row.why]
        right = sum(row.why.endswith("put right") for row in wrong)
        print(f"{len(wrong)} of {len(marked)} that came marked are marked wrongly, of which {right} are put right")
    print()
    reasons = Counter(re.sub(r"`.*?`(?=[ ,])", "`…`", row.why)[:100] for row in rows if row.result == "refused")
    for reason, count in reasons.most_common():
        print(f"{count:4} refused: {reason}")
    for row in rows:
        if row.result in ("wrong", "refused") or (row.result == "came marked" and row.why):
            print(f"{row.result}: {row.family}/{row.file}: {row.why}")
        if row.theirs:
            print(f"{row.file}: ours {row.result}, {row.pairs} pairs; theirs {row.theirs}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--trl", type=Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    jobs = (
        list(of_trl(arguments.trl))
        if arguments.trl
        else [(*job, "") for job in jobs_of(arguments.corpus, arguments.only, None)]
    )
    with Pool(arguments.jobs) as pool:
        rows = list(pool.imap(worked_on, jobs))
    told(rows, import_seconds())
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return int(any(row.result == "wrong" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
