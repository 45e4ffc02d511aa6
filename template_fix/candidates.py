"""A template with proposals made, rendered without compiling each of their sets.

Compiling takes longer than rendering a battery, and a search tries dozens of sets. So proposals that are apart are made
in one template, each behind a name of its own besides the switch that all share: any set of them is then that template
with some names set. What a search comes to is compiled by itself in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from template_fix.contract import Case, Examination
from template_fix.fold import SWITCH, guard
from template_fix.proposers import Proposal
from template_fix.render import Renderer, RenderError
from template_fix.text import Edit, apply


@dataclass(frozen=True)
class _Union:
    """Proposals compiled into one template: those of ``made`` for good, those of ``switches`` behind these names."""

    renderer: Renderer
    made: frozenset[Proposal]
    switches: Mapping[Proposal, str]

    def with_made(self, chosen: frozenset[Proposal]) -> Renderer | None:
        """Return what renders with just these proposals made, None where this union can't."""
        if not self.made <= chosen or not chosen - self.made <= self.switches.keys():
            return None
        return self.renderer.with_variables({self.switches[each]: True for each in chosen - self.made})


class Candidates:
    """One template with any set of proposals made. Use it inside `limits.bounded`.

    ``before`` is the template's own case, ``default`` what an absent switch is taken for in the edits; they are looked
    at with the switch on in either case.
    """

    def __init__(self, source: str, before: Case, variables: Mapping[str, Any], default: bool) -> None:
        self.source, self.before, self.variables = source, before, variables
        self.flags = ({}, {SWITCH: False}) if default else ({SWITCH: True}, {})
        self.guard = guard(default)
        self._unions: list[_Union] = []
        self._cases: dict[frozenset[Proposal], Case | str] = {}

    def prepare(self, proposals: Iterable[Proposal], made: Sequence[Proposal] = ()) -> None:
        """Compile proposals together with those ``made``, as far as they are apart from these and from each other."""
        switched = [each for each in proposals if all(self.guard in edit.text for edit in each.edits)]
        base = [edit for each in made for edit in each.edits]
        for layer in _layers(switched, made):
            names = {each: f"template_fix_{number}" for number, each in enumerate(layer)}
            edits = [edit for each, name in names.items() for edit in self._behind(name, each)]
            with suppress(RenderError):  # of one that is no template: each is compiled by itself, and tells
                renderer = Renderer(apply(self.source, [*base, *edits]), self.variables)
                self._unions.append(_Union(renderer, frozenset(made), names))

    def _behind(self, name: str, proposal: Proposal) -> Iterator[Edit]:
        """Yield the edits of a proposal, made only where ``name`` is true, too."""
        for edit in proposal.edits:
            yield Edit(edit.span, edit.text.replace(self.guard, f"({name} and {self.guard})"))

    def edited(self, chosen: Sequence[Proposal]) -> str:
        """Return the template with the edits of these proposals."""
        return apply(self.source, [edit for each in chosen for edit in each.edits])

    def case(self, chosen: Sequence[Proposal]) -> Case | str:
        """Return how the template renders with these proposals, or why it doesn't.

        Where they are compiled in with others, how it renders with the switch off is taken for granted.
        """
        key = frozenset(chosen)
        if key not in self._cases:
            renderer = next((made for union in self._unions if (made := union.with_made(key))), None)
            self._cases[key] = Case(self._examination(renderer, 0), self.before.off) if renderer else self.alone(chosen)
        return self._cases[key]

    def alone(self, chosen: Sequence[Proposal]) -> Case | str:
        """Return the same of the template that has these proposals made and nothing else compiled in."""
        try:
            renderer = Renderer(self.edited(chosen), self.variables)
        except RenderError as error:
            return f"the edited template doesn't compile: {error}"
        return Case(self._examination(renderer, 0), self._examination(renderer, 1))

    def _examination(self, renderer: Renderer, off: int) -> Examination:
        itself = self.before.itself
        return Examination(renderer, itself.probes.values(), itself.tags, self.flags[off])


def _layers(proposals: Sequence[Proposal], made: Sequence[Proposal]) -> list[list[Proposal]]:
    """Return proposals in as few groups as they fall into where each joins the first that it is apart from."""
    layers: list[list[Proposal]] = []
    for each in dict.fromkeys(proposals):
        free = next((layer for layer in layers if apart([*made, *layer, each])), None)
        if free is not None:
            free.append(each)
        elif apart([*made, each]):
            layers.append([each])
    return layers


def apart(chosen: Iterable[Proposal]) -> bool:
    """Whether no two edits of these proposals claim the same text."""
    spans = sorted(edit.span for each in chosen for edit in each.edits)
    return all(one.end <= other.start and one != other for one, other in pairwise(spans))
