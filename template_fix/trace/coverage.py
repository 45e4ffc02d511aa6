"""What conversations reach of a template: the tests they take either way, and the variables that nobody set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from jinja2 import nodes

from template_fix.contract.examination import Examination
from template_fix.conversations.probe import Probe
from template_fix.jinja.queries import names_in, undeclared
from template_fix.text.edits import Span
from template_fix.trace.recorder import Trace

# What every caller passes, or decides for a conversation: no variables of the template's own.
_GIVEN = frozenset({"messages", "tools", "documents", "add_generation_prompt", "enable_thinking"})


@dataclass(frozen=True)
class Coverage:
    """What conversations reached of a traced template, by the numbers of its sites.

    ``taken`` are the tests, and the operands of tests, with each way that they went; ``reached`` are the expressions
    that were evaluated, ``empty`` those that had no value.
    """

    trace: Trace
    taken: frozenset[tuple[int, bool]] = frozenset()
    reached: frozenset[int] = frozenset()
    empty: frozenset[int] = frozenset()

    def joined_by(self, examined: Examination, probes: Iterable[Probe]) -> Coverage:
        """Return what is reached with these conversations, too. Use it inside `limits.bounded`."""
        recorder = self.trace.recorder
        self.trace.follow("")
        recorder.unset.clear()
        recorder.reached.clear()
        told = Examination(self.trace, (), examined.tags)
        with self.trace.changed():
            for probe in probes:
                told.text(probe)
                told.text(probe, prompt=True)
        taken = {(number, way) for number, ways in recorder.outcomes.items() for way in ways}
        return Coverage(self.trace, self.taken | taken, self.reached | recorder.reached, self.empty | recorder.unset)

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
        template = self.trace.template
        read = {node.name for number in self.empty if isinstance(node := self.trace.values[number].node, nodes.Name)}
        others = _GIVEN | self.trace.variables.keys() | set(_assigned(template.tree))
        own = (read & undeclared(template.source)) - others
        return tuple(sorted(name for name in own if not name.endswith("_token")))

    def reaches(self, span: Span) -> bool:
        """Whether an expression was evaluated, or one that it is part of, or that is part of it.

        Of a constant that stands by itself, as in ``{% set x = true %}``, nothing is known, nor held against it.
        """
        around = [number for number, at in self._spans.items() if at.start < span.end and span.start < at.end]
        return not around or any(number in self.reached for number in around)

    @cached_property
    def _spans(self) -> Mapping[int, Span]:
        sites = {**self.trace.values, **self.trace.tests, **self.trace.outputs}
        return {number: site.span for number, site in sites.items()}


def coverage(trace: Trace, examined: Examination) -> Coverage:
    """Return what the battery reaches, with generation prompts. Use it inside `limits.bounded`."""
    return Coverage(trace).joined_by(examined, examined.probes.values())


def reaching(known: Coverage, examined: Examination, probes: Iterable[Probe]) -> Iterator[tuple[Probe, Coverage]]:
    """Yield the conversations that take a test in a way that it wasn't known to take, and what is known with each."""
    for probe in probes:
        more = known.joined_by(examined, [probe])
        if more.taken > known.taken:
            known = more
            yield probe, known


def _assigned(node: nodes.Node, asked: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the variables that a template sets, but for those that it sets to a default where nobody else did."""
    if isinstance(node, nodes.If):
        asked |= names_in(node.test)
    if isinstance(node, nodes.Assign):
        yield from (name for name in names_in(node.target) if name not in asked | names_in(node.node))
    for child in node.iter_child_nodes():
        yield from _assigned(child, asked)
