from __future__ import annotations

import pytest

from template_fix.options import UnknownCodeError, parse_codes
from template_fix.report.pages import Page, load_page, load_pages, page_lines
from template_fix.report.terminal import cell_width, wrap

LONG = "a paragraph that goes on\nand on " * 9
PAGE = Page(
    "TF999", "error", "in short", f"In short.\n\n## What\n{LONG}\n\n## Example\n    {{{{ kept }}}}\n    {{{{ as }}}}"
)


def drawn(items):
    return ["".join(piece.text for piece in row) for item in items for row in wrap(item, 60)]


def test_a_page_is_headed_and_wrapped():
    rows = drawn(page_lines(PAGE))
    assert rows[:5] == ["TF999 error: in short", "", "In short.", "", "What"]
    assert rows[5].startswith("a paragraph that goes on and on a paragraph")
    assert rows[-3:] == ["Example", "    {{ kept }}", "    {{ as }}"]
    assert all(cell_width(row) <= 60 for row in rows)


@pytest.mark.parametrize("rule", load_pages(), ids=lambda rule: rule.code)
def test_every_rule_has_a_page_that_says_what_and_why(rule):
    assert {"## What", "## Why"} <= set(rule.page.splitlines())
    assert rule.summary
    assert load_page(rule.code.lower()) == rule


def test_codes_may_be_given_in_part_and_in_any_case():
    assert parse_codes(("tf2,TF301", " TF4 ")) == frozenset({"TF2", "TF301", "TF4"})
    assert parse_codes(()) == frozenset()


@pytest.mark.parametrize("code", ["TF999", "X", "TF2011"])
def test_codes_of_no_rule_are_refused(code):
    with pytest.raises(UnknownCodeError, match=f"no rule is called {code}"):
        parse_codes((code,))
