"""Generation markers for one template: planned, written, and proved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from template_fix.contract.examination import Examination, Observation
from template_fix.conversations.growth import unfinished, with_bare_functions, with_role
from template_fix.conversations.probe import Probe
from template_fix.jinja.folding import SWITCH
from template_fix.jinja.queries import undeclared
from template_fix.jinja.renderer import Failure, Renderer, RenderError, Variables
from template_fix.jinja.templates import Template
from template_fix.markers.places import Traced, Unmarkable, overlap
from template_fix.markers.proof import same_but_for_markers
from template_fix.markers.remove_markers import remove_markers
from template_fix.markers.role_tests import ROLE, find_other_roles
from template_fix.markers.unreached import enlarge_to_reach
from template_fix.markers.wanted_mask import Mask
from template_fix.markers.ways import Marker, Way
from template_fix.repair.study import Study
from template_fix.text.edits import OverlapError, Span

# How many ways to mark a template are tried.
_TRIES = 24


@dataclass(frozen=True)
class WrongMask:
    """A conversation whose mask is another than the wanted one: its text, what is marked of it, what should be."""

    probe: Probe
    text: str
    marked: tuple[Span, ...]
    wanted: tuple[Span, ...]


def wanted_masks(template: Template, examined: Examination, arguments: type, ends: Sequence[str]) -> Mask:
    """Return the masks that a template's markers should give, over its battery and a few conversations more.

    ``arguments`` is the type of a call's arguments, ``ends`` are the texts of the tokens that generation stops at. Use
    it inside `limits.run_bounded`.
    """
    more = list(unfinished(examined.tags, arguments))
    more += (probe for role in find_other_roles(template.tree) for probe in with_role(examined.tags, arguments, role))
    if not any(_prints_calls(examined, probe) for probe in examined.probes.values()):
        more += with_bare_functions(examined.tags)
    if SWITCH in undeclared(template.source):
        off = (probe for probe in examined.probes.values() if not probe.flags and not probe.legacy)
        more += (replace(probe, flags=((SWITCH, False),), ordinary=False) for probe in off)
    return Mask(examined, tuple(ends)).enlarged(more)


def _prints_calls(examined: Examination, probe: Probe) -> bool:
    calls = [part.text for part in probe.parts if part.kind == "call"]
    text = examined.text(probe) if calls else ""
    return bool(calls) and isinstance(text, str) and all(call in text for call in calls)


class Marked(NamedTuple):
    """A template with generation markers, and the outputs between them that no conversation reached, as source."""

    source: str
    unreached: tuple[str, ...] = ()

    @property
    def pairs(self) -> int:
        """Return how many pairs of markers there are."""
        return self.source.count("endgeneration")

    @property
    def captured(self) -> bool:
        """Whether a turn is captured and printed in parts."""
        return "set turn_text" in self.source


def add_markers(source: str, mask: Mask, arguments: type, variables: Variables) -> Marked:
    """Return a template with generation markers. Use it inside `limits.run_bounded`.

    Proved: in every conversation it prints what it printed, and its mask is the wanted one. Raises Unmarkable.
    """
    traced = enlarge_to_reach(Traced(source, mask, variables), arguments)
    marker = Marker(traced)
    reasons: list[Unmarkable] = []
    for ways in islice(marker.propose(), _TRIES):
        try:
            missed = _unreached(marker, ways)
            made = marker.write(ways)
            refused = _refused(source, made, traced.mask, Renderer(made, variables))
        except Unmarkable as error:
            reasons.append(error)
        except OverlapError:
            reasons.append(Unmarkable("the white space around a turn's ends leaves no place for a marker"))
        except RenderError as error:
            reasons.append(Unmarkable(f"the marked template would not compile: {error}"))
        else:
            if not refused:
                return Marked(made, missed)
            reasons.append(Unmarkable(refused))
    raise reasons[0] if reasons else Unmarkable("no output prints just what the model has to write")


def _unreached(marker: Marker, ways: Iterable[Way]) -> tuple[str, ...]:
    """Return the outputs in marked places that no conversation reached. Raises Unmarkable where one may be another's.

    They are marked: what stands between a turn's beginning and its end is the turn's, unless it is another message.
    """
    missed = [each for each in marker.missed if any(each.within(way.place) for way in ways)]
    for each in missed:
        if each.others:
            shown = marker.traced.shown(each.output)
            raise Unmarkable(f"no conversation reaches `{shown}`, which may print another message", each.output)
    return tuple(marker.traced.shown(each.output) for each in missed)


def _refused(before: str, after: str, mask: Mask, renderer: Renderer) -> str:
    """Return why a marked template can't stand, "" where it can."""
    examined = mask.examined
    for probe in examined.probes.values():
        for prompt in (False, True):
            text = renderer(probe.messages, probe.tools, prompt, **examined.set_for(probe))
            if not _alike(examined.text(probe, prompt=prompt), text):
                return f"it would print another text ({probe.describe()})"
    for probe, spans in _generated(mask, renderer):
        if any(span.start == span.end for span in spans):
            return f"a marker would enclose nothing ({probe.describe()})"
        if any(overlap(other, span) for other in _others(examined.observe(probe)) for span in spans):
            return f"it would mark what another wrote ({probe.describe()})"
        if _differ(mask.of(probe), spans):
            return f"its mask would not be what the model has to write ({probe.describe()})"
    if not same_but_for_markers(before, after):
        return "that it prints the same text always can't be proved"
    return ""


def _alike(before: str | Failure, after: str | Failure) -> bool:
    return before == after or (isinstance(before, Failure) and isinstance(after, Failure))


def find_wrong_masks(mask: Mask, renderer: Renderer) -> Iterator[WrongMask]:
    """Yield the conversations in which a template marks something else than the model has to write."""
    for probe, spans in _generated(mask, renderer):
        wanted = mask.of(probe)
        if wanted is not None and _differ(wanted, spans):
            yield WrongMask(probe, str(mask.examined.text(probe)), merge_spans(spans), merge_spans(wanted))


def _others(seen: Observation) -> Iterator[Span]:
    """Yield where the texts stand that no model wrote."""
    for part, span in seen.placed:
        if part.kind == "result" or seen.probe.messages[part.message]["role"] != ROLE:
            yield span


def _differ(wanted: tuple[Span, ...] | None, spans: Iterable[Span]) -> bool:
    """Whether spans are others than the wanted ones, where it is known which these are."""
    return wanted is not None and merge_spans(spans) != merge_spans(wanted)


def _generated(mask: Mask, renderer: Renderer) -> Iterator[tuple[Probe, tuple[Span, ...]]]:
    for probe in mask.examined.probes.values():
        rendered = renderer.generated(probe.messages, probe.tools, **mask.examined.set_for(probe))
        if not isinstance(rendered, Failure):
            yield probe, rendered[1]


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans in their order, those that touch made one, and empty ones left out."""
    found: list[Span] = []
    for span in sorted(span for span in spans if span.start < span.end):
        if found and found[-1].end >= span.start:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


@lru_cache(maxsize=1)
def mask_of(study: Study) -> Mask:
    """Return what the model has to write of each conversation, as the markers should enclose it."""
    return wanted_masks(study.template, study.examined, study.arguments, study.setting.ends)


def mark_template(study: Study) -> Marked:
    """Return the template with generation markers, its own left out. Raises Unmarkable."""
    bare = remove_markers(study.source) if study.markers else study.source
    return add_markers(bare, mask_of(study), study.arguments, study.variables)
