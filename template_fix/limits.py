"""Bounds on time and memory for work on untrusted templates.

A template is a program that somebody put on the Hub. Jinja's sandbox keeps it from files and modules, not from
looping for ever or building a gigabyte, and jinja2 folds constants while it compiles, so that ``{{ 'x' * 900000000 }}``
takes its toll before anything is rendered. So all work on templates runs in a child process: `bounded` starts it,
`step` limits each single parse, compilation and rendering inside it.

Memory is bounded by RLIMIT_AS, which Linux enforces and macOS doesn't; Windows has no such limit. There, time is the
only bound. Where a process can't fork (Windows), the child is a fresh interpreter.
"""

from __future__ import annotations

import gc
import math
import os
import pickle
import select
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

R = TypeVar("R")

STEP_SECONDS = 2.0
MEGABYTES = 1024
GRACE = 0.05
_TICK = 0.5
_in_child = False
# How many more ticks the step under way may last; None between steps.
_ticks_left: int | None = None


class LimitExceeded(Exception):
    """Work on a template took more time or memory than it may."""


class StepExceeded(BaseException):
    """One step took too long. Not an Exception, so that nothing on the way mistakes it for the template's own."""


class ChildError(RuntimeError):
    """The child process died of a fault in this program; the message holds its traceback."""


def bounded(function: Callable[..., R], *args: Any, seconds: float = 600.0, megabytes: int = MEGABYTES) -> R:
    """Return ``function(*args)``, computed in a child process within the limits.

    ``seconds`` is wall-clock time for the whole, ``megabytes`` what the child may allocate beyond what this process
    holds. Arguments and results are pickled where the child is a fresh interpreter, results always. Raises
    LimitExceeded, or what ``function`` raised. Inside a bounded call it just calls the function: limits nest.
    """
    return started(function, *args, seconds=seconds, megabytes=megabytes)()


def started(
    function: Callable[..., R], *args: Any, seconds: float = 600.0, megabytes: int = MEGABYTES
) -> Callable[[], R]:
    """Begin a bounded call, and return what waits for it and returns its result, or raises, as `bounded` does.

    What it returns must be called, and once: it also buries the child.
    """
    if _in_child:
        return partial(function, *args)
    begin = _forked if hasattr(os, "fork") else _spawned
    outcome = begin(function, args, seconds, megabytes)

    def result() -> R:
        status, value = outcome()
        if status == "value":
            return value  # type: ignore[no-any-return]
        raise value

    return result


class step:
    """Bound one step of a bounded call by CPU time; raises LimitExceeded that names ``what``.

    The time is counted in ticks, so that a step costs no system call: it may take up to a tick longer. Outside of a
    child process, and on platforms without interval timers, it bounds nothing. Steps don't nest.
    """

    __slots__ = ("seconds", "what")

    def __init__(self, what: str, seconds: float = STEP_SECONDS) -> None:
        self.what, self.seconds = what, seconds

    def __enter__(self) -> None:
        global _ticks_left
        _ticks_left = math.ceil(self.seconds / _TICK)  # the first one may come at once

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        global _ticks_left
        _ticks_left = None
        if not _in_child or kind is None:
            return
        if kind is StepExceeded:
            raise LimitExceeded(f"{self.what} takes more than {self.seconds:g} s") from None
        if kind is MemoryError:
            raise LimitExceeded(f"{self.what} takes more than {MEGABYTES} MB of memory") from None


def _start_ticking() -> None:
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, _tick)
        signal.setitimer(signal.ITIMER_PROF, _TICK, _TICK)
        _last_resort()


def _tick(signum: int, frame: object) -> None:
    global _ticks_left
    _last_resort()
    if _ticks_left is not None:
        _ticks_left -= 1
        if _ticks_left < 0:
            raise StepExceeded


def _last_resort() -> None:
    """Let the kernel kill the process where a single C call (``10 ** 10 ** 9``) never lets a tick be handled."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(used.ru_utime + used.ru_stime + STEP_SECONDS) + 3
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


Outcome = Callable[[], tuple[str, Any]]


def _forked(function: Callable[..., Any], args: tuple[Any, ...], seconds: float, megabytes: int) -> Outcome:
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # The child runs Python alone and leaves by os._exit, so threads that it doesn't inherit can't be missed.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reader)
        _child(function, args, megabytes, writer)
    os.close(writer)
    return partial(_waited_for, child, reader, time.monotonic() + seconds, seconds)


def _waited_for(child: int, reader: int, deadline: float, seconds: float) -> tuple[str, Any]:
    try:
        answer = _read_all(reader, deadline)
    finally:
        os.close(reader)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if answer is None:
        return _too_slow(seconds)
    return _outcome(answer, -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def _child(function: Callable[..., Any], args: tuple[Any, ...], megabytes: int, writer: int) -> None:
    code = 1
    try:
        answer = answer_to(function, args, megabytes)
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(answer)
        code = 0
    finally:
        os._exit(code)


def _read_all(reader: int, deadline: float) -> bytes | None:
    """Return what comes through the pipe until it closes, or None where that takes too long.

    What lies there is read even after the deadline: this process may have waited for another child.
    """
    parts: list[bytes] = []
    while select.select([reader], [], [], max(deadline - time.monotonic(), GRACE))[0]:
        part = os.read(reader, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _spawned(function: Callable[..., Any], args: tuple[Any, ...], seconds: float, megabytes: int) -> Outcome:
    command = [sys.executable, "-m", "template_fix.limits"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with suppress(OSError):  # a child that died tells so by its answer
        assert child.stdin is not None
        with child.stdin:
            child.stdin.write(pickle.dumps((function, args, megabytes)))
    child.stdin = None
    return partial(_told, child, time.monotonic() + seconds, seconds)


def _told(child: subprocess.Popen[bytes], deadline: float, seconds: float) -> tuple[str, Any]:
    try:
        answer, _ = child.communicate(timeout=max(deadline - time.monotonic(), GRACE))
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return _too_slow(seconds)
    return _outcome(answer, child.returncode)


def _too_slow(seconds: float) -> tuple[str, Any]:
    return "error", LimitExceeded(f"takes more than {seconds:g} s")


def _outcome(answer: bytes, code: int) -> tuple[str, Any]:
    if answer and code in (0, -signal.SIGTERM, -9):
        status, value = pickle.loads(answer)
        return status, value
    if code < 0 or not answer:
        return "error", LimitExceeded("takes more time or memory than it may")
    return "error", ChildError(f"the child process ended with code {code}")


def answer_to(function: Callable[..., Any], args: tuple[Any, ...], megabytes: int) -> bytes:
    """Return the pickled outcome of ``function(*args)``; runs in the child."""
    global _in_child
    _in_child = True
    gc.freeze()  # to look through what the parent holds would copy all of its memory, page by page
    _bound_memory(megabytes)
    _start_ticking()
    try:
        return pickle.dumps(("value", function(*args)))
    except MemoryError:
        outcome: BaseException = LimitExceeded(f"takes more than {megabytes} MB of memory")
    except StepExceeded:  # the alarm went off on the way out of a step that had run out of memory
        outcome = LimitExceeded("takes more time or memory than it may")
    except BaseException as error:  # the parent raises it again, whatever it is
        known = isinstance(error, (LimitExceeded, ValueError, OSError))
        outcome = error if known else ChildError(traceback.format_exc())
    return pickle.dumps(("error", outcome))


def _bound_memory(megabytes: int) -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        limit = _address_space() + (megabytes << 20)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _address_space() -> int:
    """Return the bytes of address space in use, as far as the platform tells."""
    try:
        with open("/proc/self/statm") as pages:
            return int(pages.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 4 << 30


if __name__ == "__main__":
    work, arguments, allowed = pickle.load(sys.stdin.buffer)
    # `python -m` runs this file under another name: the module that `step` belongs to is the imported one.
    from template_fix import limits

    sys.stdout.buffer.write(limits.answer_to(work, arguments, allowed))
