"""Where turns are printed: the runs of statements whose outputs print them, and what each printed of which turn.

A turn is followed from the whole conversation down into the block that prints all of it. A loop in which several turns
are printed is looked at one iteration at a time: what a turn leaves to the next iteration, or to what stands behind the
loop, is a place of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from jinja2 import nodes

from template_fix.jinja.queries import names_stored, walk
from template_fix.jinja.renderer import RenderError, Variables
from template_fix.markers.cut_rules import blank_texts
from template_fix.markers.output_trace import Body, Execution, OutputTrace, Printed, Unit
from template_fix.markers.wanted_mask import Mask
from template_fix.text.edits import Span


class Unmarkable(ValueError):
    """Why a template can't be marked, in one sentence; ``at`` is the place in the template that stands in the way."""

    def __init__(self, reason: str, at: Span | None = None) -> None:
        super().__init__(reason)
        self.reason, self.at = reason, at


class Place(NamedTuple):
    """A run of statements: the number of their body, the index of the first, and that of the last."""

    body: int
    first: int
    last: int


class Point(NamedTuple):
    """A place to cut at: in front of a unit, of a piece of it, or of a character of a constant that the piece is."""

    unit: int
    piece: int = 0
    offset: int = 0


# What was printed: the point in front of it, the point behind it, where it stands, and whether it is a constant.
Part = tuple[Point, Point, Span, bool]


@dataclass(frozen=True)
class Example:
    """What a place printed once: the text, and what of it the model writes, None for nothing.

    ``printed`` are the parts of the text.
    """

    text: str
    wanted: Span | None
    printed: tuple[Part, ...]


@dataclass(frozen=True)
class Traced:
    """A template with what its outputs print of each conversation. Used in `run_bounded`; raises Unmarkable."""

    source: str
    mask: Mask
    variables: Variables

    @cached_property
    def trace(self) -> OutputTrace:
        """Return the traced template."""
        try:
            return OutputTrace(self.source, self.variables)
        except RenderError as error:
            raise Unmarkable(str(error)) from None

    @cached_property
    def _traced(self) -> list[tuple[str, Execution, tuple[Span, ...]]]:
        """Return how conversations are printed; of those without a wanted mask, nothing is the model's."""
        found = []
        examined = self.mask.examined
        for probe in examined.probes.values():
            traced = self.trace.run(probe, examined.set_for(probe))
            wanted = self.mask.of(probe) or ()
            if traced and traced[0] == examined.text(probe):
                found.append((blank_texts(probe, traced[0]), traced[1], wanted))
            elif wanted:
                raise Unmarkable("what the template prints can't be traced to its outputs")
        return found

    @cached_property
    def runs(self) -> list[tuple[str, Execution, tuple[Span, ...]]]:
        """Return how conversations are printed: the text without theirs, what printed it, and what the model writes."""
        found = [each for each in self._traced if each[2]]
        if not found:
            raise Unmarkable("no turn of any conversation is printed")
        return found

    @cached_property
    def bodies(self) -> dict[int, Body]:
        """Return every body by its number."""
        root = self.trace.root
        return {root.number: root, **{inner.number: inner for unit in root.every_unit() for inner in unit.bodies}}

    @cached_property
    def owners(self) -> dict[int, tuple[Body, int]]:
        """Return, by a body's number, the body that it stands in, and the index of its unit there."""
        return {
            inner.number: (body, index)
            for body in self.bodies.values()
            for index, unit in enumerate(body.units)
            for inner in unit.bodies
        }

    def around(self, body: int) -> Iterator[tuple[Body, int]]:
        """Yield the blocks around a body, the nearest first: each as the body that it stands in, and its index."""
        while body in self.owners:
            owner = self.owners[body]
            yield owner
            body = owner[0].number

    @cached_property
    def entered(self) -> frozenset[int]:
        """Return the numbers of the bodies that a conversation ran through."""
        return frozenset(number for _, top, _ in self._traced for number in top.entered())

    @cached_property
    def _printing(self) -> frozenset[tuple[int, int]]:
        """Return the statements that print anything in any conversation: the number of the body, and the index."""
        return frozenset(
            (run.body.number, index)
            for _, top, _ in self.runs
            for run in top.runs()
            for index, span, _ in _units(run)
            if span.start < span.end
        )

    def with_silent(self, place: Place) -> Place:
        """Return a place with the statements in front of it and behind it that never print anything."""
        first, last = place.first, place.last
        while first > 0 and (place.body, first - 1) not in self._printing:
            first -= 1
        while last + 1 < len(self.bodies[place.body].units) and (place.body, last + 1) not in self._printing:
            last += 1
        return place._replace(first=first, last=last)

    @cached_property
    def shared(self) -> frozenset[tuple[int, int]]:
        """Return the blocks that print several turns in one run: the number of the body, and the index in it."""
        found: set[tuple[int, int]] = set()
        for _, top, wanted in self.runs:
            for run in top.runs():
                for index, span, inner in _units(run):
                    if inner and sum(overlap(span, each) is not None for each in wanted) > 1:
                        found.add((run.body.number, index))
        return frozenset(found)

    def places(self) -> list[Place]:
        """Return where turns are printed, in the order of the template; none of them stands in another."""
        found = self.outermost(
            place for _, top, wanted in self.runs for span in wanted for place in self._followed(span, top)
        )
        return [part for place in found for part in self._apart(place)]

    def _apart(self, place: Place) -> list[Place]:
        """Return a place, or its parts where it prints what the model writes of a turn in several parts."""
        cuts = [place._replace(last=at) for at in range(place.first, place.last)] if self._several(place) else []
        fronts = [front for front in cuts if not self._several(front)]
        if not fronts:
            return [place]
        rests = [place._replace(first=front.last + 1) for front in fronts]
        at = next((at for at, rest in enumerate(rests) if not self._several(rest)), -1)
        return [self._trimmed(part) for part in (fronts[at], *self._apart(rests[at]))]

    def _trimmed(self, place: Place) -> Place:
        """Return a place without the statements at its ends that print nothing of a turn."""
        turned = [
            index
            for index in range(place.first, place.last + 1)
            if any(inside for _, _, inside, _ in self._printed_in(place._replace(first=index, last=index)))
        ]
        return place._replace(first=turned[0], last=turned[-1]) if turned else place

    def _several(self, place: Place) -> bool:
        return any(len(inside) > 1 for _, _, inside, _ in self._printed_in(place))

    def outermost(self, places: Iterable[Place]) -> list[Place]:
        """Return the places that stand in no other, those of a body that meet made one."""
        merged: list[Place] = []
        for place in sorted(set(places)):
            if merged and merged[-1].body == place.body and place.first <= merged[-1].last:
                merged[-1] = merged[-1]._replace(last=max(merged[-1].last, place.last))
            else:
                merged.append(place)
        return [place for place in merged if not any(self._stands_in(place, other) for other in merged)]

    def _stands_in(self, place: Place, other: Place) -> bool:
        return any(
            body.number == other.body and other.first <= index <= other.last for body, index in self.around(place.body)
        )

    def _followed(self, span: Span, run: Execution) -> Iterator[Place]:
        """Yield the places in a run that print a turn, or what of it lies in a span."""
        parts = [part for part in _units(run) if overlap(part[1], span)]

        def deeper(part: tuple[int, Span, list[Execution]]) -> bool:
            # Several iterations of a loop that prints no other turn are one place.
            once = sum(overlap(each.span, span) is not None for each in part[2]) == 1
            return (len(parts) == 1 and once) or (bool(part[2]) and (run.body.number, part[0]) in self.shared)

        for inside, group in groupby(parts, key=deeper):
            units = list(group)
            if not inside:
                yield Place(run.body.number, units[0][0], units[-1][0])
            for each in (each for _, _, inner in units if inside for each in inner):
                if clipped := overlap(each.span, span):
                    yield from self._followed(clipped, each)

    def examples(self, place: Place) -> list[Example]:
        """Return what a place printed in each run. Raises Unmarkable where it prints two turns at once."""
        found: list[Example] = []
        for text, whole, inside, printed in self._printed_in(place):
            if len(inside) > 1:
                raise Unmarkable(f"`{self.shown(place)}` prints several turns at once", self.span(place))
            found.append(
                Example(
                    whole.of(text),
                    _moved(inside[0], whole.start) if inside else None,
                    tuple((a, b, _moved(span, whole.start), cut) for a, b, span, cut in printed),
                )
            )
        return found

    def _printed_in(self, place: Place) -> Iterator[tuple[str, Span, list[Span], list[Part]]]:
        """Yield, for each run of a place, the whole text, what of it was printed, what the model writes, and how."""
        body = self.bodies[place.body]
        for text, top, wanted in self.runs:
            for run in top.runs():
                printed = list(_printed(body, run, place)) if run.body.number == place.body else []
                if printed and printed[0][2].start < printed[-1][2].end:
                    whole = Span(printed[0][2].start, printed[-1][2].end)
                    yield text, whole, [met for each in wanted if (met := overlap(each, whole))], printed

    def span(self, place: Place) -> Span:
        """Return where a place stands in the source."""
        units = self.bodies[place.body].units
        return Span(units[place.first].span.start, units[place.last].span.end)

    def shown(self, at: Place | Span) -> str:
        """Return the source of a place as it is shown to people."""
        text = " ".join((self.span(at) if isinstance(at, Place) else at).of(self.source).split())
        return text if len(text) <= 60 else text[:57] + "…"

    def visible(self, place: Place) -> frozenset[str]:
        """Return the names that have a value in front of a place."""
        found: set[str] = {"messages"}
        at = place.first
        for body, index in [(self.bodies[place.body], at), *self.around(place.body)]:
            sets = (unit.node for unit in body.units[:index] if isinstance(unit.node, nodes.Assign))
            found.update(name for node in sets for name in names_stored(node))
            block = body.units[index].node if body.number != place.body else None
            found.update(names_stored(block.target) if isinstance(block, nodes.For) else ())
        return frozenset(found)

    def looped(self, at: tuple[int, int]) -> bool:
        """Whether a statement is a loop in which several turns are printed."""
        return at in self.shared and isinstance(self.bodies[at[0]].units[at[1]].node, nodes.For)

    def loops(self, place: Place) -> Iterator[nodes.For]:
        """Yield the loops around a place, the nearest first."""
        for body, index in self.around(place.body):
            if isinstance(node := body.units[index].node, nodes.For):
                yield node

    def parts(self, place: Place) -> Iterator[Place]:
        """Yield the parts of a place between the statements that set what is read elsewhere, and their bodies."""
        body, first = self.bodies[place.body], place.first
        for index in range(place.first, place.last + 1):
            unit = body.units[index]
            if not self._sets(unit):
                continue
            if first < index:
                yield from self._printing_part(place._replace(first=first, last=index - 1))
            for inner in unit.bodies:
                yield from self._printing_part(Place(inner.number, 0, len(inner.units) - 1))
            first = index + 1
        if place.first < first <= place.last:
            yield from self._printing_part(place._replace(first=first))

    def _printing_part(self, place: Place) -> Iterator[Place]:
        if any(each.wanted for each in self.examples(place)):
            yield place

    def _sets(self, unit: Unit) -> bool:
        """Whether a statement gives a variable a value that is read elsewhere."""
        inside = _reads(unit.node)
        return any(self._all_reads[name] > inside[name] for name in names_stored(unit.node))

    @cached_property
    def _all_reads(self) -> Counter[str]:
        return _reads(self.trace.template.tree)


def _reads(node: nodes.Node) -> Counter[str]:
    """Return how often the names in a node are read."""
    return Counter(each.name for each in walk(node) if isinstance(each, nodes.Name) and each.ctx == "load")


def _units(run: Execution) -> Iterator[tuple[int, Span, list[Execution]]]:
    """Yield the units that did something in a run: the index, what was printed, and the runs through its bodies."""
    for index, group in groupby(run.done, key=lambda each: each[0]):
        done = [each for _, each in group]
        inner = [each for each in done if isinstance(each, Execution)]
        yield index, Span(done[0].span.start, done[-1].span.end), inner


def _printed(body: Body, run: Execution, place: Place) -> Iterator[Part]:
    for index, each in run.done:
        if not place.first <= index <= place.last:
            continue
        if isinstance(each, Printed) and body.units[index].pieces:
            unit = body.units[index]
            at = unit.pieces.index(each.piece)
            behind = Point(index, at + 1) if at + 1 < len(unit.pieces) else Point(index + 1)
            yield Point(index, at), behind, each.span, each.piece.literal is not None
        else:
            yield Point(index), Point(index + 1), each.span, False


def overlap(one: Span, other: Span) -> Span | None:
    """Return what two spans have in common, None for nothing."""
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Span(start, end) if start < end else None


def _moved(span: Span, by: int) -> Span:
    return Span(span.start - by, span.end - by)
