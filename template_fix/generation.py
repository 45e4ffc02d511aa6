"""Generation markers for one template: planned, written, and proved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from template_fix.cells import Traced, Unmarkable
from template_fix.contract import Examination
from template_fix.fold import SWITCH
from template_fix.hoisting import hoisted
from template_fix.jinja import Template, undeclared
from template_fix.marked import marked
from template_fix.marking import Plan
from template_fix.mask import Mask
from template_fix.probes import Probe, bare, unfinished, with_block, with_field, with_role, with_variable
from template_fix.reach import refuse_unreached
from template_fix.render import Failure, Renderer, RenderError
from template_fix.roles import other_roles
from template_fix.sameness import same_but_for_markers
from template_fix.splitting import branched, inlined, split
from template_fix.tags import Tags
from template_fix.telling import told_apart
from template_fix.text import OverlapError, Span

# How often the battery grows by fields that nobody set.
_ROUNDS = 3


@dataclass(frozen=True)
class Difference:
    """A conversation whose mask is another than the wanted one: its text, what is marked of it, what should be."""

    probe: Probe
    text: str
    marked: tuple[Span, ...]
    wanted: tuple[Span, ...]


def wanted_masks(template: Template, examined: Examination, arguments: type, ends: Sequence[str]) -> Mask:
    """Return the masks that a template's markers should give, over its battery and a few conversations more.

    ``arguments`` is the type of a call's arguments, ``ends`` are the texts of the tokens that generation stops at. Use
    it inside `limits.bounded`.
    """
    more = list(unfinished(examined.tags, arguments))
    more += (probe for role in other_roles(template.tree) for probe in with_role(examined.tags, arguments, role))
    if not any(_prints_calls(examined, probe) for probe in examined.probes.values()):
        more += bare(examined.tags)
    if SWITCH in undeclared(template.source):
        off = (probe for probe in examined.probes.values() if not probe.flags and not probe.legacy)
        more += (replace(probe, flags=((SWITCH, False),), ordinary=False) for probe in off)
    return Mask(examined.enlarged(more), tuple(ends))


def _prints_calls(examined: Examination, probe: Probe) -> bool:
    calls = [part.text for part in probe.parts if part.kind == "call"]
    text = examined.text(probe) if calls else ""
    return bool(calls) and isinstance(text, str) and all(call in text for call in calls)


def with_markers(template: Template, mask: Mask, arguments: type, variables: Mapping[str, Any]) -> str:
    """Return a template with generation markers, in as few pairs as can be. Use it inside `limits.bounded`.

    Proved: in every conversation it prints what it printed, and its mask is the wanted one. Raises Unmarkable.
    """
    asked: set[tuple[str, Any]] = set()
    for _ in range(_ROUNDS):
        try:
            return _marked(template, mask, variables)
        except Unmarkable as error:
            new = error.fields - asked
            if not new:
                raise
            asked |= new
            more = _setting(sorted(new, key=str), undeclared(template.source), mask.examined.tags, arguments)
            printed = [probe for probe in more if None not in mask.examined.observe(probe).spans]
            mask = Mask(mask.examined.enlarged(printed), mask.ends)
    return _marked(template, mask, variables)


def _setting(
    wanted: Iterable[tuple[str, Any]], variables: frozenset[str], tags: Tags, arguments: type
) -> Iterator[Probe]:
    """Yield conversations that set variables and fields of a template, each by itself, and all variables together."""
    own = [(name, value) for name, value in wanted if name in variables]
    for name, value in own:
        yield from with_variable(tags, arguments, name, value)
    flags = tuple((name, True if value is None else value) for name, value in own)
    for name, value in wanted:
        if name == "type":
            yield from with_block(tags, arguments, str(value))
        elif name not in variables:
            yield from with_field(tags, arguments, name, value)
            if own:
                yield from with_field(tags, arguments, name, value, flags)


def _marked(template: Template, mask: Mask, variables: Mapping[str, Any]) -> str:
    """Return the best of what can be done: the template as it stands marked, or with its headers moved first."""
    best: str | None = None
    reasons: list[Unmarkable] = []
    parted = _parted(template, mask, variables)
    for moved in (lambda _: parted, _moved, partial(_moved, apart=True)):
        try:
            traced = moved(parted)
            made = _written(template, traced) if traced else None
        except Unmarkable as error:
            reasons.append(error)
            continue
        if made is not None and (best is None or _pairs(made) < _pairs(best)):
            best = made
        if best is not None and _pairs(best) == 1:
            break
    if best is None:
        raise reasons[0]
    return best


def _parted(template: Template, mask: Mask, variables: Mapping[str, Any]) -> Traced:
    """Return the template traced, with texts printed in parts where turns begin or end inside of them."""
    traced = Traced(template, mask, variables)
    for change in (inlined, branched, branched, split):  # the second time for a choice within a choice
        made = change(traced) if traced.straddling else None
        if made is not None:
            traced = Traced(Template(made), mask, variables)
    return traced


def _moved(traced: Traced, *, apart: bool = False) -> Traced | None:
    """Return the template with its headers moved, None where none is."""
    moved = None if traced.straddling else hoisted(traced, apart=apart)
    return Traced(Template(moved), traced.mask, traced.variables) if moved is not None else None


def _written(template: Template, traced: Traced) -> str:
    """Return a template with markers, as one of its variants has them, proved to be right. Raises Unmarkable."""
    try:
        plan = Plan(traced)
        wraps = plan.wraps()
        refuse_unreached(plan, wraps)
        if leaking := next((wrap for wrap in wraps if plan.leaks(wrap)), None):
            raise Unmarkable("a variable is set in a turn and read behind it", traced.place(leaking))
        if hidden := next((wrap for wrap in wraps if plan.hides(wrap)), None):
            raise Unmarkable("a variable is read in a turn and set behind it", traced.place(hidden))
        apart = [told_apart(traced, wrap) if wrap.test else wrap for wrap in wraps]
        made = marked(traced.template.source, apart, traced.cuts)
        renderer = Renderer(made, traced.variables)
    except OverlapError:
        raise Unmarkable("the white space around a turn's ends leaves no place for a marker") from None
    except RenderError as error:
        raise Unmarkable(f"the marked template would not compile: {error}") from None
    reason = _refused(template.source, made, traced.mask, renderer)
    if reason:
        raise Unmarkable(reason)
    return made


def _refused(before: str, after: str, mask: Mask, renderer: Renderer) -> str:
    """Return why a marked template can't stand, "" where it can."""
    examined = mask.examined
    for probe in examined.probes.values():
        for prompt in (False, True):
            told = renderer(probe.messages, probe.tools, prompt, **examined.set_for(probe))
            if not _alike(examined.text(probe, prompt=prompt), told):
                return f"it would print another text ({probe.describe()})"
    for difference in differences(mask, renderer):
        return f"its mask would not be what the model has to write ({difference.probe.describe()})"
    # Of turns that it doesn't print, such as calls that it knows nothing of, a template leaves nothing to enclose.
    printed = (spans for probe, spans in _generated(mask, renderer) if mask.of(probe) is not None)
    if any(span.start == span.end for spans in printed for span in spans):
        return "a marker would enclose nothing where a turn begins"
    if not same_but_for_markers(before, after):
        return "that it prints the same text always can't be proved"
    return ""


def _alike(before: str | Failure, after: str | Failure) -> bool:
    return before == after or (isinstance(before, Failure) and isinstance(after, Failure))


def differences(mask: Mask, renderer: Renderer) -> Iterator[Difference]:
    """Yield the conversations in which a template marks something else than the model has to write."""
    for probe, spans in _generated(mask, renderer):
        wanted = mask.of(probe)
        if wanted is not None and joined(spans) != joined(wanted):
            yield Difference(probe, str(mask.examined.text(probe)), joined(spans), joined(wanted))


def _generated(mask: Mask, renderer: Renderer) -> Iterator[tuple[Probe, tuple[Span, ...]]]:
    for probe in mask.examined.probes.values():
        told = renderer.generated(probe.messages, probe.tools, **mask.examined.set_for(probe))
        if not isinstance(told, Failure):
            yield probe, told[1]


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans in their order, those that touch made one, and empty ones left out."""
    found: list[Span] = []
    for span in sorted(span for span in spans if span.start < span.end):
        if found and found[-1].end >= span.start:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def _pairs(source: str) -> int:
    return source.count("endgeneration")
