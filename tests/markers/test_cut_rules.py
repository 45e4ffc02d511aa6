"""Rules that cut printed turns: found by examples, and true of each of them."""

from __future__ import annotations

import pytest

from template_fix.markers.cut_rules import Cut, Header, Rest, find_cuts
from template_fix.text.edits import Span


def examples(*marked: str) -> list[tuple[str, Span]]:
    """Turns in which brackets stand around what the model writes."""
    return [(each.replace("⟦", "").replace("⟧", ""), Span(each.index("⟦"), each.index("⟧") - 1)) for each in marked]


@pytest.mark.parametrize(
    ("turns", "wanted"),
    [
        pytest.param(["<a>⟦x<e>⟧\n", "<s><a>⟦yz<e>⟧\n"], Cut(Header("<a>"), Rest(("<e>",))), id="a header and an end"),
        pytest.param(["<a>⟦x⟧", "<a>⟦y⟧"], Cut(Header("<a>"), Rest()), id="nothing behind the turn"),
        pytest.param(["⟦x<e>⟧\n", "⟦y<e>⟧"], Cut(Header(), Rest(("<e>",))), id="nothing in front of it"),
        pytest.param(
            ["<a>⟦x<e>⟧\n", "<a><t>⟦y<e>⟧\n"],
            Cut(Header("<a>", ("<t>",)), Rest(("<e>",))),
            id="a header of two lengths",
        ),
        pytest.param(
            ["<a>⟦x<e>⟧\n", "⟦y<e>⟧\n"],
            Cut(Header("<a>", optional=True), Rest(("<e>",))),
            id="a header that may be missing",
        ),
        pytest.param(
            ["<a>⟦x<e>⟧\n", "<a>⟦y⟧"],
            Cut(Header("<a>"), Rest(("<e>",), optional=True)),
            id="an end that may be missing",
        ),
        pytest.param(["<a>⟦x⟧\n", "<a>⟦y⟧"], Cut(Header("<a>"), Rest(tails=("\n",))), id="a line's end for an end"),
        pytest.param(
            ["⟦c<e>⟧r1<e>r2", "⟦d⟧"],
            Cut(Header(), Rest(("<e>",), first=True, optional=True)),
            id="the first of several ends",
        ),
        pytest.param(["<a>⟦x<e>⟧\n", "<a>⟦y<f>⟧\n"], Cut(Header("<a>"), Rest(("<e>", "<f>"))), id="one of two ends"),
    ],
)
def test_the_plainest_rule_is_found_first(turns: list[str], wanted: Cut) -> None:
    assert next(find_cuts(examples(*turns), ("<e>", "<f>"))) == wanted


@pytest.mark.parametrize(
    "turns",
    [
        pytest.param(["<a>⟦x<e>⟧\n", "<a>x⟦<e>⟧\n"], id="one turn that begins in two places"),
        pytest.param(["a⟦x⟧b", "c⟦x⟧d", "e⟦x⟧f", "g⟦x⟧h"], id="nothing in common"),
    ],
)
def test_what_no_constant_tells_has_no_rule(turns: list[str]) -> None:
    assert not list(find_cuts(examples(*turns), ("<e>",)))


def test_a_rule_takes_the_first_header_and_the_last_end() -> None:
    cut = next(find_cuts(examples("<a>⟦x<e>⟧\n", "<a>⟦y<e>⟧\n\n"), ("<e>",)))
    text = "<a>it says <a> and <e> here<e>\n"
    start = cut.header.length(text) or 0
    assert text[start : len(text) - (cut.rest.length(text[start:]) or 0)] == "it says <a> and <e> here<e>"
