from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from template_fix.disk import cache
from template_fix.disk.cache import LARGEST, entry_name, keep, recall
from template_fix.disk.user_folders import cache_path

NAME = entry_name("a study")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a key of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    return cache_path()


class Harm:
    """What does something as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_what_was_kept_comes_back() -> None:
    assert recall(NAME) is None
    keep(NAME, ("found", 1))
    assert recall(NAME) == ("found", 1) and recall(entry_name("another study")) is None


def test_what_others_wrote_is_not_unpickled(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    harm = pickle.dumps(Harm(tmp_path / "harm"))
    pickle.loads(pickle.dumps(Harm(tmp_path / "it works")))
    assert (tmp_path / "it works").is_dir()
    keep(NAME, "a signature of this user's")
    signed = (folder / NAME).read_bytes()[:64]
    for content in harm, b"0" * 64 + harm, signed + harm, b"\xff" * 64 + harm:
        (folder / NAME).write_bytes(content)
        assert recall(NAME) is None
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    keep(NAME, Harm(tmp_path / "harm"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert (folder / NAME).is_file() and recall(NAME) is None
    assert not (tmp_path / "harm").exists()


def test_an_entry_counts_under_its_own_name_alone(folder: Path) -> None:
    keep(NAME, "right")
    other = entry_name("another study")
    (folder / NAME).rename(folder / other)
    assert recall(other) is None


@pytest.mark.parametrize("damage", [b"", b"short", None], ids=["empty", "cut off", "a directory"])
def test_what_is_damaged_is_as_if_nothing_had_been_kept(folder: Path, damage: bytes | None) -> None:
    keep(NAME, "right")
    path = folder / NAME
    if damage is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(damage)
    assert recall(NAME) is None
    if damage is not None:
        keep(NAME, "right")
        assert recall(NAME) == "right"


def test_where_nothing_can_be_written_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "file"))
    keep(NAME, "lost")
    assert recall(NAME) is None


def test_too_much_is_not_kept(folder: Path) -> None:
    keep(NAME, "x" * LARGEST)
    assert recall(NAME) is None and not folder.exists()


def test_the_entries_that_were_used_least_recently_go(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 3)
    names = [entry_name(number) for number in range(5)]
    for number, name in enumerate(names):
        keep(name, number)
        os.utime(folder / name, ns=(number, number))
        recall(names[0])
    assert [recall(name) for name in names] == [0, None, None, 3, 4]


def test_another_program_has_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_program_versions", lambda: "another release")
    assert entry_name("a study") != NAME


@pytest.mark.parametrize("name", ["minijinja-2.12.0.dist-info", "sentencepiece-0.2.1.dist-info"])
def test_with_another_package_there_are_other_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setattr(cache, "_program_versions", cache._program_versions.__wrapped__)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert entry_name("a study") == NAME
    (tmp_path / name).mkdir()
    assert entry_name("a study") != NAME
