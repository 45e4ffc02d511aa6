"""Edits that put tags into a template's text so that no white space around them is printed differently.

A tag swallows the end of a line behind it and the white space in front of it on its line; ``{%+`` and ``+%}`` swallow
nothing. Each new tag swallows what the statement beside it did, so that nothing is left for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from template_fix.jinja.templates import lex
from template_fix.markers.output_trace import Body, Unit
from template_fix.markers.places import Point
from template_fix.repair.splice import literal
from template_fix.text.edits import Edit, Span


class Tagger:
    """Writes tags into a template: ``= x`` stands for an output of ``x``."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.gaps = {token.start: token.end for token in lex(source) if token.kind == "gap"}

    def edits(
        self, body: Body, first: Point, opening: Sequence[str], last: Point, closing: Sequence[str]
    ) -> Iterator[Edit]:
        """Yield the edits that put tags at two points of a body."""
        inside: dict[int, list[tuple[Point, Sequence[str]]]] = {}
        for point, tags in ((first, opening), (last, closing)):
            if point.piece or point.offset:
                inside.setdefault(point.unit, []).append((point, tags))
            elif point is first:
                yield self._in_front(body.units[point.unit], tags)
            else:
                yield self._behind(body.units[point.unit - 1], tags)
        for index, cuts in inside.items():
            unit = body.units[index]
            if unit.data:
                yield from (self._in_text(unit.span.start + point.offset, tags) for point, tags in cuts)
            else:
                yield self._in_output(unit, cuts)

    def _indent(self, at: int) -> str | None:
        """Return the white space in front of a place, None where something else stands on its line."""
        line = self.source[self.source.rfind("\n", 0, at) + 1 : at]
        return line if not line.strip() and at > len(line) else None

    def _in_front(self, unit: Unit, tags: Sequence[str]) -> Edit:
        at = unit.span.start
        if unit.data:
            return self._in_text(at, tags)
        sign, indent = self.source[at + 2], self._indent(at)
        sign = sign if sign in "+-" else ""
        if indent is not None and (sign == "-" or (not sign and self.source.startswith("{%", at))):
            return Edit(Span(at, at), _written(tags, f"\n{indent}", sign) + f"\n{indent}")
        return Edit(Span(at, at), _written(tags, "", sign or "+" * bool(indent)))

    def _behind(self, unit: Unit, tags: Sequence[str]) -> Edit:
        at, indent = unit.span.end, self._indent(unit.span.start)
        gap = f"\n{indent or ''}" if len(tags) > 1 else ""
        if unit.data:
            return self._in_text(at, tags, gap)
        space = re.match(r"\s*", self.source[at:])
        assert space
        if self.source[at - 3] == "-":
            own_line = indent is not None and len(tags) > 1
            return Edit(Span(at, at), gap * own_line + _written(tags, gap, "-" * own_line, "-"))
        stripped = self.source.startswith(("{%-", "{{-"), at + space.end())
        if indent is not None and stripped and "\n" in space.group():
            return Edit(Span(at, at), f"\n{indent}" + _written(tags, f"\n{indent}", "-"))
        if self.source.startswith("%}", at - 2) and self.source[at - 3] != "+":
            own_line = indent is not None and space.group().startswith("\n")
            return Edit(Span(at, at), f"\n{indent}" * own_line + _written(tags, f"\n{indent}" if own_line else gap))
        return self._in_text(at, tags, gap)

    def _in_text(self, at: int, tags: Sequence[str], gap: str = "") -> Edit:
        """Return the edit that puts tags where text is printed: in it, or at an end of it, or of an output."""
        end = self.gaps.get(at, at)  # what the next tag strips in front of it, it doesn't strip behind another
        printed = end == at and self.source.startswith(("\n", "\r\n"), at)
        return Edit(Span(at, end), _written(tags, gap, "+" * bool(self._indent(at)), "+" * printed))

    def _in_output(self, unit: Unit, cuts: Sequence[tuple[Point, Sequence[str]]]) -> Edit:
        """Return the edit that cuts an output at some points, operands that come to stand alone asked to be texts."""
        indent = self._indent(unit.span.start)
        dash = "-" if indent is not None and self.source.startswith("{{-", unit.span.start) else ""
        gap = f"\n{indent}" if dash else ""
        made, start = self.source[unit.span.start : unit.pieces[0].span.start], Point(cuts[0][0].unit)
        for point, tags in cuts:
            made += f"{self._operands(unit, start, point)} }}}}{gap}{_written(tags, gap, dash)}{gap}{{{{{dash} "
            start = point
        made += self._operands(unit, start, Point(start.unit, len(unit.pieces)))
        return Edit(unit.span, made + self.source[unit.pieces[-1].span.end : unit.span.end])

    def _operands(self, unit: Unit, start: Point, end: Point) -> str:
        """Return what an output prints between two points."""
        shown = unit.pieces[start.piece : end.piece + bool(end.offset)]
        joints = {piece.joint for piece in unit.pieces[start.piece : start.piece + len(shown) + 1]}
        made = "'' + " if "+" in joints and not any(piece.sure for piece in shown) else ""
        for number, piece in enumerate(shown, start.piece):
            if number > start.piece:
                made += self.source[unit.pieces[number - 1].span.end : piece.span.start]
            low, high = start.offset * (number == start.piece), end.offset * (number == end.piece) or None
            own = piece.span.of(self.source)
            made += _quoted((piece.literal or "")[low:high], own) if low or high else own
        return made


def _quoted(text: str, like: str) -> str:
    """Return a literal in the quotation marks of another, where its text allows that."""
    made = literal(text)
    return f'"{made[1:-1]}"' if like.startswith('"') and not set(text) & set("'\"\\") else made


def merge_edits(edits: Iterable[Edit]) -> list[Edit]:
    """Return edits in their order, those in one place made one: what stands behind a statement, and before the next."""
    found: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        if found and found[-1].span.end == edit.span.start:
            edit = Edit(Span(found[-1].span.start, edit.span.end), found.pop().text + edit.text)
        found.append(edit)
    return found


def _written(tags: Sequence[str], gap: str, sign: str = "", end: str = "") -> str:
    """Return tags one behind the other, with a gap between them; what stands between two tags is indented.

    The first has the ``sign`` in front, the last has ``end`` behind it; the others strip the gap.
    """
    found, depth = "", 0
    for at, tag in enumerate(tags):
        word = tag.split()[0]
        depth -= depth > 0 and word in ("else", "endif", "endgeneration")
        mark, close = sign if at == 0 else "-" * bool(gap), end if at + 1 == len(tags) else ""
        found += (gap + "    " * depth) * bool(at and gap)
        found += f"{{{{{mark} {tag[2:]} {close}}}}}" if word == "=" else f"{{%{mark} {tag} {close}%}}"
        depth += word in ("if", "else", "generation")
    return found
