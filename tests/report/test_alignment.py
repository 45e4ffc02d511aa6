from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from template_fix.conversations.disguise import Disguise
from template_fix.report.alignment import Run, align, disguise_words

PARTS = [*"ab, .\n日é", "<think>", "</think>", "[THINK]", "the ", "user"]
TEXT = st.lists(st.sampled_from(PARTS), max_size=25).map("".join)


def test_what_is_missing_stands_in_its_place():
    said = ["<think>\nsum it up\n</think>\n\nfour"]
    assert align(said, "<bos>four<eos>", ["<bos>four<eos>"]) == [
        [
            Run("template", "<bos>"),
            Run("dropped", "<think>\nsum it up\n</think>\n\n"),
            Run("kept", "four"),
            Run("template", "<eos>"),
        ]
    ]


def test_nothing_is_dropped_where_everything_is_printed():
    assert align(["hello there"], "A: hello there;", ["A: hello there;"]) == [
        [Run("template", "A: "), Run("kept", "hello there"), Run("template", ";")]
    ]


def test_spaces_that_are_trimmed_are_no_loss():
    assert align(["\n\nhello\n"], "hello", ["hello"]) == [[Run("kept", "hello")]]


def test_closing_text_belongs_to_the_message_it_closes():
    printed = "user: one</s>\nbot: two</s>\n"
    regions = align(["one", "two"], printed, ["user: one</s>\n", printed])
    assert ["".join(run.text for run in runs) for runs in regions] == ["user: one</s>\n", "bot: two</s>\n"]


def test_a_message_that_vanishes_is_dropped_between_its_neighbours():
    regions = align(["one", "gone", "two"], "u:one/u:two/", ["u:one/", "u:one/", "u:one/u:two/"])
    assert regions == [
        [Run("template", "u:"), Run("kept", "one"), Run("template", "/")],
        [Run("dropped", "gone")],
        [Run("template", "u:"), Run("kept", "two"), Run("template", "/")],
    ]


def test_what_is_dropped_at_the_end_comes_before_the_closing_text():
    assert align(["kept </think>"], "kept</s>", ["kept</s>"])[0] == [
        Run("kept", "kept"),
        Run("dropped", " </think>"),
        Run("template", "</s>"),
    ]


def test_punctuation_that_matches_by_chance_is_not_kept():
    [runs] = align(["first, then; done: yes"], "bot: yes", ["bot: yes"])
    assert [run for run in runs if run.kind == "dropped"] == [Run("dropped", "first, then; done")]


def test_a_disguise_tells_equal_words_apart():
    disguise = Disguise()
    named = disguise_words("<think>the user</think> the user", disguise)
    first, second = named.split("</think>")
    regions = align([named], f"user:{second}", [named], disguise.take_off)
    assert first.removeprefix("<think>") not in second
    assert [run for run in regions[0] if run.kind == "dropped"] == [Run("dropped", "<think>the user</think> ")]
    assert [run for run in regions[0] if run.kind == "kept"] == [Run("kept", "the user")]


@given(TEXT)
def test_a_disguise_comes_off(text):
    disguise = Disguise()
    assert disguise.take_off(disguise_words(text, disguise)) == text


@given(st.lists(TEXT, min_size=1, max_size=4), TEXT)
def test_runs_hold_all_that_is_printed_and_all_that_is_said(said, printed):
    regions = align(said, printed, [printed] * len(said))
    runs = [run for region in regions for run in region]
    assert "".join(run.text for run in runs if run.kind != "dropped") == printed
    for text, region in zip(said, regions, strict=True):
        told = "".join(run.text for run in region if run.kind != "template")
        assert "".join(told.split()) == "".join(text.split())


@given(st.lists(TEXT.map("first {} last".format), min_size=1, max_size=4))
def test_nothing_is_dropped_when_everything_is_printed_in_disguise(said):
    disguise = Disguise()
    named = [disguise_words(text, disguise) for text in said]
    endings = ["".join(f"<s>{text}</s>" for text in named[: number + 1]) for number in range(len(named))]
    regions = align(named, endings[-1], endings, disguise.take_off)
    assert [run for region in regions for run in region if run.kind == "dropped"] == []
