"""The repair of one template: propose, judge, and look again until nothing more can be mended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeAlias

from template_fix.contract.examination import Case, Examination
from template_fix.contract.verdict import Verdict
from template_fix.jinja.templates import Template
from template_fix.options import Options
from template_fix.repair.blame import closest
from template_fix.repair.candidates import are_apart
from template_fix.repair.loop_leaks import find_leak, resets
from template_fix.repair.proposers import (
    Attempt,
    Basis,
    Proposal,
    call_branches,
    drops,
    experiments,
    fields,
    known_patches,
    own_switches,
    sums,
)
from template_fix.repair.search import (
    Choice,
    broken,
    count_wrong,
    loses_blocks,
    loses_calls,
    loses_in_lists,
    lost_in_lists,
)
from template_fix.repair.splice import tidy
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence
from template_fix.text.edits import Edit, trace_back, written
from template_fix.trace.coverage import Coverage, find_unreached
from template_fix.trace.recorder import trace_template

Checks: TypeAlias = "Mapping[str, Callable[[Study], Iterator[Found]]]"
# Leaves those of some proposals that were asked for, and that a conversation reaches.
Hopeful: TypeAlias = "Callable[[Iterable[Proposal]], list[Proposal]]"
_UNREACHED = "no conversation that it was tried on gets there, so nothing proves it"

_SPREAD = (
    " Every turn without reasoning then has the empty block that only the last one has had, and rows without any are"
    " trained on it: --ignore {code} leaves these turns as they are."
)


class Repaired(NamedTuple):
    """What came of a template: the proposals that stand, with the codes that each resolves and its final edits, the
    closest attempts that don't, whether nothing is left to mend, and what the conversations reached that were tried."""

    kept: tuple[tuple[Proposal, tuple[str, ...], tuple[Edit, ...]], ...] = ()
    refused: tuple[Attempt, ...] = ()
    whole: bool = True
    coverage: Coverage | None = None


def find_repair(
    study: Study, found: Iterable[tuple[str, Found]], options: Options, checks: Checks, alone: Collection[str]
) -> Repaired:
    """Look for the smallest repair of a template.

    ``found`` is what was found wrong, by code, ``checks`` what finds it. Codes in ``alone`` are mended by what is
    proposed for them, and by nothing else.
    """
    found = tuple(found)
    wanted = {code for code, _ in found if options.wants(code)}
    if not wanted:
        return Repaired(coverage=study.coverage)
    study = study.enlarged()

    def asked_for(suggested: Iterable[Proposal]) -> list[Proposal]:
        chosen = [each for each in suggested if _asked_for(each, wanted, alone, options)]
        return [*chosen, *_for_texts(study, chosen)]

    def hopeful(suggested: Iterable[Proposal]) -> list[Proposal]:
        return [each for each in asked_for(suggested) if _reached(study, each)]

    proposals: list[Proposal] = []
    best: Choice | None = None
    for suggest in (_cheap, _forced):
        proposals += asked_for(suggest(study))
        reached = [each for each in proposals if _reached(study, each)]
        best = _better(best, study.search.best(reached, thorough=suggest is _forced))
        if best is not None and not broken(best.case.itself) and not loses_blocks(best.case.itself):
            break
    best = _grown(study, best, hopeful, proposals)
    if (best is None or broken(best.case.itself)) and (answers := asked_for(_for_answers(study, proposals))):
        proposals += answers
        reached = [each for each in proposals if _reached(study, each)]
        best = _better(best, _grown(study, study.search.best(reached), hopeful, proposals))
    unmade = Choice((), Verdict(""), study.source, study.case)
    if loses_calls((best or unmade).case.itself):
        best = study.search.best(hopeful(_calls(study, best or unmade)), best) or best
    if best and loses_calls(best.case.itself):
        best = _calls_first(study, best, hopeful(_calls(study, unmade)), hopeful(proposals)) or best
    best = _with_lists(study, best or unmade, hopeful, proposals)
    best = best and _without_leak(study, best)
    best, unproved = _proved(study, best)
    kept = tuple(_final(study, found, best, checks)) if best else ()
    left = best is None or broken(best.case.itself)
    refused = [Attempt(each, _UNREACHED) for each in unproved]
    refused += _refusals(study, proposals, best or unmade, wanted) if left else ()
    return Repaired(kept, tuple(refused), not left, study.coverage)


def _better(*choices: Choice | None) -> Choice | None:
    """Return the choice that leaves the least to mend, the first of several."""
    return min(filter(None, choices), key=lambda choice: count_wrong(choice.case.itself), default=None)


def _grown(study: Study, best: Choice | None, hopeful: Hopeful, proposals: Sequence[Proposal]) -> Choice | None:
    """Return a choice with what can be mended beside it, too: what harms alone may be right there."""
    while best is not None and broken(best.case.itself):
        more = hopeful([*_beside(study, best), *proposals])
        grown = study.search.best(more, best)
        other = study.search.exchanged(more, best) if grown is None or broken(grown.case.itself) else None
        better = _better(other, grown)
        if better is None or better.kept == best.kept:
            break
        best = better
    return best


def _for_texts(study: Study, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Yield once more, for texts alone, what would print a list as it stands on which the template fails."""
    failing = [seen.probe for seen in study.examined if seen.probe.text_lists and seen.text is None]
    study.search.candidates.offer(proposals)
    for each in proposals if failing else ():
        other = drops.for_texts(each, study.switch)
        case = study.search.candidates.case([each]) if other != each else None
        if isinstance(case, Case) and any(case.itself.observe(probe).as_data for probe in failing):
            yield other


def _for_answers(study: Study, proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Yield once more, for turns without tool calls, what would print reasoning behind the calls that it led to."""
    asked = [each for each in study.examined if each.probe.shape == "uktr" and not each.probe.flags]
    called = [each.probe for each in asked if each.lost]
    for each in proposals if called else ():
        other = drops.for_answers(study.template, each, study.switch)
        case = study.search.candidates.case([each]) if other != each else None
        if isinstance(case, Case) and any(case.itself.observe(probe).breaks("in order") for probe in called):
            yield other


def _cheap(study: Study) -> Iterator[Proposal]:
    """Yield what costs little to suggest."""
    if not study.setting.captured:
        yield from own_switches.proposals(study.template, study.keeping, study.switch)
    yield from study.known
    if study.basis:
        yield from experiments.rewritings(study.basis)


def _forced(study: Study) -> Iterator[Proposal]:
    """Yield what following values and forcing tests suggests, where the rest isn't enough."""
    if study.basis:
        yield from experiments.forcing(study.basis)


def _beside(study: Study, choice: Choice) -> Iterator[Proposal]:
    """Yield what the proposers suggest once a choice has been made: some causes show only behind others."""
    found = [known_patches.proposals(Template(choice.source), study.switch)]
    if basis := _basis(study, choice):
        found += experiments.rewritings(basis), experiments.forcing(basis)
    yield from _in_original(study, choice, chain(*found))


def _with_lists(study: Study, choice: Choice, hopeful: Hopeful, proposals: Sequence[Proposal]) -> Choice | None:
    """Return a choice with what prints more of contents that are lists; None where nothing stands.

    A sum that is lost with its loop comes first: without it the lists are no form that the template accepts.
    """
    basis = _basis(study, choice) if lost_in_lists(choice.case.itself) else None
    for summed in hopeful(_in_original(study, choice, sums.proposals(basis))) if basis else ():
        more = study.search.with_one_more(choice, summed)
        if more and lost_in_lists(more.case.itself) < lost_in_lists(choice.case.itself):
            choice = more
    basis = _basis(study, choice) if loses_in_lists(choice.case.itself) else None
    beside = list(_in_original(study, choice, fields.beside_lists(basis))) if basis else []
    if beside:
        choice = study.search.best(hopeful(beside), choice) or choice
    if loses_in_lists(choice.case.itself):
        answers = hopeful(_for_answers(study, [*proposals, *beside]))
        grown = study.search.best(answers, choice) or choice
        if grown.kept == choice.kept:
            answers = hopeful(_for_answers(study, list(_beside(study, choice))))
            grown = study.search.best(answers, choice) or choice
        choice = grown
    return choice if choice.kept else None


def _calls(study: Study, choice: Choice) -> Iterator[Proposal]:
    """Yield what prints calls that vanish: tests that go otherwise, and with them the text beside those calls."""
    basis = _basis(study, choice)
    found = list(_in_original(study, choice, call_branches.opened(basis))) if basis else []
    study.search.candidates.offer(found)
    for opened in found:
        yield opened
        tried = study.search.tried([*choice.kept, opened]) if are_apart([*choice.kept, opened]) else None
        beside = _basis(study, tried) if tried and tried.source != choice.source else None
        for said in _in_original(study, tried, call_branches.proposals(beside)) if tried and beside else ():
            yield opened._replace(edits=(*opened.edits, *said.edits))


def _calls_first(study: Study, best: Choice, printing: Iterable[Proposal], others: Sequence[Proposal]) -> Choice | None:
    """Return a choice that prints calls which vanish in ``best``, by edits that may take the place of what it made."""
    for proposal in printing:
        kept = [each for each in best.kept if are_apart([each, proposal])]
        begun = study.search.confirmed([*kept, proposal])
        grown = study.search.best(others, begun) if begun and not loses_calls(begun.case.itself) else None
        if grown and count_wrong(grown.case.itself) < count_wrong(best.case.itself):
            return grown
    return None


def _basis(study: Study, choice: Choice) -> Basis | None:
    trace = trace_template(Template(choice.source), study.variables)
    return Basis(trace, choice.case.itself, study.switch) if trace else None


def _in_original(study: Study, choice: Choice, proposals: Iterable[Proposal]) -> Iterator[Proposal]:
    """Yield proposals for a template with a choice made as such for the original, where they are apart from it."""
    made = study.search.candidates.edits(choice.kept)
    for proposal in proposals:
        spans = [trace_back(edit.span, made) for edit in proposal.edits]
        edits = tuple(Edit(span, edit.text) for span, edit in zip(spans, proposal.edits, strict=True) if span)
        if len(edits) == len(proposal.edits):
            yield proposal._replace(at=edits[0].span, edits=edits)


def _without_leak(study: Study, best: Choice) -> Choice:
    """Return a choice that exposes no leak of loops to the engines that have one, where one more edit achieves that."""

    def leaks(choice: Choice) -> bool:
        flags = study.examined.flags
        return find_leak(study.source, choice.source, study.tags, study.variables, flags) is not None

    if leaks(best):
        for reset in resets(study.template, study.switch):
            choice = study.search.with_one_more(best, reset)
            if choice and not leaks(choice):
                return choice
    return best


def _asked_for(proposal: Proposal, wanted: set[str], alone: Collection[str], options: Options) -> bool:
    """Whether a proposal may resolve what the user selected: what an edit mends shows only when it is judged.

    For codes in ``alone`` it is known: their proposals mend these, and no other does.
    """
    if proposal.code in alone or options.wants(proposal.code):
        return options.wants(proposal.code)
    return bool(wanted.difference(alone)) and not any(proposal.code.startswith(prefix) for prefix in options.ignore)


def _reached(study: Study, proposal: Proposal) -> bool:
    """Whether conversations reach all that a proposal replaces: what they don't reach, they can't prove."""
    spans = [edit.span for edit in proposal.edits if edit.span.start < edit.span.end]
    return study.coverage is None or all(map(study.coverage.reaches, spans))


def _proved(study: Study, best: Choice | None) -> tuple[Choice | None, list[Proposal]]:
    """Return a choice without the proposals that no conversation proves, and these."""
    dropped: list[Proposal] = []
    while best and (unproved := _unproved(study, best)):
        dropped += unproved
        best = study.search.confirmed([each for each in best.kept if each not in unproved])
    return best, dropped


def _unproved(study: Study, best: Choice) -> set[Proposal]:
    """Return the proposals that hold an edit which no conversation evaluates, or an output that none prints."""
    trace = trace_template(Template(best.source), study.variables)
    if trace is None:
        return set()
    placed = list(written(study.search.candidates.edits(best.kept)))
    flags, probes = study.search.candidates.flags[0], study.examined.probes.values()
    left = find_unreached(trace, [at for _, at in placed], probes, flags)
    unreached = {edit for edit, at in placed if at in left}
    return {proposal for proposal in best.kept if unreached.intersection(proposal.edits)}


def _final(
    study: Study, found: Iterable[tuple[str, Found]], best: Choice, checks: Checks
) -> Iterator[tuple[Proposal, tuple[str, ...], tuple[Edit, ...]]]:
    """Yield each proposal of a choice with the codes that it resolves and its edits as they are written."""
    made = study.search.candidates.edits(best.kept)
    written = tidy(study.template, made)
    # What notes the switch comes with the first proposal.
    noted = len(made) - sum(len(proposal.edits) for proposal in best.kept)
    before = {_Result(code, each.message, each.evidence) for code, each in found}
    after = _findings(study, best.case, checks)
    for proposal in best.kept:
        count = noted + len(proposal.edits)
        edits, written, noted = written[:count], written[count:], 0
        others = [each for each in best.kept if each is not proposal]
        rest = study.search.tried(others).case if others else study.case
        without = _findings(study, rest, checks) if others else before
        if _spreads_empty_block(rest.itself, best.case.itself):
            proposal = proposal._replace(why=proposal.why + _SPREAD.format(code=proposal.code))
        yield proposal, _resolved(without or before, after) or (proposal.code,), tuple(edits)


def _spreads_empty_block(before: Examination, after: Examination) -> bool:
    """Whether blocks that stood in front of some answer without reasoning come to stand in front of others."""
    # A tag that ends other things too, such as <|end|>, tells of no block, nor does one that a text mentions.
    mark = before.tags.close if before.tags.paired else before.tags.open
    plain = [probe for probe in before.probes.values() if probe.form == "plain" and mark not in repr(probe.messages)]
    return any(0 < str(before.text(probe)).count(mark) < str(after.text(probe)).count(mark) for probe in plain)


class _Result(NamedTuple):
    code: str
    message: str
    evidence: tuple[Evidence, ...]


def _findings(study: Study, case: Case, checks: Checks) -> set[_Result]:
    """Return what rules find wrong with a template that has edits made."""
    seen = study.repaired(case)
    return {_Result(code, each.message, each.evidence) for code, check in checks.items() for each in check(seen)}


def _resolved(before: set[_Result], after: set[_Result]) -> tuple[str, ...]:
    """Return the codes of which no finding is left, where there are none, those of which there is less."""
    gone = {finding.code for finding in before} - {finding.code for finding in after}
    return tuple(sorted(gone or {finding.code for finding in before - after}))


def _refusals(study: Study, proposals: Sequence[Proposal], best: Choice, wanted: set[str]) -> Iterator[Attempt]:
    """Yield what came closest for each code beside what stands, those for what was found first."""
    others = [each for each in proposals if each not in best.kept and are_apart([*best.kept, each])]
    for code in sorted({each.code for each in others}, key=lambda code: (code not in wanted, code)):
        suggested = [each for each in others if each.code == code]
        reached = [each for each in suggested if _reached(study, each)]
        attempt = closest(study.search, best, reached)
        if attempt or len(reached) < len(suggested):
            yield attempt or Attempt(next(each for each in suggested if each not in reached), _UNREACHED)
