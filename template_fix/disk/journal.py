"""Keeps what is being written and what was there before, so that a change is made whole, or taken back.

In the model directory it looks like this::

    .template-fix/.cache/huggingface/     STORE
        lock                held by the run that is writing
        origin.json         the repository and commit that the directory was made from, see ``origin``
        1/before/…          each file that the first patch changed, as it was
        1/after/…           what replaces it: exists only until it has been moved into place
        1/manifest.json     {"files": {"file": ["sha256 before", "sha256 after"]}, "signature": "…"}
        2/…                 the next patch; undo takes the last one back
        scratch/            being prepared, or being thrown away: means nothing
        undoing/            an entry whose undo has begun

A change is prepared in ``scratch`` and decided by one rename, to ``N`` for a patch and to ``undoing`` for an undo.
What follows is only renames, which need no space and which ``finish`` can take up at any point.

The directory may be a download, and its store a stranger's: see ``store`` for what is believed of it.
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
    begun_undo,
    digest,
    entries,
    manifest_text,
    refuse_foreign,
    sha,
)

PATIENCE = 5.0


@contextmanager
def name_errors(directory: Path, outcome: Callable[[], str] = lambda: "nothing was changed") -> Iterator[None]:
    """Turn what the system refuses into a WriteError; ``outcome`` tells what is true of the files then."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{error.filename or directory}: {error.strerror or error}; {outcome()}") from error


@contextmanager
def session(directory: Path) -> Iterator[Path]:
    """Hold the directory alone, and leave no trace where nothing is kept. Raises WriteError for a stranger's store."""
    store = directory / STORE
    try:
        with name_errors(directory):
            refuse_foreign(directory)
        with name_errors(directory), hold_lock(store / LOCK, PATIENCE):
            try:
                entries(directory)
                yield store
            finally:
                _tidy(store)
    except LockedError as error:
        raise WriteError(f"{directory}: another run is writing there; try again when it has finished") from error
    finally:
        remove_empty(directory)


def remove_empty(directory: Path) -> None:
    """Remove the folders of a store in which nothing is left."""
    store = directory / STORE
    for folder in (store, store.parent, store.parent.parent):
        with suppress(OSError):
            folder.rmdir()


def _tidy(store: Path) -> None:
    """Remove the lock where there is nothing to undo; only its holder may do this."""
    with suppress(OSError):
        if not {path.name for path in store.iterdir()} - {LOCK, IGNORE, ORIGIN.name}:
            (store / IGNORE).unlink(missing_ok=True)
            (store / LOCK).unlink()


@contextmanager
def empty_folder(scratch: Path) -> Iterator[Path]:
    """Give an empty folder that is gone in the end, unless it was renamed."""
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir()
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def stage(directory: Path, store: Path, data: Mapping[str, tuple[bytes, bytes]]) -> Entry:
    """Prepare an entry and decide it: from the rename on the change is made, by this run or by the next."""
    known = entries(directory)
    number = 1 + max((int(entry.path.name) for entry in known), default=0)
    files = {name: (sha(old), sha(new)) for name, (old, new) in data.items()}
    with empty_folder(store / "scratch") as scratch:
        for name, (old, new) in data.items():
            write(scratch / "before" / name, old, directory / name)
            write(scratch / "after" / name, new, directory / name)
        write(scratch / MANIFEST, manifest_text(directory, files))
        (store / IGNORE).write_text("*\n", encoding="utf-8")
        for folder, _, _ in os.walk(scratch):
            sync(Path(folder))
        # What leads to the entry has to be on the disk before any file is replaced; the store itself is synced later.
        for above in (store.parent, store.parent.parent, directory):
            sync(above)
        os.rename(scratch, store / str(number))
    return Entry(store / str(number), files)


# Moving files into place


def finish(directory: Path, store: Path) -> tuple[str, ...]:
    """Finish what was decided and throw away what wasn't; the names are those of an undo that had begun."""
    shutil.rmtree(store / "scratch", ignore_errors=True)
    if (begun := begun_undo(directory)) is not None:
        return _restore(directory, begun)
    latest = last_entry(directory)
    if latest is not None and latest.waits:
        _refuse_strangers(directory, latest, latest.names("after"))
        with name_errors(directory, lambda: _half_way(directory, latest)):
            move_in(directory, latest)
    return ()


def last_entry(directory: Path) -> Entry | None:
    """Return the entry that undo would take back."""
    return max(entries(directory), key=lambda entry: int(entry.path.name), default=None)


def move_in(directory: Path, entry: Entry) -> None:
    """Move the new files of an entry that has been decided into place, or those that still wait."""
    entry.refuse_damage("after")
    sync(entry.path.parent)
    move(entry.path / "after", directory, entry.names("after"))
    shutil.rmtree(entry.path / "after")


def abandon(directory: Path, entry: Entry) -> None:
    """Take a half-made change back; where that fails too, the next run finishes it."""
    with name_errors(directory, lambda: _half_way(directory, entry)):
        take_back(directory, entry)


def take_back(directory: Path, entry: Entry) -> tuple[str, ...]:
    """Move the former files of an entry back, drop the entry, and return the names of its files."""
    begun = entry._replace(path=entry.path.with_name("undoing"))
    os.rename(entry.path, begun.path)
    return _restore(directory, begun)


def _restore(directory: Path, begun: Entry) -> tuple[str, ...]:
    scratch = begun.path.with_name("scratch")
    # Where the new file still waits, the former one was never replaced.
    waiting = [name for name in begun.names("before") if name not in begun.names("after")]
    _refuse_strangers(directory, begun, waiting)
    begun.refuse_damage("before")
    with name_errors(directory, lambda: _half_way(directory, begun)):
        sync(begun.path.parent)
        move(begun.path / "before", directory, waiting)
        os.rename(begun.path, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return tuple(begun.files)


def _half_way(directory: Path, entry: Entry) -> str:
    """Return what is true of the files of an entry when an error ended its way."""
    found = {digest(directory / name) == new for name, (_, new) in entry.files.items()}
    state = "some files are new and some old" if len(found) > 1 else "all files are new" if True in found else _OLD
    return f"{state}, and the next patch or undo there finishes what was begun"


_OLD = "all files are as they were"


def _refuse_strangers(directory: Path, entry: Entry, names: Iterable[str]) -> None:
    """Never overwrite what somebody else wrote between a run that was killed and this one."""
    for name in names:
        linked = os.path.islink((directory / name).parent)  # it would lead the new file out of the model
        if linked or digest(directory / name) not in entry.files[name]:
            raise WriteError(
                f"{directory / name}: was changed after a run was killed; put {entry.path / 'before' / name} in its "
                f"place, or delete {directory / STORE.parts[0]} to keep the files as they are"
            )


def move(source: Path, target: Path, names: Iterable[str]) -> None:
    """Rename files from one folder into another, each at once, and make that outlast a power failure."""
    folders = {target}
    for name in names:
        os.replace(source / name, target / name)
        folders.add((target / name).parent)
    for folder in folders:
        sync(folder)


# The disk


def write(path: Path, data: bytes, like: Path | None = None) -> None:
    """Write a new file to the disk, with the mode, owner and extended attributes of another where one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o666 if like is None else 0o600
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        file.flush()
        if like is not None:
            _dress(path, like)
        os.fsync(file.fileno())


def _dress(path: Path, like: Path) -> None:
    if sys.platform != "win32":
        status = os.stat(like)
        for owner in (status.st_uid, -1):
            with suppress(OSError):
                os.chown(path, owner, status.st_gid)
                break
    shutil.copystat(like, path)
    os.utime(path)  # it is a new file: only its time is its own


def sync(folder: Path) -> None:
    """Make renames in ``folder`` outlast a power failure, where the system can."""
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
