"""Finds what is at fault, and what stands in the way of a repair.

At fault are expressions and tests without which a conversation would be printed well. In the way is what the judge says
of the attempt that comes closest to a repair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import combinations, pairwise

from template_fix.contract.examination import SAFE, SAMPLE, Case, Examination, Held, Observation, Rendering
from template_fix.contract.judge import judge
from template_fix.contract.placing import counts
from template_fix.contract.verdict import Verdict
from template_fix.conversations.probe import Part, Probe
from template_fix.repair.candidates import are_apart
from template_fix.repair.proposers import Attempt, Basis, Proposal, decision, experiments
from template_fix.repair.search import Choice, Search
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
from template_fix.results import Evidence, compare_texts
from template_fix.text.edits import Span
from template_fix.trace.coverage import Coverage

# What an attempt does, by what it mends of a conversation.
_MENDED = {
    "once": "a text that is doubled now is printed once",
    "in order": "reasoning that stood behind the tool calls now stands in front of them",
    "well-formed": "reasoning that isn't in one block of its own now is",
    "alike": "reasoning inside of content that isn't printed as in a field now is",
    "stable": "a turn that changes now once more messages follow stays as it is",
}


class Blame:
    """Finds the places in one template that are at fault.

    ``search`` judges proposals for it, ``known`` are those of known patches; ``basis`` is None where it isn't traced.
    """

    def __init__(self, search: Search, known: Sequence[Proposal], basis: Basis | None) -> None:
        self.search, self.known, self.basis = search, known, basis
        self._tried: dict[tuple[Proposal, ...], Examination | None] = {}
        self._verdicts: dict[tuple[Proposal, ...], Verdict] = {}

    def cause(self, probe: Probe, part: Part) -> Span | None:
        """Return the expression or test that keeps a text from being printed, None where none is found.

        Of those but for which a reasoning is printed, the first that can be changed without harm counts, else the first
        expression that is given the text and loses it. A test is none: it may be right, and what it leads to where it
        is forced only happens to print the text. For other texts the first that is known counts.
        """
        blamed: list[Span] = []
        for at, harmless in self._causes(probe, part):
            if harmless:
                return at
            blamed.append(at)
        return blamed[0] if blamed else None

    def _causes(self, probe: Probe, part: Part) -> Iterator[tuple[Span, bool]]:
        """Yield what keeps a text from being printed, and whether it can be changed without harm."""
        reasoning = part.kind == "reasoning"
        named = filter(experiments.names_expression, self.known)
        about = (each for each in named if not (reasoning and each.of_answers))
        suspects = _reached(about, self.basis, probe) if counts(part) else []
        self.search.candidates.offer(suspects)
        for proposal in suspects:
            made = self._made((proposal,))
            if made and part.text in _text(made, probe):
                yield proposal.at, not reasoning or not self._judged((proposal,)).reason
        if reasoning and self.basis:  # only then experiments are worth what they cost
            yield from _forced(self.basis, probe, part)

    def _made(self, chosen: tuple[Proposal, ...]) -> Examination | None:
        """Return the template with proposals made, by forcing where that comes to the same: it compiles nothing."""
        if chosen in self._tried:
            return self._tried[chosen]
        made: Examination | None = None
        if forced := forced_by(self.basis, chosen) if self.basis else None:
            before = self.search.before.itself
            made = Examination(forced, before.probes.values(), before.tags, before.flags)
        elif isinstance(case := self.search.candidates.case(chosen), Case):
            made = case.itself
        self._tried[chosen] = made
        return made

    def _judged(self, chosen: tuple[Proposal, ...]) -> Verdict:
        """Return the judge's verdict on a few conversations: all of them take longer than a place is worth."""
        if chosen not in self._verdicts:
            made, few = self._made(chosen), self._few
            after = made.narrowed(few.probes.values()) if made else few
            self._verdicts[chosen] = judge(Case(few, few), Case(after, few))
        return self._verdicts[chosen]

    @cached_property
    def _few(self) -> Examination:
        examined = self.search.before.itself
        first = {probe.key: probe for probe in reversed(examined.probes.values())}
        chosen = [*sample(examined), *(seen.probe for seen in examined.failing), *first.values()]
        names = {(probe.shape, probe.key) for probe in chosen}
        return examined.narrowed(probe for name, probe in examined.probes.items() if name in names)

    def change(self, seen: Observation) -> Span | None:
        """Return the expression without which a conversation is printed better, and none worse, or None.

        Known ones are suspected first, and at last in pairs: a gate may hide another.
        """
        return next(self._changes(seen), None)

    def _changes(self, seen: Observation) -> Iterator[Span]:
        tagged = seen.probe.form != "plain"
        basis, offer = self.basis, self.search.candidates.offer
        known = _reached([each for each in self.known if tagged or not each.of_answers], basis, seen.probe)
        offer(known)
        yield from self._blamed(combinations(known, 1), seen)
        if basis:
            others = tuple(experiments.suspects(basis, seen.probe))
            offer(others)
            yield from self._blamed(combinations(others, 1), seen)
            for number, outcome in find_flips(basis.trace, seen.probe):
                mends = gains(basis.trace, {number: outcome}, seen, basis.examined)
                if mends and not any(harms(basis.trace, {number: outcome}, basis.examined)):
                    yield basis.trace.tests[number].span
        yield from self._blamed(combinations(known, 2), seen)

    def _blamed(self, sets: Iterable[tuple[Proposal, ...]], seen: Observation) -> Iterator[Span]:
        """Yield what the last of some proposals points at, where together they mend something without harm."""
        for chosen in filter(are_apart, sets):
            made = self._made(chosen)
            mends = made and any(made.holds(seen.probe, held) for held in seen.breaks(*SAFE))
            if mends and not self._judged(chosen).hopeless:
                yield chosen[-1].at


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


def closest(search: Search, best: Choice, proposals: Iterable[Proposal]) -> Attempt | None:
    """Return the proposal that comes closest to a repair beside what stands already, None where none mends anything."""
    found: tuple[int, Choice, Counter[str]] | None = None
    for proposal in proposals:
        tried = search.tried([*best.kept, proposal])
        if tried.verdict.reason:
            mended, spoilt = _balance(best.case.itself, tried.case.itself)
            if mended and (found is None or mended.total() - spoilt > found[0]):
                found = mended.total() - spoilt, tried, mended
    if found is None:
        return None
    _, tried, mended = found
    reason = tried.verdict.reason
    # What is printed again is told first.
    told = max(mended, key=lambda words: ("lost" in words, mended[words]))
    return Attempt(tried.kept[-1], reason, tuple(_shown(best.case.itself, tried)), decision(told, reason))


def _balance(before: Examination, after: Examination) -> tuple[Counter[str], int]:
    """Return what is mended in conversations that are printed badly, in words, and how much else is spoilt."""
    mended: Counter[str] = Counter()
    spoilt = 0
    for seen in (*before.failing, *before.well[:SAMPLE]):
        new = after.held(seen.probe, *SAFE)
        mended.update(_mended(seen, held) for held in sorted(new & seen.broken))
        spoilt += sum(held.property in SAFE for held in seen.held - new)
    return mended, spoilt


def _mended(seen: Observation, held: Held) -> str:
    if held.property == "printed":
        lost = seen.kind(held)
        return f"{lost if lost == 'reasoning' else 'text'} that is lost now is printed"
    return _MENDED[held.property]


def _shown(before: Examination, tried: Choice) -> Iterator[Evidence]:
    """Yield what an attempt changes in the conversation that refutes it, and what it prints otherwise beside that."""
    after = tried.case.itself
    changed = [each for each in tried.verdict.shown if each.text(before) != each.text(after)]
    for each in changed[:1]:
        old, new = (_printed(each, examined) for examined in (before, after))
        yield compare_texts(each.describe(), old, new, ("before", "after"))
    for at, other in pairwise(tried.verdict.shown):
        whole, alone = _printed(at, after), _printed(other, after)
        if other.upto < at.upto:
            subject, labels = f"with this edit; its first {other.upto} messages", ("alone", "followed")
            whole = whole[: len(alone)]
        else:
            subject, labels = "with this edit; its reasoning in a field, and inside of content", ("field", "content")
        yield compare_texts(subject, alone, whole, labels)


def _printed(rendering: Rendering, examined: Examination) -> str:
    text = rendering.text(examined)
    return text if isinstance(text, str) else ""
