from __future__ import annotations

import tracemalloc
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from template_fix.text.edits import Edit, OverlapError, Span, apply, differing_spans, edits_between, unified_diff

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n"]), max_size=25).map("".join)


@given(LINES, LINES)
def test_a_diff_applied_by_its_line_numbers_gives_the_text_after(before: str, after: str) -> None:
    told = unified_diff(before, after, "f")
    assert (told == "") == (before == after)
    assert _patched(before.splitlines(keepends=True), told) == after


@given(LINES, LINES)
@example("c\nc\nc\nc\nb\n", "c\nc\nc\nb\n")
@example("c\nb\na\nc\nb\na\nd\n", "c\nb\na\nd\n")
def test_a_hunk_without_a_context_behind_it_ends_at_the_end_of_the_file(before: str, after: str) -> None:
    told = unified_diff(before, after, "f").splitlines()
    hunks = [line for line in told if line.startswith("@@")]
    if told and not told[-1].startswith(" "):
        start, _, count = hunks[-1].split()[1][1:].partition(",")
        assert int(start) + int(count or 1) - (count != "0") == len(before.splitlines())


def _patched(old: list[str], diff: str) -> str:
    result: list[str] = []
    at = 0
    for line in diff.splitlines(keepends=True)[2:]:
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            begin = int(start) - (count != "0")
            result += old[at:begin]
            at = begin
        elif line[0] == "+":
            result.append(line[1:])
        else:
            assert old[at] == line[1:]
            result += [line[1:]] * (line[0] == " ")
            at += 1
    return "".join(result + old[at:])


TEMPLATES = st.lists(
    st.sampled_from(["{{ x }}", "{%- if a %}", "{% endif %}", "text", "\n", " ", "{# c #}", "é\r\n", "{{ 'a' + b }}"])
).map("".join)


@given(st.text("ab\n", max_size=12), st.lists(st.tuples(st.integers(0, 12), st.text("abc", max_size=2)), max_size=4))
def test_what_is_outside_of_edits_stays_where_it_was(text: str, places: list[tuple[int, str]]) -> None:
    edits = [Edit(Span(at, min(at + len(new), len(text))), new) for at, new in places if at <= len(text)]
    with suppress(OverlapError):
        made = apply(text, edits)
        for edit in sorted(set(edits), reverse=True):
            text = text[: edit.span.start] + edit.text + text[edit.span.end :]
        assert made == text


def test_a_long_text_that_is_edited_near_its_beginning_is_copied_once() -> None:
    text = "ab" * 10**6
    tracemalloc.start()
    made = apply(text, [Edit(Span(5, 6), "cd"), Edit(Span(0, 0), "e")])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert made == "e" + text[:5] + "cd" + text[6:]
    assert peak < 1.5 * len(text)


@given(TEMPLATES, TEMPLATES)
def test_edits_between_two_templates_make_one_of_the_other(before: str, after: str) -> None:
    assert apply(before, edits_between(before, after)) == after


def test_edits_between_templates_of_one_line_are_as_small_as_tags() -> None:
    before = "{{ a }}{% if b %}{{ c + d }}{% endif %}{{ e }}{% if f %}{{ g }}{% endif %}"
    after = "{{ a }}{% if b %}{{ c }}{{ d }}{% endif %}{{ e }}{% if f %}<{{ g }}>{% endif %}"
    assert [edit.text for edit in edits_between(before, after)] == ["}}{{", "<", ">"]
    assert edits_between(before, before) == ()


@given(st.text("ab\n", max_size=12), st.text("ab\n", max_size=12))
def test_two_texts_differ_in_one_part_each(one: str, other: str) -> None:
    left, right = differing_spans(one, other)
    assert one[: left.start] == other[: right.start] and one[left.end :] == other[right.end :]
    assert apply(one, [Edit(left, right.of(other))]) == other
    assert (left == Span(len(one), len(one))) if one == other else left.start < left.end or right.start < right.end
