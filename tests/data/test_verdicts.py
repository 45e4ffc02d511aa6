from __future__ import annotations

from typing import Any

import pytest

from template_fix.bounds.limits import LimitExceeded
from template_fix.conversations.rows import Row
from template_fix.data import verdicts as module
from template_fix.data.troubles.view import RowTemplate
from template_fix.data.verdicts import verdicts
from template_fix.jinja.renderer import Failure

ANSWER = "The answer that was asked for is 42."


class Hangs(RowTemplate):
    """A template that exceeds its limits on rows that say so, or on their prompts."""

    def print(self, row: Row, *, otherwise: bool = False) -> str | Failure:
        if row.messages[0]["content"] == "hang":
            raise LimitExceeded("it takes too long")
        return super().print(row, otherwise=otherwise)

    def print_prompt(self, row: Row) -> str | Failure | None:
        if row.messages[0]["content"] == "hang later":
            raise LimitExceeded("it takes too long")
        return super().print_prompt(row)


def failures(*questions: str) -> list[str]:
    made = Hangs("{% for m in messages %}{{ m.content }}{% endfor %}")
    rows = [
        {"messages": [{"role": "user", "content": each}, {"role": "assistant", "content": ANSWER}]}
        for each in questions
    ]
    told = [each.now for each in verdicts(rows, {}, lambda row: made)]
    assert [each.answer for each in told] == [0 if each.failure else len(ANSWER) for each in told]
    return [each.failure.partition(" ")[0] for each in told]


@pytest.mark.parametrize("hang", ["hang", "hang later"])
def test_a_template_is_given_up_after_three_rows_and_those_in_front_are_judged(hang: str) -> None:
    assert failures("a", hang, "b", hang, hang, "c") == ["", "the", "", "the", "the", "not"]


@pytest.mark.parametrize("limits", [(50, 1 << 20), (2, 1 << 20), (50, 1)])
def test_rows_are_judged_alike_however_many_at_a_time(monkeypatch: pytest.MonkeyPatch, limits: Any) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", limits[0])
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", limits[1])
    rows: list[Any] = [b"no JSON", '{"messages": [{"role": "user", "content": "a"}]}', {"text": "a"}] * 3
    rows += [
        {"chosen": [{"role": "assistant", "content": ANSWER}], "rejected": [{"role": "assistant", "content": "a"}]}
    ]
    made = RowTemplate("{% for m in messages %}{{ m.content }}{% endfor %}")
    told = [each.now for each in verdicts(rows, {}, lambda row: made)]
    assert [bool(each.broken) for each in told] == [True, False, True] * 3 + [False]
    assert told[-1].answer == len(ANSWER) + 1
