"""Tags put into a template's text so that no white space around them is printed otherwise.

A tag swallows the end of a line behind it and the white space in front of it on its line. Where that is printed it
becomes a literal output; where it is stripped anyway the new tags strip it, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from template_fix.jinja.templates import lex
from template_fix.markers.outputs import Body, Unit
from template_fix.markers.placement import Point, Unmarkable
from template_fix.repair.splice import literal
from template_fix.text.edits import Edit, Span

_STRIPS = ("{%-", "{{-", "{#-")


class Tagger:
    """Writes tags into a template: ``= x`` stands for an output of ``x``. Raises Unmarkable."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = lex(source)
        self.data = {token.end: token for token in self.tokens if token.kind == "data"}
        self.gaps = {token.start: token for token in self.tokens if token.kind == "gap"}

    def edits(
        self, body: Body, first: Point, opening: Sequence[str], last: Point, closing: Sequence[str]
    ) -> list[Edit]:
        """Return the edits that put tags at two points of a body."""
        inner: dict[int, list[tuple[Point, Sequence[str]]]] = {}
        found: list[Edit] = []
        for point, tags, front in ((first, opening, True), (last, closing, False)):
            if point.piece or point.offset:
                inner.setdefault(point.unit, []).append((point, tags))
            elif front:
                found.append(self.in_front(body.units[point.unit], tags))
            else:
                found.append(self.behind(body.units[point.unit - 1], tags))
        for index, cuts in inner.items():
            unit = body.units[index]
            found += self.in_data(unit, cuts) if unit.data else [self.in_output(unit, cuts)]
        return found

    def indent(self, at: int) -> str | None:
        """Return the white space in front of a place, None where something else stands on its line."""
        line = self.source[self.source.rfind("\n", 0, at) + 1 : at]
        return line if not line.strip() and at > len(line) else None

    def in_front(self, unit: Unit, tags: Sequence[str]) -> Edit:
        """Return the edit that puts tags in front of a statement."""
        at = unit.span.start
        indent = self.indent(at)
        if unit.data:
            return self.beside_data(at, _lines(tags, ""))
        if self.source.startswith(_STRIPS, at):
            return Edit(Span(at, at), _lines(tags, "" if indent is None else f"\n{indent}", "-", last=True))
        if self.source.startswith("{%", at) and indent is not None:
            return Edit(Span(at, at), _lines(tags, f"\n{indent}") + f"\n{indent}")
        return self.beside_data(at, _lines(tags, ""))

    def behind(self, unit: Unit, tags: Sequence[str]) -> Edit:
        """Return the edit that puts tags behind a statement."""
        at = unit.span.end
        indent = self.indent(unit.span.start)
        gap = f"\n{indent or ''}" if len(tags) > 1 else ""
        if unit.data:
            return self.beside_data(at, _lines(tags, gap))
        space = re.match(r"\s*", self.source[at:])
        assert space
        if self.source[at - 3] == "-":
            own_line = indent is not None and len(tags) > 1
            return Edit(Span(at, at), gap * own_line + _lines(tags, gap, "-" * own_line, end="-"))
        stripped = self.source.startswith(("{%-", "{{-"), at + space.end())
        if indent is not None and stripped and "\n" in space.group():
            return Edit(Span(at, at), f"\n{indent}" + _lines(tags, f"\n{indent}", "-"))
        if self.source.startswith("%}", at - 2):
            if indent is not None and space.group().startswith("\n"):
                return Edit(Span(at, at), f"\n{indent}" + _lines(tags, f"\n{indent}"))
            return Edit(Span(at, at), _lines(tags, gap))
        return self.beside_data(at, _lines(tags, gap))

    def beside_data(self, at: int, text: str) -> Edit:
        """Return the edit that puts tags at an end of text of the template's own, whose white space stays."""
        before, start, end = self.data.get(at), at, at
        if before and (space := re.search(r"(?:^|(?<=\n))[ \t]+$", before.text)):
            start = before.start + space.start()
            text = f"{{{{ {literal(space.group())} }}}}{text}"
        if (line_end := re.match(r"\r?\n", self.source[at:])) and any(
            token.kind == "data" and token.start <= at < token.end for token in self.tokens
        ):
            end = at + line_end.end()
            text += f"{{{{ {literal(line_end.group())} }}}}"
        if end in self.gaps:  # what a tag on a line of its own strips in front of it, it doesn't strip behind another
            end = self.gaps[end].end
        return Edit(Span(start, end), text)

    def in_data(self, unit: Unit, cuts: Sequence[tuple[Point, Sequence[str]]]) -> Iterator[Edit]:
        """Yield the edits that cut text of the template's own: what tags would swallow of it becomes a literal."""
        raw, text = unit.span.of(self.source), unit.pieces[0].literal or ""
        for point, tags in cuts:
            if len(raw) != len(text):
                raise Unmarkable("a turn begins or ends in a line that CR LF ends", unit.span)
            at = unit.span.start + point.offset
            edit = self.beside_data(at, _lines(tags, ""))
            if space := re.search(r"(?:^|(?<=\n))[ \t]+$", raw[: point.offset]):
                shown = f"{{{{ {literal(space.group())} }}}}{edit.text}"
                edit = Edit(Span(unit.span.start + space.start(), edit.span.end), shown)
            yield edit

    def in_output(self, unit: Unit, cuts: Sequence[tuple[Point, Sequence[str]]]) -> Edit:
        """Return the edit that cuts an output at some points, operands that come to stand alone asked to be texts."""
        own_line = self.indent(unit.span.start) is not None
        dash = "-" if own_line and self.source.startswith("{{-", unit.span.start) else ""
        gap = f"\n{self.indent(unit.span.start)}" if dash else ""
        points = [Point(cuts[0][0].unit), *(point for point, _ in cuts)]
        first, last = unit.pieces[0].span.start, unit.pieces[-1].span.end
        made = self.source[unit.span.start : first]
        for start, end, tags in zip(points, [*points[1:], None], [*(tags for _, tags in cuts), None], strict=True):
            made += self.operands(unit, start, end)
            made += f" }}}}{gap}{_lines(tags, gap, dash)}{gap}{{{{{dash} " if tags else ""
        return Edit(unit.span, made + self.source[last : unit.span.end])

    def operands(self, unit: Unit, start: Point, end: Point | None) -> str:
        """Return what an output prints between two points."""
        last = len(unit.pieces) if end is None else end.piece + bool(end.offset)
        shown = list(unit.pieces[start.piece : last])
        joints = {piece.joint for piece in unit.pieces[start.piece : last + 1]}
        texts = [piece.span.of(self.source) for piece in shown]
        between = [self.source[one.span.end : two.span.start] for one, two in pairwise(shown)]
        for at, begin, stop in ((0, start.offset, None), (-1, 0, end.offset if end and end.offset else None)):
            if begin or stop:
                upto = end.offset if end and end.offset and len(shown) == 1 else stop
                begin = start.offset if len(shown) == 1 else begin
                texts[at] = _quoted((shown[at].literal or "")[begin:upto], texts[at])
        front = "'' + " if "+" in joints and not any(piece.sure for piece in shown) else ""
        return front + "".join(chain.from_iterable(zip(texts, [*between, ""], strict=True)))


def _quoted(text: str, like: str) -> str:
    """Return a literal in the quotation marks of another, where its text allows that."""
    made = literal(text)
    return f'"{made[1:-1]}"' if like.startswith('"') and not set(text) & set("'\"\\") else made


def joined(edits: Iterable[Edit]) -> Iterator[Edit]:
    """Yield edits, those in one place made one: what stands behind a statement, and what in front of the next."""
    before: Edit | None = None
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        if before and before.span == Span(edit.span.start, edit.span.start):
            edit, before = Edit(edit.span, before.text + edit.text), None
        if before:
            yield before
        before = edit
    if before:
        yield before


def _lines(tags: Sequence[str], gap: str, dash: str = "", end: str = "", last: bool = False) -> str:
    """Return tags one behind the other, with a gap between them, and behind the last one if it shall be.

    The first has the ``dash`` in front, the last that behind it; a gap is stripped by the tag that follows. What stands
    between two tags is indented.
    """
    found, depth = "", 0
    for at, tag in enumerate(tags):
        mark = dash if at == 0 or not gap else "-"
        close = end if at + 1 == len(tags) else ""
        word = tag.split()[0]
        depth -= depth > 0 and word in ("else", "endif", "endgeneration")
        found += gap + "    " * depth if at and gap else ""
        found += f"{{{{{mark} {tag[2:]} {close}}}}}" if word == "=" else f"{{%{mark} {tag} {close}%}}"
        depth += word in ("if", "else", "generation")
    return found + (gap if last else "")
