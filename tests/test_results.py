"""Values that are told: two texts beside each other, with the part in which they differ."""

from __future__ import annotations

import pytest

from template_fix.results import Evidence, Finding, Level, Report, compare_texts

TEXTS = {
    "a part that stands once": ("a long text", "a short text", ("long",), ("short",)),
    "one that stands in front as well": ("x=1;y=1", "x=1;y=2", ("y=1",), ("2",)),
    "nothing that is lost": ("ab", "axb", (), ("x",)),
    "equal texts": ("ab", "ab", (), ()),
}


@pytest.mark.parametrize(("one", "other", "lost", "stray"), TEXTS.values(), ids=TEXTS)
def test_what_differs_is_found_where_it_stands(
    one: str, other: str, lost: tuple[str, ...], stray: tuple[str, ...]
) -> None:
    told = compare_texts("a conversation", one, other, ("before", "after"))
    assert (told.given, told.printed, told.lost, told.stray) == (one, other, lost, stray)


def test_a_difference_far_into_long_texts_is_the_first_thing_that_is_shown() -> None:
    one, other = f"{'a' * 9999}b{'c' * 9999}", f"{'a' * 9999}d{'c' * 9999}"
    told = compare_texts("a conversation", one, other, ("before", "after"))
    assert (told.lost, told.stray) == (("b",), ("d",))


def test_a_notebook_shows_what_was_dropped_and_nothing_of_a_strangers_as_markup():
    hostile = "<script>alert(1)</script>\u202e"
    finding = Finding("TF201", Level.ERROR, hostile, None, (Evidence(hostile, f"a {hostile} b", "c", (hostile,)),))
    told = Report(hostile, (finding,), ())._repr_html_()
    assert "<del>&lt;script&gt;alert(1)&lt;/script&gt;\\u202e</del> b</pre>" in told
    assert "<script" not in told
    assert "\u202e" not in told
