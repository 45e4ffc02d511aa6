"""The examination of a template that is tried in the place of another: what both print alike is observed once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from template_fix.contract.examination import Examination, Held, Observation, Rendered
from template_fix.conversations.probe import Key, Probe, ProbeId
from template_fix.jinja.renderer import Renderer, Variables

# What was observed of each conversation, by all that it follows from.
Known: TypeAlias = "dict[ProbeId, dict[tuple[object, ...], Observation]]"


class AnotherExamination(Examination):
    """A template under the battery of ``first``; ``known`` is shared by all that are tried in its place."""

    def __init__(
        self,
        first: Examination,
        known: Known,
        renderer: Renderer,
        flags: Variables | None = None,
        rendered: Rendered | None = None,
    ) -> None:
        super().__init__(renderer, (), first.tags, flags, rendered)
        self.probes, self._first, self._known = first.probes, first, known

    def _observe(self, probe: Probe) -> Observation:
        known = self._known.setdefault((probe.shape, probe.key), {})
        if not known:
            known[tuple(_decisive(self._first, probe))] = self._first.observe(probe)
        texts = tuple(_decisive(self, probe))
        if texts not in known:
            known[texts] = super()._observe(probe)
        return known[texts]


def _decisive(examined: Examination, probe: Probe) -> Iterator[object]:
    """Yield all from which it follows what a template does to one conversation."""
    yield from (examined.text(probe, upto) for upto in (None, *probe.cuts))
    for turn in probe.turns():
        yield from (examined.text(probe, turn, prompt=True), examined.text(probe, turn + 1))
    if probe.form in ("inline", "mixed"):
        yield from map(examined.text, examined.in_fields(probe))
        simplest = examined.probes.get(("ur", Key("inline")))
        if simplest not in (None, probe):
            seen = examined.observe(simplest)
            yield from (Held("alike") in each for each in (seen.held, seen.broken))
