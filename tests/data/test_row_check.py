from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_model

from template_fix import row_check
from template_fix.bounds.limits import LimitExceeded, step
from template_fix.data.losses import Verdict
from template_fix.data.row_check import RowCheck, in_parts

pytestmark = pytest.mark.children

ROW = tiny_model.inline(*tiny_model.QUESTIONS[0])
SLOW = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def check(template: str = tiny_model.TEMPLATE, **settings: Any) -> RowCheck:
    return RowCheck((("default", template),), (("bos_token", "<s>"),), (("<think>", "</think>"),), **settings)


def test_a_batch_of_columns_becomes_a_batch_of_columns() -> None:
    told = check()({"messages": [ROW["messages"], None, []], "id": [1, 2, 3]})
    assert tuple(told) == Verdict._fields
    assert {len(values) for values in told.values()} == {3}
    assert told["cut"] == [tiny_model.QUESTIONS[0][1], "", ""]
    assert told["broken"][1:] == [
        "no messages, conversations, or prompt and completion; the row has id",
        *told["broken"][2:],
    ]
    assert told["broken"][2] == "messages is an empty list"


def test_the_types_of_the_columns_are_the_same_for_every_row() -> None:
    told = check()({"messages": [ROW["messages"], None]})
    assert all(len({type(value) for value in values}) == 1 for values in told.values())


def test_an_empty_batch_is_one() -> None:
    assert check()({"messages": []}) == {name: [] for name in Verdict._fields}


def test_arrays_are_lists(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    messages = numpy.empty(1, dtype=object)
    messages[0] = numpy.array(ROW["messages"], dtype=object)
    assert check()({"messages": messages}) == check()({"messages": [ROW["messages"]]})


def test_it_is_a_value_that_goes_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(check())) == check()


def test_variables_that_are_equal_but_printed_differently_are_told_apart() -> None:
    source = "{% for m in messages %}{{ m.content if x == [1] or x is true }}{% endfor %}"
    checks = [RowCheck((("default", source),), (("x", value),)) for value in (1, True, [1], [2])]
    told = [each.verdicts([ROW])[0].reasoning_lost for each in checks]
    assert [lost > 0 for lost in told] == [True, False, False, True]
    assert len({*checks, *map(replace, checks)}) == 4


def test_a_model_has_one(tmp_path: Path) -> None:
    model = tiny_model.written(tmp_path / "model")
    made = row_check(str(model), columns={"messages": "dialog"})
    assert made({"dialog": [ROW["messages"]]})["reasoning_lost"] == [len(tiny_model.QUESTIONS[0][1])]


def test_rows_with_tools_are_rendered_with_their_template() -> None:
    templates = (("default", "{{ messages[1].content }}"), ("tool_use", "{{ messages[0].content }}"))
    made = RowCheck(templates, (), (("<think>", "</think>"),))
    tools = [{"type": "function", "function": {"name": "f"}}]
    told = made({"messages": [ROW["messages"]] * 2, "tools": [None, tools]})
    assert [lost > 0 for lost in told["answer_lost"]] == [False, True]


@pytest.mark.parametrize("release, failure", [(5, ""), (4, "None (line 1 of the template); messages[0].reason")])
def test_keys_without_a_value_are_there_in_older_releases_alone(release: int, failure: str) -> None:
    strict = "{% for m in messages %}{{ raise_exception('None') if m.reasoning is none }}{{ m.content }}{% endfor %}"
    messages = [{**message, "reasoning": None} for message in ROW["messages"]]
    assert check(strict, release=release)({"messages": [messages]})["failure"][0].startswith(failure)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forked child gives a rendering less time; where other tests have left threads, it takes what users wait for."""
    monkeypatch.setattr("template_fix.jinja.renderer.step", lambda what: step(what, 0.2))


def test_a_row_that_hangs_is_stopped_and_the_others_are_checked(impatient: None) -> None:
    hanging = f"{{% if messages[0].content == 'hang' %}}{SLOW}{{% endif %}}{{{{ messages[1].content }}}}"
    hang = [{"role": "user", "content": "hang"}, ROW["messages"][1]]
    told = check(hanging)({"messages": [ROW["messages"], hang, ROW["messages"]]})
    assert [bool(failure) for failure in told["failure"]] == [False, True, False]
    assert told["failure"][1].startswith("the template was stopped: rendering the template takes more than ")


@pytest.mark.slow
def test_a_template_that_always_hangs_is_given_up(impatient: None) -> None:
    told = check(SLOW)({"messages": [ROW["messages"]] * 10})
    assert told["failure"][-1].startswith("not tried: the template had exceeded its limits")


def dying_of_three(rows: list[int]) -> list[int]:
    if 3 in rows:
        raise LimitExceeded("takes more than it may")
    return rows


def test_a_row_that_kills_its_process_is_found() -> None:
    parts = in_parts(dying_of_three, [1, 2, 3, 4], lambda rows, why: [f"{rows[0]} {why}"])  # type: ignore[list-item]
    assert parts == [[1, 2], ["3 the template was stopped: it takes more than it may"], [4]]
