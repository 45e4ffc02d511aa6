"""Limits on time and memory for work on what strangers wrote: templates, tokenizers, answers of the Hub.

A template is a program that somebody put on the Hub. Jinja's sandbox keeps it away from files and modules, but doesn't
stop it from looping for ever or building a gigabyte of text. And jinja2 folds constants while it compiles, so
``{{ 'x' * 900000000 }}`` takes time and memory even before it is rendered. So all work on templates runs in a child
process: `run_bounded` starts it, and `step` limits each parse, compilation and rendering in it. `step` raises an error
in any other process. The tokenizers library runs in such a child process, too.

Memory is limited by RLIMIT_AS, which Linux enforces and macOS doesn't; Windows has no such limit. On these two, time
is the only limit.
"""

from __future__ import annotations

import gc
import math
import os
import pickle
import signal
import time
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
# So many children and this process together stay below 1.5 GB.
AT_ONCE = min(2, os.cpu_count() or 1)
_TICK = 0.5
# A call may take this many times its computing time, on a machine that is busy with other work.
_PATIENCE = 10
_in_child = False
# Tests and benchmarks set it to work on templates in their own process: they trust these templates.
trusted = False
# How often work of this process was stopped: what comes of that isn't final.
stopped = 0
# How many more ticks the current step may take, and the whole call; None for no limit.
_ticks_left: int | None = None
_all_ticks_left: int | None = None


class LimitExceeded(Exception):
    """Work on a template took more time or memory than it may."""


class TimeExceeded(LimitExceeded):
    """A bounded call as a whole took more time than it may."""


class StepExceeded(BaseException):
    """One step took too long. It is no Exception, so that no handler takes it for an error of the template."""


class _Overdue(BaseException):
    """A bounded call took too much computing time in all."""


class ChildError(RuntimeError):
    """The child process died of a bug in this program; the message holds its traceback."""


def run_bounded(
    function: Callable[..., R],
    *args: object,
    seconds: float = 600.0,
    computing: float | None = None,
    megabytes: int = MEGABYTES,
    show_stderr: bool = False,
    doing: str = "",
) -> R:
    """Return ``function(*args)``, computed in a child process within limits.

    ``seconds`` limits wall-clock time, ``computing`` processor time (None: no limit), and ``megabytes`` what the child
    may allocate beyond the memory of this process. The child writes to stderr only with ``show_stderr``; ``doing`` says
    in words what it does, and is shown to a user who waits. Results are always pickled, arguments unless this process
    forks. Raises LimitExceeded, or what ``function`` raised. Inside of a bounded call it just calls the function: the
    outer limits hold.
    """
    return start(
        function,
        *args,
        seconds=seconds,
        computing=computing,
        megabytes=megabytes,
        show_stderr=show_stderr,
        doing=doing,
    )()


def start(
    function: Callable[..., R],
    *args: object,
    seconds: float = 600.0,
    computing: float | None = None,
    megabytes: int = MEGABYTES,
    show_stderr: bool = False,
    doing: str = "",
) -> Callable[[], R]:
    """Start a bounded call and return a function that waits for it and returns or raises as `run_bounded` does.

    The returned function must be called exactly once: it also reaps the child.
    """
    if _in_child:
        return partial(function, *args)
    wait = child.begin(run_and_pickle, (function, args, megabytes, computing), show_stderr=show_stderr)
    deadline = time.monotonic() + seconds

    def result() -> R:
        child.doing = doing
        try:
            answer = wait(deadline)
        except TimeoutError:
            raise _count_stop(TimeExceeded(f"takes more than {seconds:g} s")) from None
        if answer is None:
            raise _count_stop(LimitExceeded("takes more time or memory than it may"))
        status, value = pickle.loads(answer)
        if status == "value":
            return value  # type: ignore[no-any-return]
        raise _count_stop(value)

    return result


def _count_stop(error: BaseException) -> BaseException:
    global stopped
    stopped += isinstance(error, LimitExceeded)
    return error


def run_in_turn(
    function: Callable[..., R],
    arguments: Sequence[tuple[object, ...]],
    *,
    computing: float,
    meanwhile: Callable[[], None] = lambda: None,
    doing: str = "",
) -> Iterator[R | LimitExceeded]:
    """Yield ``function(*each)``, or why it was stopped, for each of ``arguments`` in their order.

    At most AT_ONCE run at the same time, and all together take at most ``computing`` seconds of processor time; calls
    that come after that are not started. ``meanwhile`` is called once, when the first calls have begun. ``doing`` says
    in words what each call does; a user who waits is shown it.
    """
    waiting, running = deque(arguments), deque[tuple[float, Callable[[], tuple[R, float]]]]()
    left, share = computing, max(1, min(AT_ONCE, len(arguments)))
    try:
        while waiting or running:
            while waiting and len(running) < share:
                part = (left - sum(each for each, _ in running)) / (share - len(running))
                number = len(arguments) - len(waiting) + 1
                told = f"{doing}, {number} of {len(arguments)}" if doing and len(arguments) > 1 else doing
                running.append((part, _start_share(function, waiting.popleft(), part, computing, told)))
            meanwhile()
            meanwhile = _do_nothing
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
        for _, wait in running:  # also if the caller stops early: each started child must be reaped
            with suppress(Exception):
                wait()


def _do_nothing() -> None:
    pass


def _start_share(
    function: Callable[..., R], arguments: tuple[object, ...], part: float, whole: float, doing: str
) -> Callable[[], tuple[R, float]]:
    def late() -> tuple[R, float]:
        raise _count_stop(TimeExceeded(f"comes behind others that took all of the {whole:g} s of computing time"))

    if part < _TICK:
        return late
    return start(_run_timed, function, *arguments, seconds=_PATIENCE * part, computing=part, doing=doing)


def _run_timed(function: Callable[..., R], *arguments: object) -> tuple[R, float]:
    """Return the result of a function, and the processor time that it took in seconds."""
    start = time.process_time()
    return function(*arguments), time.process_time() - start


class step:
    """Limits the processor time of one step in a bounded call; raises LimitExceeded that names ``what``.

    Time is counted in ticks, so a step costs no system call, and may take one tick longer than its limit. Without
    interval timers (Windows) there is no limit. Steps don't nest. Raises RuntimeError outside of a bounded call.
    """

    __slots__ = ("seconds", "what")

    def __init__(self, what: str, seconds: float = STEP_SECONDS) -> None:
        self.what, self.seconds = what, seconds

    def __enter__(self) -> None:
        global _ticks_left
        if not (_in_child or trusted):
            raise RuntimeError(f"{self.what} belongs inside of a bounded call")
        _ticks_left = math.ceil(self.seconds / _TICK)  # the first tick may come at once

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
        _renew_cpu_limit()


def _tick(signum: int, frame: object) -> None:
    global _ticks_left, _all_ticks_left
    child.die_with_parent()
    _renew_cpu_limit()
    if _all_ticks_left is not None:
        _all_ticks_left -= 1
        if _all_ticks_left < 0:
            raise _Overdue
    if _ticks_left is not None:
        _ticks_left -= 1
        if _ticks_left < 0:
            raise StepExceeded


def _renew_cpu_limit() -> None:
    """Let the kernel kill the process if a single C call (``10 ** 10 ** 9``) keeps Python from handling ticks."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(used.ru_utime + used.ru_stime + STEP_SECONDS) + 3
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def run_and_pickle(
    function: Callable[..., object], args: tuple[object, ...], megabytes: int, computing: float | None
) -> bytes:
    """Return the pickled outcome of ``function(*args)``; runs in the child."""
    global _in_child
    _in_child = True
    gc.freeze()  # a garbage collection over the parent's objects would copy its memory, page by page
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
    except StepExceeded:  # the last tick came while a step that had run out of memory was being left
        outcome = LimitExceeded("takes more time or memory than it may")
    except BaseException as error:  # the parent raises it again, whatever it is
        import traceback

        known = isinstance(error, (LimitExceeded, UserError, ValueError, OSError))
        outcome = error if known else ChildError(traceback.format_exc())
    return pickle.dumps(("error", outcome))


@contextmanager
def allow_unbounded_steps() -> Iterator[None]:
    """Allow steps outside of a bounded call, for work that was done within limits before: its time is known."""
    global trusted
    former, trusted = trusted, True
    try:
        yield
    finally:
        trusted = former


@contextmanager
def limit_memory(megabytes: int) -> Iterator[None]:
    """Limit the memory that the block may allocate; a MemoryError is raised beyond it, on systems with such a limit.

    This is for a stranger's data in this process, such as a few hundred bytes that decode to a value of a megabyte,
    repeated a million times. The former limit is restored at the end.
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
    """Return an address space limit of what is in use plus ``megabytes``, but no more than the limit ``known``."""
    import resource

    try:
        with open("/proc/self/statm") as pages:
            used = int(pages.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc on this platform
        used = 4 << 30
    limit = used + (megabytes << 20)
    return limit if known == resource.RLIM_INFINITY else min(limit, known)
