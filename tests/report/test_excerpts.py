from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.report.excerpts import edit_line, evidence_lines, highlight, shorten_pieces, source_lines
from template_fix.report.terminal import Piece, add_marks, cell_width, wrap
from template_fix.results import Evidence, Place
from template_fix.text.edits import Edit, Span


def drawn(items, width=100):
    return ["".join(piece.text for piece in row) for item in items for row in wrap(add_marks(item), width)]


def excerpt(source, column, width, room):
    place = Place("t.jinja", 3, column, "default", 3, column, source, width)
    return drawn(source_lines(place, room))


def test_carets_stand_under_the_fault():
    assert excerpt("  {{ content.split(x)[-1] }}", 6, 20, 60) == [
        "  | {{ content.split(x)[-1] }}",
        "  |    ^^^^^^^^^^^^^^^^^^^^",
    ]


def test_carets_stand_under_the_fault_behind_wide_characters():
    assert excerpt("{{'<｜User｜>' + content}}", 16, 7, 60) == [
        "  | {{'<｜User｜>' + content}}",
        "  |                  ^^^^^^^",
    ]


def test_a_long_line_is_cut_on_both_sides_of_the_fault():
    shown, carets = excerpt("a" * 500 + "FAULT" + "b" * 500, 501, 5, 25)
    assert shown == "  | …aaaaaaaaaFAULTbbbbbbbbb…"
    assert carets == "  |           ^^^^^"


def test_a_fault_wider_than_the_room_is_cut():
    shown, carets = excerpt("x" * 90, 1, 90, 20)
    assert shown == "  | " + "x" * 19 + "…"
    assert carets == "  | " + "^" * 20


def test_a_fault_that_goes_on_in_the_next_line_ends_with_the_line():
    assert excerpt("{% if a", 7, 40, 60)[1] == "  |       ^"


def test_a_fault_at_the_end_of_the_line_still_has_a_caret():
    assert excerpt("{% if", 6, 1, 60) == ["  | {% if", "  |      ^"]


def test_tabs_do_not_move_the_carets():
    assert excerpt("\t\tx\ty", 5, 1, 60) == ["  | x y", "  |   ^"]


def test_a_place_without_a_source_line_shows_none():
    assert drawn(source_lines(Place("tokenizer.json", 3, 4), 60)) == []


@given(
    st.text(st.characters(codec="utf-8"), max_size=200), st.integers(0, 220), st.integers(0, 50), st.integers(10, 80)
)
def test_an_excerpt_never_leaves_its_room(source, start, width, room):
    for row in excerpt(source, start + 1, width, room):
        assert cell_width(row) <= room + 4


SET = "{% set x = 1 %}\n  {% set content = content.split(t)[-1] %}\n"
AT = Span(SET.index("content.split"), SET.index(" %}\n", 20))


@pytest.mark.parametrize(
    "edit, shown",
    [
        pytest.param(
            Edit(AT, f"content if keep else {AT.of(SET)}"),
            "2: {% set content = {+content if keep else +}content.split(t)[-1] %}",
            id="text put in front",
        ),
        pytest.param(
            Edit(AT, f"{AT.of(SET)} or content"),
            "2: {% set content = content.split(t)[-1]{+ or content+} %}",
            id="text put behind",
        ),
        pytest.param(
            Edit(AT, "content"), "2: {% set content = [-content.split(t)[-1]-]{+content+} %}", id="text replaced"
        ),
        pytest.param(Edit(Span(0, 0), "{{ x }}\n"), "1: {+{{ x }}\\n+}{% set x = 1 %}", id="a line put in front"),
        pytest.param(Edit(Span(0, 15), ""), "1: [-{% set x = 1 %}-]", id="text taken away"),
    ],
)
def test_an_edit_is_shown_in_its_line(edit, shown):
    assert drawn([edit_line("t.jinja", SET, edit, 2)]) == [f"  t.jinja:{shown}"]


def test_an_edit_in_a_long_line_is_shown_with_its_neighbourhood():
    [shown] = drawn([edit_line("t", "a" * 500 + "OLD" + "b" * 500, Edit(Span(500, 503), "NEW"), 0)], 200)
    assert shown == "t:1: …" + "a" * 39 + "[-OLD-]{+NEW+}" + "b" * 39 + "…"


def test_what_is_lost_is_struck_out_and_the_rest_shortened():
    given_text = "<think>\nstep one, step two\n</think>\n\n" + "an answer that goes on " * 9
    evidence = Evidence(
        "one turn", given_text, "<bos>an answer", ("<think>\nstep one, step two\n</think>",), ("<bos>",)
    )
    assert drawn(evidence_lines(evidence, 2)) == [
        "  one turn:",
        "    in:  [-<think>\\nstep one, step two\\n</think>-]\\n\\nan answer that goes on an answer that goes on",
        "         an answer…",
        "    out: {+<bos>+}an answer",
    ]


def test_an_experiment_without_output_shows_its_input_alone():
    assert drawn(evidence_lines(Evidence("encoding", "<think>"), 2)) == ["  encoding:", "    in:  <think>"]


def test_the_same_words_twice_are_struck_out_twice():
    assert highlight("a x b x", ("x", "x"), "lost") == [
        Piece("a "),
        Piece("x", "lost"),
        Piece(" b "),
        Piece("x", "lost"),
    ]


def test_parts_that_are_not_there_change_nothing():
    assert highlight("abc", ("zzz", ""), "lost") == [Piece("abc")]


@pytest.mark.parametrize("size", [10, 1_000, 100_000])
def test_a_shortened_text_fits_a_few_lines(size):
    pieces = [
        Piece("k" * size),
        Piece("l" * size, "lost"),
        Piece("m" * size),
        Piece("n" * size, "lost"),
        Piece("o" * size),
    ]
    assert sum(len(piece.text) for piece in shorten_pieces(pieces)) <= 600


@given(st.text(max_size=60), st.lists(st.text(max_size=5), max_size=4))
def test_highlighting_keeps_the_text(text, parts):
    assert "".join(piece.text for piece in highlight(text, parts, "lost")) == text
