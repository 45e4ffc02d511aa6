"""Child processes that answer with bytes: started so that nothing of the caller's can stop them, and gone when it is.

A process with one thread forks, which is quick. In one with several, a lock that another thread holds while it forks
stays locked in the child for ever; so there a `_Nursery` forks, a fresh interpreter that has one thread and waits to
be asked. Where nothing can fork (Windows), each child is a fresh interpreter. These are isolated, and the working
directory is not on their path: it may be a model's, with a `template_fix.py` of its own.

No child outlives its parent, however that ends: it looks every second, and whenever it has computed for half a second
(see ``limits``), whether the parent is still there.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

Function = Callable[..., bytes]
# Waits for the answer until a time of `time.monotonic`. Returns None where the child died without one, and raises
# TimeoutError. It must be called, and once: it also reaps the child.
Wait = Callable[[float], "bytes | None"]

_LARGEST = 128 << 20
_NUMBER = struct.Struct("!Q")
_GRACE = 0.05
_LOOK = 1.0
_parent = 0


def begin(function: Function, args: tuple[object, ...], *, speaks: bool = False) -> Wait:
    """Start ``function(*args)`` in a child process and return what waits for its answer.

    In a fresh interpreter the function and its arguments arrive pickled. Only one that ``speaks`` has this process's
    stderr, for bars that tell how far it is: panics and aborts of a library write there, too.
    """
    if not hasattr(os, "fork"):
        return _spawned(function, args, speaks)
    if has_threads():
        return _from_nursery(function, args, speaks)
    return _forked(function, args, speaks)


def has_threads() -> bool:
    """Whether this process has another thread than the one that asks."""
    return len(sys._current_frames()) > 1


def die_with_parent() -> None:
    """End this process where its parent is gone; to be called in a child."""
    if _parent and os.getppid() != _parent:
        os._exit(1)


# The parent's side


def _forked(function: Function, args: tuple[object, ...], speaks: bool) -> Wait:
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(writer, parent, lambda: (speaks, function, args))
    os.close(writer)

    def wait(deadline: float) -> bytes | None:
        try:
            received = _read(reader, deadline, lambda _: os.kill(child, signal.SIGKILL))
        finally:
            os.close(reader)
            with suppress(ChildProcessError):  # the caller's program may reap all children, or have them reaped
                os.waitpid(child, 0)
        return _framed(received)

    return wait


def _read(reader: int, deadline: float, kill: Callable[[bytes], None]) -> bytes:
    """Return what comes until the writer is gone; ``kill`` gets what has come where that ends otherwise.

    What lies there is read even after the deadline: this process may have waited for another child.
    """
    received = bytearray()
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    try:
        while poll.poll(1000 * max(deadline - time.monotonic(), _GRACE)):
            part = os.read(reader, 1 << 20)
            received += part
            if not part:
                return bytes(received)
            if len(received) > _LARGEST:
                break
        else:
            raise TimeoutError
    except BaseException:
        with suppress(ProcessLookupError):
            kill(bytes(received))
        raise
    with suppress(ProcessLookupError):
        kill(bytes(received))
    return b""


def _framed(received: bytes) -> bytes | None:
    """Return the answer that a child has written behind its number, None where it isn't whole."""
    start = 2 * _NUMBER.size
    if len(received) < start or len(received) - start != _NUMBER.unpack_from(received, _NUMBER.size)[0]:
        return None
    return received[start:]


class _Nursery:
    """A fresh interpreter of one thread that forks for this process."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.control, theirs = socket.socketpair()
        # What is imported here will be needed there; the callback is the trainer's, and imports all of transformers.
        known = sorted(name for name in sys.modules if name.startswith("template_fix.") and "callback" not in name)
        given = (json.dumps(_path()), str(theirs.fileno()), str(self.owner), json.dumps(known))
        with theirs:
            # It leaves a child behind and ends: a program that waits for all of its children shall not wait for this.
            subprocess.run(
                [sys.executable, "-I", "-c", _SERVE, *given],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )

    def ask(self, end: socket.socket) -> None:
        socket.send_fds(self.control, [b"x"], [end.fileno()])


# The last one is used. One that two threads made at once stays, too: its children end with it.
_nurseries: list[_Nursery] = []


def _from_nursery(function: Function, args: tuple[object, ...], speaks: bool) -> Wait:
    request = pickle.dumps((dict(os.environ), (speaks, function, args)))
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            if not _nurseries or _nurseries[-1].owner != os.getpid():
                _nurseries.append(_Nursery())
            _nurseries[-1].ask(theirs)
        except OSError:  # it was killed
            _nurseries.append(_Nursery())
            _nurseries[-1].ask(theirs)
    with suppress(OSError):  # a child that died tells so by its answer
        ours.sendall(_NUMBER.pack(len(request)) + request)

    def kill(received: bytes) -> None:
        if len(received) >= _NUMBER.size:
            os.kill(_NUMBER.unpack_from(received)[0], signal.SIGKILL)

    def wait(deadline: float) -> bytes | None:
        with ours:
            received = _read(ours.fileno(), deadline, kill)
        return _framed(received)

    return wait


def _spawned(function: Function, args: tuple[object, ...], speaks: bool) -> Wait:
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _ALONE, json.dumps(_path())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if speaks else subprocess.DEVNULL,
    )
    assert child.stdin is not None and child.stdout is not None
    received = bytearray()
    # Its input stays open: that it closes tells the child that this process is gone.
    listening = threading.Thread(target=lambda: received.extend(child.stdout.read(_LARGEST)), daemon=True)  # type: ignore[union-attr]
    with suppress(OSError):
        child.stdin.write(pickle.dumps((function, args)))
        child.stdin.flush()
    listening.start()

    def wait(deadline: float) -> bytes | None:
        try:
            listening.join(max(deadline - time.monotonic(), _GRACE))
            if listening.is_alive():
                raise TimeoutError
        finally:
            child.kill()
            child.communicate()
        return _framed(bytes(received))

    return wait


def _path() -> list[str]:
    """Return where a fresh interpreter finds modules: as this one does, but for the working directory."""
    with suppress(OSError):
        here = os.path.realpath(os.getcwd())
        package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
        known = [entry for entry in sys.path if os.path.isabs(entry) and os.path.realpath(entry) != here]
        return [*known, package]
    return [entry for entry in sys.path if os.path.isabs(entry)]


_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from template_fix.bounds import child; "
_SERVE = _START + "child.serve(*map(int, sys.argv[2:4]), json.loads(sys.argv[4]))"
_ALONE = _START + "child.alone()"


# The child's side


def serve(control: int, parent: int, modules: list[str]) -> None:
    """Be a nursery: fork for each descriptor that comes through ``control``, until the process ``parent`` is gone."""
    from importlib import import_module

    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps its children
    for name in modules:
        with suppress(ImportError):
            import_module(name)
    asked = socket.socket(fileno=control)
    poll = select.poll()  # unlike select, it takes descriptors of any number
    poll.register(asked, select.POLLIN)
    while _lives(parent):
        if poll.poll(1000 * _LOOK):
            try:
                received, descriptors, _, _ = socket.recv_fds(asked, 1, 1)
            except ConnectionError:
                return
            if not received:
                return
            for end in descriptors:
                _fork_for(end, asked)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _fork_for(end: int, asked: socket.socket) -> None:
    nursery = os.getpid()
    if os.fork() == 0:
        asked.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _answer(end, nursery, lambda: _requested(end))
    os.close(end)


def _requested(end: int) -> tuple[bool, Function, tuple[object, ...]]:
    with open(end, "rb", closefd=False) as asked:
        (length,) = _NUMBER.unpack(asked.read(_NUMBER.size))
        environment, work = pickle.loads(asked.read(length))
    os.environ.clear()
    os.environ.update(environment)
    return work  # type: ignore[no-any-return]


def _answer(end: int, parent: int, work: Callable[[], tuple[bool, Function, tuple[object, ...]]]) -> NoReturn:
    """Write this child's number, and then the length of its answer and the answer; end the process."""
    global _parent
    _parent = parent
    code = 1
    try:
        _write(end, _NUMBER.pack(os.getpid()))
        speaks, function, args = work()
        _leave_the_caller_alone(speaks)
        answer = function(*args)
        _write(end, _NUMBER.pack(len(answer)) + answer)
        code = 0
    finally:
        os._exit(code)


def _leave_the_caller_alone(speaks: bool) -> None:
    """Undo what was inherited of signals and streams, and look each second whether the parent is still there."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda number, frame: die_with_parent())
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what the caller has blocked would never arrive here
    signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1) if speaks else (0, 1, 2):
        os.dup2(nowhere, stream)


def _write(end: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(end, view) :]


def alone() -> None:
    """Answer one request that comes through standard input, in an interpreter of its own; runs where nothing forks."""
    function, args = pickle.load(sys.stdin.buffer)

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    answer = function(*args)
    with open(1, "wb") as out:
        out.write(_NUMBER.pack(os.getpid()) + _NUMBER.pack(len(answer)) + answer)
    os._exit(0)
