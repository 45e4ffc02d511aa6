"""The smallest set of proposed edits that the judge lets stand.

Proposals are alternatives where their edits overlap and may be combined where they don't. Sets are tried from small
to large, and the first that leaves nothing broken wins; where none does, the one that mends most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

from template_fix.contract import SAFE, Case, Examination, Verdict, judge
from template_fix.fold import SWITCH, equal_when_off
from template_fix.proposers import Proposal
from template_fix.render import Renderer, RenderError
from template_fix.text import apply

TRIES = 400


@dataclass(frozen=True)
class Choice:
    """What a search came to: the proposals to keep, how they were judged, and the template with them made."""

    kept: tuple[Proposal, ...]
    verdict: Verdict
    source: str
    case: Case


class Search:
    """Judges sets of proposals for one template. Use it inside `limits.bounded`.

    ``before`` is the template's own case: what every candidate is compared with. ``default`` is what the candidates
    take an absent switch for; they are judged with the switch on in either case.
    """

    def __init__(self, source: str, before: Case, variables: Mapping[str, Any], default: bool = True) -> None:
        self.source, self.before, self.variables, self.default = source, before, variables, default
        self._cases: dict[str, Case | str] = {}

    def best(self, proposals: Sequence[Proposal]) -> Choice | None:
        """Return the best set of proposals, or None where none may stand or none mends anything."""
        useful = [each for each in proposals if self._matters(each)]
        best: Choice | None = None
        for chosen in islice(_sets(useful), TRIES):
            choice = self.tried(chosen)
            if choice.verdict.reason or not choice.verdict.gained:
                continue
            if best is None or len(choice.verdict.gained) > len(best.verdict.gained):
                best = choice
            if not broken(best.case.itself):
                return best
        return best

    def tried(self, chosen: Sequence[Proposal]) -> Choice:
        """Return the judge's verdict on a set of proposals."""
        source, case = self.edited(chosen), self.candidate(chosen)
        if isinstance(case, str):
            return Choice(tuple(chosen), Verdict(case), source, self.before)
        return Choice(tuple(chosen), self._verdict(source, case), source, case)

    def edited(self, chosen: Sequence[Proposal]) -> str:
        """Return the template with the edits of these proposals."""
        return apply(self.source, [edit for each in chosen for edit in each.edits])

    def candidate(self, chosen: Sequence[Proposal]) -> Case | str:
        """Return how the template renders with these proposals, or why it doesn't."""
        source = self.edited(chosen)
        if len(chosen) > 1:
            return self._case(source)
        if source not in self._cases:
            self._cases[source] = self._case(source)
        return self._cases[source]

    def _case(self, source: str) -> Case | str:
        try:
            renderer = Renderer(source, self.variables)
        except RenderError as error:
            return f"the edited template doesn't compile: {error}"
        itself = self.before.itself
        on, off = ({}, {SWITCH: False}) if self.default else ({SWITCH: True}, {})
        return Case(
            Examination(renderer, itself.probes.values(), itself.tags, on),
            Examination(renderer, itself.probes.values(), itself.tags, off),
        )

    def _verdict(self, source: str, case: Case) -> Verdict:
        verdict = judge(self.before, case)
        if not verdict.reason and not equal_when_off(self.source, source):
            return Verdict(f"with {SWITCH}=false it would be another program than the template was")
        return verdict

    def _matters(self, proposal: Proposal) -> bool:
        """Whether a proposal changes what is printed of any conversation that is printed badly."""
        case = self.candidate([proposal])
        if isinstance(case, str):
            return False
        before, after = self.before.itself, case.itself
        return any(after.text(probe) != before.text(probe) for probe in before.probes.values() if not before.safe(probe))


def broken(examined: Examination) -> int:
    """Return in how many ways a template breaks the contract where it is owed."""
    return sum(len(seen.breaks(*SAFE)) for seen in examined if examined.owed(seen.probe))


def _sets(proposals: Sequence[Proposal]) -> Iterator[tuple[Proposal, ...]]:
    """Yield the sets of proposals that don't overlap, small ones first."""
    for size in range(1, len(proposals) + 1):
        for chosen in combinations(proposals, size):
            if _apart(chosen):
                yield chosen


def _apart(chosen: Sequence[Proposal]) -> bool:
    spans = sorted(edit.span for each in chosen for edit in each.edits)
    return all(one.end <= other.start and one != other for one, other in zip(spans, spans[1:], strict=False))
