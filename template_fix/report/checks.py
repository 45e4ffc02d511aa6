"""What a check came to, as text: the verdict, what was tried, the findings, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from template_fix.conversations.tags import USUAL
from template_fix.report.findings import advice, by_gravity, counted, explain, finding_lines, verdict
from template_fix.report.terminal import WIDEST, Line, Piece, line
from template_fix.results import Report, TemplateSummary
from template_fix.text.display import cut, short

# How many reasons are told for which conversations are refused.
_REASONS = 3


def check_lines(report: Report, width: int = WIDEST, *, verbose: bool = False) -> Iterator[Line]:
    """Yield what ``check`` says of one model: the gravest findings first, then what to do next.

    A ``verbose`` one lists the conversations that templates refuse.
    """
    yield line(Piece(short(report.model), "title"), ": ", *verdict(report))
    for template in report.templates:
        yield from _template(template, verbose)
    for finding in by_gravity(report.findings):
        yield line("")
        yield from finding_lines(finding, width)
    following = list(_next_after_check(report))
    if following:
        yield line("")
        yield from following


def _template(template: TemplateSummary, verbose: bool) -> Iterator[Line]:
    name = f"{short(template.variant)} template in {short(template.file)}"
    yield line(Piece(f"{name}: {_learned(template)}", "dim"), indent=2, hang=2)
    shown = len(template.refused) if verbose else _REASONS if template.mostly_refused else 0
    for refused in template.refused[:shown]:
        yield line(Piece(f"refused {len(refused.conversations)}: ", "dim"), cut(refused.reason), indent=4, hang=4)
        for conversation in refused.conversations if verbose else ():
            yield line(short(conversation), indent=6, hang=2)
    if 0 < shown < len(template.refused):
        more = counted(len(template.refused) - shown, "other reason")
        yield line(Piece(f"and for {more}; -v lists all", "dim"), indent=4)


def _learned(template: TemplateSummary) -> str:
    if not template.probes:
        return "could not be tried"
    tags = ", ".join(f"{short(opening)} … {short(closing)}" for opening, closing in template.tags)
    known = f"reasoning between {tags}" if template.reasoning else "no reasoning tags found"
    return f"{known}; it renders {template.accepted} of {template.probes} probe conversations"


def _next_after_check(report: Report) -> Iterator[Line]:
    output, name = " --output DIR" if report.revision else "", shlex.quote(report.model)
    ways = {finding.patch_with for finding in report.findings if finding.patch_with is not None}
    plain = " --mark" * ("--mark" in ways)
    if ways & {"", "--mark"}:
        yield advice("Next", f"patch {name}{plain}{output}", "looks for repairs, and makes those that it can prove.")
    for way in sorted(way for way in ways - {"", "--mark"} if way):
        yield advice("Next", f"patch {name} {way}{output}", "makes the one that it names.")
    if any(template.probes and not template.reasoning for template in report.templates):
        opening, closing = map(shlex.quote, USUAL)
        yield advice("Next", f"check {name} --tag {opening} {closing}", "judges it with these tags, or others.")
    if report.findings:
        yield explain(report.findings)
