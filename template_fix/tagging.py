"""Tags put into a template's text so that no white space around them is printed otherwise.

A tag swallows the end of a line behind it and the white space in front of it on its line. Where that is printed it
becomes a literal output; where it is stripped anyway the new tags strip it, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from template_fix.jinja import lex
from template_fix.outputs import Body, Piece, Unit
from template_fix.placement import Point, Unmarkable
from template_fix.proposers.splice import literal
from template_fix.text import Edit, Span

# One character of a string literal as it is spelled.
_SPELLED = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-7]{1,3}|.)|\r\n|.", re.DOTALL
)
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
            found += self.in_data(unit, cuts) if unit.data else self.in_output(unit, cuts)
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

    def in_data(self, unit: Unit, cuts: Iterable[tuple[Point, Sequence[str]]]) -> Iterator[Edit]:
        raw = unit.span.of(self.source)
        for point, tags in cuts:
            at = unit.span.start + _spelled_offset(raw, point.offset, data=True)
            edit = self.beside_data(at, _lines(tags, ""))
            if space := re.search(r"(?:^|(?<=\n))[ \t]+$", raw[: at - unit.span.start]):
                text = f"{{{{ {literal(space.group())} }}}}{edit.text}"
                edit = Edit(Span(unit.span.start + space.start(), edit.span.end), text)
            yield edit

    def in_output(self, unit: Unit, cuts: Sequence[tuple[Point, Sequence[str]]]) -> Iterator[Edit]:
        """Yield the edits that cut an output at some points, operands that come to stand alone asked to be texts."""
        dash = self.dash(unit)
        gap = f"\n{self.indent(unit.span.start)}" if dash else ""
        points = [point for point, _ in cuts]
        begin = Point(unit=points[0].unit)
        for start, end, tags in zip(
            [begin, *points], [*points, None], [None, *(tags for _, tags in cuts)], strict=True
        ):
            needs = self.must_be_text(unit, start, end)
            if tags is None:
                if needs:
                    at = unit.pieces[0].span.start
                    yield Edit(Span(at, at), "'' + ")
                continue
            quote = self.quote(unit, start)
            between = gap + _lines(tags, gap, dash) + gap
            yield Edit(self.place(unit, start), f"{quote} }}}}{between}{{{{{dash} {quote}" + ("'' + " if needs else ""))

    def dash(self, unit: Unit) -> str:
        """Return the dash of new tags in the middle of an output: that of an output on a line of its own."""
        own_line = self.indent(unit.span.start) is not None
        return "-" if own_line and self.source.startswith("{{-", unit.span.start) else ""

    def must_be_text(self, unit: Unit, start: Point, end: Point | None) -> bool:
        """Whether operands that come to stand alone have to be asked to be texts, as they were in their sum."""
        last = len(unit.pieces) if end is None else end.piece + bool(end.offset)
        joints = {piece.joint for piece in unit.pieces[start.piece : last + 1]}
        return "+" in joints and not any(piece.sure for piece in unit.pieces[start.piece : last])

    def quote(self, unit: Unit, point: Point) -> str:
        """Return the quotation mark of the literal that is cut there, "" between two operands."""
        return self.source[self.between_quotes(unit.pieces[point.piece]).start - 1] if point.offset else ""

    def between_quotes(self, piece: Piece) -> Span:
        """Return where the text between the quotation marks of a literal stands."""
        text = piece.span.of(self.source)
        bare = text.strip("( \n\t)")
        start = piece.span.start + text.index(bare)
        if not re.fullmatch(r"""(?s)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", bare):
            raise Unmarkable("a turn begins or ends inside of a literal that is made of several", piece.span)
        return Span(start + 1, start + len(bare) - 1)

    def place(self, unit: Unit, point: Point) -> Span:
        """Return the text at a point of an output that tags replace: an operator, or nothing inside of a literal."""
        piece = unit.pieces[point.piece]
        if point.offset:
            inside = self.between_quotes(piece)
            at = inside.start + _spelled_offset(inside.of(self.source), point.offset)
            return Span(at, at)
        between = Span(unit.pieces[point.piece - 1].span.end, piece.span.start)
        if between.of(self.source).strip() not in ("+", "~"):
            raise Unmarkable("a turn begins or ends between parentheses", piece.span)
        return between


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


def _spelled_offset(raw: str, offset: int, data: bool = False) -> int:
    """Return where the character at ``offset`` of a text begins in its spelling."""
    seen = 0
    for match in re.finditer(r"\r\n|.", raw, re.DOTALL) if data else _SPELLED.finditer(raw):
        if seen >= offset:
            return match.start()
        escaped = match.group().startswith("\\") and not data
        seen += len(match.group().encode().decode("unicode-escape")) if escaped else 1
    return len(raw)
