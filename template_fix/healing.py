"""The repair of one template: propose, judge, and look again until nothing more can be mended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from template_fix.options import Options
from template_fix.proposers import Proposal
from template_fix.proposers.splice import tidied
from template_fix.resolved import resolved
from template_fix.search import Choice, broken
from template_fix.study import Found, Study
from template_fix.text import Edit

Kept = tuple[tuple[Proposal, tuple[str, ...], tuple[Edit, ...]], ...]
Refused = tuple[tuple[Proposal, str], ...]


def healed(study: Study, found: Iterable[tuple[str, Found]], options: Options) -> tuple[Kept, Refused]:
    """Return the proposals that stand, with the codes that each resolves and its final edits, and those refused.

    ``found`` is what was found wrong, by code. Use it inside `limits.bounded`.
    """
    found = tuple(found)
    wanted = {code for code, _ in found if options.wants(code)}
    if not wanted:
        return (), ()
    study.enlarge()
    proposals: list[Proposal] = []
    best: Choice | None = None
    for suggest in (study.proposals, study.experiments):
        proposals += [each for each in suggest if _asked_for(each, wanted, options)]
        best = study.search.best(proposals, best)
        if best is not None and not broken(best.case.itself):
            break
    while best is not None and broken(best.case.itself):
        better = study.search.best([each for each in study.beside(best) if _asked_for(each, wanted, options)], best)
        if better is None or better.kept == best.kept:
            break
        best = better
    if best is None:
        return (), tuple(_refusals(study, proposals))
    return tuple(_final(study, found, best)), ()


def _asked_for(proposal: Proposal, wanted: set[str], options: Options) -> bool:
    """Whether a proposal may resolve what the user selected: what an edit mends shows only when it is judged."""
    if proposal.code == "TF203" or options.wants(proposal.code):
        return options.wants(proposal.code)
    return bool(wanted - {"TF203"}) and not any(proposal.code.startswith(prefix) for prefix in options.ignore)


def _final(
    study: Study, found: Iterable[tuple[str, Found]], best: Choice
) -> Iterator[tuple[Proposal, tuple[str, ...], tuple[Edit, ...]]]:
    tidy = iter(tidied(study.template, [edit for proposal in best.kept for edit in proposal.edits]))
    for proposal, codes in zip(best.kept, resolved(study, found, best), strict=True):
        yield proposal, codes, tuple(next(tidy) for _ in proposal.edits)


def _refusals(study: Study, proposals: Sequence[Proposal]) -> Iterator[tuple[Proposal, str]]:
    for proposal in proposals:
        reason = study.search.tried([proposal]).verdict.reason
        if reason:
            yield proposal, reason
