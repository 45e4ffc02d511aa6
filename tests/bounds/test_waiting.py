"""What this process waits for is told to those who wait, and to nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from template_fix.bounds import child
from template_fix.bounds.limits import LimitExceeded, run_bounded, run_in_turn

pytestmark = pytest.mark.children


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    said: list[str] = []
    monkeypatch.setattr(child, "on_wait", said.append)
    monkeypatch.setattr(child, "doing", "")
    yield said


def test_who_waits_is_told_which_call_it_is(told: list[str]) -> None:
    assert list(run_in_turn(_sleep, [(0.1,), (1.3,), (0.1,)], computing=9.0, doing="trying template")) == [
        0.1,
        1.3,
        0.1,
    ]
    assert set(told) == {"trying template, 2 of 3"}


def test_a_single_call_has_no_number(told: list[str]) -> None:
    assert list(run_in_turn(_sleep, [(1.2,)], computing=9.0, doing="trying template")) == [1.2]
    assert set(told) == {"trying template"}


def test_what_has_no_words_is_not_numbered(told: list[str]) -> None:
    assert list(run_in_turn(_sleep, [(1.2,), (0.1,)], computing=9.0)) == [1.2, 0.1]
    assert set(told) == {""}


def test_what_was_done_before_is_told_no_more(told: list[str]) -> None:
    for doing in ("trying its tokens", ""):
        run_bounded(_sleep, 0.8, doing=doing)
    assert told == ["trying its tokens", ""]


def test_what_is_quick_tells_nothing(told: list[str]) -> None:
    assert run_bounded(_sleep, 0.05) == 0.05
    assert told == []


def test_a_deadline_holds_while_somebody_is_told(told: list[str]) -> None:
    began = time.monotonic()
    with pytest.raises(LimitExceeded):
        run_bounded(_sleep, 30.0, seconds=1.2)
    assert 1.1 < time.monotonic() - began < 6 and told


def _sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds
