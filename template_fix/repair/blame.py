"""Finds what is at fault: the expressions and tests without which a conversation would be printed well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations

from template_fix.contract.examination import SAFE, Case, Examination, Observation
from template_fix.contract.judge import Verdict, judge
from template_fix.contract.placing import counts
from template_fix.conversations.probe import Part, Probe
from template_fix.repair.candidates import are_apart
from template_fix.repair.proposers import Basis, Proposal, experiments
from template_fix.repair.search import Search
from template_fix.repair.trials import (
    find_drops,
    find_flips,
    forced_by,
    gains,
    harms,
    prints,
    prints_the_same,
    sample,
)
from template_fix.text.edits import Span
from template_fix.trace.coverage import Coverage

# What a patch is meant to resolve that keeps an answer with closing tags in it: it says nothing of other texts.
_ANSWERS = "TF206"


def cause(search: Search, known: Sequence[Proposal], basis: Basis | None, probe: Probe, part: Part) -> Span | None:
    """Return the expression or test that keeps a text from being printed, None where none is found.

    Of those but for which a reasoning is printed, the first that can be changed without harm counts, else the first
    expression that is given the text and loses it. A test is none: it may be right, and what it leads to where it is
    forced only happens to print the text. For other texts the first that is known counts.
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
    reasoning = part.kind == "reasoning"
    about = (each for each in known if experiments.names_expression(each) and not (reasoning and each.code == _ANSWERS))
    suspects = _reached(about, basis, probe) if counts(part) else []
    search.candidates.offer(suspects)
    for proposal in suspects:
        made = _made(search, basis, (proposal,))
        if made and part.text in _text(made, probe):
            yield proposal.at, not reasoning or not _judged(search, made).reason
    if reasoning and basis:  # only then experiments are worth what they cost
        yield from _forced(basis, probe, part)


def _reached(proposals: Iterable[Proposal], basis: Basis | None, probe: Probe) -> list[Proposal]:
    """Return a proposal for each place that can matter in a conversation: what it is about is evaluated there.

    Those that forcing can try come first: it costs next to nothing.
    """
    if basis is None:
        return list(proposals)
    recorded = [basis.trace.record(probe, upto).reached for upto in (*probe.cuts, None)]
    known = Coverage(basis.trace, reached=frozenset().union(*recorded))
    reached = (each for each in proposals if any(known.reaches(edit.span) for edit in each.edits))
    found: dict[Span, Proposal] = {}
    for each in sorted(reached, key=lambda each: forced_by(basis, (each,)) is None):
        found.setdefault(each.at, each)
    return list(found.values())


@lru_cache(maxsize=16)
def _made(search: Search, basis: Basis | None, chosen: tuple[Proposal, ...]) -> Examination | None:
    """Return the template with proposals made, by forcing where that comes to the same: it compiles nothing."""
    forced = forced_by(basis, chosen) if basis else None
    if forced:
        before = search.before.itself
        return Examination(forced, before.probes.values(), before.tags, before.flags)
    case = search.candidates.case(chosen)
    return case.itself if isinstance(case, Case) else None


@lru_cache(maxsize=16)
def _judged(search: Search, made: Examination) -> Verdict:
    """Return the judge's verdict on a few conversations: all of them take longer than a place is worth."""
    few = _few(search.before.itself)
    return judge(Case(few, few), Case(made.narrowed(few.probes.values()), few))


@lru_cache(maxsize=2)
def _few(examined: Examination) -> Examination:
    first = {probe.key: probe for probe in reversed(examined.probes.values())}
    chosen = [*sample(examined), *(seen.probe for seen in examined.failing), *first.values()]
    names = {(probe.shape, probe.key) for probe in chosen}
    return examined.narrowed(probe for name, probe in examined.probes.items() if name in names)


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
    tagged = seen.probe.form != "plain"
    known = _reached([each for each in known if tagged or each.code != _ANSWERS], basis, seen.probe)
    search.candidates.offer(known)
    yield from _blamed(search, basis, combinations(known, 1), seen)
    if basis:
        others = tuple(experiments.suspects(basis, seen.probe))
        search.candidates.offer(others)
        yield from _blamed(search, basis, combinations(others, 1), seen)
        for number, outcome in find_flips(basis.trace, seen.probe):
            mends = gains(basis.trace, {number: outcome}, seen, basis.examined)
            if mends and not any(harms(basis.trace, {number: outcome}, basis.examined)):
                yield basis.trace.tests[number].span
    yield from _blamed(search, basis, combinations(known, 2), seen)


def _blamed(
    search: Search, basis: Basis | None, sets: Iterable[Sequence[Proposal]], seen: Observation
) -> Iterator[Span]:
    """Yield what the last of some proposals points at, where together they mend something without harm."""
    for chosen in filter(are_apart, sets):
        made = _made(search, basis, tuple(chosen))
        mends = made and any(made.holds(seen.probe, held) for held in seen.breaks(*SAFE))
        if made and mends and not _judged(search, made).hopeless:
            yield chosen[-1].at
