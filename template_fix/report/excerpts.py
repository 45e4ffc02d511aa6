"""Excerpts: the important part of a long text, with the fault marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from template_fix.report.terminal import Line, Piece, Style, cell_width, count_fitting, line, mask_pieces
from template_fix.results import Evidence, Place
from template_fix.text.display import ELLIPSIS, cut, make_presentable, mask_secrets, short
from template_fix.text.edits import Edit, position

# The most characters that are shown before, between and after lost parts, and of a lost part.
_BEFORE, _BETWEEN, _AFTER, _MARKED = 50, 60, 60, 160
_AROUND, _EDITED = 40, 400
# How many pieces of an experiment are shown at either end, and how many characters of a piece are looked at.
_PIECES, _WINDOW = 12, 2000


def source_lines(place: Place, room: int) -> list[Line]:
    """Return the source line of ``place``, cut to ``room`` columns around the fault, and carets below the fault."""
    column = place.template_column or place.column
    if place.source is None or column is None:
        return []
    start = min(column - 1, len(place.source))
    before, fault, after = _cut_around(place.source, start, min(start + max(place.width, 1), len(place.source)), room)
    carets = "^" * max(cell_width(fault), 1)
    return [
        line(Piece("| ", "dim"), before, Piece(fault, "title"), after, indent=2, fixed=True),
        line(Piece("| ", "dim"), " " * cell_width(before), Piece(carets, "error"), indent=2, fixed=True),
    ]


def _cut_around(source: str, start: int, end: int, room: int) -> tuple[str, str, str]:
    """Return the parts of ``source`` before, in and after ``[start:end]``, together at most ``room`` columns wide."""
    end = min(end, start + _WINDOW)
    first, last = max(0, start - _WINDOW), end + _WINDOW
    text = mask_secrets(source[first:last].replace("\t", " "))
    before, fault, after = (
        make_presentable(part)
        for part in (text[: start - first].lstrip(), text[start - first : end - first], text[end - first :])
    )
    fault = _head(fault, room)
    spare = room - max(cell_width(fault), 1)
    left = min(cell_width(before), max(spare // 2, spare - cell_width(after)))
    return _tail(before, left), fault, _head(after, spare - left)


def _head(text: str, room: int) -> str:
    """Return the beginning of ``text`` in at most ``room`` columns, with an ellipsis if it was cut."""
    if count_fitting(text, room) == len(text):
        return text
    return text[: count_fitting(text, room - 1)] + ELLIPSIS if room > 0 else ""


def _tail(text: str, room: int) -> str:
    return _head(text[::-1], room)[::-1]


def evidence_lines(evidence: Evidence, indent: int) -> Iterator[Line]:
    """Yield an experiment: its subject, and input and output shortened around the lost parts."""
    yield line(f"{short(evidence.subject)}:", indent=indent, hang=2)
    given, printed = evidence.labels
    texts: list[tuple[str, str, tuple[str, ...], Style]] = [
        (given, evidence.given, evidence.lost, "lost"),
        (printed, evidence.printed, evidence.stray, "stray"),
    ]
    room = max(len(given), len(printed)) + 2
    for label, text, parts, style in texts:
        if text:
            pieces = shorten_pieces(highlight(text, parts, style))
            yield line(Piece(f"{label}:".ljust(room), "dim"), *pieces, indent=indent + 2, hang=room)


def edit_line(file: str, text: str, edit: Edit, indent: int) -> Line:
    """Return a line that shows an edit of ``text``, the text of ``file``: what it removes and what it inserts."""
    start, end, new = _trim_edit(text, edit)
    first = max(0, start - _WINDOW)
    around = mask_secrets(text[first : end + _WINDOW])
    before = around[: start - first].rpartition("\n")[2].lstrip()
    old, after = around[start - first : end - first], around[end - first :].partition("\n")[0]
    pieces = (
        Piece(f"{short(file)}:{position(text, start).line}: ", "dim"),
        Piece(_tail(_visible_part(before), _AROUND)),
        Piece(_middle(_visible_part(old), _EDITED), "lost"),
        Piece(_middle(_visible_part(new), _EDITED), "added"),
        Piece(_head(_visible_part(after), _AROUND)),
    )
    return line(*(piece for piece in pieces if piece.text), indent=indent, hang=2)


def _trim_edit(text: str, edit: Edit) -> tuple[int, int, str]:
    """Return the edit as an insertion if it only adds text before or after the old text."""
    (start, end), new, old = edit.span, edit.text, edit.span.of(text)
    if new.endswith(old):
        return start, start, new[: len(new) - len(old)]
    return (end, end, new[len(old) :]) if new.startswith(old) else (start, end, new)


def highlight(text: str, parts: Sequence[str], style: Style) -> list[Piece]:
    """Split ``text`` into pieces; ``parts``, which are searched for in order, get the style ``style``."""
    pieces, done = [], 0
    for part in parts:
        found = text.find(part, done) if part else -1
        if found >= 0:
            pieces += [Piece(text[done:found]), Piece(part, style)]
            done = found + len(part)
    return [piece for piece in [*pieces, Piece(text[done:])] if piece.text]


def shorten_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """Return ``pieces`` safe to show; pieces without a style are cut far away from those with a style."""
    if len(pieces) > 2 * _PIECES:
        pieces = [*pieces[:_PIECES], Piece(f" {ELLIPSIS} "), *pieces[-_PIECES:]]
    pieces = mask_pieces([Piece(cut(piece.text, _WINDOW), piece.style) for piece in pieces])
    last = len(pieces) - 1
    return [
        Piece(
            _shorten(make_presentable(piece.text), bool(piece.style), first=index == 0, last=index == last), piece.style
        )
        for index, piece in enumerate(pieces)
    ]


def _visible_part(text: str) -> str:
    """Return the part of ``text`` that can be shown, safe to show."""
    return make_presentable(cut(text, _WINDOW))


def _shorten(text: str, styled: bool, *, first: bool, last: bool) -> str:
    if styled or (first and last):
        return _middle(text, _MARKED)
    if first:
        return _tail(text, _BEFORE)
    return _head(text, _AFTER) if last else _middle(text, _BETWEEN)


def _middle(text: str, room: int) -> str:
    """Return both ends of ``text``, in at most ``room`` columns."""
    if count_fitting(text, room) == len(text):
        return text
    left, right = count_fitting(text, room * 2 // 3), count_fitting(text[::-1], room // 3 - 3)
    return f"{text[:left]} {ELLIPSIS} {text[len(text) - right :]}"
