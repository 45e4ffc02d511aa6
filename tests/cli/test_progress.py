"""Who waits at a terminal sees what is being done, and nothing is left of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import pytest

from template_fix.bounds import child
from template_fix.cli.progress import show_progress


def watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def waiting(seconds: float) -> Callable[[str], str]:
    def call(name: str) -> str:
        time.sleep(seconds)
        if child.on_wait is not None:
            child.on_wait("looking for repairs")
        return name

    return call


def test_what_takes_long_is_shown_and_for_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(monkeypatch)
    assert list(show_progress(["model"], waiting(1.1), silent=False)) == ["model"]
    assert capsys.readouterr().err == "\r\x1b[Kmodel: looking for repairs, 1 s\r\x1b[K"
    assert child.on_wait is None


def test_what_is_quick_is_not_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    watch(monkeypatch)
    assert list(show_progress(["model"], waiting(0), silent=False)) == ["model"]
    assert capsys.readouterr().err == ""


def test_nothing_is_shown_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(show_progress(["one", "two"], waiting(0.6), silent=True)) == ["one", "two"]
    assert capsys.readouterr().err == ""


def test_what_fails_leaves_nothing_on_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(monkeypatch)

    def fails(name: str) -> str:
        waiting(1.1)(name)
        raise ValueError(name)

    with pytest.raises(ValueError, match="model"):
        list(show_progress(["model"], fails, silent=False))
    assert capsys.readouterr().err.endswith("\r\x1b[K") and child.on_wait is None


def test_no_line_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(monkeypatch)
    monkeypatch.setenv("COLUMNS", "60")
    list(show_progress(["models/" * 20, "other"], waiting(1.1), silent=True))
    shown = [line for line in capsys.readouterr().err.split("\r\x1b[K") if line]
    assert len(shown) == 4 and max(map(len, shown)) == 59
    assert [line.endswith("looking for repairs, 1 s") for line in shown] == [False, False, False, True]
    assert all(line.startswith(("1 of 2: models/", "2 of 2: other")) for line in shown)
    assert shown[1].endswith("repairs, 1 s")


def test_a_name_can_do_nothing_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch(monkeypatch)
    list(show_progress(["a\x1b]0;b\x07\n"], waiting(1.1), silent=False))
    assert capsys.readouterr().err.count("\x1b") == 2
