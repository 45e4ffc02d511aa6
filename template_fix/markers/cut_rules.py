"""Rules for the two places at which a printed turn is cut: where the model begins to write, and its end.

Rendering shows what stands in front of what the model writes, and behind it. The constants in which all examples agree
make a rule, and a rule is kept only where it gives just what is wanted of every example.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product

from template_fix.conversations.probe import Probe
from template_fix.markers.wanted_mask import MARKUP
from template_fix.repair.splice import literal
from template_fix.text.edits import Span, common_prefix

# Stands for each character that is a conversation's own, and no constant.
BLANK = "\ue000"
# How much of what stands in front of a turn is looked at, how many headers, and how many texts may follow one.
_LONGEST, _HEADERS, _MORE = 200, 6, 3


@dataclass(frozen=True)
class Header:
    """What stands in front of a turn: all through ``text``, where there is one, and one of ``more`` behind that.

    ``optional`` texts may be missing: then nothing is in front.
    """

    text: str = ""
    more: tuple[str, ...] = ()
    optional: bool = False

    def sets(self) -> Iterator[str]:
        """Yield what is set, in template syntax: `turn_header`, by and by, and `turn_start`."""
        text, rest, asked = literal(self.text), "turn_text", ""
        if self.text:
            front = f"turn_text.split({text})[0] + {text}"
            yield f"turn_header = {front} if {text} in turn_text else ''" if self.optional else f"turn_header = {front}"
            rest, asked = "turn_text[turn_header | length:]", "turn_header and " if self.optional else ""
        if self.more:
            chosen = "''"
            for more in map(literal, reversed(self.more)):
                chosen = f"({more} if {asked}{rest}.startswith({more}) else {chosen})"
            yield f"turn_header = turn_header + {chosen}" if self.text else f"turn_header = {chosen}"
        yield "turn_start = turn_header | length" if self.text or self.more else "turn_start = 0"

    def length(self, turn: str) -> int | None:
        """Return how long the header of a turn is, None where there is none."""
        if self.text not in turn:
            return 0 if self.optional else None
        end = turn.index(self.text) + len(self.text)
        return end + len(next((each for each in self.more if turn.startswith(each, end)), ""))


@dataclass(frozen=True)
class Rest:
    """What stands behind a turn: all behind the last of ``ends`` (with ``first``, the first), or one of ``tails``.

    Without any it is nothing. ``optional`` ends may be missing: then nothing is behind the turn. From ``other`` on,
    with which the text of another begins, nothing is of the turn.
    """

    ends: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()
    first: bool = False
    optional: bool = False
    other: str = ""

    def sets(self) -> Iterator[str]:
        """Yield what is set, in template syntax: `turn_rest` and `turn_end`."""
        if value := self._value():
            yield f"turn_rest = {value}"
        yield f"turn_end = {'(turn_text | length) - (turn_rest | length)' if value else 'turn_text | length'}"

    def _value(self) -> str:
        behind = "turn_text[turn_start:]"
        if self.other:
            other, value = literal(self.other), replace(self, other="")._value() or "''"
            return f"{behind}[({behind}.split({other})[0]) | length:] if {other} in {behind} else ({value})"
        if self.tails:
            chosen = "''"
            for tail in map(literal, reversed(self.tails)):
                chosen = f"{tail} if {behind}.endswith({tail}) else {chosen}"
            return chosen
        ends = [literal(end) for end in self.ends]
        if self.first:
            return f"{behind}.split({ends[0]})[1:] | join({ends[0]})"
        last = behind + "".join(f".split({end})[-1]" for end in ends)
        asked = " or ".join(f"{end} in {behind}" for end in ends)
        return f"{last} if {asked} else ''" if self.optional else last if ends else ""

    def length(self, turn: str) -> int | None:
        """Return how long the rest of a turn without its header is, None where there is none."""
        if self.other and self.other in turn:
            return len(turn) - turn.index(self.other)
        if self.tails:
            return len(next((each for each in self.tails if turn.endswith(each)), ""))
        found = [end for end in self.ends if end in turn]
        if not found:
            return 0 if self.optional or not self.ends else None
        if self.first:
            return len(turn.partition(self.ends[0])[2]) if found else 0
        return min(len(turn.rpartition(end)[2]) for end in found)


@dataclass(frozen=True)
class Cut:
    """How a printed turn is cut in three."""

    header: Header
    rest: Rest

    def sets(self) -> Iterator[str]:
        """Yield what has to be set behind a captured turn, in template syntax."""
        yield from self.header.sets()
        yield from self.rest.sets()


def blank_texts(probe: Probe, text: str) -> str:
    """Return what is printed of a conversation with each character of the conversation's own blanked out."""
    for own in (*(part.text for part in probe.parts), "look_up"):
        text = text.replace(own, BLANK * len(own))
    return re.sub("call[0-9]{5}", BLANK * 9, text)


def find_cuts(turns: Sequence[tuple[str, Span]], stops: Sequence[str]) -> Iterator[Cut]:
    """Yield rules that cut every turn as is wanted, the plainest first. ``stops`` are texts that end turns."""
    turns = list(dict.fromkeys(turns))
    headers = [each for each in _headers(turns) if all(each.length(text) == span.start for text, span in turns)]
    bare = list(dict.fromkeys((text[span.start :], span.end - span.start) for text, span in turns))
    rests = [each for each in _rests(bare, stops) if all(_ends(each, *turn) for turn in bare)]
    yield from (Cut(header, rest) for header, rest in product(headers, rests))


def _ends(rest: Rest, turn: str, end: int) -> bool:
    behind = rest.length(turn)
    return behind is not None and len(turn) - behind == end


def _headers(turns: Sequence[tuple[str, Span]]) -> Iterator[Header]:
    fronts = sorted({text[: span.start] for text, span in turns if span.start}, key=len)
    optional = any(span.start == 0 for _, span in turns)
    if not fronts:
        yield Header()
        return
    seen: set[tuple[str, tuple[str, ...]]] = set()
    ranked = []
    for front in fronts[:_HEADERS]:
        whole = [mark.span() for mark in MARKUP.finditer(front)]
        for length in range(min(len(front), _LONGEST), 0, -1):
            text = front[-length:]
            if any(start < len(front) - length < end for start, end in whole):
                continue
            if BLANK in text or not text.strip() or not all(text in each for each in fronts):
                continue
            more = {each[each.index(text) + len(text) :] for each in fronts} - {""}
            key = (text, tuple(sorted(more, key=len, reverse=True)))
            if _constant(more) and key not in seen:
                seen.add(key)
                ranked.append(key)
    for text, following in sorted(ranked, key=lambda each: (len(each[1]), each[0][0].isspace(), -len(each[0]))):
        yield Header(text, following, optional)
    if _constant(fronts):
        yield Header("", tuple(reversed(fronts)))


def _constant(texts: Collection[str]) -> bool:
    """Whether texts are a few constants."""
    return len(texts) <= _MORE and not any(BLANK in each for each in texts)


def _rests(turns: Sequence[tuple[str, int]], stops: Sequence[str]) -> Iterator[Rest]:
    yield from _plain_rests(turns, stops)
    # Texts of others, such as results, may follow in the same place.
    behind = [text[end:] for text, end in turns if BLANK in text[end:]]
    other = reduce(lambda one, two: one[: common_prefix(one, two)], behind or [""]).partition(BLANK)[0]
    if other.strip():
        alone = [(text, end) for text, end in turns if other not in text]
        yield from (replace(rest, other=other) for rest in _plain_rests(alone, stops))


def _plain_rests(turns: Sequence[tuple[str, int]], stops: Sequence[str]) -> Iterator[Rest]:
    tails = {text[end:] for text, end in turns} - {""}
    ends = [stop for stop in dict.fromkeys([*stops, *_common_ends(turns)]) if any(stop in text for text, _ in turns)]
    if not tails:
        yield Rest()
    for first in (False, True):
        for optional in (False, True):
            yield from (Rest((end,), first=first, optional=optional) for end in ends)
            if len(ends) > 1 and not first:
                yield Rest(tuple(ends), optional=optional)
    if tails and _constant(tails):
        yield Rest(tails=tuple(sorted(tails, key=len, reverse=True)))


def _common_ends(turns: Sequence[tuple[str, int]]) -> Iterator[str]:
    """Yield the text in which all that the model writes ends alike, where something may stand behind it."""
    insides = [text[:end] for text, end in turns]
    shortest = min(insides, key=len, default="")
    for length in range(min(len(shortest), _LONGEST), 0, -1):
        text = shortest[-length:]
        if BLANK not in text and all(each.endswith(text) for each in insides):
            marks = list(MARKUP.finditer(text))
            if marks or (text.strip() and not set(text) & set("<>|[]")):
                yield text[marks[-1].start() :] if marks else text
            return
