"""Lines made of styled pieces, and how they are printed: in colour on a terminal, else as plain text."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Literal, NamedTuple, TextIO

from template_fix.text.display import cut, make_presentable, mask_secrets

Style = Literal["", "title", "error", "warning", "note", "good", "dim", "code", "lost", "stray", "added"]

WIDEST = 100
NARROWEST = 40
# The most characters of a piece; a fixed line is a line of a file, and shown whole.
_LONGEST = 20_000
# The most columns that a character takes.
_WIDE = 2

# Without colour, these characters mark a style; they are those of wdiff.
_MARKS: dict[Style, tuple[str, str]] = {"lost": ("[-", "-]"), "stray": ("{+", "+}"), "added": ("{+", "+}")}
_COLOURS: dict[Style, str] = {
    "title": "bold",
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
    "good": "bold green",
    "dim": "dim",
    "code": "cyan",
    "lost": "red strike",
    "stray": "black on yellow",
    "added": "green",
}


class Piece(NamedTuple):
    """A piece of text in one style."""

    text: str
    style: Style = ""


class Line(NamedTuple):
    """One logical line, indented by ``indent`` columns, and by ``hang`` more after a wrap; ``fixed`` lines don't wrap.

    Its pieces may hold any text: `wrap` makes them safe to print.
    """

    pieces: tuple[Piece, ...]
    indent: int = 0
    hang: int = 0
    fixed: bool = False


def line(*parts: str | Piece, indent: int = 0, hang: int = 0, fixed: bool = False) -> Line:
    """Return a line of ``parts``; those that are plain strings have no style."""
    return Line(tuple(Piece(part) if isinstance(part, str) else part for part in parts), indent, hang, fixed)


def cell_width(text: str) -> int:
    """Return how many columns ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def add_marks(line: Line) -> Line:
    """Return ``line`` with marks around its lost, stray and added pieces, for output without colour."""
    return line._replace(pieces=tuple(_mark(piece) for piece in _make_harmless(line)))


def _mark(piece: Piece) -> Piece:
    opening, closing = _MARKS.get(piece.style, ("", ""))
    return Piece(f"{opening}{piece.text}{closing}", piece.style)


def _make_harmless(line: Line) -> Sequence[Piece]:
    """Return the pieces of a line without secrets and without characters that act on a terminal."""
    pieces = line.pieces if line.fixed else [Piece(cut(text, _LONGEST), style) for text, style in line.pieces]
    if make_presentable(whole := "".join(piece.text for piece in pieces)) == whole:
        return pieces  # what isn't in the whole line is in none of its pieces
    return [Piece(make_presentable(text), style) for text, style in mask_pieces(pieces)]


def mask_pieces(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Return pieces of one text; if a secret spans several of them, with asterisks for all secrets."""
    if len(pieces) == 1:
        return pieces
    whole, single = (
        mask_secrets("".join(piece.text for piece in pieces)),
        "".join(mask_secrets(piece.text) for piece in pieces),
    )
    if whole == single:
        return pieces
    hidden = ("*" if "*" in pair else pair[0] for pair in zip(whole, single, strict=True))
    return [Piece("".join(islice(hidden, len(piece.text))), piece.style) for piece in pieces]


def wrap(line: Line, width: int) -> Iterator[list[Piece]]:
    """Yield the pieces of each physical line, at most ``width`` columns wide, broken at spaces if possible.

    The pieces hold no secret and no character that acts on a terminal.
    """
    row, used, start = [Piece(" " * line.indent)], line.indent, line.indent
    for piece in _make_harmless(line):
        for atom in _split_words(piece, width - line.indent - line.hang):
            if not line.fixed and used > start and used + cell_width(atom.text.rstrip()) > width:
                yield _trim(row)
                start = used = line.indent + line.hang
                row, atom = [Piece(" " * start)], Piece(atom.text.lstrip(), atom.style)
            row.append(atom)
            used += cell_width(atom.text)
    yield _trim(row)


def _split_words(piece: Piece, room: int) -> Iterator[Piece]:
    """Yield the words of a piece, each with the spaces after it; a word wider than ``room`` comes in parts."""
    for word in re.findall(r" *[^ ]+ *| +", piece.text):
        start = used = 0
        narrow = len(word.rstrip()) * (1 if word.isascii() else _WIDE) <= room
        for index, char in enumerate("" if narrow else word.rstrip()):
            used += (wide := cell_width(char))
            if used > room and index > start:
                yield Piece(word[start:index], piece.style)
                start, used = index, wide
        yield Piece(word[start:], piece.style)


def count_fitting(text: str, room: int) -> int:
    """Return how many of the first characters of ``text`` fit into ``room`` columns."""
    if len(text) * _WIDE <= room:
        return len(text)
    used = 0
    for index, char in enumerate(text):
        used += cell_width(char)
        if used > room:
            return index
    return len(text)


def _trim(row: list[Piece]) -> list[Piece]:
    """Return the row without trailing spaces, and with neighbours of the same style joined."""
    while row and not row[-1].text.strip():
        row.pop()
    joined = [Piece("".join(piece.text for piece in group), style) for style, group in groupby(row, lambda p: p.style)]
    return [*joined[:-1], Piece(joined[-1].text.rstrip(), joined[-1].style)] if joined else joined


def wants_colour(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal, and the user hasn't turned colour off."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int:
    """Return the number of columns to use on ``stream``."""
    columns = shutil.get_terminal_size((WIDEST, 24)).columns if stream.isatty() else WIDEST
    return max(NARROWEST, min(WIDEST, columns))


def printer(stream: TextIO) -> Callable[[Iterable[Line]], None]:
    """Return a function that prints lines on ``stream``: in colour if `wants_colour`, else as plain text."""
    width = width_of(stream)
    draw = _colour_drawer(stream) if wants_colour(stream) else None

    def put(lines: Iterable[Line]) -> None:
        for item in lines:
            for row in wrap(item if draw else add_marks(item), width):
                if draw:
                    draw(row)
                else:
                    stream.write("".join(piece.text for piece in row) + "\n")

    return put


def _colour_drawer(stream: TextIO) -> Callable[[list[Piece]], None]:
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, force_terminal=True, highlight=False, soft_wrap=True)
    return lambda row: console.print(Text.assemble(*((piece.text, _COLOURS.get(piece.style, "")) for piece in row)))
