"""Child processes that answer with bytes. No setting of the caller can break them, and none outlives the caller.

A process with one thread forks, which is quick. In a process with several threads, a lock that another thread holds
during the fork would stay locked in the child for ever. So there a `_ForkServer` forks instead: a fresh interpreter
with one thread that waits for requests. On systems without fork (Windows), each child is a fresh interpreter. Fresh
interpreters are isolated, and the working directory is not on their path: it may be a model's directory with a
`template_fix.py` of its own.

A child checks whether its parent still runs: every second, and after each half second of computing time (`limits`).
"""

from __future__ import annotations

import json
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import socket

Function = Callable[..., bytes]
# Waits for the answer until a deadline, a time of `time.monotonic`. Returns None if the child died without an answer,
# and raises TimeoutError. It must be called exactly once: it also reaps the child.
Wait = Callable[[float], "bytes | None"]

_LARGEST = 128 << 20
_NUMBER = struct.Struct("!Q")
_GRACE = 0.05
_LOOK = 1.0
_GLANCE = 0.5
_parent = 0
# What this process waits for, in words, and what shows it to a user who waits as well.
doing = ""
on_wait: Callable[[str], None] | None = None


def begin(function: Function, args: tuple[object, ...], *, show_stderr: bool = False) -> Wait:
    """Start ``function(*args)`` in a child process and return a function that waits for its answer.

    The function and its arguments are pickled unless this process forks. With ``show_stderr`` the child writes to this
    process's stderr, for progress bars. By default it doesn't: panics of a library would show up there as well.
    """
    if not hasattr(os, "fork"):
        return _spawn(function, args, show_stderr)
    if has_threads():
        return _fork_in_server(function, args, show_stderr)
    return _fork(function, args, show_stderr)


def has_threads() -> bool:
    """Whether this process has more than one thread."""
    return len(sys._current_frames()) > 1


def die_with_parent() -> None:
    """End this process if its parent is gone; call it in a child only."""
    if _parent and os.getppid() != _parent:
        os._exit(1)


# The parent's side


def _fork(function: Function, args: tuple[object, ...], show_stderr: bool) -> Wait:
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(writer, parent, lambda: (show_stderr, function, args))
    os.close(writer)

    def wait(deadline: float) -> bytes | None:
        try:
            received = _read(reader, deadline, lambda _: os.kill(child, signal.SIGKILL))
        finally:
            os.close(reader)
            with suppress(ChildProcessError):  # the caller's program may reap all children, or have them reaped
                os.waitpid(child, 0)
        return _unframe(received)

    return wait


def _read(reader: int, deadline: float, kill: Callable[[bytes], None]) -> bytes:
    """Return everything until the writer closes its end; else call ``kill`` with what was received so far.

    Data that is there already is read even after the deadline: this process may have waited for another child.
    """
    received = bytearray()
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    try:
        while _wait_for_data(poll, deadline):
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


def _wait_for_data(poll: select.poll, deadline: float) -> bool:
    """Return whether there is something to read before the deadline; ``on_wait`` is called twice a second meanwhile."""
    while True:
        left = max(deadline - time.monotonic(), _GRACE)
        if poll.poll(1000 * (left if on_wait is None else min(left, _GLANCE))):
            return True
        if on_wait is None or left <= _GLANCE:
            return False
        on_wait(doing)


def _unframe(received: bytes) -> bytes | None:
    """Return the answer that follows the child's process id and its length, or None if it isn't complete."""
    start = 2 * _NUMBER.size
    if len(received) < start or len(received) - start != _NUMBER.unpack_from(received, _NUMBER.size)[0]:
        return None
    return received[start:]


class _ForkServer:
    """A fresh interpreter with one thread that forks for this process."""

    def __init__(self) -> None:
        import socket

        self.owner = os.getpid()
        self.control, theirs = socket.socketpair()
        # It imports the same modules, but not the trainer's callback, which imports all of transformers.
        known = sorted(name for name in sys.modules if name.startswith("template_fix.") and "callback" not in name)
        given = (json.dumps(_module_path()), str(theirs.fileno()), str(self.owner), json.dumps(known))
        with theirs:
            # The started process forks and ends at once: a program that waits for all of its children must not hang.
            subprocess.run(
                [sys.executable, "-I", "-c", _SERVE, *given],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )

    def ask(self, end: socket.socket) -> None:
        import socket

        socket.send_fds(self.control, [b"x"], [end.fileno()])


# The last one is used. If two threads made one each at the same time, both stay: their children end with them.
_fork_servers: list[_ForkServer] = []


def _fork_in_server(function: Function, args: tuple[object, ...], show_stderr: bool) -> Wait:
    import socket

    request = pickle.dumps((dict(os.environ), (show_stderr, function, args)))
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            if not _fork_servers or _fork_servers[-1].owner != os.getpid():
                _fork_servers.append(_ForkServer())
            _fork_servers[-1].ask(theirs)
        except OSError:  # it was killed
            _fork_servers.append(_ForkServer())
            _fork_servers[-1].ask(theirs)
    with suppress(OSError):  # a child that died is noticed by its missing answer
        ours.sendall(_NUMBER.pack(len(request)) + request)

    def kill(received: bytes) -> None:
        if len(received) >= _NUMBER.size:
            os.kill(_NUMBER.unpack_from(received)[0], signal.SIGKILL)

    def wait(deadline: float) -> bytes | None:
        with ours:
            received = _read(ours.fileno(), deadline, kill)
        return _unframe(received)

    return wait


def _spawn(function: Function, args: tuple[object, ...], show_stderr: bool) -> Wait:
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", _ALONE, json.dumps(_module_path())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if show_stderr else subprocess.DEVNULL,
    )
    assert child.stdin is not None and child.stdout is not None
    received = bytearray()
    # Its input stays open: once it is closed, the child knows that this process is gone.
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
        return _unframe(bytes(received))

    return wait


def _module_path() -> list[str]:
    """Return the module path for a fresh interpreter: this one's, without the working directory."""
    with suppress(OSError):
        here = os.path.realpath(os.getcwd())
        package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
        known = [entry for entry in sys.path if os.path.isabs(entry) and os.path.realpath(entry) != here]
        return [*known, package]
    return [entry for entry in sys.path if os.path.isabs(entry)]


_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from template_fix.bounds import child; "
_SERVE = _START + "child.serve(*map(int, sys.argv[2:4]), json.loads(sys.argv[4]))"
_ALONE = _START + "child.answer_on_stdin()"


# The child's side


def serve(control: int, parent: int, modules: list[str]) -> None:
    """Run the fork server: fork for each descriptor that arrives on ``control``, until process ``parent`` is gone."""
    import socket
    from importlib import import_module

    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system reaps the children
    for name in modules:
        with suppress(ImportError):
            import_module(name)
    asked = socket.socket(fileno=control)
    poll = select.poll()  # unlike select, it takes descriptors of any number
    poll.register(asked, select.POLLIN)
    while _is_alive(parent):
        if poll.poll(1000 * _LOOK):
            try:
                received, descriptors, _, _ = socket.recv_fds(asked, 1, 1)
            except ConnectionError:
                return
            if not received:
                return
            for end in descriptors:
                _fork_for(end, asked)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _fork_for(end: int, asked: socket.socket) -> None:
    server = os.getpid()
    if os.fork() == 0:
        asked.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _answer(end, server, lambda: _read_request(end))
    os.close(end)


def _read_request(end: int) -> tuple[bool, Function, tuple[object, ...]]:
    with open(end, "rb", closefd=False) as asked:
        (length,) = _NUMBER.unpack(asked.read(_NUMBER.size))
        environment, work = pickle.loads(asked.read(length))
    os.environ.clear()
    os.environ.update(environment)
    return work  # type: ignore[no-any-return]


def _answer(end: int, parent: int, work: Callable[[], tuple[bool, Function, tuple[object, ...]]]) -> NoReturn:
    """Write this child's process id, then the length of its answer and the answer; end the process."""
    global _parent
    _parent = parent
    code = 1
    try:
        _write(end, _NUMBER.pack(os.getpid()))
        show_stderr, function, args = work()
        _detach_from_caller(show_stderr)
        answer = function(*args)
        _write(end, _NUMBER.pack(len(answer)) + answer)
        code = 0
    finally:
        os._exit(code)


def _detach_from_caller(show_stderr: bool) -> None:
    """Reset inherited signal handlers and streams, and check each second whether the parent still runs."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda number, frame: die_with_parent())
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # signals that the caller has blocked would never arrive here
    signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1) if show_stderr else (0, 1, 2):
        os.dup2(nowhere, stream)


def _write(end: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(end, view) :]


def answer_on_stdin() -> None:
    """Answer one request from standard input, in a fresh interpreter; used on systems without fork."""
    function, args = pickle.load(sys.stdin.buffer)

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    answer = function(*args)
    with open(1, "wb") as out:
        out.write(_NUMBER.pack(os.getpid()) + _NUMBER.pack(len(answer)) + answer)
    os._exit(0)
