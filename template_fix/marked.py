"""Generation markers in a template's text: putting them in, and the proof that nothing else is changed by that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from template_fix.cells import Cell, Unmarkable, Wrap
from template_fix.jinja import Token, lex
from template_fix.pieces import Piece, Unit
from template_fix.proposers.splice import literal
from template_fix.sameness import same_but_for_markers
from template_fix.telling import conjunct
from template_fix.text import Edit, Span, apply

# One character of a string literal as it is spelled.
_SPELLED = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-7]{1,3}|.)|\r\n|.", re.DOTALL
)
_TAG = re.compile(r"\{%[-+]?\s*(?:end)?generation\s*[-+]?%\}")
Part = tuple[int, int]


class _Copy(str):
    """Text of the template that stands a second time, between tags."""


def marked(source: str, wraps: Sequence[Wrap], cuts: Mapping[int, set[int]]) -> str:
    """Return a template with markers round each wrap.

    ``cuts`` are the offsets at which the texts of pieces can be cut, by the piece's number. Raises Unmarkable where a
    place can't be spelled.
    """
    return apply(source, Writer(source, cuts).edits(wraps))


def unmarked(source: str) -> str:
    """Return a template without its generation markers; what they strip of the white space around them goes, too.

    White space that is printed in front of one stays as it is where that does, and else becomes a literal: what stands
    behind the marker may strip it. Raises Unmarkable where neither prints the same.
    """
    for removed in (_removed, _replaced):
        tokens = lex(source)
        tags = ((at, _TAG.match(source, token.start)) for at, token in enumerate(tokens) if token.kind == "block_begin")
        bare = apply(source, [removed(source, tokens, at, tag.end()) for at, tag in tags if tag])
        if same_but_for_markers(source, bare):
            return bare
    raise Unmarkable("the markers that it has can't be taken out without changing what it prints")


def _removed(source: str, tokens: Sequence[Token], at: int, end: int) -> Edit:
    """Return the edit that takes a tag out, and its line, if it stood on one of its own."""
    start = tokens[at].start
    behind = next((each for each in tokens[at:] if each.start >= end), None)
    if at and tokens[at - 1].kind == "gap":
        start = tokens[at - 1].start
    if behind and behind.kind == "gap" and not _strips(source, behind.end):
        end = behind.end
    line_end = re.match(r"\r?\n", source[end:])
    if line_end and source[:start].endswith("\n"):
        end += line_end.end()
    return Edit(Span(start, end), "")


def _replaced(source: str, tokens: Sequence[Token], at: int, end: int) -> Edit:
    """Return the edit that puts the white space in front of a tag, as it is printed, in the place of both."""
    first = at - 1 if at and tokens[at - 1].kind == "gap" else at
    start, space = tokens[first].start, ""
    if first and tokens[first - 1].kind == "data":
        text = tokens[first - 1].text
        space = text[len(text.rstrip()) :]
        start -= len(space)
    behind = [token for token in tokens[at:] if token.end > end][:2]
    end = max([end, *(token.end for token in behind if token.kind in ("block_end", "gap"))])
    return Edit(Span(start, end), f"{{{{ {literal(space)} }}}}" if space else "")


def _strips(source: str, at: int) -> bool:
    return source[at : at + 3] in ("{%-", "{{-", "{#-")


@dataclass
class _Points:
    """The tags that go in front of a unit, behind it, and in front of parts of it."""

    unit: Unit
    before: list[str] = field(default_factory=list)
    inner: dict[Part, list[str]] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)

    def starts(self) -> list[int]:
        """Return the offsets of the tags in a text of the template's own, but for those behind it."""
        return [*([0] if self.before else []), *sorted(start for _, start in self.inner)]

    def at(self, start: int) -> list[str]:
        return self.inner[0, start] if start else self.before

    def until(self, end: int) -> _Points:
        """Return the tags in front of an offset."""
        inner = {part: tags for part, tags in self.inner.items() if part[1] < end}
        return _Points(self.unit, self.before if end else [], inner)


class Writer:
    def __init__(self, source: str, cuts: Mapping[int, set[int]]) -> None:
        self.source, self.cuts = source, cuts
        self.tokens = lex(source)
        self.points: dict[tuple[int, int], _Points] = {}

    def edits(self, wraps: Sequence[Wrap]) -> list[Edit]:
        for wrap in wraps:
            opening, closing = ["generation"], ["endgeneration"]
            shown = self.shown(wrap) if wrap.optional else ""
            if wrap.test:
                opening.insert(0, f"if {joined(wrap.test, shown)}")
                closing += ["else", self.copy(wrap), "endif"]
            elif shown:
                opening.insert(0, f"if {shown}")
                closing.append("endif")
            self.put(wrap, wrap.first, wrap.first.part, opening)
            self.put(wrap, wrap.last, self.following(wrap.body.units[wrap.last.unit], wrap.last.part), closing)
        return list(_merged(edit for points in self.points.values() for edit in self.written(points)))

    def shown(self, wrap: Wrap) -> str:
        """Return the text that a wrap prints, as an expression: "" where it is not one output."""
        unit = wrap.body.units[wrap.first.unit]
        whole = re.fullmatch(r"\{\{-?\s*(.*?)\s*-?\}\}", self.copy(wrap), re.DOTALL)
        if wrap.first.unit != wrap.last.unit or unit.data or unit.bodies or not whole:
            return ""
        sure = len(unit.pieces) > 1 or unit.pieces[0].sure
        simple = re.fullmatch(r"[\w.\[\]'\"]+", whole[1])
        return whole[1] if sure else f"{whole[1] if simple else f'({whole[1]})'} | string"

    def put(self, wrap: Wrap, cell: Cell, part: Part | None, tags: list[str]) -> None:
        unit = wrap.body.units[cell.unit]
        points = self.points.setdefault((wrap.body.number, cell.unit), _Points(unit))
        if tags[0] == "endgeneration" and part is None:
            points.after += tags
        elif part in (None, (0, 0)):
            points.before += tags
        else:
            assert part is not None
            points.inner.setdefault(part, []).extend(tags)

    def following(self, unit: Unit, part: Part | None) -> Part | None:
        """Return the part behind another of the same unit, None behind the last."""
        if part is None:
            return None
        at, start = part
        later = [offset for offset in sorted(self.cuts.get(unit.pieces[at].number, ())) if offset > start]
        if later:
            return at, later[0]
        return (at + 1, 0) if at + 1 < len(unit.pieces) else None

    def copy(self, wrap: Wrap) -> _Copy:
        """Return the text of what a wrap holds, as it stands."""
        first, last = wrap.body.units[wrap.first.unit], wrap.body.units[wrap.last.unit]
        if first is last and first.data:
            begin, after = wrap.first.part or (0, 0), self.following(first, wrap.last.part)
            shown = (first.pieces[0].literal or "")[begin[1] : after[1] if after else None]
            if not shown.strip():
                return _Copy(f"{{{{ {literal(shown)} }}}}")
        start, end, front, back = first.span.start, last.span.end, "", ""
        text = "'' + " if wrap.first.part is not None and self.asks_for_text(wrap) else ""
        if wrap.first.part not in (None, (0, 0)):
            start = self.place(first, wrap.first.part).end
            front = "" if first.data else f"{{{{{self.dash(first)} {text}{self.quote(first, wrap.first.part)}"
        elif text:
            start, front = first.pieces[0].span.start, f"{{{{{self.dash(first)} {text}"
        if after := self.following(last, wrap.last.part):
            end = self.place(last, after).start
            back = "" if last.data else f"{self.quote(last, after)} }}}}"
        return _Copy(front + self.source[start:end] + back)

    def asks_for_text(self, wrap: Wrap) -> bool:
        """Whether what stands first in a copy was an operand of a sum, and has to be a text as it was there."""
        first, part = wrap.body.units[wrap.first.unit], wrap.first.part
        assert part is not None
        end = self.following(first, wrap.last.part) if wrap.last.unit == wrap.first.unit else None
        return self.must_be_text(first, part, end)

    def dash(self, unit: Unit) -> str:
        """Return the dash that new tags in the middle of an output get: that of an output on a line of its own."""
        own_line = self.indent(unit.span.start) is not None
        return "-" if own_line and self.source.startswith("{{-", unit.span.start) else ""

    def quote(self, unit: Unit, part: Part | None) -> str:
        """Return the quotation mark that a literal needs which is cut there, "" between two operands."""
        if part is None or part[1] == 0:
            return ""
        return self.source[self.between_quotes(unit.pieces[part[0]]).start - 1]

    def between_quotes(self, piece: Piece) -> Span:
        """Return where the text between the quotation marks of a literal stands."""
        text = piece.span.of(self.source)
        bare = text.strip("( \n\t)")
        start = piece.span.start + text.index(bare)
        if not re.fullmatch(r"""(?s)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", bare):
            raise Unmarkable("a turn begins or ends inside of a literal that is made of several", piece.span)
        return Span(start + 1, start + len(bare) - 1)

    def place(self, unit: Unit, part: Part | None) -> Span:
        """Return the text that stands in front of a part of an output and may be replaced: an operator, or nothing."""
        assert part is not None
        piece = unit.pieces[part[0]]
        if unit.data:
            at = piece.span.start + _spelled_offset(piece.span.of(self.source), part[1], data=True)
            return Span(at, at)
        if part[1]:
            inside = self.between_quotes(piece)
            at = inside.start + _spelled_offset(inside.of(self.source), part[1])
            return Span(at, at)
        between = Span(unit.pieces[part[0] - 1].span.end, piece.span.start)
        if between.of(self.source).strip() not in ("+", "~"):
            raise Unmarkable("a turn begins or ends between parentheses", piece.span)
        return between

    def written(self, points: _Points) -> Iterator[Edit]:
        unit = points.unit
        shared = self.in_space(points)
        if shared is not None:
            yield self.as_literals(points, shared)
            points = points.until(shared)
        if points.before:
            yield self.in_front(unit, points.before)
        if points.inner and unit.data:
            yield from self.in_data(points)
        elif points.inner:
            yield from self.in_output(points)
        if points.after:
            yield self.behind(unit, points.after)

    def indent(self, at: int) -> str | None:
        """Return the white space in front of a place, None where something else stands on its line."""
        line = self.source[self.source.rfind("\n", 0, at) + 1 : at]
        return line if not line.strip() and at > len(line) else None

    def in_front(self, unit: Unit, tags: list[str]) -> Edit:
        at, indent = unit.span.start, self.indent(unit.span.start)
        block = self.source.startswith("{%", at)
        if unit.data:
            return self.before_text(at, unit.span.end, _inline(tags))
        if _strips(self.source, at):
            if indent is not None:
                return Edit(Span(at, at), "".join(f"{_tag(tag, '-')}\n{indent}" for tag in tags))
            return Edit(Span(at, at), _tag(tags[0], "-") + _inline(tags[1:]))
        printed = any(token.kind == "data" and token.start < at <= token.end for token in self.tokens)
        if indent and not block and printed:  # a tag in its place would strip it
            return Edit(Span(at - len(indent), at), "{{ " + literal(indent) + " }}" + _inline(tags))
        if indent is not None and block:
            return Edit(Span(at, at), "".join(f"{_tag(tag)}\n{indent}" for tag in tags))
        return Edit(Span(at, at), _inline(tags))

    def before_text(self, at: int, end: int, tags: str) -> Edit:
        """Return the edit that puts tags in front of text of the template's own: a tag swallows a line's end."""
        text = self.source[at:end]
        lead = text[: len(text) - len(text.lstrip())]
        if not re.match(r"\r?\n", lead):
            return Edit(Span(at, at), tags)
        stop = at + len(lead)
        behind = next((token for token in self.tokens if token.start >= stop), None)
        # What a tag on a line of its own takes away in front of it, it doesn't take away behind an output.
        if len(lead) == len(text) and behind and behind.kind == "gap":
            stop = behind.end
        return Edit(Span(at, stop), tags + "{{ " + literal(lead) + " }}")

    def in_data(self, points: _Points) -> Iterator[Edit]:
        for part, tags in points.inner.items():
            at = self.place(points.unit, part).start
            text = _inline(tags)
            if re.search(r"\n[ \t]+$", self.source[:at]):
                text = "{%+" + text[2:]
            if re.search(r"end\w+ %}$", text):
                yield Edit(Span(at, at), text[:-2] + "+%}" if re.match(r"\r?\n", self.source[at:]) else text)
            else:
                yield self.before_text(at, points.unit.span.end, text)

    def in_output(self, points: _Points) -> Iterator[Edit]:
        unit = points.unit
        indent = self.indent(unit.span.start)
        dash = self.dash(unit)
        gap = f"\n{indent}" if dash else ""
        parts = sorted(points.inner)
        for start, end in zip([(0, 0), *parts], [*parts, None], strict=True):
            needs = self.must_be_text(unit, start, end)
            tags = points.inner.get(start)
            if tags is None:
                if needs:
                    at = unit.pieces[0].span.start
                    yield Edit(Span(at, at), "'' + ")
                continue
            quote = self.quote(unit, start)
            opening = f"{{{{{dash} {quote}" + ("'' + " if needs else "")
            yield Edit(self.place(unit, start), f"{quote} }}}}{_lines(tags, gap, dash)}{gap}{opening}")

    def must_be_text(self, unit: Unit, start: Part, end: Part | None) -> bool:
        """Whether operands that come to stand alone have to be asked to be texts, as they were in their sum."""
        last = len(unit.pieces) if end is None else end[0] + bool(end[1])
        alone = unit.pieces[start[0] : last]
        joints = {piece.joint for piece in unit.pieces[start[0] : last + 1]}
        return not any(piece.sure or piece.literal is not None for piece in alone) and "+" in joints

    def in_space(self, points: _Points) -> int | None:
        """Return the offset from which on a text is white space that several tags share, None where there is none."""
        text = points.unit.pieces[0].literal if points.unit.data else None
        shared = [start for start in points.starts() if text and not text[start:].strip()]
        return shared[0] if shared and len(shared) + bool(points.after) > 1 else None

    def as_literals(self, points: _Points, first: int) -> Edit:
        """Return the edit that prints white space from an offset on as literals: beside tags it would be stripped."""
        unit, text = points.unit, points.unit.pieces[0].literal or ""
        starts = [start for start in points.starts() if start >= first]
        parts = zip(starts, [*starts[1:], len(text)], strict=True)
        shown = "".join(f"{_inline(points.at(start))}{{{{ {literal(text[start:end])} }}}}" for start, end in parts)
        behind = next((token for token in self.tokens if token.start >= unit.span.end), None)
        # What a tag on a line of its own takes away in front of it, it doesn't take away behind another.
        gap = text.endswith("\n") and behind is not None and behind.kind == "gap"
        place = unit.span.start if first == 0 else self.place(unit, (0, first)).start
        return Edit(Span(place, behind.end if gap and behind else unit.span.end), shown + _inline(points.after))

    def behind(self, unit: Unit, tags: list[str]) -> Edit:
        at = unit.span.end
        space = re.match(r"\s*", self.source[at:])
        assert space
        indent, line_end = self.indent(unit.span.start), re.match(r"\r?\n", space.group())
        text = _inline(tags)
        if unit.data:
            return self.behind_text(unit, text)
        if self.source[at - 3] == "-":
            return Edit(Span(at, at), text[:-2] + "-%}")
        if line_end and indent is not None and _strips(self.source, at + space.end()):
            return Edit(Span(at, at), _lines(tags, f"\n{indent}", "-"))
        printed = self.source.startswith("}}", at - 2)
        return Edit(Span(at, at), text[:-2] + "+%}" if line_end and printed else text)

    def behind_text(self, unit: Unit, tags: str) -> Edit:
        """Return the edit that puts tags behind text of the template's own, and keeps the end of that."""
        at = end = unit.span.end
        text = unit.span.of(self.source)
        if re.search(r"\n[ \t]+$", text):
            tags = "{%+" + tags[2:]
        behind = next((token for token in self.tokens if token.start >= at), None)
        # What a tag on a line of its own takes away in front of it, it doesn't take away behind another.
        if text.endswith("\n") and behind and behind.kind == "gap":
            end = behind.end
        return Edit(Span(at, end), tags)


def _merged(edits: Iterable[Edit]) -> Iterator[Edit]:
    """Yield edits, one for what is put behind an output and what is done to what follows, which come in that order."""
    before: Edit | None = None
    for edit in sorted(edits, key=lambda edit: edit.span.start):
        if before and before.span == Span(edit.span.start, edit.span.start):
            edit, before = Edit(edit.span, before.text + edit.text), None
        if before:
            yield before
        before = edit
    if before:
        yield before


def joined(test: str, shown: str) -> str:
    """Return a test that holds where another does, and where something is shown, if anything is to be asked of that."""
    return f"{conjunct(test)} and {shown if '|' in shown else f'({shown})'}" if shown else test


def _tag(name: str, dash: str = "") -> str:
    return name if isinstance(name, _Copy) else f"{{%{dash} {name} %}}"


def _inline(tags: Sequence[str]) -> str:
    return _lines(tags, "", "")


def _lines(tags: Sequence[str], gap: str, dash: str) -> str:
    """Return tags on lines of their own, a copy only where its first tag takes the white space away."""
    found = ""
    for tag in tags:
        if isinstance(tag, _Copy) and re.match(r"\r?\n", tag):  # a tag in front of it would swallow the line's end
            found = found.removesuffix("%}") + "+%}"
        found += ("" if isinstance(tag, _Copy) and not _strips(tag, 0) else gap) + _tag(tag, dash)
    return found


def _spelled_offset(raw: str, offset: int, data: bool = False) -> int:
    """Return where the character at ``offset`` of a text begins in its spelling."""
    seen = 0
    for match in re.finditer(r"\r\n|.", raw, re.DOTALL) if data else _SPELLED.finditer(raw):
        if seen >= offset:
            return match.start()
        escaped = match.group().startswith("\\") and not data
        seen += len(match.group().encode().decode("unicode-escape")) if escaped else 1
    return len(raw)
