"""Findings and repairs as text: what is wrong, where, what shows it, and the next command."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from template_fix.checkpoint.gguf import is_gguf
from template_fix.report.excerpts import edit_line, evidence_lines, source_lines
from template_fix.report.terminal import WIDEST, Line, Piece, line
from template_fix.results import (
    Finding,
    Level,
    PatchResult,
    Place,
    Refusal,
    Repair,
    Report,
    Target,
)
from template_fix.text.display import cut, short

# Who is affected by losses, and what a repair changes for callers who don't pass preserve_thinking.
CONCERNS = (
    "Many templates leave old reasoning out on purpose, to keep the prompts of a served model short. But then training "
    "on conversations of several turns, distillation and RL lose it."
)
UNCHANGED = "Without preserve_thinking, it printed the same as the original in all conversations that were tried."
CHANGED = "Callers who don't pass preserve_thinking get a different text from now on. The shortest such conversation"
# True for every version of TRL; which templates the user's TRL knows can't be seen from here.
BY_TEXT = (
    "TRL recognises some templates by their whole text, but not the repaired one. So assistant_only_loss needs "
    "generation markers (--mark), and GRPO with tools needs a response template: preflight(tokenizer, fix=True) lets "
    "TRL attach it before the repair, if TRL recognises the original."
)
_ORDER = tuple(Level)
_EDITS = 3
_UNMENDED = "no edit that was tried repairs it without harm"


def patch_lines(
    result: PatchResult,
    written: str | None,
    left: Sequence[str] = (),
    copied: Sequence[str] = (),
    width: int = WIDEST,
) -> Iterator[Line]:
    """Yield the report of ``patch`` on one model.

    ``written`` is the directory that was written to, None if nothing was to be written. ``copied`` are the files that
    were copied there unchanged, ``left`` those that were not copied.
    """
    model, after = result.before.model, result.after.findings
    yield line(Piece(short(model), "title"), ": ", *_verdict_pieces(result, written))
    for repair in result.kept:
        yield from _kept_lines(repair, result)
    for refusal in result.refused:
        yield from _refused_lines(refusal)
    yield from _serving_lines(result)
    yield from _engine_lines(result)
    yield from _training_lines(result)
    if after:
        yield line("")
        yield line(Piece("Remains", "title"))
    for finding in by_gravity(after):
        yield from finding_lines(finding, width, brief=True)
        yield from _why_it_remains(finding, result)
    yield line("")
    if result.kept:
        yield from proof_lines(result)
    if after:
        yield explain_command(after)
    yield from _next_after_patch(result, written, left, copied)


def _why_it_remains(finding: Finding, result: PatchResult) -> Iterator[Line]:
    """Yield the conversation that shows a finding, and why it was not repaired."""
    for evidence in finding.evidence[:1]:
        yield line(Piece("in: ", "dim"), short(evidence.subject), indent=2, hang=4)
    if finding.patch_with == "":
        refused = [refusal.reason for refusal in result.refused if finding.code in refusal.repair.codes]
        yield line(Piece("why: ", "dim"), cut((*refused, _UNMENDED)[0]), indent=2, hang=5)


def by_gravity(findings: Iterable[Finding]) -> list[Finding]:
    """Return ``findings`` with errors first and notes last, otherwise in their order."""
    return sorted(findings, key=lambda finding: _ORDER.index(finding.level))


def count_levels(findings: Iterable[Finding]) -> list[Piece]:
    """Return how many findings there are of each level: ``2 errors, 1 note``."""
    counts = Counter(finding.level for finding in findings)
    pieces: list[Piece] = []
    for level in _ORDER:
        if counts[level]:
            pieces += [Piece(", ")] * bool(pieces) + [Piece(count(counts[level], level.value), level.value)]
    return pieces or [Piece("nothing wrong", "good")]


def verdict(report: Report) -> list[Piece]:
    """Return the verdict of a check; what was not tried is never called right."""
    unjudged = " and ".join(report.unjudged)
    if not unjudged:
        return [Piece("nothing new", "good")] if report.known and not report.findings else count_levels(report.findings)
    if not report.findings:
        return [Piece("not judged", "warning"), Piece(f": {unjudged}")]
    return [
        *count_levels(report.findings),
        Piece("; the rest "),
        Piece("not judged", "warning"),
        Piece(f": {unjudged}"),
    ]


def count(number: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def describe_place(place: Place) -> str:
    """Return a place as ``file:line:column`` and, for a template inside of JSON, the line in the template."""
    text = ":".join(str(part) for part in (short(place.file), place.line, place.column) if part is not None)
    inner = [f"template {short(place.template)}"] if place.template and place.template != "default" else []
    if place.template_line is not None and (place.template_line, place.template_column) != (place.line, place.column):
        inner.append(f"line {place.template_line}, column {place.template_column} of the template")
    return f"{text} ({', '.join(inner)})" if inner else text


def finding_lines(finding: Finding, width: int = WIDEST, *, brief: bool = False) -> Iterator[Line]:
    """Yield one finding; with ``brief``, without the source line and the experiments."""
    name = Piece(f"{finding.level.value} {finding.code}:", finding.level.value)
    yield line(name, " ", cut(finding.message), hang=2)
    if finding.place:
        yield line(Piece("at ", "dim"), describe_place(finding.place), indent=2, hang=3)
        if not brief:
            yield from source_lines(finding.place, width - 4)
    for evidence in () if brief else finding.evidence:
        yield from evidence_lines(evidence, 2)
    if finding.fix:
        yield line(Piece("fix: ", "good"), cut(finding.fix), indent=2, hang=5)


def explain_command(findings: Iterable[Finding]) -> Line:
    """Return the command that explains the first of these findings."""
    return next_command("More", f"explain {min(finding.code for finding in findings)}", "explains this code.")


def next_command(label: str, command: str, what: str) -> Line:
    """Return a line with a command to run next; it is never wrapped, so that it can be copied."""
    return line(f"{label}: ", Piece(f"template-fix {command}", "code"), f" {what}", fixed=True)


def output_for(report: Report) -> str:
    """Return the option that ``patch`` needs if a model can't be changed in place, else ""."""
    if is_gguf(Path(report.model)):
        return " --output NEW.gguf"
    return " --output DIR" if report.revision else ""


def _verdict_pieces(result: PatchResult, written: str | None) -> list[Piece]:
    """Return the verdict of a patch; generation markers that could not be inserted come first."""
    unmarked = [Piece("not marked", "error"), Piece("; ")] if result.unmarked else []
    return [*unmarked, *_result_pieces(result, written)]


def _result_pieces(result: PatchResult, written: str | None) -> list[Piece]:
    if not result.kept:
        copied = f", copied to {written} as it is" if written not in (None, result.before.model) else ""
        return [
            Piece("nothing repaired") if result.after.findings else Piece("nothing to repair", "good"),
            Piece("".join(f"; not judged: {why}" for why in result.after.unjudged[:1])),
            Piece(copied),
        ]
    files = ", ".join(sorted(result.changed))
    repaired = Piece(count(len(result.kept), "repair"), "good")
    if written is None:
        return [repaired, Piece(f" would change {files}; nothing was written")]
    if written != result.before.model:
        return [repaired, Piece(f" made, written to {written}: {files}")]
    return [repaired, Piece(f" made in {files}")]


def whom_it_concerns(result: PatchResult) -> str:
    """Return who is affected by the losses, if vendors often intend them for serving; else ""."""
    from template_fix.rules import rule_of

    on_purpose = (rule_of(finding.code).on_purpose for finding in result.before.findings)
    return CONCERNS if any(on_purpose) else ""


def describe_elsewhere(
    result: PatchResult, plain: Callable[[str], str] = str, quoted: Callable[[str], str] = "`{}`".format
) -> Iterator[str]:
    """Yield sentences on a repair in other engines, and on what programs no longer find in the template's text.

    ``plain`` and ``quoted`` format sentences and code for the output.
    """
    if result.elsewhere is None:
        return
    engines = result.elsewhere.engines
    alike: dict[tuple[str, ...], list[str]] = {(): ["transformers"]}
    for name, otherwise in engines.items():
        alike.setdefault(otherwise, []).append(name)
    on = ", ".join(alike.pop(()))
    off = ", ".join(f"{', '.join(names)} ({', '.join(map(quoted, why))})" for why, names in alike.items())
    left = f"; not known for {off}, which run the named parts of the template differently" if off else ""
    yield f"The repair takes effect in {on}{left} (by the table of constructs that engines know)."
    yield from (plain(f"{each}.") for each in result.elsewhere.unread)
    if (leak := result.elsewhere.leaks) is not None:
        from template_fix.repair.loop_leaks import LEAKING

        yield plain(
            f"If a variable set in a loop outlives its iteration ({LEAKING}), a turn prints another's: {leak.subject}."
        )


def _engine_lines(result: PatchResult) -> Iterator[Line]:
    text = " ".join(describe_elsewhere(result))
    if text:
        yield line("")
        yield line(Piece("Engines: ", "title"), text, hang=2)


def _serving_lines(result: PatchResult) -> Iterator[Line]:
    """Yield what the repair changes for those who serve the model."""
    if result.served is not None:
        yield line("")
        text = " ".join(filter(None, (whom_it_concerns(result), f"{CHANGED}:")))
        yield line(Piece("Serving: ", "title"), text, hang=2)
        yield from evidence_lines(result.served, 2)


def _training_lines(result: PatchResult) -> Iterator[Line]:
    """Yield what changes for trainers that recognise a template by its text."""
    if not is_gguf(Path(result.before.model)) and result.changes(Target.TEMPLATE, Target.MARKERS):
        yield line("")
        yield line(Piece("Training: ", "title"), BY_TEXT, hang=2)


def _kept_lines(repair: Repair, result: PatchResult) -> Iterator[Line]:
    yield line("")
    yield line(Piece("Repaired: ", "good"), cut(repair.title), hang=2)
    yield line(cut(repair.why), indent=2)
    files = ", ".join(dict.fromkeys(file for file, _ in repair.edits))
    where = [f"in {short(files)}"] if files else []  # empty if all edits are inside of text that other repairs wrote
    yield line(
        Piece("; ".join([*where, _describe_origin(repair), *_describe_effects(repair, result)]), "dim"), indent=2
    )
    for file, edit in repair.edits[:_EDITS]:
        if file in result.changed:
            yield edit_line(file, result.changed[file][0], edit, 4)
    if len(repair.edits) > _EDITS:
        yield line(f"and {count(len(repair.edits) - _EDITS, 'more edit')}", indent=4)


def _describe_effects(repair: Repair, result: PatchResult) -> Iterator[str]:
    remaining = {finding.code for finding in result.after.findings}
    for effect, remains in (("resolves", False), ("lessens", True)):
        codes = [code for code in repair.codes if (code in remaining) is remains]
        if codes:
            yield f"{effect} {', '.join(codes)}"


def _refused_lines(refusal: Refusal) -> Iterator[Line]:
    repair = refusal.repair
    yield line("")
    yield line(Piece("Refused: ", "warning"), cut(repair.title), hang=2)
    yield line(cut(refusal.reason), indent=2)
    for evidence in refusal.evidence:
        yield from evidence_lines(evidence, 2)
    if refusal.decide:
        yield line(Piece("decide: ", "good"), cut(refusal.decide), indent=2, hang=8)
    yield line(Piece(f"{_describe_origin(repair)} for {', '.join(repair.codes)}", "dim"), indent=2)


def _describe_origin(repair: Repair) -> str:
    return f"proposed by {short(repair.source)}"


def proof_lines(result: PatchResult) -> Iterator[Line]:
    """Yield the verdicts of the checks before and after a repair."""
    before, after = result.before.findings, result.after.findings
    if result.asked:
        asked = ", ".join(f"{name}={str(value).lower()}" for name, value in result.asked)
        yield line(f"These checks were made with {asked}; without it, the template prints what the original prints.")
    compared = (*verdict(result.before), Piece("; after: "), *verdict(result.after))
    yield line("Proof: before: ", *compared, f"; {_describe_rendered(result)}.", hang=7)
    tests, exercised = (sum(getattr(t, name) for t in result.before.templates) for name in ("tests", "exercised"))
    if tests:
        yield line(f"The conversations took {exercised} of the template's {count(tests, 'test')} both ways.", hang=7)
    gone = sorted({finding.code for finding in before} - {finding.code for finding in after})
    if gone:
        yield line(f"Gone: {', '.join(gone)}.", hang=6)


def _describe_rendered(result: PatchResult) -> str:
    before, after = (sum(t.accepted for t in report.templates) for report in (result.before, result.after))
    if before == after:
        return f"{count(before, 'probe conversation')} rendered before and after"
    return f"{count(before, 'probe conversation')} rendered before, {after} after"


def _next_after_patch(
    result: PatchResult, written: str | None, left: Sequence[str], copied: Sequence[str]
) -> Iterator[Line]:
    model = result.before.model
    name = shlex.quote(model)
    if written not in (None, model):
        yield line(f"{short(model)} was left as it is.")
        for title, names in (("Copied unchanged", copied), ("Not copied", left)):
            if names:
                yield line(f"{title}: {_list_some(names)}.", hang=2)
    if result.changed and result.before.revision:
        yield next_command("Next", f"push {name} --to {name} --create-pr", "proposes the repair to its maintainers.")
    elif result.changed and written is None:
        yield next_command("Next", f"patch {name}{output_for(result.before)}", "writes these changes.")
    elif result.changed and written == model != "-":
        yield next_command("Undo", f"undo {name}", "restores the former files.")


def _list_some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(short, names[:most])) + more
