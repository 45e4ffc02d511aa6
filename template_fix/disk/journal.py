"""Records what is being written and what was there before, so that a change is completed or undone.

In the model directory it looks like this::

    .template-fix/.cache/huggingface/     STORE
        lock                held by the run that is writing
        origin.json         the repository and commit from which the directory was made, see ``origin``
        1/before/…          each file that the first patch changed, as it was
        1/after/…           what replaces it: exists only until it has been moved into place
        1/manifest.json     {"files": {"file": ["sha256 before", "sha256 after"]}, "signature": "…"}
        2/…                 the next patch; undo takes the last one back
        scratch/            being prepared or removed: has no meaning
        undoing/            an entry whose undo has begun

A change is prepared in ``scratch`` and decided by one rename: to ``N`` for a patch, to ``undoing`` for an undo. After
that there are only renames, which need no disk space and which ``finish`` can continue at any point.

The directory may be a download, and its store written by a stranger: see ``store`` for what is trusted.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from template_fix.disk.lock import LockedError, hold_lock
from template_fix.disk.store import (
    IGNORE,
    LOCK,
    MANIFEST,
    ORIGIN,
    STORE,
    Entry,
    WriteError,
    digest_file,
    encoded,
    find_begun_undo,
    manifest_text,
    read_entries,
    refuse_foreign,
)

PATIENCE = 5.0


@contextmanager
def name_errors(directory: Path, outcome: Callable[[], str] = lambda: "nothing was changed") -> Iterator[None]:
    """Turn an OSError into a WriteError; ``outcome`` returns a few words on the state of the files."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{error.filename or directory}: {error.strerror or error}; {outcome()}") from error


@contextmanager
def session(directory: Path) -> Iterator[Path]:
    """Lock the directory for this run, and yield its store; an empty store is removed at the end.

    Raises WriteError if another run holds the lock, and for a stranger's store.
    """
    store = directory / STORE
    try:
        with name_errors(directory):
            refuse_foreign(directory)
        with name_errors(directory), hold_lock(store / LOCK, PATIENCE):
            try:
                read_entries(directory)
                yield store
            finally:
                _tidy(store)
    except LockedError as error:
        raise WriteError(f"{directory}: another run is writing there; try again when it has finished") from error
    finally:
        remove_empty(directory)


def remove_empty(directory: Path) -> None:
    """Remove the folders of a store that are empty."""
    store = directory / STORE
    for folder in (store, store.parent, store.parent.parent):
        with suppress(OSError):
            folder.rmdir()


def _tidy(store: Path) -> None:
    """Remove the lock if there is nothing to undo; only its holder may do this."""
    with suppress(OSError):
        if not {path.name for path in store.iterdir()} - {LOCK, IGNORE, ORIGIN.name}:
            (store / IGNORE).unlink(missing_ok=True)
            (store / LOCK).unlink()


@contextmanager
def empty_folder(scratch: Path) -> Iterator[Path]:
    """Yield an empty folder, and remove it at the end unless it was renamed."""
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir()
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def stage(
    directory: Path, store: Path, texts: Mapping[str, tuple[str, str]], files: Mapping[str, tuple[str, str]]
) -> Entry:
    """Prepare an entry and decide it by a rename: from then on this run or the next one completes the change.

    For each file name, ``texts`` are those before and after, and ``files`` the digests of their bytes.
    """
    known = read_entries(directory)
    number = 1 + max((int(entry.path.name) for entry in known), default=0)
    with empty_folder(store / "scratch") as scratch:
        for name, both in texts.items():
            for side, text in zip(("before", "after"), both, strict=True):
                write(scratch / side / name, encoded(text), directory / name)
        write(scratch / MANIFEST, [manifest_text(directory, files)])
        (store / IGNORE).write_text("*\n", encoding="utf-8")
        for folder, _, _ in os.walk(scratch):
            sync(Path(folder))
        # The folders above the entry must be on the disk before any file is replaced; the store itself is synced later.
        for above in (store.parent, store.parent.parent, directory):
            sync(above)
        os.rename(scratch, store / str(number))
    return Entry(store / str(number), files)


# Moving files into place


def finish(directory: Path, store: Path) -> tuple[str, ...]:
    """Complete a change that was decided, remove one that wasn't; return the files of an undo that was completed."""
    shutil.rmtree(store / "scratch", ignore_errors=True)
    if (begun := find_begun_undo(directory)) is not None:
        return _restore(directory, begun)
    latest = last_entry(directory)
    if latest is not None and latest.waits:
        _refuse_foreign_changes(directory, latest, latest.names("after"))
        with name_errors(directory, lambda: _describe_files(directory, latest)):
            move_into_place(directory, latest)
    return ()


def last_entry(directory: Path) -> Entry | None:
    """Return the entry that the next undo restores."""
    return max(read_entries(directory), key=lambda entry: int(entry.path.name), default=None)


def move_into_place(directory: Path, entry: Entry) -> None:
    """Move the new files of a decided entry into place: all, or those that are still waiting."""
    entry.refuse_damage("after")
    sync(entry.path.parent)
    move(entry.path / "after", directory, entry.names("after"))
    shutil.rmtree(entry.path / "after")


def roll_back(directory: Path, entry: Entry) -> None:
    """Undo a change that failed half way; if that fails too, the next run completes it."""
    with name_errors(directory, lambda: _describe_files(directory, entry)):
        take_back(directory, entry)


def take_back(directory: Path, entry: Entry) -> tuple[str, ...]:
    """Move the former files of an entry back, remove the entry, and return the names of its files."""
    begun = entry._replace(path=entry.path.with_name("undoing"))
    os.rename(entry.path, begun.path)
    return _restore(directory, begun)


def _restore(directory: Path, begun: Entry) -> tuple[str, ...]:
    scratch = begun.path.with_name("scratch")
    # A file whose new version is still waiting was never replaced.
    waiting = [name for name in begun.names("before") if name not in begun.names("after")]
    _refuse_foreign_changes(directory, begun, waiting)
    begun.refuse_damage("before")
    with name_errors(directory, lambda: _describe_files(directory, begun)):
        sync(begun.path.parent)
        move(begun.path / "before", directory, waiting)
        os.rename(begun.path, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return tuple(begun.files)


def _describe_files(directory: Path, entry: Entry) -> str:
    """Return the state of an entry's files after an error, in words."""
    found = {digest_file(directory / name) == new for name, (_, new) in entry.files.items()}
    state = "some files are new and some old" if len(found) > 1 else "all files are new" if True in found else _OLD
    return f"{state}, and the next patch or undo there finishes what was begun"


_OLD = "all files are as they were"


def _refuse_foreign_changes(directory: Path, entry: Entry, names: Iterable[str]) -> None:
    """Raise WriteError if somebody else changed a file between a killed run and this one."""
    for name in names:
        linked = os.path.islink((directory / name).parent)  # the new file would be written outside of the model
        if linked or digest_file(directory / name) not in entry.files[name]:
            raise WriteError(
                f"{directory / name}: was changed after a run was killed; put {entry.path / 'before' / name} in its "
                f"place, or delete {directory / STORE.parts[0]} to keep the files as they are"
            )


def move(source: Path, target: Path, names: Iterable[str]) -> None:
    """Rename files from one folder into another, each atomically, and sync the folders to the disk."""
    folders = {target}
    for name in names:
        os.replace(source / name, target / name)
        folders.add((target / name).parent)
    for folder in folders:
        sync(folder)


# The disk


def write(path: Path, data: Iterable[bytes], like: Path | None = None) -> None:
    """Write a new file of bytes that come in parts, and sync it.

    ``like`` is a file whose mode, owner and extended attributes it gets.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o666 if like is None else 0o600
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.writelines(data)
        file.flush()
        if like is not None:
            _copy_attributes(path, like)
        os.fsync(file.fileno())


def _copy_attributes(path: Path, like: Path) -> None:
    if sys.platform != "win32":
        status = os.stat(like)
        for owner in (status.st_uid, -1):
            with suppress(OSError):
                os.chown(path, owner, status.st_gid)
                break
    shutil.copystat(like, path)
    os.utime(path)  # the time is that of the new file


def sync(folder: Path) -> None:
    """Sync ``folder``, so that renames in it survive a power failure; some systems can't."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
