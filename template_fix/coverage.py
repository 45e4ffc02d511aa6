"""What conversations reach of a template: the tests they take either way, and the variables that nobody set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from jinja2 import nodes

from template_fix.contract import Examination
from template_fix.jinja import undeclared, walk
from template_fix.probes import Probe
from template_fix.text import Span
from template_fix.trace import Trace

# What every caller passes, or decides for a conversation: no variables of the template's own.
_GIVEN = frozenset({"messages", "tools", "documents", "add_generation_prompt", "enable_thinking"})


@dataclass(frozen=True)
class Coverage:
    """What a battery reached of a template.

    ``outcomes`` maps each test, and each operand of one, to the ways that it went; ``unset`` names the variables that
    were read and that only a caller who knows the template sets. ``sites`` are the expressions that were evaluated.
    """

    outcomes: Mapping[Span, frozenset[bool]]
    unset: tuple[str, ...]
    sites: tuple[Span, ...]

    @property
    def both(self) -> int:
        """Return how many tests went both ways."""
        return sum(len(ways) == 2 for ways in self.outcomes.values())

    def reaches(self, span: Span) -> bool:
        """Whether an expression was evaluated, or one that it is part of, or that is part of it."""
        return any(site.start < span.end and span.start < site.end for site in self.sites)


def coverage(trace: Trace, examined: Examination) -> Coverage:
    """Return what the battery reaches, with generation prompts. Use it inside `limits.bounded`."""
    trace.recorder.unset.clear()
    trace.recorder.reached.clear()
    with trace.changed():
        for probe in examined.probes.values():
            _rendered(trace, examined, probe)
    outcomes = {site.span: frozenset(trace.recorder.outcomes.get(number, ())) for number, site in trace.tests.items()}
    unset = (trace.values[number].node for number in trace.recorder.unset)
    read = {node.name for node in unset if isinstance(node, nodes.Name) and not node.name.endswith("_token")}
    others = _GIVEN | examined.renderer.variables.keys() | set(_assigned(trace.template.tree))
    own = tuple(sorted((read & undeclared(trace.template.source)) - others))
    sites = {**trace.values, **trace.tests, **trace.outputs}
    return Coverage(outcomes, own, tuple(sites[number].span for number in trace.recorder.reached))


def reaching(trace: Trace, examined: Examination, probes: Iterable[Probe]) -> Iterator[Probe]:
    """Yield the conversations that take a test in a way that neither the battery nor one before them takes it."""
    with trace.changed():
        for probe in examined.probes.values():
            _rendered(trace, examined, probe)
        for probe in probes:
            before = _taken(trace)
            _rendered(trace, examined, probe)
            if _taken(trace) > before:
                yield probe


def _rendered(trace: Trace, examined: Examination, probe: Probe) -> None:
    told = Examination(trace, (), examined.tags, examined.flags)
    told.text(probe)
    told.text(probe, prompt=True)


def _taken(trace: Trace) -> int:
    return sum(map(len, trace.recorder.outcomes.values()))


def _assigned(node: nodes.Node, asked: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the variables that a template sets, but for those that it sets to a default where nobody else did."""
    if isinstance(node, nodes.If):
        asked |= _names(node.test)
    if isinstance(node, nodes.Assign):
        yield from (name for name in _names(node.target) if name not in asked | _names(node.node))
    for child in node.iter_child_nodes():
        yield from _assigned(child, asked)


def _names(node: nodes.Node) -> set[str]:
    return {each.name for each in walk(node) if isinstance(each, nodes.Name)}
