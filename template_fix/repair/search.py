"""The smallest set of proposed edits that the judge lets stand.

Proposals are alternatives where their edits overlap and may be combined where they don't. A set grows by the proposal
that mends most beside what it holds, or by the pair where no single one may stand, until nothing is broken or nothing
more can be mended; then every proposal that isn't needed goes again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

from template_fix.contract.examination import SAFE, SAMPLE, Case, Examination
from template_fix.contract.judge import judge
from template_fix.contract.verdict import Verdict
from template_fix.conversations.probe import ProbeId
from template_fix.jinja.engines import why_unportable
from template_fix.jinja.folding import SWITCH, equal_when_off
from template_fix.jinja.renderer import Variables
from template_fix.repair.candidates import Candidates, are_apart
from template_fix.repair.proposers import Proposal
from template_fix.text.edits import Edit

_TAG_END = re.compile(r"[%}]\}")


class Choice(NamedTuple):
    """The result of a search: the proposals to keep, their verdict, and the template with them made."""

    kept: tuple[Proposal, ...]
    verdict: Verdict
    source: str
    case: Case


class Search:
    """Judges sets of proposals for one template.

    ``before`` is the template's own case: what every candidate is compared with. ``default`` is what the candidates
    take an absent switch for; they are judged with the switch on in either case.
    """

    def __init__(
        self, source: str, before: Case, variables: Variables, default: bool = True, *, captured: bool = False
    ) -> None:
        self.before = before
        self.candidates = Candidates(source, before, variables, default, captured=captured)
        self._choices: dict[frozenset[Proposal], Choice] = {}
        self._elsewhere: dict[Proposal, str | None] = {}
        self._harmed: Counter[ProbeId] = Counter()

    def best(
        self, proposals: Iterable[Proposal], base: Choice | None = None, *, thorough: bool = True
    ) -> Choice | None:
        """Return the best set of proposals beside those of ``base``, or ``base`` where no other mends more.

        ``thorough`` looks for it in all ways, and isn't worth what it costs where more proposals are to come.
        """
        proposals = tuple(proposals)
        self.candidates.offer(proposals)
        hopeful = self._hopeful(proposals, base)
        best = self._fullest(base, hopeful)
        if best and broken(best.case.itself):
            # What mends most at first may stand in the way of what mends everything.
            added = [each for each in best.kept if base is None or each not in base.kept]
            others = [self._fullest(base, [each for each in hopeful if each is not one]) for one in added]
            others += [self._partnered(base, hopeful), *(self._exchanged(best, added, hopeful) if thorough else ())]
            best = min([best, *(each for each in others if each)], key=lambda each: count_wrong(each.case.itself))
        while _loses_more((best.case if best else self.before).itself):
            grown = self._grown(best, hopeful, 1, lists=True)  # for these alone, pairs would cost too much
            if grown is None:
                break
            best = grown
        return (
            self._confirmed(self._needed(self._consistent(self._plainer(best, proposals), proposals))) if best else None
        )

    def _plainer(self, choice: Choice, proposals: Sequence[Proposal]) -> Choice:
        """Return a choice with one proposal in the place of two that edit the same tag, where it mends as much.

        It may have been passed over as it mends nothing alone.
        """
        for pair in combinations(choice.kept, 2):
            rest = [each for each in choice.kept if each not in pair]
            for other in proposals if self._in_one_tag(*pair) else ():
                if other not in choice.kept and are_apart([*rest, other]):
                    tried = self._if_as_good(choice, [*rest, other])
                    if tried is not choice:
                        return tried
        return choice

    def _consistent(self, choice: Choice, proposals: Sequence[Proposal]) -> Choice:
        """Return a choice that makes an edit in a second place in place of a larger one, where that mends as much."""
        titles = {each.title for each in choice.kept}
        for other, one in product((each for each in proposals if each.title in titles), choice.kept):
            kept = [*(each for each in choice.kept if each is not one), other]
            if one.title != other.title and _size(other) < _size(one) and are_apart(kept):
                # What it lets be printed besides needn't follow its prompt.
                choice = self._if_as_good(choice, kept, counted=3)
        return choice

    def _in_one_tag(self, one: Proposal, other: Proposal) -> bool:
        starts = (sorted((a.span.start, b.span.start)) for a, b in product(one.edits, other.edits))
        return any(not _TAG_END.search(self.candidates.source, *pair) for pair in starts)

    def _fullest(self, base: Choice | None, hopeful: Sequence[Proposal]) -> Choice | None:
        """Return what grows out of a choice, each time by what mends most, until nothing more can be mended."""
        best = base
        while best is None or broken(best.case.itself):
            grown = self._grown(best, hopeful, 1) or self._grown(best, hopeful, 2)
            if grown is None:
                break
            best = grown
        return best

    def _exchanged(self, best: Choice, added: Sequence[Proposal], hopeful: Sequence[Proposal]) -> Iterator[Choice]:
        """Yield what grows out of a choice with another way to do the same in the place of one of its proposals."""
        for one in added:
            for other in hopeful:
                kept = [other if each is one else each for each in best.kept]
                if other.title == one.title and other not in best.kept and are_apart(kept):
                    tried = self.tried(kept, harmed_first=True)
                    if not tried.verdict.reason:
                        yield self._fullest(tried, hopeful) or tried

    def _partnered(self, base: Choice | None, hopeful: Sequence[Proposal]) -> Choice | None:
        """Return what grows out of the best two that are refused alone: each moves a conversation to another failure.

        They may be right together, where one that stands alone takes the place of either.
        """
        made = base.kept if base else ()
        moving = [each for each in hopeful if self.tried([*made, each]).verdict.reason]
        pair = self._grown(base, moving, 2)
        return pair and self._fullest(pair, hopeful)

    def exchanged(self, proposals: Iterable[Proposal], base: Choice) -> Choice | None:
        """Return the best choice that has one of these proposals in the place of those of ``base`` that it overlaps.

        None where none mends more.
        """
        best, least = base, count_wrong(base.case.itself)
        for proposal in proposals:
            kept = [each for each in base.kept if are_apart([each, proposal])]
            tried = self.tried([*kept, proposal], harmed_first=True) if len(kept) < len(base.kept) else None
            if tried and not tried.verdict.reason and count_wrong(tried.case.itself) < least:
                best, least = tried, count_wrong(tried.case.itself)
        return self._confirmed(self._needed(best)) if best is not base else None

    def confirmed(self, kept: Sequence[Proposal]) -> Choice | None:
        """Return the choice of these proposals, if it may stand."""
        tried = self.tried(kept) if kept else None
        return self._confirmed(tried) if tried and not tried.verdict.reason else None

    def with_one_more(self, choice: Choice, proposal: Proposal) -> Choice | None:
        """Return a choice with another proposal that mends nothing in transformers, if that may stand there."""
        self.candidates.offer([proposal])
        kept = [*choice.kept, proposal]
        return self.confirmed(kept) if are_apart(kept) else None

    def _confirmed(self, choice: Choice) -> Choice | None:
        """Return a choice as it is compiled by itself, if it stands there and renders as the original when off."""
        case = self.candidates.alone(choice.kept)
        if isinstance(case, str):
            return None
        verdict = judge(self.before, case)
        alike = equal_when_off(self.candidates.source, choice.source)
        return None if verdict.reason or not alike else Choice(choice.kept, verdict, choice.source, case)

    def _hopeful(self, proposals: Iterable[Proposal], base: Choice | None) -> list[Proposal]:
        """Return the proposals that matter and harm nothing by themselves; of those that do the same, the smallest.

        Beside a base, what they do there counts.
        """
        made = base.kept if base else ()
        found: dict[Proposal, Examination] = {}
        for proposal in proposals:
            together = [*made, proposal]
            if are_apart(together) and self._matters(together, base) and not self.tried(together).verdict.hopeless:
                found[proposal] = self.tried(together).case.itself
        return [min(group, key=_size) for group in _with_same_effect(self.before.itself, found)]

    def _grown(
        self, base: Choice | None, proposals: Sequence[Proposal], by: int, *, lists: bool = False
    ) -> Choice | None:
        """Return the best set of ``by`` more proposals, of equals that which mends more in lists, or None."""
        kept, case = (base.kept, base.case) if base else ((), self.before)
        best, least = None, count_wrong(case.itself, lists)
        for more in combinations([each for each in proposals if each not in kept], by):
            # Of two that may stand by themselves and mend nothing more, there is nothing to hope for together.
            made = [[*kept, each] for each in more if by > 1]
            wanting = by == 1 or any(self.tried(each).verdict.reason for each in made if are_apart(each))
            if wanting and are_apart([*kept, *more]):
                choice = self.tried([*kept, *more], harmed_first=True)
                wrong = least if choice.verdict.reason else count_wrong(choice.case.itself, lists)
                tied = best if wrong == least and not choice.verdict.reason else None
                if wrong < least or (tied and count_wrong(choice.case.itself) < count_wrong(tied.case.itself)):
                    best, least = choice, wrong
        return best

    def _needed(self, choice: Choice) -> Choice:
        """Return a choice without the proposals, and the single edits of one, that it mends as much without.

        What goes may have been all that another was needed for, so they are asked again.
        """
        before = choice
        for proposal in choice.kept:
            choice = self._if_as_good(choice, [each for each in choice.kept if each is not proposal])
        several = (each for each in choice.kept if len(each.edits) > 1)
        self.candidates.offer(_without(proposal, edit) for proposal in several for edit in proposal.edits)
        for proposal in choice.kept:
            for edit in proposal.edits:
                fewer = _without(proposal, edit)
                if fewer.edits:
                    kept = [fewer if each is proposal else each for each in choice.kept]
                    smaller = self._if_as_good(choice, kept)
                    proposal = fewer if smaller is not choice else proposal
                    choice = smaller
        return choice if choice is before else self._needed(choice)

    def _if_as_good(self, choice: Choice, kept: Sequence[Proposal], counted: int = 4) -> Choice:
        """Return the choice of these proposals if it may stand and mends as much as another, else the other."""
        other = self.tried(kept) if kept else choice
        least = count_wrong(choice.case.itself)[:counted]
        return choice if other.verdict.reason or count_wrong(other.case.itself)[:counted] > least else other

    def tried(self, chosen: Sequence[Proposal], *, harmed_first: bool = False) -> Choice:
        """Return the judge's verdict on a set of proposals.

        It comes sooner, and with less telling a reason, where the conversations that others harmed are asked first.
        """
        key = frozenset(chosen)
        if key not in self._choices:
            first = [key for key, _ in self._harmed.most_common(SAMPLE)] if harmed_first else []
            self._choices[key] = self._tried(tuple(chosen), first)
            shown = self._choices[key].verdict.shown
            self._harmed.update((each.probe.shape, each.probe.key) for each in shown[:1])
        return self._choices[key]

    def _tried(self, chosen: tuple[Proposal, ...], first: Sequence[ProbeId]) -> Choice:
        source, case = self.candidates.edited(chosen), self.candidates.case(chosen)
        if isinstance(case, str):
            return Choice(chosen, Verdict(case, hopeless=True), source, self.before)
        # That the switch brings the original back is proved of every input, and takes no rendering: here of each
        # proposal, and of all together where they are confirmed.
        verdict = judge(self.before, Case(case.itself, self.before.off), first)
        if not verdict.reason and not all(map(self.candidates.folds, chosen)):
            verdict = Verdict(f"it would be another program than the template was with {SWITCH}=false", hopeless=True)
        elif not verdict.reason and (unknown := next(filter(None, map(self._unknown, chosen)), None)):
            verdict = Verdict(f"it would be less portable: {unknown}", hopeless=True)
        return Choice(chosen, verdict, source, case)

    def _unknown(self, proposal: Proposal) -> str | None:
        """Return why the template with a proposal made would not run wherever the original does, if so."""
        if proposal not in self._elsewhere:
            edited = self.candidates.edited([proposal])
            self._elsewhere[proposal] = why_unportable(self.candidates.source, edited)
        return self._elsewhere[proposal]

    def _matters(self, chosen: Sequence[Proposal], base: Choice | None) -> bool:
        """Whether proposals change what is printed of any conversation that is printed badly."""
        case = self.candidates.case(chosen)
        if isinstance(case, str):
            return False
        before, after = (base.case if base else self.before).itself, case.itself
        return any(
            after.text(seen.probe, upto) != before.text(seen.probe, upto)
            for seen in before
            if seen.text is not None and not before.safe(seen.probe)
            for upto in (None, *(held.of for held in seen.breaks("stable")))
        )


def count_wrong(examined: Examination, lists: bool = True) -> tuple[int, int, int, int]:
    """Return what `count_lacking` counts, how many calls vanish, and how many turns don't follow their prompt.

    ``lists`` count only where asked. That a call vanishes is worse than that its conversation fails, as people notice.
    """
    calls = [part for seen in examined if seen.text is not None for part in seen.lost if part.kind == "call"]
    unprompted = sum(len(seen.breaks("prompted")) for seen in examined if examined.owed(seen.probe))
    return broken(examined), count_lacking(examined)[1] if lists else 0, len(calls), unprompted


def count_lacking(examined: Examination) -> tuple[int, int]:
    """Return in how many ways a template breaks the contract, and in how many where contents are lists."""
    return broken(examined), sum(len(seen.breaks(*SAFE)) for seen in examined if examined.listed(seen))


def broken(examined: Examination) -> int:
    """Return in how many ways a template breaks the contract; an ignored reasoning field counts, too."""
    return sum(len(seen.breaks(*SAFE)) for seen in examined if examined.wanting(seen))


def _loses_more(examined: Examination) -> bool:
    return loses_in_lists(examined) or loses_calls(examined)


def loses_calls(examined: Examination) -> bool:
    """Whether calls vanish in some forms of their message, and are printed in others."""
    calls = {part.feature for probe in examined.probes.values() for part in probe.parts if part.kind == "call"}
    return bool(calls - examined.unsupported) and any(
        part.kind == "call" for seen in examined if seen.text is not None for part in seen.lost
    )


def loses_blocks(examined: Examination) -> bool:
    """Whether texts are lost of lists that hold more than one block of text."""
    return any(seen.lost for seen in examined if seen.probe.special and examined.listed(seen))


def loses_in_lists(examined: Examination) -> bool:
    """Whether texts are lost of contents that are lists of blocks."""
    return any(seen.lost for seen in examined if examined.listed(seen))


def lost_in_lists(examined: Examination) -> int:
    """Return how many texts are lost of contents that are lists, whether the template accepts these or not."""
    return sum(len(seen.lost) for seen in examined if seen.probe.text_lists and seen.text is not None)


def _without(proposal: Proposal, edit: Edit) -> Proposal:
    return proposal._replace(edits=tuple(each for each in proposal.edits if each is not edit))


def _size(proposal: Proposal) -> tuple[bool, int]:
    """Return how much a proposal adds; a switch that the template already has is no addition."""
    added = sum(len(edit.text) - (edit.span.end - edit.span.start) for edit in proposal.edits)
    return proposal.source != "switch", added


def _with_same_effect(before: Examination, found: Mapping[Proposal, Examination]) -> list[list[Proposal]]:
    """Return proposals grouped by all that they print of conversations that are printed badly, and of how these begin.

    What is told from all others isn't rendered any further.
    """
    groups = [list(found)]
    for probe in (each for each in before.probes.values() if not before.safe(each)):
        beginnings = [(upto, False) for upto in (*probe.cuts, None)] + [(turn, True) for turn in probe.turns()]
        for upto, prompt in beginnings if any(len(group) > 1 for group in groups) else ():
            parted: dict[tuple[int, object], list[Proposal]] = {}
            for number, group in enumerate(groups):
                for each in group:
                    text = found[each].text(probe, upto, prompt) if len(group) > 1 else None
                    parted.setdefault((number, text), []).append(each)
            groups = list(parted.values())
    order = {each: number for number, each in enumerate(found)}
    return sorted(groups, key=lambda group: order[group[0]]) if found else []
