"""One mend after another: each is tried, judged, and kept as small as it was proposed, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from template_fix.contract.examination import Examination
from template_fix.contract.mended import judge_mend
from template_fix.jinja.engines import why_unportable
from template_fix.jinja.renderer import Renderer, RenderError
from template_fix.repair.loop_leaks import find_leak
from template_fix.repair.mends import Mend, as_json, empty_calls, last_end, open_turns, system_texts
from template_fix.repair.proposers import Attempt, Proposal, decision
from template_fix.repair.study import Found, Setting, Study
from template_fix.results import compare_texts
from template_fix.text.edits import Edit, Span, apply, trace_back

MENDS: Mapping[str, Mend] = {
    "TF209": open_turns.MEND,
    "TF210": last_end.MEND,
    "TF211": empty_calls.MEND,
    "TF213": as_json.MEND,
    "TF214": system_texts.MEND,
}
# How many proposals are judged for one rule.
_MOST = 24
# How many rounds of mends one rule gets: an edit may mend one place of several.
_ROUNDS = 3
_TWICE = "another repair changes the same place"
_UNREACHED = "no conversation that it was tried on gets there, so nothing proves it"


Check: TypeAlias = "Callable[[Study], Iterator[Found]]"


class Made(NamedTuple):
    """A mend with its edits in the template as it was before any; an attempt whose reason is "" stands."""

    attempt: Attempt
    edits: tuple[Edit, ...] = ()


def mend(source: str, setting: Setting, checks: Mapping[str, Check], served: str = "") -> list[Made]:
    """Return the mends of what ``checks`` find, by their codes, each made on top of those before.

    ``served`` is the reason why nothing may change that was printed before, "" where it may. Use it inside
    `limits.run_bounded`.
    """
    made: list[Made] = []
    study = Study(source, setting)
    for code, check in checks.items():
        for _ in range(_ROUNDS):
            found = None if study.unreadable else next(check(study), None)
            if found is None:
                break
            nothing = Proposal(code, "mend", found.fix or found.message, "", found.at or Span(0, 0), ())
            refused = served if not MENDS[code].adds else ""
            attempt = Attempt(nothing, refused) if refused else _best(study, MENDS[code], nothing)
            edits = _traced_back(attempt.proposal.edits, [edit for each in made for edit in each.edits])
            if attempt.reason or len(edits) < len(attempt.proposal.edits):
                made.append(Made(attempt if attempt.reason else attempt._replace(reason=_TWICE)))
                break
            made.append(Made(attempt, edits))
            study = Study(apply(study.source, attempt.proposal.edits), setting)
    return made


def _traced_back(edits: Sequence[Edit], made: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return edits of an edited template as edits of the one before, without what stands in new text."""
    spans = [trace_back(edit.span, made) for edit in edits]
    return tuple(Edit(span, edit.text) for span, edit in zip(spans, edits, strict=True) if span)


def _best(study: Study, how: Mend, nothing: Proposal) -> Attempt:
    """Return the proposal that mends most of those that may stand, or the closest with the reason why none may.

    That is ``nothing`` where none came near.
    """
    tried = _enlarged(study, how)
    owed = how.owed(tried)
    best: tuple[int, Attempt] | None = None
    refused: tuple[int, Attempt] | None = None
    for number, proposal in enumerate(how.proposals(tried, owed)):
        if number == _MOST:
            break
        gained, attempt = _judged(tried, how, proposal)
        if attempt.reason and (refused is None or gained > refused[0]):
            refused = gained, attempt
        elif not attempt.reason and (best is None or gained > best[0]):
            best = gained, attempt
            if how.whole:
                break
    if best:
        return best[1]
    return refused[1] if refused and refused[0] else Attempt(nothing, how.unknown)


def _enlarged(study: Study, how: Mend) -> Study:
    """Return the study on the battery that repairs are judged by, with the conversations of a mend besides."""
    larger, more = study.enlarged(), tuple(how.probes(study))
    tried = larger.repaired(larger.case._replace(itself=larger.examined.enlarged(more)))
    tried.coverage = larger.coverage.joined_by(more) if larger.coverage else None
    return tried


def _judged(study: Study, how: Mend, proposal: Proposal) -> tuple[int, Attempt]:
    """Return how many texts a proposal mends, and why it can't stand."""
    edited = apply(study.source, proposal.edits)
    try:
        renderer = Renderer(edited, study.variables)
    except RenderError as error:
        return 0, Attempt(proposal, f"the edited template doesn't compile: {error}")
    before = study.examined
    after = Examination(renderer, before.probes.values(), before.tags, before.flags)
    reason, gained, at = judge_mend(before, after, how.owed(study))
    if at:
        old, new = (text if isinstance(text := at.text(each), str) else "" for each in (before, after))
        shown = compare_texts(at.describe(), old, new, ("before", "after"))
        return gained, Attempt(
            proposal, reason, (shown,), decision("texts that are wrong now are printed as they are owed", reason)
        )
    if reason:
        return gained, Attempt(proposal, reason)
    if (unknown := why_unportable(study.source, edited)) is not None:
        return gained, Attempt(proposal, unknown)
    if not all(_reached(study, edit) for edit in proposal.edits):
        return gained, Attempt(proposal, _UNREACHED)
    leak = find_leak(study.source, edited, study.tags, study.variables, before.flags)
    why = f"where loops leak it would print differently ({leak.probe.describe()})" if leak else ""
    return gained, Attempt(proposal, why)


def _reached(study: Study, edit: Edit) -> bool:
    return study.coverage is None or edit.span.start == edit.span.end or study.coverage.reaches(edit.span)
