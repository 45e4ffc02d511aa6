"""What conversations reach of a template: the tests they take either way, and the variables that nobody set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from jinja2 import nodes

from template_fix.conversations.probe import Probe
from template_fix.jinja.queries import names_in, undeclared
from template_fix.jinja.renderer import Variables
from template_fix.jinja.templates import Template
from template_fix.text.edits import Span
from template_fix.trace.recorder import Trace

# What every caller passes, or decides for a conversation: no variables of the template's own.
_GIVEN = frozenset({"messages", "tools", "documents", "add_generation_prompt", "enable_thinking"})


@dataclass(frozen=True)
class Coverage:
    """What conversations reached of a traced template, by the numbers of its sites: nothing, to begin with.

    ``taken`` are the tests, and the operands of tests, with each way that they went; ``reached`` are the expressions
    that were evaluated, ``empty`` those that had no value.
    """

    trace: Trace
    taken: frozenset[tuple[int, bool]] = frozenset()
    reached: frozenset[int] = frozenset()
    empty: frozenset[int] = frozenset()

    def joined_by(self, probes: Iterable[Probe]) -> Coverage:
        """Return what is reached with these conversations, too, with generation prompts and without."""
        taken, reached, empty = set(self.taken), set(self.reached), set(self.empty)
        for probe, prompt in product(probes, (False, True)):
            seen = self.trace.record(probe, prompt=prompt)
            taken.update((number, way) for number, ways in seen.outcomes.items() for way in ways)
            reached |= seen.reached
            empty |= seen.empty
        return Coverage(self.trace, frozenset(taken), frozenset(reached), frozenset(empty))

    @cached_property
    def outcomes(self) -> Mapping[Span, frozenset[bool]]:
        """Return the ways that each test went, and each operand of one."""
        return {
            site.span: frozenset(way for way in (True, False) if (number, way) in self.taken)
            for number, site in self.trace.tests.items()
        }

    @property
    def both(self) -> int:
        """Return how many tests went both ways."""
        return sum(len(ways) == 2 for ways in self.outcomes.values())

    @cached_property
    def unset(self) -> tuple[str, ...]:
        """Return the variables that were read, and that only a caller who knows the template sets."""
        read = {node.name for number in self.empty if isinstance(node := self.trace.values[number].node, nodes.Name)}
        return tuple(name for name in find_own_names(self.trace.template, self.trace.variables) if name in read)

    def reaches(self, span: Span) -> bool:
        """Whether an expression was evaluated, or one that it is part of, or that is part of it.

        Of a constant that stands by itself, as in ``{% set x = true %}``, nothing is known; it counts as reached.
        """
        around = [number for number, at in self._spans.items() if at.start < span.end and span.start < at.end]
        return not around or any(number in self.reached for number in around)

    @cached_property
    def _spans(self) -> Mapping[int, Span]:
        sites = {**self.trace.values, **self.trace.tests, **self.trace.outputs}
        return {number: site.span for number, site in sites.items()}


def find_own_names(template: Template, variables: Variables) -> tuple[str, ...]:
    """Return the variables that a template reads, and that only a caller who knows it sets."""
    others = {*_GIVEN, *variables, *_assigned(template.tree)}
    return tuple(sorted(name for name in undeclared(template.source) - others if not name.endswith("_token")))


def find_reaching(known: Coverage, probes: Iterable[Probe]) -> tuple[list[Probe], Coverage]:
    """Return the conversations that take a test in a way that none before took, and what is reached with them, too."""
    found = []
    for probe in probes:
        more = known.joined_by([probe])
        if more.taken > known.taken:
            known = more
            found.append(probe)
    return found, known


def find_unreached(trace: Trace, places: Iterable[Span], probes: Iterable[Probe], flags: Variables) -> set[Span]:
    """Return the places of which conversations, and their beginnings, evaluate nothing, or leave an output unprinted.

    ``flags`` are variables besides the conversations' own. A place without expressions has nothing to evaluate.
    """
    sites = {**trace.values, **trace.tests, **trace.outputs}
    inside = {at: {n for n, each in sites.items() if at.start <= each.span.start < at.end} for at in places}
    left, reached = {at for at, numbers in inside.items() if numbers}, set[int]()
    for probe in probes:
        for upto, prompt in product((None, *probe.cuts), (False, True)):
            if not left:
                return left
            reached |= trace.record(probe, upto, prompt=prompt, flags=flags).reached
            left -= {at for at in left if inside[at] & reached and inside[at] & trace.outputs.keys() <= reached}
    return left


def _assigned(node: nodes.Node, asked: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the variables that a template sets, but for those that it sets to a default where nobody else did."""
    if isinstance(node, nodes.If):
        asked |= names_in(node.test)
    if isinstance(node, nodes.Assign):
        yield from (name for name in names_in(node.target) if name not in asked | names_in(node.node))
    for child in node.iter_child_nodes():
        yield from _assigned(child, asked)
