"""Finds what is at fault: the expressions and tests without which a conversation would be printed well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from template_fix.contract.examination import SAFE, Case, Examination, Observation
from template_fix.conversations.probe import Part, Probe
from template_fix.repair.candidates import are_apart
from template_fix.repair.proposers import Basis, Proposal, experiments
from template_fix.repair.search import Search
from template_fix.repair.trials import find_drops, find_flips, gains, harms, prints, prints_the_same, sample
from template_fix.text.edits import Span


def cause(search: Search, known: Sequence[Proposal], basis: Basis | None, probe: Probe, part: Part) -> Span | None:
    """Return the expression or test that keeps a text from being printed, None where none is found.

    Of those but for which the text is printed, the first that can be changed without harm counts, else the first
    expression that is given the text and loses it. A test is none: it may be right, and what it leads to where it is
    forced only happens to print the text.
    """
    blamed: list[Span] = []
    for at, harmless in _causes(search, known, basis, probe, part):
        if harmless:
            return at
        blamed.append(at)
    return blamed[0] if blamed else None


def _causes(
    search: Search, known: Sequence[Proposal], basis: Basis | None, probe: Probe, part: Part
) -> Iterator[tuple[Span, bool]]:
    """Yield what keeps a text from being printed, and whether it can be changed without harm."""
    search.candidates.offer(known)
    for proposal in filter(_points, known):
        case = search.candidates.case([proposal])
        if isinstance(case, Case) and part.text in _text(case.itself, probe):
            yield proposal.at, not search.tried([proposal]).verdict.reason
    if part.kind == "reasoning" and basis:  # only then experiments are worth what they cost
        yield from _forced(basis, probe, part)


def _text(examined: Examination, probe: Probe) -> str:
    text = examined.text(probe)
    return text if isinstance(text, str) else ""


def _forced(basis: Basis, probe: Probe, part: Part) -> Iterator[tuple[Span, bool]]:
    """Yield what prints a text once it is forced; harmless is what leaves the conversations printed well as they are.

    Tests that fail, and so keep a text from its output, come before those that hold.
    """
    trace, examined, _ = basis
    untouched = sample(examined)
    fed = [
        (trace.values[number], trace.forced(operands={number: fed})) for number, fed in find_drops(trace, probe, part)
    ]
    flipped = sorted(find_flips(trace, probe), key=lambda flip: not flip[1])
    forced = [(trace.tests[number], trace.forced(tests={number: outcome})) for number, outcome in flipped]
    for site, renderer in fed:
        if prints(renderer, probe, part):
            yield site.span, prints_the_same(renderer, examined, untouched)
    for test, renderer in forced:
        if prints(renderer, probe, part) and prints_the_same(renderer, examined, untouched):
            yield test.span, True


def change(search: Search, known: Sequence[Proposal], basis: Basis | None, seen: Observation) -> Span | None:
    """Return the expression without which a conversation is printed better, and none worse, or None.

    Known ones are suspected first, and at last in pairs: a gate may hide another.
    """
    return next(_changes(search, known, basis, seen), None)


def _changes(search: Search, known: Sequence[Proposal], basis: Basis | None, seen: Observation) -> Iterator[Span]:
    search.candidates.offer(known)
    yield from _blamed(search, combinations(known, 1), seen)
    if basis:
        suspects = list(filter(_points, experiments.rewritings(basis)))
        search.candidates.offer(suspects)
        yield from _blamed(search, combinations(suspects, 1), seen)
        for number, outcome in find_flips(basis.trace, seen.probe):
            mends = gains(basis.trace, number, outcome, seen, basis.examined)
            if mends and not any(harms(basis.trace, number, outcome, basis.examined)):
                yield basis.trace.tests[number].span
    yield from _blamed(search, combinations(known, 2), seen)


def _blamed(search: Search, sets: Iterable[Sequence[Proposal]], seen: Observation) -> Iterator[Span]:
    """Yield what the last of some proposals points at, where together they mend something without harm."""
    for chosen in filter(are_apart, sets):
        case = search.candidates.case(chosen)
        mends = isinstance(case, Case) and any(case.itself.holds(seen.probe, held) for held in seen.breaks(*SAFE))
        if mends and not search.tried(chosen).verdict.hopeless:
            yield chosen[-1].at


def _points(proposal: Proposal) -> bool:
    """Whether a proposal names an expression: one that only inserts something tells of no cause."""
    return proposal.at.start < proposal.at.end
