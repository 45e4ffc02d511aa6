"""One run at a time: a lock file that the operating system lets go of when its holder dies.

It isn't filelock's: some of its versions take a lock that a killed holder leaves behind where the file system knows
none, or trust a file that its holder has removed, and to import it takes 30 ms.
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

    def _try(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_TAKEN = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_PAUSE = 0.02


class LockedError(Exception):
    """Another process held the lock for as long as this one was ready to wait."""


@contextmanager
def hold_lock(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock file ``path``, creating it and its folders, for the length of the ``with`` block.

    The file may be removed by whoever holds it. A dead process holds nothing, and where the file system knows no
    locks, none is held. Raises LockedError after ``patience`` seconds, and OSError where the file can't be made.
    """
    deadline = time.monotonic() + patience
    while (descriptor := _acquired(path)) is None:
        if time.monotonic() > deadline:
            path.parent.mkdir(parents=True, exist_ok=True)  # where that can't be, no other run is to blame
            raise LockedError(str(path))
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquired(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None where another process has it or has just removed it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except FileNotFoundError:
        return None
    except FileExistsError:
        if path.parent.exists():
            raise
        return None
    if _taken_by_another(descriptor) or _replaced(descriptor, path):
        os.close(descriptor)
        return None
    return descriptor


def _taken_by_another(descriptor: int) -> bool:
    try:
        _try(descriptor)
    except OSError as error:
        return error.errno in _TAKEN
    return False


def _replaced(descriptor: int, path: Path) -> bool:
    """Tell whether the file that was locked is no longer the one at ``path``, so that its lock protects nothing."""
    try:
        return not os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return True
