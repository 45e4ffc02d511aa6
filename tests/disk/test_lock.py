from __future__ import annotations

import threading
from pathlib import Path

import pytest

from template_fix.disk.lock import LockedError, hold_lock

fcntl = pytest.importorskip("fcntl")


def test_the_lock_is_given_back_at_the_end_of_the_block_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold_lock(tmp_path / "folder/lock", 0):
        raise RuntimeError
    with hold_lock(tmp_path / "folder/lock", 0):
        pass


def test_a_second_holder_is_turned_away_when_its_patience_ends(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock", 0), pytest.raises(LockedError), hold_lock(tmp_path / "lock", 0.05):
        pass


def test_a_second_holder_waits_for_the_first(tmp_path: Path) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with hold_lock(tmp_path / "lock", 0):
            held.set()
            release.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    threading.Timer(0.1, release.set).start()
    with hold_lock(tmp_path / "lock", 5):
        assert release.is_set()
    thread.join()


def test_a_lock_on_a_file_that_its_former_holder_removed_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, removed = tmp_path / "lock", fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        if not removed:
            removed.append(path.unlink())
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold_lock(path, 1), pytest.raises(LockedError), hold_lock(path, 0.05):
        pass
    assert removed


def test_where_the_file_system_knows_no_locks_the_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold_lock(tmp_path / "lock", 0):
        pass


def test_a_file_in_the_place_of_the_folder_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(OSError), hold_lock(tmp_path / "folder/lock", 60):
        pass
    with pytest.raises(OSError), hold_lock(tmp_path / "folder/deeper/lock", 60):
        pass


@pytest.mark.parametrize("above", ["link/folder", "gone/folder"], ids=["behind a link to nowhere", "in a place unmade"])
def test_where_no_folder_can_be_made_no_other_run_is_blamed(
    tmp_path: Path, above: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    if above.startswith("gone"):
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
    folder = Path("folder") if above.startswith("gone") else tmp_path / above
    with pytest.raises((FileExistsError, FileNotFoundError)), hold_lock(folder / "lock", 0.05):
        pass
