"""The ways to mark a template: for each place where turns are printed, tags round outputs, else a capture.

Tags round outputs serve where a place prints nothing but turns, and what each is cut at is an end of an output, or a
constant. A capture serves everywhere else; where other messages are printed, too, a test of the role tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, product

from jinja2 import nodes

from template_fix.capture import NAMES, Capture
from template_fix.cutting import cuts
from template_fix.jinja import names_in
from template_fix.outputs import Unit
from template_fix.placement import Example, Place, Point, Traced, Unmarkable
from template_fix.roles import turn_tests
from template_fix.tagging import Tagger
from template_fix.text import Edit

# How many rules and tests are tried for one place, and how many ways in all for each.
_CUTS, _TESTS, _WAYS = 2, 6, 12


@dataclass(frozen=True)
class Way:
    """A way to mark a place: the points of the first tags and of the last ones, and the tags."""

    place: Place
    first: Point
    opening: tuple[str, ...]
    last: Point
    closing: tuple[str, ...]


def edits_for(traced: Traced) -> Iterator[list[Edit]]:
    """Yield the edits that mark a template, the plainest first. Raises Unmarkable where a place has no way at all."""
    ways = [list(islice(_ways(traced, place), _WAYS)) for place in traced.places()]
    for place, found in zip(traced.places(), ways, strict=True):
        if not found:
            raise Unmarkable(f"a turn begins or ends inside of what `{traced.shown(place)}` prints", traced.span(place))
    tagger = Tagger(traced.source)
    seen: set[tuple[Way, ...]] = set()
    orders = sorted(islice(product(*(range(len(found)) for found in ways)), 4096), key=sum)
    for chosen in orders:
        picked = [found[at] for found, at in zip(ways, chosen, strict=True)]
        places = traced.outermost(way.place for way in picked)
        kept = tuple(dict.fromkeys(way for way in picked if way.place in places))
        if len(kept) != len(places) or kept in seen:
            continue
        seen.add(kept)
        yield list(
            chain.from_iterable(
                tagger.edits(traced.bodies[way.place.body], way.first, way.opening, way.last, way.closing)
                for way in kept
            )
        )


def _ways(traced: Traced, place: Place) -> Iterator[Way]:
    yield from _tagged(traced, place)
    found: Place | None = place
    while found is not None:
        yield from _captured(traced, found)
        found = traced.wider(found)


def _tagged(traced: Traced, place: Place) -> Iterator[Way]:
    """Yield the way that puts a pair of tags round outputs, if there is one."""
    place = _with_silent(traced, place)
    examples = traced.examples(place)
    if any(each.wanted is None for each in examples):
        return
    opened = _between(examples, partial(_sides, end=False), Point(place.first), Point(place.last + 1))
    closed = _between(examples, partial(_sides, end=True), Point(place.first), Point(place.last + 1))
    if opened is None or closed is None:
        return
    units = traced.bodies[place.body].units
    first, last = opened[0], closed[0]
    while not first.piece and not first.offset and first < last and not _shows(units[first.unit]):
        first = Point(first.unit + 1)
    around = Place(place.body, first.unit, last.unit if last.piece or last.offset else last.unit - 1)
    if first < last and traced.keeps_names(around) and not traced.leaves_loop(around):
        yield Way(around, first, ("generation",), last, ("endgeneration",))


def _with_silent(traced: Traced, place: Place) -> Place:
    """Return a place with the statements in front of it and behind it that never print anything."""
    first, last = place.first, place.last
    units = traced.bodies[place.body].units
    while first > 0 and (place.body, first - 1) not in traced.printing:
        first -= 1
    while last + 1 < len(units) and (place.body, last + 1) not in traced.printing:
        last += 1
    return place._replace(first=first, last=last)


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


def _between(examples, sides, first, last):  # type: ignore[no-untyped-def]
    """Return the first point and the last at which all examples can be cut."""
    for example in examples:
        found = sides(example)
        if found is None:
            return None
        before, after = found
        first, last = max(first, before or first), min(last, after or last)
    return (first, last) if first <= last else None


def _shows(unit: Unit) -> bool:
    return bool(unit.pieces) or any(_shows(each) for body in unit.bodies for each in body.units)


def _captured(traced: Traced, place: Place) -> Iterator[Way]:
    """Yield the ways that capture what a place prints."""
    if not traced.keeps_names(place) or traced.leaves_loop(place) or names_in(traced.outputs.template.tree) & {*NAMES}:
        return
    examples = traced.examples(place)
    turns = [(each.text, each.wanted) for each in examples if each.wanted]
    tests = list(islice(turn_tests(traced, place), _TESTS)) if len(turns) < len(examples) else [""]
    for cut in islice(cuts(turns, traced.mask.stops), _CUTS):
        for test in tests:
            capture = Capture(cut, test)
            yield Way(
                place, Point(place.first), tuple(capture.opening()), Point(place.last + 1), tuple(capture.closing())
            )
