"""Keeps what is being written and what was there before, so that a change is made whole, or taken back.

In the model directory it looks like this::

    .template-fix/.cache/huggingface/     STORE
        lock                held by the run that is writing
        origin.json         the repository and commit that the directory was made from, see ``origin``
        1/before/…          each file that the first patch changed, as it was
        1/after/…           what replaces it: exists only until it has been moved into place
        1/manifest.json     {"file": ["sha256 before", "sha256 after"]}
        2/…                 the next patch; undo takes the last one back
        scratch/            being prepared, or being thrown away: means nothing
        undoing/            an entry whose undo has begun

A change is prepared in ``scratch`` and decided by one rename, to ``N`` for a patch and to ``undoing`` for an undo.
What follows is only renames, which need no space and which ``finish`` can take up at any point.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path, PurePosixPath

from template_fix.lock import LockedError, locked
from template_fix.message import UserError

# Uploads of a whole folder to the Hub skip `.cache/huggingface` at any depth, and nothing else that is hidden.
STORE = PurePosixPath(".template-fix/.cache/huggingface")
PATIENCE = 5.0

ORIGIN = STORE / "origin.json"
_LOCK = "lock"
_IGNORE = ".gitignore"
_MANIFEST = "manifest.json"


class WriteError(UserError):
    """A directory could not be written or undone; the message is one line that says where, why and what to do."""


# The store


@contextmanager
def reported(directory: Path, outcome: str = "nothing was changed") -> Iterator[None]:
    """Turn what the system refuses into a WriteError."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{error.filename or directory}: {error.strerror or error}; {outcome}") from error


@contextmanager
def session(directory: Path) -> Iterator[Path]:
    """Hold the directory alone, and leave no trace where nothing is kept."""
    store = directory / STORE
    try:
        with reported(directory), locked(store / _LOCK, PATIENCE):
            try:
                yield store
            finally:
                _tidy(store)
    except LockedError as error:
        raise WriteError(f"{directory}: another run is writing there; try again when it has finished") from error
    finally:
        for folder in (store, store.parent, store.parent.parent):
            with suppress(OSError):
                folder.rmdir()


def _tidy(store: Path) -> None:
    """Remove the lock where there is nothing to undo; only its holder may do this."""
    with suppress(OSError):
        if not {path.name for path in store.iterdir()} - {_LOCK, _IGNORE, ORIGIN.name}:
            (store / _IGNORE).unlink(missing_ok=True)
            (store / _LOCK).unlink()


@contextmanager
def prepared(scratch: Path) -> Iterator[Path]:
    """Give an empty folder that is gone in the end, unless it was renamed."""
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir()
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def staged(directory: Path, store: Path, data: Mapping[str, tuple[bytes, bytes]]) -> Path:
    """Prepare an entry and decide it: from the rename on the change is made, by this run or by the next."""
    latest = last(store)
    entry = store / str(1 if latest is None else int(latest.name) + 1)
    with prepared(store / "scratch") as scratch:
        for name, (old, new) in data.items():
            like = os.stat(directory / name)
            write(scratch / "before" / name, old, like)
            write(scratch / "after" / name, new, like)
        shas = {name: [_sha(old), _sha(new)] for name, (old, new) in data.items()}
        write(scratch / _MANIFEST, json.dumps(shas, indent=1).encode())
        (store / _IGNORE).write_text("*\n", encoding="utf-8")
        for folder, _, _ in os.walk(scratch):
            sync(Path(folder))
        os.rename(scratch, entry)
    return entry


def last(store: Path) -> Path | None:
    """Return the entry that undo would take back."""
    entries = (path for path in store.iterdir() if path.name.isdecimal())
    return max(entries, key=lambda path: int(path.name), default=None)


def manifest(entry: Path) -> dict[str, tuple[str, str]]:
    """Map the files of an entry to their digests before and after."""
    path = entry / _MANIFEST
    try:
        return {str(name): (str(old), str(new)) for name, (old, new) in json.loads(path.read_bytes()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise WriteError(f"{path}: is damaged; the former files lie beside it in before/") from error


# Moving files into place


def finish(directory: Path, store: Path) -> tuple[str, ...]:
    """Finish what was decided and throw away what wasn't; the names are those of an undo that had begun."""
    shutil.rmtree(store / "scratch", ignore_errors=True)
    if (store / "undoing").is_dir():
        return _restore(directory, store / "undoing")
    latest = last(store)
    if latest is not None and (latest / "after").is_dir():
        _refuse_strangers(directory, latest, _names(latest, "after"))
        with _half_way(directory):
            forward(directory, latest)
    return ()


def forward(directory: Path, entry: Path) -> None:
    """Move the new files of an entry that has been decided into place, or those that still wait."""
    sync(entry.parent)
    move(entry / "after", directory, _names(entry, "after"))
    shutil.rmtree(entry / "after")


def abandon(directory: Path, entry: Path) -> None:
    """Take a half-made change back; where that fails too, the next run finishes it."""
    with _half_way(directory):
        take_back(directory, entry)


def take_back(directory: Path, entry: Path) -> tuple[str, ...]:
    """Move the former files of an entry back, drop the entry, and return the names of its files."""
    undoing = entry.with_name("undoing")
    os.rename(entry, undoing)
    return _restore(directory, undoing)


def _restore(directory: Path, undoing: Path) -> tuple[str, ...]:
    names, scratch = tuple(manifest(undoing)), undoing.with_name("scratch")
    # Where the new file still waits, the former one was never replaced.
    waiting = [name for name in _names(undoing, "before") if name not in _names(undoing, "after")]
    _refuse_strangers(directory, undoing, waiting)
    with _half_way(directory):
        sync(undoing.parent)
        move(undoing / "before", directory, waiting)
        os.rename(undoing, scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return names


def _names(entry: Path, side: str) -> list[str]:
    return [name for name in manifest(entry) if (entry / side / name).is_file()]


def _half_way(directory: Path) -> AbstractContextManager[None]:
    return reported(directory, "some files are new and some old, and the next patch or undo there puts that right")


def _refuse_strangers(directory: Path, entry: Path, names: Iterable[str]) -> None:
    """Never overwrite what somebody else wrote between a run that was killed and this one."""
    shas = manifest(entry)
    for name in names:
        if digest(directory / name) not in shas[name]:
            raise WriteError(
                f"{directory / name}: was changed after a run was killed; put {entry / 'before' / name} in its place, "
                f"or delete {directory / STORE.parts[0]} to keep the files as they are"
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


def write(path: Path, data: bytes, like: os.stat_result | None = None) -> None:
    """Write a new file, down to the disk, with the mode and owner of another file where one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o666 if like is None else 0o600
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(data)
        file.flush()
        if like is not None:
            _dress(path, like)
        os.fsync(file.fileno())


def _dress(path: Path, like: os.stat_result) -> None:
    if sys.platform != "win32":
        for owner in (like.st_uid, -1):
            with suppress(OSError):
                os.chown(path, owner, like.st_gid)
                break
    os.chmod(path, like.st_mode & 0o7777)


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


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(path: Path) -> str | None:
    """Return the digest of a file, None where there is none."""
    try:
        return _sha(path.read_bytes())
    except FileNotFoundError:
        return None
