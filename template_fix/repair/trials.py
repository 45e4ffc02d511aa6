"""Experiments: what a template prints once one of its tests or expressions is forced to another value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from jinja2 import TemplateSyntaxError, nodes

from template_fix.contract.examination import SAFE, SAMPLE, Examination, Held, Observation
from template_fix.conversations.probe import Part, Probe
from template_fix.jinja.environment import environment
from template_fix.jinja.queries import names_in, names_stored
from template_fix.jinja.renderer import Renderer
from template_fix.jinja.templates import Template
from template_fix.repair.proposers import Basis, Proposal
from template_fix.text.edits import Span
from template_fix.trace.recorder import Site, Trace

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


def gains(trace: Trace, tests: Mapping[int, bool], seen: Observation, examined: Examination) -> list[Held]:
    """Return what of a conversation is printed well once tests are forced, and wasn't before."""
    forced = Examination(trace.forced(tests=tests), examined.probes.values(), examined.tags)
    return [held for held in seen.breaks(*SAFE) if forced.holds(seen.probe, held)]


def harms(trace: Trace, tests: Mapping[int, bool], examined: Examination) -> tuple[bool, bool]:
    """Whether forcing tests changes a conversation that is printed well, and whether it makes any other worse."""
    renderer = trace.forced(tests=tests)
    forced = Examination(renderer, examined.probes.values(), examined.tags)
    changes = not prints_the_same(renderer, examined, sample(examined))
    worsens = not changes and any(
        {held for held in seen.held if held.property in _AT_ONCE} - forced.held(seen.probe, *_AT_ONCE)
        for seen in examined
    )
    return changes, worsens


def forced_by(basis: Basis, chosen: Iterable[Proposal]) -> Renderer | None:
    """Return what renders a template with proposals made and switched on, None where forcing doesn't come to that.

    What they replace is evaluated still: a conversation in which that fails goes on failing.
    """
    tests: dict[int, bool] = {}
    operands: dict[int, int] = {}
    switch = _expression(basis.switch)
    if switch is None or _binds(basis.template, basis.switch):
        return None  # what the switch is there, the template decides
    for edit in (edit for proposal in chosen for edit in proposal.edits):
        put = _expression(edit.text)
        test, value = (_at(edit.span, sites) for sites in (basis.trace.tests, basis.trace.values))
        outcome, operand = _outcome(put, switch), _operand(put, switch, value, basis.trace)
        if test and outcome is not None:
            tests[test.number] = outcome
        elif value and operand is not None:
            operands[value.number] = operand
        else:
            return None
    return basis.trace.forced(tests=tests, operands=operands)


@lru_cache(maxsize=2)
def _binds(template: Template, switch: str) -> bool:
    """Whether a template gives a variable of the switch a value of its own."""
    test = _expression(switch)
    return test is not None and not names_in(test).isdisjoint(names_stored(template.tree))


def _at(span: Span, sites: Mapping[int, Site]) -> Site | None:
    return next((site for site in sites.values() if site.span == span), None)


def _operand(put: nodes.Node | None, switch: nodes.Node, replaced: Site | None, trace: Trace) -> int | None:
    """Return which operand of what it replaces an expression is where the switch is on, None for another value."""
    if replaced is None or not isinstance(put, nodes.CondExpr) or put.test != switch:
        return None
    inside = (number for number in replaced.inside if number in trace.values)
    return next((number for number in inside if trace.values[number].node == put.expr1), None)


def _outcome(test: nodes.Node | None, switch: nodes.Node | None) -> bool | None:
    """Return the outcome of a test where the switch is on, None where that depends on more."""
    if isinstance(test, nodes.Not):
        inner = _outcome(test.node, switch)
        return None if inner is None else not inner
    if isinstance(test, nodes.And | nodes.Or):
        sides = [_outcome(each, switch) for each in (test.left, test.right)]
        decides = isinstance(test, nodes.Or)
        return decides if decides in sides else None if None in sides else not decides
    return True if test == switch else None


@lru_cache(maxsize=64)
def _expression(text: str) -> nodes.Node | None:
    """Return the syntax tree of an expression, None for text that is another thing."""
    try:
        body = environment().parse("{{ " + text + " }}").body
    except TemplateSyntaxError:
        return None
    return body[0].nodes[0] if isinstance(body[0], nodes.Output) and len(body) == 1 else None
