"""What is done to a placeholder is done to the text of another row, or the program tells nothing; or it is refused."""

from __future__ import annotations

import copy
import json
import operator
import pickle
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from template_fix.data.shapes.operations import (
    drop_repeats,
    join,
    length,
    make_finder,
    recorded,
    recording,
    require,
)
from template_fix.data.shapes.placeholders import _Text
from template_fix.data.shapes.recording import Placeholder, Unmodelled
from template_fix.data.texts import count_mark, marks_of

Work = Callable[[Any, Any], Any]


@recorded
def marks(text: str) -> list[tuple[str, int]]:
    return [(found.group(), found.start()) for found in re.finditer("<.>", text)]


@recorded
def contains(whole: str, text: str) -> bool:
    return text in whole


def each_mark(text: Any, other: Any) -> Any:
    return [text[at : length(text) - at] + require(mark) for mark, at in marks(text)]


LONG = "so long that it tells"

OPERATIONS: dict[str, Work] = {
    "strip": lambda a, b: a.strip() + b.lstrip("\n") + a.rstrip(None),
    "is it empty": lambda a, b: "some" if a and not b else a,
    "does it hold": lambda a, b: b if "</a>" in a else a,
    "does it hold the other": lambda a, b: (a in b, b in a),
    "split": lambda a, b: a.split("</a>")[-1] + b.split("<a>")[0],
    "split in pieces": lambda a, b: [each + "," for each in a.split(",")],
    "split further": lambda a, b: a.split(",")[1].strip() if "," in a else b.rpartition("<a>")[2],
    "many pieces": lambda a, b: b if len(a.split()) > 2 else join("-", a.splitlines()),
    "slices": lambda a, b: a[1:] + b[:-1] + a[1:3] + a[a.find("<") :],
    "a letter": lambda a, b: b if a[0] == "<" else a[-1],
    "lengths": lambda a, b: a if length(a) > length(b) else length(a) * 2 - length(b) + 1,
    "places": lambda a, b: a[b.find("<") : 3 + a.count("a")],
    "counts": lambda a, b: a.count("a") == b.count("a") == 1,
    "comparisons": lambda a, b: (a == b, a != "a", a == 1, a is None, b in ["a", a], 3 - length(a) >= 0),
    "replace": lambda a, b: a.replace("a", b).replace(b, "<a>", 1),
    "beginnings": lambda a, b: (a.startswith("<a>"), a.endswith(("a", ",")), b.startswith(a, 1)),
    "case": lambda a, b: a.upper() + b.casefold().title(),
    "joined": lambda a, b: join("\0", ["x", a, "", b, a]) + join("", ["x", "y", a, "", "z"]),
    "marks in joined texts": lambda a, b: [
        count_mark(text, mark)
        for text in (a + b, "x" + a + "<a>" + b, a + "</" + b, join("", ["<", a, "a>", b, "<a"]), b + "a</a" + a)
        for mark in ("<a>", "</a>", "a<", "<a", ">", "aa")
    ],
    "marks that are known": lambda a, b: (marks_of(a), [count_mark(a + "<a>" + b + a, mark) for mark in ("<a>", "<")]),
    "once each": lambda a, b: drop_repeats([a, "a", b, a]),
    "found": lambda a, b: make_finder([(a, 1), ("a", 2), (b, 3)])(b),
    "constants": lambda a, b: (contains("a<a>,b", a), require(b)),
    "functions": each_mark,
    "what is known to be held": lambda a, b: [
        *(a in a + b, a.strip() in join("", [b, a]), a[1:].lstrip() in join(",", [a, b]), b in a.strip() + b.rstrip()),
        *(a.strip() in b + a.strip("\n"), a.strip() in a.strip("<"), a.lstrip() in a.rstrip(), a.strip(" <") in b + a),
        *(b.removeprefix("<") in b, a.strip(None) in a.lstrip(" ").rstrip() + b, a.strip() in a.lstrip("<\n") + b),
    ],
    "what is equal to what is held": lambda a, b: [
        (LONG + a).strip() in b + (LONG + a).rstrip(",<"),
        *((LONG + a).removesuffix(",") in join("", [b, one, "|"]) for one in [(LONG + a)[:18], (LONG + b).strip()]),
    ],
    "nested": lambda a, b: {"x": [a, (b, 1)], "y": None},
}


@pytest.mark.parametrize("work", OPERATIONS.values(), ids=OPERATIONS)
@given(rows=st.lists(st.tuples(st.text("<a>/, \n", max_size=8), st.text("<a>, ", max_size=6)), min_size=2, max_size=6))
@settings(max_examples=100)
def test_a_program_gives_what_the_work_gives_or_nothing(work: Work, rows: list[tuple[str, str]]) -> None:
    try:
        with recording() as run:
            program = run.program([work(*map(run.leaf, rows[0]))])
    except Unmodelled:
        return
    assert program(list(rows[0])) == [work(*rows[0])]
    for row in rows[1:]:
        with suppress(ValueError):  # there is more to unpack, or less, which tells nothing as well
            told = program(list(row))
            assert told is None or told == [work(*row)]


def test_rows_that_go_another_way_are_told_nothing() -> None:
    with recording() as run:
        program = run.program(OPERATIONS["does it hold"](run.leaf("a</a>"), run.leaf("b")))
    assert (program(["</a>", "x"]), program(["<a>", "x"])) == ("x", None)


def test_a_text_is_held_where_one_is_that_equals_it_and_rows_in_which_they_differ_are_told_nothing() -> None:
    with recording() as run:
        text = run.leaf(f"|{LONG}")
        program = run.program(text.split("|")[-1] in join("", ["<", text.split("|", 1)[1], ">"]))
    assert " in " not in program.source
    assert (program([f"|{LONG}, or longer"]), program([f"|{LONG}|{LONG}"])) == (True, None)


LISTED = {name for name in vars(_Text) if not name.startswith("_")}


@pytest.mark.parametrize("name", [name for name in dir(str) if name not in LISTED and not name.startswith("_")])
def test_methods_of_texts_that_are_not_listed_are_refused(name: str) -> None:
    with recording() as run, pytest.raises(Unmodelled):
        getattr(run.leaf("a"), name)


UNLISTED: dict[str, Callable[[Any], Any]] = {
    "hash": hash,
    "str": str,
    "repr": repr,
    "len": len,
    "int": int,
    "list": list,
    "sorted": lambda text: sorted([text, "b"]),
    "format": lambda text: f"{text}",
    "old format": lambda text: "%s" % text,  # noqa: UP031
    "a format of its own": lambda text: "{}".format(text),  # noqa: UP032
    "as a key": lambda text: {"a": 1}.get(text),
    "in a set": lambda text: text in {"a"},
    "in a text": lambda text: text in "abc",
    "order": lambda text: text < "b",
    "as many times": lambda text: text * 2,
    "letters": lambda text: [letter for letter in text if letter],
    "each second letter": lambda text: text[::2],
    "no such letter": lambda text: text[5],
    "an empty separator": lambda text: text.split(""),
    "a separator that is unknown": lambda text: text.split(text),
    "joined by Python": lambda text: "".join([text]),
    "added to a list": lambda text: operator.add([], text),
    "added to a number": lambda text: 1 + text,
    "JSON": json.dumps,
    "JSON of a list": lambda text: json.dumps([text]),
    "a pattern": lambda text: re.match("a", text),
    "a constant's method": lambda text: "abc".startswith(text),
    "replaced in a constant": lambda text: "abc".replace("a", text),
    "copied": copy.copy,
    "copied deeply": copy.deepcopy,
    "pickled": pickle.dumps,
    "a length as a place": lambda text: "abc"[length(text)],
    "a range": lambda text: range(length(text)),
    "a length as text": lambda text: str(length(text)),
    "a division": lambda text: length(text) / 2,
    "a remainder": lambda text: length(text) % 2,
    "a text and a length": lambda text: operator.add(text, length(text)),
}


@pytest.mark.parametrize("work", UNLISTED.values(), ids=UNLISTED)
def test_what_is_not_listed_is_refused(work: Callable[[Any], Any]) -> None:
    with recording() as run, pytest.raises((Unmodelled, TypeError, AttributeError)):
        work(run.leaf("a"))


@pytest.mark.parametrize(
    "work",
    [
        *(dict, list, len, json.dumps, lambda tool: tool["a"], lambda tool: tool.get("a")),
        *(lambda tool: tool == {"a": 1}, lambda tool: tool != {"a": 1}, lambda tool: "a" in tool),
        *(lambda tool: tool | {}, lambda tool: [tool].index({"a": 1}), lambda tool: {**tool}),
    ],
)
def test_nothing_is_read_of_an_object(work: Callable[[Any], Any]) -> None:
    with recording() as run, pytest.raises((Unmodelled, TypeError)):
        work(run.leaf({"a": 1}))


def test_a_placeholder_passes_for_what_it_stands_for_and_is_none() -> None:
    with recording() as run:
        text, number = run.leaf("a"), run.leaf(1.5)
    assert isinstance(text, str) and isinstance(number, float) and not isinstance(number, int)
    assert not issubclass(type(text), str) and isinstance(text, Placeholder)


def test_a_program_has_an_end() -> None:
    with recording() as run, pytest.raises(Unmodelled, match="too many steps"):
        text = run.leaf("a")
        for number in range(10_000):
            text = text + str(number)


def test_what_no_result_needs_is_left_out() -> None:
    with recording() as run:
        text = run.leaf("a")
        text.replace("a", "b" * 1000).upper()
        program = run.program(text + "!")
    assert program.run.__code__.co_nlocals <= 3


def test_a_mark_is_counted_in_what_differs_of_a_joined_text() -> None:
    with recording() as run:
        one, two = run.leaf("a<b>c"), run.leaf("d")
        marks_of(one)
        program = run.program(count_mark(join("", ["<b>|", one, "|<b>", two, "|"]), "<b>"))
    assert "t1.count('<b>')" in program.source and ".join" not in program.source and "t0.count" not in program.source
    assert (program(["x<b>", "<b><b>"]), program(["x<i>", "<b>"])) == (5, None)


def test_programs_that_come_from_other_processes_share_their_long_texts() -> None:
    with recording() as run:
        program = run.program(run.leaf("a") + "long" * 100)
    one, two = (pickle.loads(pickle.dumps(program)) for _ in range(2))
    assert one(["b"]) == two(["b"]) == "b" + "long" * 100
    assert one.constants["c0"] is two.constants["c0"]
