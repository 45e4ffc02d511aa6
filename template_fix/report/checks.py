"""Reports of checks as text: the verdict, what was tried, the findings, the next commands, and a summary."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from template_fix.checkpoint.checkpoint import folder_of
from template_fix.checkpoint.gguf import is_gguf
from template_fix.conversations.tags import USUAL
from template_fix.report.findings import (
    by_gravity,
    count,
    count_levels,
    explain_command,
    finding_lines,
    next_command,
    output_for,
    verdict,
)
from template_fix.report.terminal import WIDEST, Line, Piece, line
from template_fix.results import Failed, Finding, Level, Report, TemplateSummary
from template_fix.text.display import cut, one_line, short
from template_fix.tokens.reasoning_tokens import listed

# How many reasons for refusing conversations are shown.
_REASONS = 3
_VERSIONS = "With --data, --transformers 4.57 renders rows as that version does."


def check_lines(report: Report, width: int = WIDEST, *, verbose: bool = False, advise: bool = True) -> Iterator[Line]:
    """Yield the report of ``check`` on one model: the gravest findings first, then the next commands.

    With ``verbose`` it lists the conversations that templates refuse. Without ``advise`` it names no next command.
    """
    yield verdict_line(report)
    for template in report.templates:
        yield from _template_lines(template, verbose)
    versions = dict.fromkeys(sentence for template in report.templates for sentence in template.versions)
    if versions:
        yield line(Piece(f"{'; '.join(versions)}. {_VERSIONS}", "dim"), indent=2, hang=2)
    for finding in by_gravity(report.findings):
        yield line("")
        yield from finding_lines(finding, width)
    if report.known:
        of_each = Counter(finding.code for finding in report.known)
        told = ", ".join(f"{code} ({number})" if number > 1 else code for code, number in sorted(of_each.items()))
        yield line("")
        yield line(Piece("Known: ", "dim"), f"{count(len(report.known), 'finding')} of the baseline: {told}.")
    yield from _unevaluated(report)
    following = list(_next_after_check(report)) if advise else []
    if following:
        yield line("")
        yield from following


def _unevaluated(report: Report) -> Iterator[Line]:
    """Yield the rules that could not be applied, grouped by reason, and by template if there are several."""
    named = len(report.templates) > 1
    told = [(each, "") for each in report.unevaluated]
    told += [
        (each, f" ({short(template.variant)} template in {short(template.file)})" * named)
        for template in report.templates
        for each in template.unevaluated
    ]
    by_reason: dict[str, list[str]] = {}
    for each, where in told:
        by_reason.setdefault(f"{each.reason}{where}", []).append(each.code)
    if by_reason:
        yield line("")
        yield line(Piece("Not evaluated; these rules report nothing:", "dim"))
    for reason, codes in by_reason.items():
        yield line(Piece(f"{', '.join(codes)}: {reason}", "dim"), indent=2, hang=2)


def verdict_line(report: Report) -> Line:
    """Return the line with a model's name and the verdict."""
    return line(Piece(short(report.model), "title"), ": ", *verdict(report))


def _template_lines(template: TemplateSummary, verbose: bool) -> Iterator[Line]:
    name = f"{short(template.variant)} template in {short(template.file)}"
    yield line(Piece(f"{name}: {_describe_template(template)}", "dim"), indent=2, hang=2)
    shown = len(template.refused) if verbose else _REASONS if template.mostly_refused else 0
    for refused in template.refused[:shown]:
        yield line(Piece(f"refused {len(refused.conversations)}: ", "dim"), cut(refused.reason), indent=4, hang=4)
        for conversation in refused.conversations if verbose else ():
            yield line(short(conversation), indent=6, hang=2)
    if 0 < shown < len(template.refused):
        more = count(len(template.refused) - shown, "other reason")
        yield line(Piece(f"and for {more}; -v lists all", "dim"), indent=4)


def _describe_template(template: TemplateSummary) -> str:
    if not template.probes:
        return "could not be tried"
    tags = ", ".join(f"{short(opening)} … {short(closing)}" for opening, closing in template.tags)
    known = f"reasoning between {tags}" if template.reasoning else "no reasoning tags found"
    taken = f"; it refuses {listed(template.forms)}" if template.forms else ""
    return f"{known}{taken}; it renders {template.accepted} of {template.probes} probe conversations"


def _next_after_check(report: Report) -> Iterator[Line]:
    output, name = output_for(report), shlex.quote(report.model)
    ways = {finding.patch_with for finding in report.findings if finding.patch_with is not None}
    plain = " --mark" * ("--mark" in ways)
    if ways & {"", "--mark"}:
        yield next_command("Next", f"patch {name}{plain}{output}", "makes all repairs that it can prove.")
    for way in sorted(way for way in ways - {"", "--mark"} if way):
        yield next_command("Next", f"patch {name} {way}{output}", "makes this repair, if it can be proved.")
    if any(template.probes and not template.reasoning for template in report.templates):
        opening, closing = map(shlex.quote, USUAL)
        yield next_command("Next", f"check {name} --tag {opening} {closing}", "judges it with these tags; name yours.")
    if report.findings:
        yield explain_command(report.findings)


def concise_lines(outcome: Report | Failed) -> Iterator[str]:
    """Yield a line for each finding in the format of compilers, ``file:line:column: code level message``."""
    if isinstance(outcome, Failed):
        return
    for finding in by_gravity(outcome.findings):
        place = finding.place
        numbers = (place.line, place.column) if place else ()
        where = ":".join(str(part) for part in (_file_path(outcome, finding), *numbers) if part is not None)
        yield one_line(f"{where}: {finding.code} {finding.level.value} {cut(finding.message)}")
    for why in outcome.unjudged:
        yield one_line(f"{outcome.model}: not judged: {cut(why)}")


def workflow_commands(outcome: Report | Failed) -> Iterator[str]:
    """Yield the findings as workflow commands, which GitHub shows beside the lines at fault.

    Their form: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.
    """
    if isinstance(outcome, Failed):
        yield _workflow_command("error", {"title": "template-fix"}, outcome.message)
        return
    for finding in by_gravity(outcome.findings):
        place = finding.place
        whole = is_gguf(Path(outcome.model))
        at = {"line": place.line, "col": place.column} if place and not whole else {}
        level = "notice" if finding.level is Level.NOTE else finding.level.value
        fix = f" Fix: {cut(finding.fix)}" if finding.fix else ""
        properties = {"file": outcome.model if whole else _file_path(outcome, finding), **at, "title": finding.code}
        yield _workflow_command(level, properties, f"{cut(finding.message)}{fix}")
    for why in outcome.unjudged:
        yield _workflow_command("warning", {"title": "not judged"}, f"{outcome.model}: {cut(why)}")


def _file_path(report: Report, finding: Finding) -> str:
    return (folder_of(report.model) / finding.place.file).as_posix() if finding.place else report.model


def _workflow_command(name: str, properties: dict[str, str | int | None], message: str) -> str:
    """Return a workflow command; characters that would end a part of it are escaped."""

    def escaped(text: str, more: str) -> str:
        return "".join(f"%{ord(each):02X}" if each in f"%\r\n{more}" else each for each in one_line(text))

    given = ",".join(f"{key}={escaped(str(value), ':,')}" for key, value in properties.items() if value is not None)
    return f"::{name} {given}::{escaped(message, '')}"


def summary_lines(outcomes: Sequence[Report | Failed]) -> Iterator[Line]:
    """Yield a summary: the number of models by state, then for each code how often and in how many models it is."""
    from template_fix.rules import rule_of

    reports = [outcome for outcome in outcomes if isinstance(outcome, Report)]
    how = Counter(_state_of(outcome) for outcome in outcomes)
    parts = [f"{how[state]} {state}" for state in _STATES if how[state]]
    yield line(Piece(count(len(outcomes), "model"), "title"), f": {', '.join(parts)}")
    found = [(finding, number) for number, report in enumerate(reports) for finding in report.findings]
    for code in sorted({finding.code for finding, _ in found}):
        here = [(finding, number) for finding, number in found if finding.code == code]
        models = count(len({number for _, number in here}), "model")
        yield line(
            f"{code}: ",
            *count_levels(each for each, _ in here),
            f" in {models}: {rule_of(code).summary}",
            indent=2,
            hang=4,
        )


_STATES = ("with errors", "with warnings", "with notes", "with nothing wrong", "not judged", "not read")


def _state_of(outcome: Report | Failed) -> str:
    if isinstance(outcome, Failed):
        return "not read"
    levels = {finding.level for finding in outcome.findings}
    if not levels:
        return "not judged" if outcome.unjudged else "with nothing wrong"
    gravest = next(level for level in Level if level in levels)
    return f"with {gravest.value}s"
