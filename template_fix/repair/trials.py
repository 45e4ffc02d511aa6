"""Experiments: what a template prints once one of its tests or expressions is forced to another value."""

from __future__ import annotations

from collections.abc import Iterable

from template_fix.contract.examination import SAFE, SAMPLE, Examination, Held, Observation
from template_fix.conversations.probe import Part, Probe
from template_fix.jinja.renderer import Renderer
from template_fix.trace.recorder import Trace

# What shows in the text of a conversation, without those of its beginnings.
_AT_ONCE = ("printed", "once", "well-formed")


def sample(examined: Examination) -> list[Probe]:
    """Return some of the conversations that are printed well."""
    return [seen.probe for seen in examined.well[:SAMPLE]]


def prints_the_same(forced: Renderer, examined: Examination, probes: Iterable[Probe]) -> bool:
    """Whether these conversations are printed as they are without what is forced."""
    trial = Examination(forced, (), examined.tags)
    return all(trial.text(probe) == examined.text(probe) for probe in probes)


def prints(forced: Renderer, probe: Probe, part: Part) -> bool:
    """Whether a text of a conversation is printed."""
    text = forced(probe.messages, probe.tools, **dict(probe.flags))
    return isinstance(text, str) and part.text in text


def find_drops(trace: Trace, probe: Probe, part: Part) -> list[tuple[int, int]]:
    """Return the expressions that a text goes into and doesn't come out of, each with the operand that held it."""
    drops = trace.record(probe, wanted=part.text).drops
    return sorted((number, fed) for number, fed in drops if fed in trace.values)


def find_flips(trace: Trace, probe: Probe) -> list[tuple[int, bool]]:
    """Return each test that is reached in a conversation, with each outcome that it could be forced to."""
    recorded = [trace.record(probe, upto).outcomes for upto in (*probe.cuts, None)]
    flipped = {(number, not outcome) for each in recorded for number, ways in each.items() for outcome in ways}
    return sorted(flipped, key=lambda flip: (flip[0], not flip[1]))


def gains(trace: Trace, number: int, outcome: bool, seen: Observation, examined: Examination) -> list[Held]:
    """Return what of a conversation is printed well once a test is forced, and wasn't before."""
    forced = Examination(trace.forced(tests={number: outcome}), examined.probes.values(), examined.tags)
    return [held for held in seen.breaks(*SAFE) if forced.holds(seen.probe, held)]


def harms(trace: Trace, number: int, outcome: bool, examined: Examination) -> tuple[bool, bool]:
    """Whether forcing a test changes a conversation that is printed well, and whether it makes any other worse."""
    renderer = trace.forced(tests={number: outcome})
    forced = Examination(renderer, examined.probes.values(), examined.tags)
    changes = not prints_the_same(renderer, examined, sample(examined))
    worsens = not changes and any(
        {held for held in seen.held if held.property in _AT_ONCE} - forced.held(seen.probe, *_AT_ONCE)
        for seen in examined
    )
    return changes, worsens
