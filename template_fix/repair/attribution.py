"""What each repair is good for, as the rules see it: the findings that are gone with it and wouldn't be without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from template_fix.contract.examination import Case
from template_fix.repair.proposers import Proposal
from template_fix.repair.search import Choice
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence


class _Told(NamedTuple):
    code: str
    message: str
    evidence: tuple[Evidence, ...]


def resolved(
    study: Study, found: Iterable[tuple[str, Found]], choice: Choice, rules: Sequence[Any]
) -> tuple[tuple[str, ...], ...]:
    """Return for each proposal of a choice the codes of what it resolves.

    ``found`` is what ``rules`` found wrong before. Of several proposals each is held against the others alone. Where no
    finding is gone, those count that tell of less than before, and where there are none, the code that the proposal is
    meant for.
    """
    before, after = {_Told(code, each.message, each.evidence) for code, each in found}, _told(study, choice.case, rules)
    return tuple(_codes(each, _without(study, choice, each, rules) or before, after) for each in choice.kept)


def _without(study: Study, choice: Choice, proposal: Proposal, rules: Sequence[Any]) -> set[_Told]:
    others = [each for each in choice.kept if each is not proposal]
    return _told(study, study.search.tried(others).case, rules) if others else set()


def _told(study: Study, case: Case, rules: Sequence[Any]) -> set[_Told]:
    seen = study.repaired(case)
    return {_Told(rule.CODE, each.message, each.evidence) for rule in rules for each in rule.check(seen)}


def _codes(proposal: Proposal, before: set[_Told], after: set[_Told]) -> tuple[str, ...]:
    gone = {told.code for told in before} - {told.code for told in after}
    less = {told.code for told in before - after}
    return tuple(sorted(gone or less)) or (proposal.code,)
