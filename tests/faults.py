"""Runs an action in a child process that is killed, or refused something, at a chosen operation on files."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# How often this run killed a process or refused it something; the report of the tests ends with it.
COUNTED: Counter[str] = Counter()
OPERATIONS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "fsync"}

Action = Callable[[], object]
Fault = Callable[[str, tuple[object, ...]], None]


def run(action: Action, fault: Fault) -> int:
    """Run ``action`` with ``fault`` called before each operation; return 0, 1 for WriteError, or minus the signal."""
    from template_fix.disk.replace import WriteError

    child = os.fork()
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        COUNTED.update({-signal.SIGKILL: ["kills"], 1: ["faults that were refused"]}.get(code, []))
        return code
    code = 2
    try:
        _install(fault)
        action()
        code = 0
    except WriteError as error:
        code = 1 if "\n" not in str(error) else 2
        print(error)
    except BaseException as error:
        sys.stderr.write(f"{error!r}\n")
    finally:
        sys.stdout.flush()
        os._exit(code)


def killed_at(number: int) -> Fault:
    """Kill the process before its ``number``-th operation; a file that was being written stays half written."""
    seen = 0

    def fault(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            if event == "fsync" and isinstance(arguments[0], int):
                _tear(arguments[0])
            os.kill(os.getpid(), signal.SIGKILL)

    return fault


def refused(error: int, number: int, last: float, wanted: Callable[[str, tuple[object, ...]], bool]) -> Fault:
    """Raise the OSError ``error`` at the wanted operations from the ``number``-th to the ``last``."""
    seen = 0

    def fault(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if wanted(event, arguments):
            seen += 1
            if number <= seen <= last:
                raise OSError(error, os.strerror(error))

    return fault


def anything(event: str, arguments: tuple[object, ...]) -> bool:
    return True


def needs_space(event: str, arguments: tuple[object, ...]) -> bool:
    if event == "fsync":
        return isinstance(arguments[0], int) and stat.S_ISREG(os.fstat(arguments[0]).st_mode)
    if event != "open":
        return event == "os.mkdir"
    path, _, flags = arguments
    return isinstance(flags, int) and bool(flags & os.O_CREAT) and not Path(str(path)).exists()


def writes(event: str, arguments: tuple[object, ...]) -> bool:
    if event != "open":
        return True
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR))


def _install(fault: Fault) -> None:
    """Listen to the interpreter's audit events; fsync has none."""
    real, busy = os.fsync, False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal busy
        if event in OPERATIONS and not busy:
            busy = True
            try:
                fault(event, arguments)
            finally:
                busy = False

    def fsync(descriptor: int) -> None:
        hook("fsync", (descriptor,))
        real(descriptor)

    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(hook)


def _tear(descriptor: int) -> None:
    with suppress(OSError):
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
