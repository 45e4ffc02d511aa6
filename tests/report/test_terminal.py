from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.report.terminal import Piece, add_marks, cell_width, count_fitting, line, printer, wants_colour, wrap


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def texts(item, width):
    return ["".join(piece.text for piece in row) for row in wrap(item, width)]


def test_long_lines_break_at_spaces_and_continue_further_in():
    assert texts(line("one two three four", indent=2, hang=2), 11) == ["  one two", "    three", "    four"]


def test_short_lines_stay_whole():
    assert texts(line("one two three four", indent=2), 20) == ["  one two three four"]


def test_fixed_lines_are_not_wrapped():
    assert texts(line("one two three four", fixed=True), 8) == ["one two three four"]


def test_a_word_wider_than_the_line_is_cut():
    assert texts(line("abcdefghij", indent=1), 5) == [" abcd", " efgh", " ij"]


def test_wide_characters_count_twice():
    assert texts(line("日本語日本語"), 8) == ["日本語日", "本語"]
    assert cell_width("a日e\u0301") == 4


@given(st.lists(st.text(st.sampled_from("ab 日\u0301<"), max_size=30), max_size=4), st.integers(8, 30))
def test_wrapping_loses_nothing_but_spaces_and_keeps_the_width(parts, width):
    rows = texts(line(*parts, indent=1, hang=2), width)
    assert "".join(rows).replace(" ", "") == "".join(parts).replace(" ", "")
    assert all(cell_width(row) <= width for row in rows)


def test_marks_stand_for_colour():
    item = add_marks(line("keep ", Piece("gone", "lost"), Piece("odd", "stray"), Piece("dim", "dim")))
    assert "".join(piece.text for piece in item.pieces) == "keep [-gone-]{+odd+}dim"


def test_a_file_gets_plain_text_and_rich_is_not_loaded(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    stream = io.StringIO()
    printer(stream)([line("keep ", Piece("gone", "lost"))])
    assert stream.getvalue() == "keep [-gone-]\n"


def test_a_terminal_gets_colour_in_place_of_marks(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    printer(stream)([line("keep ", Piece("gone [bold] :smile:", "lost"))])
    assert "\x1b[" in stream.getvalue()
    assert "gone [bold] :smile:" in stream.getvalue()
    assert "[-" not in stream.getvalue()


@pytest.mark.parametrize("name, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colour_gets_marks(monkeypatch, name, value):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert wants_colour(Terminal())
    monkeypatch.setenv(name, value)
    stream = Terminal()
    printer(stream)([line(Piece("gone", "lost"))])
    assert stream.getvalue() == "[-gone-]\n"


SECRET = "hf_" + "a1B2" * 8


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(("see ", SECRET), id="in a piece of its own"),
        pytest.param((f"see {SECRET[:9]}", SECRET[9:]), id="in two pieces"),
        pytest.param((f"see {SECRET}\x1b[1m",), id="beside what acts on a terminal"),
    ],
)
def test_no_secret_is_printed(parts):
    shown = "".join(texts(line(*(Piece(part, "lost") for part in parts), indent=1), 80))
    assert shown.startswith(" see ") and "a1B2" not in shown and "\x1b" not in shown


@given(st.text(st.sampled_from("ab 日\u0301🇩👩\u200d"), max_size=60), st.integers(1, 90))
def test_a_text_that_fits_is_not_cut(text, room):
    assert (count_fitting(text, room) == len(text)) is (sum(map(cell_width, text)) <= room)
