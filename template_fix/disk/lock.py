"""A lock file for one run at a time; the operating system releases it when its holder dies.

It doesn't use the package filelock: on file systems without locks, some of its versions believe the file that a killed
holder left behind, some trust a file that its holder has removed, and its import takes 30 ms.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock_now(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock_now(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_PAUSE = 0.02


class LockedError(Exception):
    """Another process held the lock longer than this one was willing to wait."""


@contextmanager
def hold_lock(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock on file ``path`` during the ``with`` block; the file and its folders are made if needed.

    The holder may remove the file. On a file system without locks, nothing is locked. Raises LockedError after
    ``patience`` seconds, and OSError if the file can't be made.
    """
    deadline = time.monotonic() + patience
    while (descriptor := _acquire(path)) is None:
        if time.monotonic() > deadline:
            path.parent.mkdir(parents=True, exist_ok=True)  # raises OSError if that is the reason, and no other run
            raise LockedError(str(path))
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None if another process has it or has just removed the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except FileNotFoundError:
        return None
    except FileExistsError:
        if path.parent.exists():
            raise
        return None
    if _taken_by_another(descriptor) or _was_replaced(descriptor, path):
        os.close(descriptor)
        return None
    return descriptor


def _taken_by_another(descriptor: int) -> bool:
    try:
        _lock_now(descriptor)
    except OSError as error:
        return error.errno in _TAKEN
    return False


def _was_replaced(descriptor: int, path: Path) -> bool:
    """Whether the locked file is no longer the one at ``path``, so that its lock protects nothing."""
    try:
        return not os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return True
