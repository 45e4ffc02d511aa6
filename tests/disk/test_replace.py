from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from math import inf
from pathlib import Path

import faults
import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.disk import journal
from template_fix.disk.replace import recover, replace, undo, write_elsewhere
from template_fix.disk.store import STORE, WriteError
from template_fix.disk.store import find_state as store_state

CHANGED = {
    "tokenizer.json": ('{"special": true}', '{"special": false}'),
    "tokenizer_config.json": ("\ufeff{\r\n}\r\n", "\ufeff{ }\r\n"),
    "additional_chat_templates/tool_use.jinja": ("{{ 'é' }}", "{{ 'ü' }}\n\n"),
}
MODES = dict(zip(CHANGED, (0o640, 0o600, 0o664), strict=True))
OTHERS = {"added_tokens.json": b"{}", "model.safetensors": bytes(range(256))}

State = dict[str, tuple[bytes, int]]

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and POSIX modes")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give a file away")


def model(directory: Path) -> Path:
    """Make a small model directory whose files hold what CHANGED has before."""
    for name, (before, _) in CHANGED.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(before.encode())
        path.chmod(MODES[name])
    for name, data in OTHERS.items():
        (directory / name).write_bytes(data)
    return directory


def state(directory: Path) -> State:
    """Return every file of the directory but those that are kept for undo: its bytes and its mode."""
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    names = {path: path.relative_to(directory).as_posix() for path in paths}
    return {
        name: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path, name in names.items()
        if not name.startswith(".template-fix/")
    }


def after(old: State) -> State:
    return old | {name: (new.encode(), MODES[name]) for name, (_, new) in CHANGED.items()}


def unfinished(directory: Path) -> bool:
    return store_state(directory) == "unfinished"


def says(error: pytest.ExceptionInfo[WriteError], *parts: object) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return model(tmp_path / "model")


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that any user can reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield model(Path(name) / "model")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


# What is written


def test_the_new_text_is_written_byte_for_byte_and_modes_are_kept(directory: Path) -> None:
    old = state(directory)
    replace(directory, CHANGED)
    assert state(directory) == after(old)


def test_undo_restores_bytes_and_modes_and_leaves_no_trace(directory: Path) -> None:
    old = state(directory)
    replace(directory, CHANGED)
    assert undo(directory) == tuple(CHANGED)
    assert state(directory) == old
    assert not (directory / ".template-fix").exists()


def test_a_large_file_is_held_no_further_time_while_it_is_written(directory: Path) -> None:
    old, new = ("€" * 10**6 + end for end in ("old", "new"))
    (directory / "tokenizer.json").write_text(old, encoding="utf-8")
    tracemalloc.start()
    replace(directory, {"tokenizer.json": (old, new)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6
    assert (directory / "tokenizer.json").read_text(encoding="utf-8") == new
    undo(directory)
    assert (directory / "tokenizer.json").read_text(encoding="utf-8") == old


@pytest.mark.parametrize("changed", [{}, {"tokenizer.json": ('{"special": true}',) * 2}], ids=["no file", "same text"])
def test_nothing_at_all_is_written_where_nothing_changes(directory: Path, changed: dict[str, tuple[str, str]]) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in (directory, *directory.rglob("*"))}
    replace(directory, changed)
    assert stamps == {path: path.stat().st_mtime_ns for path in (directory, *directory.rglob("*"))}


def test_two_patches_are_undone_one_by_one(directory: Path) -> None:
    old = state(directory)
    replace(directory, CHANGED)
    first = state(directory)
    replace(directory, {"tokenizer.json": (CHANGED["tokenizer.json"][1], "{}")})
    assert undo(directory) == ("tokenizer.json",)
    assert state(directory) == first
    assert undo(directory) == tuple(CHANGED)
    assert state(directory) == old
    with pytest.raises(WriteError) as error:
        undo(directory)
    says(error, directory, "nothing to undo")


texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n\ufeff\0")).map(
    lambda text: text.replace("\\r", "\r")
)


NAMES = ("chat_template.jinja", "tokenizer.json", "additional_chat_templates/d.jinja")


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(texts, min_size=2, max_size=4)))
def test_any_texts_are_written_and_undone_exactly(histories: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file, history in histories.items():
            (directory / file).parent.mkdir(exist_ok=True)
            (directory / file).write_bytes(history[0].encode())
        steps, states = [], [state(directory)]
        for step in range(3):
            changed = {file: (h[step], h[step + 1]) for file, h in histories.items() if step + 1 < len(h)}
            replace(directory, changed)
            if any(old != new for old, new in changed.values()):
                steps.append(tuple(file for file, (old, new) in changed.items() if old != new))
                states.append(state(directory))
            assert all((directory / file).read_bytes() == new.encode() for file, (_, new) in changed.items())
        for names, former in zip(reversed(steps), reversed(states[:-1]), strict=True):
            assert undo(directory) == names
            assert state(directory) == former


@posix
@as_root
def test_the_owner_of_a_file_is_kept(directory: Path) -> None:
    os.chown(directory / "tokenizer.json", 1234, 4321)
    replace(directory, CHANGED)
    for _ in range(2):
        found = (directory / "tokenizer.json").stat()
        assert (found.st_uid, found.st_gid) == (1234, 4321)
        if (directory / ".template-fix").exists():
            undo(directory)


@posix
def test_extended_attributes_are_kept_and_restored(directory: Path) -> None:
    path = directory / "tokenizer.json"
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system keeps no extended attributes")
    stamp = path.stat().st_mtime_ns
    replace(directory, CHANGED)
    assert os.getxattr(path, "user.note") == b"mine"
    assert path.stat().st_mtime_ns > stamp, "it is another file, and tools that look at times have to notice"
    undo(directory)
    assert os.getxattr(path, "user.note") == b"mine"


@posix
def test_each_new_directory_is_on_the_disk_before_the_first_file_is_replaced(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = os.replace

    def replaced(source: Path, target: Path) -> None:
        done.append("replace")
        real(source, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    monkeypatch.setattr(os, "replace", replaced)
    replace(directory, CHANGED)
    synced = done[: done.index("replace")]
    store = directory / STORE
    for folder in (directory, store.parent.parent, store.parent, store):
        assert synced.count(str(folder)) == 1, folder


def test_uploads_of_the_folder_leave_the_backup_out(directory: Path) -> None:
    utils = pytest.importorskip("huggingface_hub.utils")
    replace(directory, CHANGED)
    names = [path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()]
    assert any(name.startswith(".template-fix/") for name in names)
    uploaded = utils.filter_repo_objects(names, ignore_patterns=utils.DEFAULT_IGNORE_PATTERNS)
    assert sorted(uploaded) == sorted([*CHANGED, *OTHERS])


# What is refused


@pytest.mark.parametrize("harm", ["changed", "removed"])
def test_a_file_that_no_longer_holds_what_was_read_is_refused(directory: Path, harm: str) -> None:
    path = directory / "tokenizer_config.json"
    path.write_text("{}") if harm == "changed" else path.unlink()
    old = state(directory)
    with pytest.raises(WriteError) as error:
        replace(directory, CHANGED)
    says(error, path, "changed since it was read")
    assert state(directory) == old
    assert not (directory / ".template-fix").exists()


@pytest.mark.parametrize("harm", ["changed", "removed"])
def test_undo_refuses_where_a_file_was_changed_since(directory: Path, harm: str) -> None:
    replace(directory, CHANGED)
    path = directory / "tokenizer_config.json"
    path.write_text("{}") if harm == "changed" else path.unlink()
    old = state(directory)
    with pytest.raises(WriteError) as error:
        undo(directory)
    says(error, path, "changed since it was patched")
    assert state(directory) == old
    path.write_bytes(CHANGED["tokenizer_config.json"][1].encode())
    assert undo(directory) == tuple(CHANGED)


def test_undo_refuses_a_backup_that_was_tampered_with(directory: Path) -> None:
    replace(directory, CHANGED)
    old = state(directory)
    backup = directory / STORE / "1/before/tokenizer.json"
    backup.write_text("{}")
    with pytest.raises(WriteError) as error:
        undo(directory)
    says(error, backup, "damaged")
    (directory / STORE / "1/manifest.json").write_text("[")
    with pytest.raises(WriteError) as error:
        undo(directory)
    says(error, directory / ".template-fix", "was damaged")
    assert state(directory) == old


def linked_file(directory: Path) -> Path:
    blob = directory.parent / "blob"
    (directory / "tokenizer.json").rename(blob)
    (directory / "tokenizer.json").symlink_to(blob)
    return directory


def linked_folder(directory: Path) -> Path:
    (directory / "additional_chat_templates").rename(directory.parent / "templates")
    (directory / "additional_chat_templates").symlink_to(directory.parent / "templates")
    return directory


def linked_directory(directory: Path) -> Path:
    (directory.parent / "link").symlink_to(directory)
    return directory.parent / "link"


def cached(directory: Path) -> Path:
    snapshots = directory.parent / "models--org--name/snapshots"
    snapshots.mkdir(parents=True)
    return directory.rename(snapshots / "0123abc")


@pytest.mark.parametrize("arrange", [linked_file, linked_folder, linked_directory, cached])
def test_what_is_shared_is_refused_with_a_way_out(directory: Path, arrange: object) -> None:
    assert callable(arrange)
    directory = arrange(directory)
    old = state(directory)
    with pytest.raises(WriteError) as error:
        replace(directory, CHANGED)
    says(error, directory, "--output DIR")
    assert state(directory) == old


def test_undo_does_not_follow_a_link_that_was_put_in_a_files_place(directory: Path) -> None:
    replace(directory, CHANGED)
    linked_file(directory)
    with pytest.raises(WriteError) as error:
        undo(directory)
    says(error, "tokenizer.json", "symbolic link")


@pytest.mark.parametrize("name", ["../outside.json", "/outside.json", "a/../../outside.json"])
def test_names_that_lead_out_of_the_directory_are_refused(directory: Path, name: str) -> None:
    with pytest.raises(WriteError) as error:
        replace(directory, {name: ("", "x")})
    says(error, "outside.json", "not the name of a file that template-fix writes")
    with pytest.raises(WriteError) as error:
        write_elsewhere(directory, {name: "x"})
    says(error, "outside.json", "leads out")


def test_a_directory_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(WriteError) as error:
        replace(tmp_path / "no", CHANGED)
    says(error, tmp_path / "no", "not a directory")
    assert not (tmp_path / "no").exists()


def as_nobody(action: faults.Action) -> faults.Action:
    def act() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setuid(65534)
        action()

    return act


@posix
@pytest.mark.parametrize("action", [lambda d: replace(d, CHANGED), undo, lambda d: write_elsewhere(d, {"new": "x"})])
def test_a_read_only_directory_is_one_line_and_nothing_is_lost(
    public: Path, action: object, capfd: pytest.CaptureFixture[str]
) -> None:
    assert callable(action)
    if action is undo:
        replace(public, CHANGED)
    old = state(public)
    for folder in (public, *public.rglob("*")):
        folder.chmod(0o555 if folder.is_dir() else 0o644)
    assert faults.run(as_nobody(lambda: action(public)), lambda event, arguments: None) == 1
    assert "Permission denied; nothing was changed" in capfd.readouterr().out
    assert {name: data for name, (data, _) in state(public).items()} == {n: data for n, (data, _) in old.items()}


@posix
def test_a_write_protected_file_is_not_replaced(public: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (public / "tokenizer.json").chmod(0o444)
    old = state(public)
    for folder in (public, public / "additional_chat_templates"):
        folder.chmod(0o777)
    for name in CHANGED:
        (public / name).chmod(0o666 if name != "tokenizer.json" else 0o444)
    old = state(public)
    assert faults.run(as_nobody(lambda: replace(public, CHANGED)), lambda event, arguments: None) == 1
    assert "tokenizer.json: is write-protected" in capfd.readouterr().out
    assert state(public) == old
    assert not (public / ".template-fix").exists()


# Kills, full disks and failing ones


def killed(directory: Path, action: faults.Action, number: int) -> bool:
    """Run ``action`` in a process that is killed before its ``number``-th operation; tell whether it came so far."""
    code = faults.run(action, faults.killed_at(number))
    assert code in (0, -signal.SIGKILL)
    for name in CHANGED:
        assert (directory / name).read_bytes() in [text.encode() for text in CHANGED[name]], f"{name} is torn"
    return code != 0


@posix
def test_a_patch_killed_anywhere_leaves_the_old_directory_or_the_new_one(tmp_path: Path) -> None:
    seen = []
    for number in count(1):
        directory = model(tmp_path / str(number))
        old = state(directory)
        died = killed(directory, partial(replace, directory, CHANGED), number)
        seen.append(state(directory))
        recover(directory)
        assert state(directory) in (old, after(old))
        assert not unfinished(directory)
        if state(directory) == old:
            replace(directory, CHANGED)
        assert undo(directory) == tuple(CHANGED)
        assert state(directory) == old
        assert not (directory / ".template-fix").exists()
        if not died:
            break
    assert seen[0] == old and seen[-1] == after(old)
    assert any(halves not in (old, after(old)) for halves in seen), "no kill fell between two files"


@pytest.mark.slow
@posix
def test_an_undo_killed_anywhere_is_finished_by_the_next(tmp_path: Path) -> None:
    for number in count(1):
        directory = model(tmp_path / str(number))
        old = state(directory)
        replace(directory, {"added_tokens.json": ("{}", "[]")})
        once = state(directory)
        replace(directory, CHANGED)
        died = killed(directory, partial(undo, directory), number)
        recover(directory)
        assert state(directory) in (once, after(once))
        if state(directory) != once:
            assert undo(directory) == tuple(CHANGED)
        assert state(directory) == once
        assert undo(directory) == ("added_tokens.json",)
        assert state(directory) == old
        assert not (directory / ".template-fix").exists()
        if not died:
            break
    assert number > 10


@posix
@pytest.mark.slow
@pytest.mark.parametrize("action", ["patch", "undo"])
def test_a_recovery_killed_anywhere_is_taken_up_by_the_next(tmp_path: Path, action: str) -> None:
    """Every point at which the first run may die, times every point at which the second may."""
    found = 0
    for first in count(1):
        for second in count(1):
            directory = model(tmp_path / f"{first}-{second}")
            act = partial(replace, directory, CHANGED) if action == "patch" else partial(undo, directory)
            old = state(directory)
            if action == "undo":
                replace(directory, CHANGED)
            first_died = killed(directory, act, first)
            found += unfinished(directory)
            second_died = unfinished(directory) and killed(directory, partial(recover, directory), second)
            recover(directory)
            assert state(directory) in (old, after(old))
            if not second_died:
                break
        if not first_died:
            break
    assert found > 20


@posix
def test_undo_straight_after_a_killed_undo_takes_back_one_patch_and_not_two(directory: Path) -> None:
    replace(directory, {"added_tokens.json": ("{}", "[]")})
    once = state(directory)
    replace(directory, CHANGED)
    number = next(n for n in count(1) if killed(directory, partial(undo, directory), n) and unfinished(directory))
    assert number > 1
    assert undo(directory) == tuple(CHANGED)
    assert state(directory) == once


@posix
def test_what_somebody_wrote_after_a_kill_is_not_overwritten(directory: Path) -> None:
    next(n for n in count(1) if killed(directory, partial(replace, directory, CHANGED), n) and unfinished(directory))
    waiting = directory / "additional_chat_templates/tool_use.jinja"
    waiting.write_text("somebody else's")
    for action in (recover, undo, lambda d: replace(d, {"added_tokens.json": ("{}", "[]")})):
        with pytest.raises(WriteError) as error:
            action(directory)
        says(error, waiting, "changed after a run was killed", directory / ".template-fix")
    assert waiting.read_text() == "somebody else's"


@posix
@pytest.mark.parametrize("last", [0, inf], ids=["at one operation", "from one operation on"])
def test_a_full_disk_changes_nothing_and_leaves_nothing_behind(
    tmp_path: Path, last: float, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in count(1):
        directory = model(tmp_path / str(number))
        old = state(directory)
        fault = faults.refused(errno.ENOSPC, number, last or number, faults.needs_space)
        if faults.run(partial(replace, directory, CHANGED), fault) == 0:
            break
        assert "No space left on device; nothing was changed" in capfd.readouterr().out
        assert state(directory) == old
        assert not (directory / ".template-fix").exists()
    assert number > 15
    assert state(directory) == after(old)


@posix
def test_undo_needs_no_space(directory: Path) -> None:
    old = state(directory)
    replace(directory, CHANGED)
    assert faults.run(partial(undo, directory), faults.refused(errno.ENOSPC, 1, inf, faults.needs_space)) == 0
    assert state(directory) == old


@posix
def test_a_write_that_stops_half_way_changes_nothing(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    resource = pytest.importorskip("resource")
    old = state(directory)

    def limited() -> None:
        former = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, former[1]))
        try:
            replace(directory, CHANGED)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)

    assert faults.run(limited, lambda event, arguments: None) == 1
    assert "File too large; nothing was changed" in capfd.readouterr().out
    assert state(directory) == old
    assert not (directory / ".template-fix").exists()


@posix
@pytest.mark.parametrize("action", ["patch", "undo"])
@pytest.mark.parametrize("last", [0, inf], ids=["at one operation", "from one operation on"])
def test_a_failing_disk_leaves_the_old_directory_or_the_new_one(tmp_path: Path, action: str, last: float) -> None:
    for number in count(1):
        directory = model(tmp_path / str(number))
        act = partial(replace, directory, CHANGED) if action == "patch" else partial(undo, directory)
        old = state(directory)
        if action == "undo":
            replace(directory, CHANGED)
        code = faults.run(act, faults.refused(errno.EROFS, number, last or number, faults.writes))
        assert code in (0, 1)
        if last == 0 and action == "patch":
            assert state(directory) == (after(old) if code == 0 else old)
        recover(directory)
        assert state(directory) in (old, after(old))
        if code == 0:
            assert state(directory) == (after(old) if action == "patch" else old)
            if number > 60:
                break


@posix
def test_a_file_that_somebody_changes_while_the_patch_is_prepared_is_not_overwritten(
    directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = state(directory)
    path = directory / "tokenizer_config.json"

    def fault(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and Path(str(arguments[0])).name == "scratch":
            path.write_bytes(b"somebody else's")

    assert faults.run(partial(replace, directory, CHANGED), fault) == 1
    assert f"{path}: was changed since it was read" in capfd.readouterr().out
    assert state(directory) == old | {path.name: (b"somebody else's", MODES[path.name])}
    assert not (directory / ".template-fix").exists()


@posix
def test_an_undo_killed_anywhere_leaves_no_empty_store_once_it_is_called_again(tmp_path: Path) -> None:
    for number in count(1):
        directory = model(tmp_path / str(number))
        old = state(directory)
        replace(directory, CHANGED)
        died = killed(directory, partial(undo, directory), number)
        while (directory / ".template-fix").exists():
            with suppress(WriteError):
                undo(directory)
        assert state(directory) == old
        if not died:
            break
    assert number > 10


@pytest.mark.slow
@posix
@pytest.mark.parametrize("action", ["patch", "undo"])
@pytest.mark.parametrize("last", [0, inf], ids=["at one operation", "from one operation on"])
def test_what_an_error_says_of_the_files_is_true(
    tmp_path: Path, action: str, last: float, capfd: pytest.CaptureFixture[str]
) -> None:
    said = set()
    for number in count(1):
        directory = model(tmp_path / str(number))
        act = partial(replace, directory, CHANGED) if action == "patch" else partial(undo, directory)
        old = state(directory)
        if action == "undo":
            replace(directory, CHANGED)
        code = faults.run(act, faults.refused(errno.EIO, number, last or number, faults.writes))
        told, now = capfd.readouterr().out, state(directory)
        was = old if action == "patch" else after(old)
        for phrase, true in (
            ("nothing was changed", now == was),
            ("nothing was undone", now == was),
            ("all files are new", now == after(old)),
            ("all files are as they were", now == old),
            ("some files are new and some old", now not in (old, after(old))),
        ):
            assert phrase not in told or true, told
            said |= {phrase} if phrase in told else set()
        if code == 0 and number > 60:
            break
    assert said


# Two runs at once


def holding(directory: Path) -> int:
    """Start a process that holds the directory until it is killed."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with journal.session(directory):
            os.write(tell, b"x")
            time.sleep(60)
        os._exit(0)
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)
    return child


@posix
def test_a_second_run_gets_one_line_while_the_first_holds_the_directory(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "PATIENCE", 0.1)
    old = state(directory)
    child = holding(directory)
    try:
        for action in (lambda: replace(directory, CHANGED), lambda: undo(directory)):
            with pytest.raises(WriteError) as error:
                action()
            says(error, directory, "another run is writing there")
        assert state(directory) == old
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    replace(directory, CHANGED)
    assert state(directory) == after(old)


@posix
def test_runs_at_the_same_time_lose_no_change(directory: Path) -> None:
    """Each process adds its mark to two files; what is there in the end is what those that succeeded added."""
    names = ("tokenizer.json", "tokenizer_config.json")
    old = state(directory)

    def add(mark: str) -> None:
        texts = {name: (directory / name).read_bytes().decode() for name in names}
        replace(directory, {name: (text, text + mark) for name, text in texts.items()})

    def many(mark: str) -> None:
        done = 0
        for _ in range(20):
            with suppress(WriteError):
                add(mark)
                done += 1
        os.write(tell, f"{mark}{done:03}".encode())

    ready, tell = os.pipe()
    children = []
    for mark in "abc":
        children.append(os.fork())
        if children[-1] == 0:
            many(mark)
            os._exit(0)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    report = os.read(ready, 100).decode()
    done = {report[i]: int(report[i + 1 : i + 4]) for i in range(0, 12, 4)}
    assert sum(done.values()) >= 20
    for name in names:
        added = (directory / name).read_bytes().decode().removeprefix(CHANGED[name][0])
        assert {mark: added.count(mark) for mark in "abc"} == done
    for _ in range(sum(done.values())):
        undo(directory)
    assert state(directory) == old


# Writing elsewhere


FILES = {"tokenizer.json": '{"a": 1}', "additional_chat_templates/x.jinja": "\ufeffa\r\n"}


def read(directory: Path) -> dict[str, str]:
    paths = [path for path in directory.rglob("*") if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_bytes().decode() for path in paths}


@pytest.mark.parametrize("target", ["new", "new/and/deep", "."], ids=["new", "deep", "empty"])
def test_complete_files_are_written_into_a_new_or_an_empty_directory(tmp_path: Path, target: str) -> None:
    write_elsewhere(tmp_path / target, FILES)
    assert read(tmp_path / target) == FILES
    assert not (tmp_path / target / ".template-fix").exists()


def test_files_that_are_there_already_are_left_alone(tmp_path: Path) -> None:
    write_elsewhere(tmp_path, FILES)
    stamps = {name: (tmp_path / name).stat() for name in FILES}
    write_elsewhere(tmp_path, FILES)
    assert stamps == {name: (tmp_path / name).stat() for name in FILES}


def test_a_file_with_other_content_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("mine")
    with pytest.raises(WriteError) as error:
        write_elsewhere(tmp_path, FILES)
    says(error, tmp_path / "tokenizer.json", "exists with other content")
    assert read(tmp_path) == {"tokenizer.json": "mine"}


def test_a_link_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/tokenizer.json").symlink_to(tmp_path / "target")
    with pytest.raises(WriteError) as error:
        write_elsewhere(tmp_path / "out", FILES)
    says(error, "tokenizer.json", "symbolic link")
    assert not (tmp_path / "target").exists()


def test_a_file_where_the_directory_should_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError) as error:
        write_elsewhere(tmp_path / "file", FILES)
    says(error, tmp_path / "file", "Not a directory")


@posix
def test_a_full_disk_leaves_no_part_of_the_files_elsewhere(tmp_path: Path) -> None:
    for number in count(1):
        target = tmp_path / "new/deep"
        fault = faults.refused(errno.ENOSPC, number, inf, faults.needs_space)
        if faults.run(partial(write_elsewhere, target, FILES), fault) == 0:
            break
        assert not list(tmp_path.iterdir())
    assert number > 8
    assert read(target) == FILES


@posix
def test_files_elsewhere_are_whole_or_absent_after_a_kill(tmp_path: Path) -> None:
    for number in count(1):
        target = tmp_path / str(number)
        code = faults.run(partial(write_elsewhere, target, FILES), faults.killed_at(number))
        found = {name: text for name, text in read(target).items() if not name.startswith(".template-fix/")}
        assert found.items() <= FILES.items()
        write_elsewhere(target, FILES)
        assert {name: read(target)[name] for name in FILES} == FILES
        if code == 0:
            break
    assert number > 10
