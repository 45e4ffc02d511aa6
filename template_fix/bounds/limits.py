"""Bounds on time and memory for work on what strangers wrote: templates, tokenizers, answers of a Hub.

A template is a program that somebody put on the Hub. Jinja's sandbox keeps it from files and modules, not from
looping for ever or building a gigabyte, and jinja2 folds constants while it compiles, so that ``{{ 'x' * 900000000 }}``
takes its toll before anything is rendered. So all work on templates runs in a child process: `run_bounded` starts it,
`step` limits each single parse, compilation and rendering inside it, and refuses to begin one anywhere else. The
tokenizers library runs there, too.

Memory is bounded by RLIMIT_AS, which Linux enforces and macOS doesn't; Windows has no such limit. There, time is the
only bound.
"""

from __future__ import annotations

import gc
import math
import os
import pickle
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

from template_fix.bounds import child
from template_fix.text.display import UserError

R = TypeVar("R")

STEP_SECONDS = 2.0
MEGABYTES = 512
# With this process, so many children stay below 1.5 GB.
AT_ONCE = min(2, os.cpu_count() or 1)
_TICK = 0.5
# How much longer than its computing time a call may take on a machine that is busy with other work.
_PATIENCE = 10
_in_child = False
# Set by tests and benchmarks, which may work on templates in their own process: whose these are is known there.
trusted = False
# How many more ticks the step under way may last, and all of the call; None where there is no bound.
_ticks_left: int | None = None
_all_ticks_left: int | None = None


class LimitExceeded(Exception):
    """Work on a template took more time or memory than it may."""


class TimeExceeded(LimitExceeded):
    """All of a bounded call took more time than it may."""


class StepExceeded(BaseException):
    """One step took too long. Not an Exception, so that nothing on the way mistakes it for the template's own."""


class _Overdue(BaseException):
    """A bounded call took too much computing time in all."""


class ChildError(RuntimeError):
    """The child process died of a fault in this program; the message holds its traceback."""


def run_bounded(
    function: Callable[..., R],
    *args: object,
    seconds: float = 600.0,
    computing: float | None = None,
    megabytes: int = MEGABYTES,
    speaks: bool = False,
) -> R:
    """Return ``function(*args)``, computed in a child process within the limits.

    ``seconds`` is wall-clock time for the whole, ``computing`` the time of a processor that it may take, where that is
    bounded, ``megabytes`` what the child may allocate beyond what this process holds. Only a child that ``speaks``
    writes to stderr. Arguments are pickled where the child is a fresh interpreter, results always. Raises
    LimitExceeded, or what ``function`` raised. Inside a bounded call it just calls the function: limits nest.
    """
    return start(function, *args, seconds=seconds, computing=computing, megabytes=megabytes, speaks=speaks)()


def start(
    function: Callable[..., R],
    *args: object,
    seconds: float = 600.0,
    computing: float | None = None,
    megabytes: int = MEGABYTES,
    speaks: bool = False,
) -> Callable[[], R]:
    """Begin a bounded call, and return what waits for it and returns its result, or raises, as `run_bounded` does.

    What it returns must be called, and once: it also reaps the child.
    """
    if _in_child:
        return partial(function, *args)
    wait = child.begin(answer_to, (function, args, megabytes, computing), speaks=speaks)
    deadline = time.monotonic() + seconds

    def result() -> R:
        try:
            answer = wait(deadline)
        except TimeoutError:
            raise TimeExceeded(f"takes more than {seconds:g} s") from None
        if answer is None:
            raise LimitExceeded("takes more time or memory than it may")
        status, value = pickle.loads(answer)
        if status == "value":
            return value  # type: ignore[no-any-return]
        raise value

    return result


def run_in_turn(
    function: Callable[..., R],
    arguments: Sequence[tuple[object, ...]],
    *,
    computing: float,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[R | LimitExceeded]:
    """Yield ``function(*each)`` or why it was stopped, for each of ``arguments`` in their order.

    Few are at work at once, and together they take ``computing`` seconds of a processor at most; for those behind, that
    is why they are stopped. ``meanwhile`` is called once, when the first ones have begun.
    """
    waiting, running = deque(arguments), deque[tuple[float, Callable[[], tuple[R, float]]]]()
    left, share = computing, max(1, min(AT_ONCE, len(arguments)))
    try:
        while waiting or running:
            while waiting and len(running) < share:
                part = (left - sum(each for each, _ in running)) / (share - len(running))
                running.append((part, _begun(function, waiting.popleft(), part, computing)))
            meanwhile()
            meanwhile = _nothing
            part, wait = running.popleft()
            try:
                value, took = wait()
            except LimitExceeded as error:
                left -= part
                yield error
            else:
                left -= took
                yield value
    finally:
        for _, wait in running:  # where this ends early: what was begun must be waited for
            with suppress(Exception):
                wait()


def _nothing() -> None:
    pass


def _begun(
    function: Callable[..., R], arguments: tuple[object, ...], part: float, whole: float
) -> Callable[[], tuple[R, float]]:
    def late() -> tuple[R, float]:
        raise TimeExceeded(f"comes behind others that took all of the {whole:g} s of computing time")

    if part < _TICK:
        return late
    return start(_timed, function, *arguments, seconds=_PATIENCE * part, computing=part)


def _timed(function: Callable[..., R], *arguments: object) -> tuple[R, float]:
    """Return what a function returns, and the computing time that it took."""
    start = time.process_time()
    return function(*arguments), time.process_time() - start


class step:
    """Bound one step of a bounded call by CPU time; raises LimitExceeded that names ``what``.

    The time is counted in ticks, so that a step costs no system call: it may take up to a tick longer. On platforms
    without interval timers it bounds nothing. Steps don't nest. Outside of a bounded call there are none: RuntimeError
    is raised, since nothing would bound what a stranger wrote.
    """

    __slots__ = ("seconds", "what")

    def __init__(self, what: str, seconds: float = STEP_SECONDS) -> None:
        self.what, self.seconds = what, seconds

    def __enter__(self) -> None:
        global _ticks_left
        if not (_in_child or trusted):
            raise RuntimeError(f"{self.what} belongs inside of a bounded call")
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


def _start_ticking(computing: float | None) -> None:
    global _all_ticks_left
    if hasattr(signal, "setitimer"):
        _all_ticks_left = None if computing is None else math.ceil(computing / _TICK)
        signal.signal(signal.SIGPROF, _tick)
        signal.setitimer(signal.ITIMER_PROF, _TICK, _TICK)
        _last_resort()


def _tick(signum: int, frame: object) -> None:
    global _ticks_left, _all_ticks_left
    child.die_with_parent()
    _last_resort()
    if _all_ticks_left is not None:
        _all_ticks_left -= 1
        if _all_ticks_left < 0:
            raise _Overdue
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


def answer_to(
    function: Callable[..., object], args: tuple[object, ...], megabytes: int, computing: float | None
) -> bytes:
    """Return the pickled outcome of ``function(*args)``; runs in the child."""
    global _in_child
    _in_child = True
    gc.freeze()  # to look through what the parent holds would copy all of its memory, page by page
    _bound_memory(megabytes)
    _start_ticking(computing)
    try:
        return pickle.dumps(("value", function(*args)))
    except MemoryError:
        outcome: BaseException = LimitExceeded(f"takes more than {megabytes} MB of memory")
    except RecursionError:
        outcome = LimitExceeded("is nested too deeply")
    except _Overdue:
        outcome = TimeExceeded(f"takes more than {computing:g} s of computing time")
    except StepExceeded:  # the alarm went off on the way out of a step that had run out of memory
        outcome = LimitExceeded("takes more time or memory than it may")
    except BaseException as error:  # the parent raises it again, whatever it is
        known = isinstance(error, (LimitExceeded, UserError, ValueError, OSError))
        outcome = error if known else ChildError(traceback.format_exc())
    return pickle.dumps(("error", outcome))


@contextmanager
def tried_before() -> Iterator[None]:
    """Allow steps outside of a bounded call: what is done was done within limits before, so its time is known."""
    global trusted
    former, trusted = trusted, True
    try:
        yield
    finally:
        trusted = former


@contextmanager
def limit_memory(megabytes: int) -> Iterator[None]:
    """Let no more memory be taken inside than this, where the system tells and bounds that, and raise MemoryError then.

    This is for a stranger's data in this process, such as a few hundred bytes that are a value of a megabyte a million
    times over. The bounds of the process are as they were in the end.
    """
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_memory_limit(megabytes, soft), hard))
    except (ImportError, ValueError, OSError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _bound_memory(megabytes: int) -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (_memory_limit(megabytes, hard), hard))


def _memory_limit(megabytes: int, known: int) -> int:
    """Return the limit of address space that leaves so much beyond what is in use, and doesn't exceed a known one."""
    import resource

    try:
        with open("/proc/self/statm") as pages:
            used = int(pages.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # the platform doesn't tell
        used = 4 << 30
    limit = used + (megabytes << 20)
    return limit if known == resource.RLIM_INFINITY else min(limit, known)
