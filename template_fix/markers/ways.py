"""The ways to mark a template: for each place where turns are printed, tags round outputs, else a capture.

Tags round outputs serve where a place prints nothing but turns, and what each is cut at is an end of an output, or a
constant. A capture serves everywhere else; where other messages are printed, too, a test of the role tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, product

from template_fix.markers.captured_turn import capture_tags
from template_fix.markers.cut_rules import find_cuts
from template_fix.markers.output_trace import Unit
from template_fix.markers.places import Example, Place, Point, Traced, Unmarkable
from template_fix.markers.proof import same_but_for_markers
from template_fix.markers.role_tests import propose_turn_tests
from template_fix.markers.tag_edits import Tagger, merge_edits
from template_fix.markers.unreached import Unreached, find_unreached
from template_fix.text.edits import OverlapError, apply

# How many rules and tests are tried for one place, and how many ways in all.
_CUTS, _TESTS, _WAYS, _ORDERS = 2, 6, 12, 4096


@dataclass(frozen=True)
class Way:
    """A way to mark a place: the points of the first tags and of the last ones, and the tags."""

    place: Place
    first: Point
    opening: tuple[str, ...]
    last: Point
    closing: tuple[str, ...]


@dataclass(frozen=True)
class Marker:
    """Marks places of a traced template."""

    traced: Traced

    @cached_property
    def missed(self) -> tuple[Unreached, ...]:
        """Return what no conversation reached."""
        return tuple(find_unreached(self.traced))

    @cached_property
    def _tagger(self) -> Tagger:
        return Tagger(self.traced.source)

    def write(self, ways: Iterable[Way]) -> str:
        """Return the template with its places marked in some ways. Raises Unmarkable and OverlapError."""
        traced = self.traced
        edits = (
            self._tagger.edits(traced.bodies[way.place.body], way.first, way.opening, way.last, way.closing)
            for way in ways
        )
        return apply(traced.source, merge_edits(chain.from_iterable(edits)))

    def propose(self) -> Iterator[tuple[Way, ...]]:
        """Yield the ways to mark the template, the plainest first. Raises Unmarkable where a place has none."""
        places = self.traced.places()
        found = [list(islice(self._propose_for(place), _WAYS)) for place in places]
        for place, ways in zip(places, found, strict=True):
            if not ways:
                shown, at = self.traced.shown(place), self.traced.span(place)
                raise Unmarkable(f"a turn begins or ends inside of what `{shown}` prints", at)
        for chosen in sorted(islice(product(*(range(len(ways)) for ways in found)), _ORDERS), key=sum):
            picked = [way for ways, at in zip(found, chosen, strict=True) for way in ways[at]]
            outermost = self.traced.outermost(way.place for way in picked)
            yield tuple(dict.fromkeys(way for way in picked if way.place in outermost))

    def _propose_for(self, place: Place) -> Iterator[tuple[Way, ...]]:
        """Yield the ways to mark a place: as a whole, as part of a larger one, or in parts."""
        any_way = False
        for way in self._ways(place):
            if self._proved(way):
                any_way = True
                yield (way,)
        if not any_way:
            parts = [list(islice(self._propose_for(part), _WAYS)) for part in self.traced.parts(place)]
            for at in range(max(map(len, parts), default=0) if all(parts) else 0):
                yield tuple(way for ways in parts for way in ways[min(at, len(ways) - 1)])

    def _proved(self, way: Way) -> bool:
        """Whether a way by itself leaves the template the same program."""
        try:
            return same_but_for_markers(self.traced.source, self.write([way]))
        except (OverlapError, Unmarkable):
            return False

    def _ways(self, place: Place) -> Iterator[Way]:
        for each in dict.fromkeys((self._with_unreached(place), place)):
            with suppress(Unmarkable):  # a larger place prints several turns at once
                yield from _tagged(self.traced, each)
                yield from _captured(self.traced, each)

    def _with_unreached(self, place: Place) -> Place:
        """Return a place, or the block around it where another branch of that prints turns that nobody reached."""
        for body, index in list(self.traced.around(place.body)):
            beside = any(each.path[0] == (body.number, index) and not each.by_role for each in self.missed)
            if beside and not self.traced.looped((body.number, index)):
                place = Place(body.number, index, index)
        return place


def _tagged(traced: Traced, place: Place) -> Iterator[Way]:
    """Yield the way that puts a pair of tags round outputs, if there is one."""
    place = traced.with_silent(place)
    examples = traced.examples(place)
    if not all(each.wanted and _never_empty(each) for each in examples):
        return
    opened, closed = (_between(examples, place, end=end) for end in (False, True))
    if opened is None or closed is None:
        return
    units = traced.bodies[place.body].units
    first, last = opened[0], closed[0]
    while not first.piece and not first.offset and first < last and not _shows(units[first.unit]):
        first = Point(first.unit + 1)
    around = Place(place.body, first.unit, last.unit if last.piece or last.offset else last.unit - 1)
    if first < last:
        yield Way(around, first, ("generation",), last, ("endgeneration",))


def _sides(example: Example, end: bool) -> tuple[Point | None, Point | None] | None:
    """Return the point behind what is printed in front of a cut, and that in front of what is printed behind it."""
    assert example.wanted is not None
    at = example.wanted.end if end else example.wanted.start
    before = after = None
    for front, behind, span, literal in example.printed:
        if span.start < at < span.end:
            cut = front._replace(offset=at - span.start)
            return (cut, cut) if literal else None
        if span.start < span.end <= at:
            before = behind
        elif span.end > span.start >= at and after is None:
            after = front
    return before, after


def _between(examples: Sequence[Example], place: Place, *, end: bool) -> tuple[Point, Point] | None:
    """Return the first point and the last at which the beginning, or the end, of all examples can be cut."""
    first, last = Point(place.first), Point(place.last + 1)
    for example in examples:
        found = _sides(example, end)
        if found is None:
            return None
        before, after = found
        first, last = max(first, before or first), min(last, after or last)
    return (first, last) if first <= last else None


def _never_empty(example: Example) -> bool:
    """Whether a constant is part of what the model writes: a marker must not enclose nothing."""
    start, end = example.wanted or (0, 0)
    return any(literal and max(start, at.start) < min(end, at.end) for _, _, at, literal in example.printed)


def _shows(unit: Unit) -> bool:
    return bool(unit.pieces) or any(_shows(each) for body in unit.bodies for each in body.units)


def _captured(traced: Traced, place: Place) -> Iterator[Way]:
    """Yield the ways that capture what a place prints."""
    examples = traced.examples(place)
    turns = [(each.text, each.wanted) for each in examples if each.wanted]
    alone = [""] if len(turns) == len(examples) else []  # but for what is printed of conversations without a mask
    tests = [*alone, *islice(propose_turn_tests(traced, place), _TESTS)]
    for cut in islice(find_cuts(turns, traced.mask.stops), _CUTS):
        for test in tests:
            opening, closing = capture_tags(cut, test)
            yield Way(place, Point(place.first), tuple(opening), Point(place.last + 1), tuple(closing))
