from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from rendering import render

from template_fix.bounds import limits
from template_fix.bounds.limits import ChildError, LimitExceeded, run_bounded, start, step
from template_fix.jinja.renderer import Renderer, RenderError
from template_fix.jinja.templates import ParseError

pytestmark = pytest.mark.children

USER = [{"role": "user", "content": "hello"}]
HELPERS = Path(__file__).parents[1]


def rendered(source: str) -> object:
    """Runs in the child; a template that fails gives a Failure."""
    return Renderer(source)(USER)


def spin(seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "done"


def counted(seconds: float) -> int:
    """Compute for about as long in one call, in which no handler of a signal runs."""
    return sum(range(int(10**8 * seconds)))


def slept(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def noted(folder: str, work: Callable[[float], str], seconds: float) -> str:
    """Leave a file that tells that the work has begun."""
    Path(folder, str(os.getpid())).touch()
    return work(seconds)


def stepped(seconds: float, limit: float) -> str:
    with step("spinning", limit):
        return spin(seconds)


def allocated(megabytes: int) -> int:
    return len(bytearray(megabytes << 20))


def raised(error: BaseException) -> None:
    raise error


def nested(seconds: float) -> str:
    return run_bounded(spin, seconds, seconds=0.01)


def unpicklable() -> object:
    return lambda: None


def killed() -> None:
    os.kill(os.getpid(), 9)


@contextmanager
def another_thread() -> Iterator[None]:
    """Keep a second thread alive, so that this process mustn't fork."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def child(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if kind == "in a fresh interpreter":
        monkeypatch.delattr(os, "fork")
    elif not hasattr(os, "fork"):
        pytest.skip("no fork on this platform")
    with another_thread() if kind == "beside a thread" else nullcontext():
        yield kind


@pytest.fixture(params=["forked", "beside a thread", "in a fresh interpreter"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """All ways of starting a child: the last is the only one where a process can't fork."""
    with child(str(request.param), monkeypatch) as kind:
        yield kind


@pytest.fixture(params=["forked", "beside a thread", pytest.param("in a fresh interpreter", marks=pytest.mark.slow)])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """All ways, the one that takes a new interpreter each time among the slow tests."""
    with child(str(request.param), monkeypatch) as kind:
        yield kind


BOMBS = [
    pytest.param("{{ 'x' * 900000000 }}", id="a constant that the compiler folds"),
    pytest.param("{% set n = 900000000 %}{{ messages[0].content * n }}", id="a text multiplied"),
    pytest.param("{{ [messages] * 900000000 }}", id="a list multiplied"),
    pytest.param("{{ messages[0].content.ljust(900000000) }}", id="a text padded"),
    pytest.param("{{ '%0900000000d' % 1 }}", id="a number formatted"),
    pytest.param("{{ messages[0].content.replace('e', 'x' * 300000000) }}", id="a text replaced by a long one"),
    pytest.param(
        "{% set s = namespace(t='xxxxxxxx') %}{% for i in range(64) %}{% set s.t = s.t ~ s.t %}{% endfor %}",
        id="a text doubled again and again",
    ),
    pytest.param(
        "{% set s = namespace(l=[1]) %}{% for i in range(64) %}{% set s.l = s.l + s.l %}{% endfor %}",
        id="a list doubled again and again",
    ),
]

ENDLESS = [
    pytest.param(
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", id="loops inside of loops"
    ),
    pytest.param("{{ lipsum(n=100000000) }}", id="words without end"),
    pytest.param(
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        id="a macro that calls itself twice",
    ),
]

FAILING = [
    pytest.param("{{ " + "(" * 100 + "1" + ")" * 100 + " }}", id="parentheses nested deeply"),
    pytest.param("{% if a %}" * 150 + "{% endif %}" * 150, id="blocks nested deeply"),
    pytest.param("{{ " + "-" * 5000 + "1 }}", id="signs nested deeply"),
    pytest.param("{{ " + "[" * 400 + "]" * 400 + " }}", id="lists nested deeply"),
    pytest.param("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", id="a macro that calls itself"),
    pytest.param("{% for i in range(10 ** 9) %}{% endfor %}", id="a range longer than the sandbox allows"),
    pytest.param("{{ ''.__class__.__mro__[1].__subclasses__() }}", id="the classes of Python"),
    pytest.param("{{ lipsum.__globals__['os'].popen('id').read() }}", id="the globals of a function"),
    pytest.param("{{ cycler.__init__.__globals__.os.getcwd() }}", id="the globals of a class"),
    pytest.param("{{ messages.append(1) }}", id="a list changed in place"),
    pytest.param("{{ messages[0].update(content='') }}", id="a message changed in place"),
    pytest.param("{{ '{0.__class__.__init__.__globals__}'.format(messages).x }}", id="a format that climbs"),
    pytest.param("{{ ('{0.__class__.__mro__}' | format(1)).x.y }}", id="a format filter that climbs"),
    pytest.param("{% set n = namespace(_x=1) %}", id="a private name on a namespace"),
    pytest.param("{% include '/etc/passwd' %}", id="a file included"),
    pytest.param("{% import 'os' as os %}{{ os }}", id="a module imported"),
    pytest.param("{{ raise_exception('no') }}", id="an exception of its own"),
    pytest.param("{{ (10 ** 10000) | string }}", id="a number too long to print"),
    pytest.param("{{ " + "9" * 5000 + " }}", id="a number too long to read"),
    pytest.param("{% break %}", id="a break outside of loops"),
    pytest.param("{% for i in [1] %}" * 25 + "{% endfor %}" * 25, id="loops nested deeply"),
]


@pytest.mark.parametrize("source", BOMBS)
def test_a_template_that_asks_for_memory_without_end_is_stopped(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(LimitExceeded):
        run_bounded(rendered, source, seconds=20, megabytes=192)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("source", ENDLESS)
def test_a_template_without_end_is_stopped(source: str) -> None:
    started = time.monotonic()
    with pytest.raises(LimitExceeded):
        run_bounded(rendered, source, seconds=0.15)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("source", FAILING)
def test_a_template_that_reaches_for_what_it_may_not_have_fails_in_one_line(source: str) -> None:
    with pytest.raises(RenderError) as error:
        render(source, USER)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the shorter step reaches a forked child only")
def test_rendering_is_a_step_with_a_bound_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("template_fix.jinja.renderer.step", lambda what: step(what, 0.2))
    with pytest.raises(RenderError, match=r"stopped: rendering the template takes more than 0\.2 s"):
        render("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", USER)


@pytest.mark.slow
@pytest.mark.parametrize("source", [*BOMBS, *ENDLESS])
def test_rendering_stops_each_of_them_by_itself(source: str) -> None:
    with pytest.raises(RenderError, match="stopped"):
        render(source, USER)


@pytest.mark.slow
def test_an_operation_that_no_signal_interrupts_is_ended_by_the_kernel() -> None:
    started = time.monotonic()
    with pytest.raises(RenderError, match="stopped"):
        render("{{ 2 ** (10 ** 10) }}", USER)
    assert time.monotonic() - started < 20


def test_what_the_child_takes_at_most_is_bounded() -> None:
    """Memory is measured in a process of its own: what others took before would hide it."""
    program = f"""
import resource, sys
sys.path.insert(0, {str(HELPERS)!r})
from rendering import render
from template_fix.jinja.renderer import RenderError
try:
    render("{{{{ 'x' * 4000000000 }}}}", [])
except RenderError as error:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    megabytes, _, told = ran.stdout.partition(" ")
    assert int(megabytes) < 700 and "memory" in told


def test_a_call_returns_what_its_function_returns(way: str) -> None:
    assert run_bounded(operator.add, [1, "ü"], [{"a": None}]) == [1, "ü", {"a": None}]


def test_a_long_result_comes_through_whole(either: str) -> None:
    assert run_bounded(operator.mul, "x", 3_000_000) == "x" * 3_000_000


def test_a_call_that_takes_too_long_is_ended(either: str) -> None:
    started = time.monotonic()
    with pytest.raises(LimitExceeded, match=r"takes more than 0\.4 s"):
        run_bounded(spin, 30.0, seconds=0.4)
    assert time.monotonic() - started < 5


def test_a_step_that_takes_too_long_is_ended_and_named(way: str) -> None:
    with pytest.raises(LimitExceeded, match=r"spinning takes more than 0\.1 s"):
        run_bounded(stepped, 30.0, 0.1, seconds=20)


def test_a_step_that_ends_in_time_leaves_no_alarm_behind() -> None:
    assert run_bounded(after_a_step, seconds=20) == "done"


def after_a_step() -> str:
    stepped(0.0, 0.05)
    return spin(0.3)


def test_a_step_outside_of_a_bounded_call_bounds_nothing() -> None:
    assert stepped(0.15, 0.01) == "done"


def test_a_template_runs_inside_of_a_bounded_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All other tests say that they trust their templates."""
    monkeypatch.setattr(limits, "trusted", False)
    with pytest.raises(RuntimeError, match="compiling the template belongs inside of a bounded call"):
        Renderer("{{ messages }}")
    assert run_bounded(rendered, "{{ messages | length }}", seconds=20)


def test_memory_is_bounded_and_what_fits_is_not_refused(way: str) -> None:
    assert run_bounded(allocated, 20, megabytes=100) == 20 << 20
    with pytest.raises(LimitExceeded, match="takes more than 100 MB of memory"):
        run_bounded(allocated, 300, megabytes=100)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RenderError("line 3: no"), id="a template that can't be rendered"),
        pytest.param(ParseError("no", 7), id="a template that doesn't parse"),
        pytest.param(LimitExceeded("too much"), id="a limit"),
        pytest.param(FileNotFoundError(2, "gone", "a.json"), id="a missing file"),
    ],
)
def test_what_a_function_raises_comes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run_bounded(raised, error)
    assert str(caught.value) == str(error) and vars(caught.value) == vars(error)


def test_what_a_function_raises_comes_through_from_either_child(either: str) -> None:
    with pytest.raises(ParseError, match="no") as caught:
        run_bounded(raised, ParseError("no", 7))
    assert caught.value.offset == 7


@pytest.mark.parametrize(
    ("function", "args", "told"),
    [
        pytest.param(raised, (KeyError("x"),), "KeyError: 'x'", id="a fault"),
        pytest.param(operator.truediv, (1, 0), "ZeroDivisionError", id="a fault of arithmetic"),
        pytest.param(unpicklable, (), "pickle", id="a result that can't leave the child"),
    ],
)
def test_a_fault_of_this_program_comes_with_its_traceback(
    function: Callable[..., Any], args: tuple[Any, ...], told: str
) -> None:
    with pytest.raises(ChildError, match="Traceback") as error:
        run_bounded(function, *args)
    assert told in str(error.value)


def test_a_fault_comes_from_either_child(either: str) -> None:
    with pytest.raises(ChildError, match="pickle"):
        run_bounded(unpicklable)


def test_a_child_that_is_killed_has_exceeded_its_limits(either: str) -> None:
    with pytest.raises(LimitExceeded):
        run_bounded(killed)


def test_calls_nest_and_the_outer_one_bounds() -> None:
    assert run_bounded(nested, 0.1, seconds=20) == "done"
    with pytest.raises(LimitExceeded, match=r"takes more than 0\.3 s"):
        run_bounded(nested, 30.0, seconds=0.3)


def test_calls_can_run_side_by_side(either: str) -> None:
    begun = time.monotonic()
    waiting = [start(slept, 0.6, seconds=20) for _ in range(4)]
    assert [wait() for wait in waiting] == ["slept"] * 4
    assert time.monotonic() - begun < 2.3


def test_waiting_for_one_that_takes_too_long_costs_no_other_its_answer(either: str) -> None:
    slow, quick = start(slept, 30.0, seconds=0.6), start(operator.mul, "x", 300_000, seconds=0.6)
    with pytest.raises(LimitExceeded):
        slow()
    assert quick() == "x" * 300_000


def test_no_child_is_left_behind() -> None:
    for _ in range(3):
        with pytest.raises(LimitExceeded):
            run_bounded(spin, 30.0, seconds=0.05)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# What the caller's program does meanwhile


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_lock_that_another_thread_holds_stops_no_child() -> None:
    """jinja2 keeps its lexers behind such a lock, and the import system each module."""
    from jinja2.lexer import _lexer_cache

    with another_thread(), _lexer_cache._wlock:
        begun = time.monotonic()
        assert run_bounded(rendered, "{{ messages[0].content }}", seconds=20) == "hello"
        assert time.monotonic() - begun < 15


BEHAVIOUR = {
    "where SIGCHLD is ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "where others reap all children": "signal.signal(signal.SIGCHLD, lambda *_: reap())",
    "where signals have handlers": "for s in (15, 2, 14, 27): signal.signal(s, lambda *_: print('disturbed'))",
    "where a loop listens for signals": "a = socket.socket(); a.setblocking(0); signal.set_wakeup_fd(a.fileno())",
    "where many files are open": "resource.setrlimit(7, (4096, 4096)); kept = [os.dup(0) for _ in range(1500)]",
    "where a model directory is the working directory": "os.chdir(hostile)",
}


@pytest.mark.parametrize("threads", ["one thread", "two threads"])
@pytest.mark.parametrize("setting", BEHAVIOUR.values(), ids=BEHAVIOUR)
def test_templates_are_tried_whatever_the_caller_does(setting: str, threads: str, tmp_path: Path) -> None:
    for name in ("template_fix", "json", "click", "jinja2", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("print('the model runs code'); raise SystemExit(7)")
    program = f"""
import os, resource, signal, socket, sys, threading, time
sys.path.insert(0, {str(HELPERS)!r})
from rendering import render
from template_fix.jinja.renderer import RenderError
def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
hostile = {str(tmp_path)!r}
{setting}
before = signal.getsignal(signal.SIGPROF), signal.getitimer(signal.ITIMER_REAL), resource.getrlimit(resource.RLIMIT_AS)
if {threads!r} == "two threads":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
for _ in range(3):
    print(render("{{{{ messages[0].content }}}}", [{{"role": "user", "content": "hello"}}]))
try:
    render("{{{{ 'x' * 900000000 }}}}", [])
except RenderError as error:
    print(error)
after = signal.getsignal(signal.SIGPROF), signal.getitimer(signal.ITIMER_REAL), resource.getrlimit(resource.RLIMIT_AS)
print(before == after)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout.splitlines()[:3] == ["hello"] * 3, ran.stderr
    stopped = "the template was stopped: rendering the template takes more than 512 MB of memory"
    assert ran.stdout.splitlines()[3:] == [stopped, "True"]
    assert ran.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["one thread", "two threads"])
@pytest.mark.parametrize("function", [pytest.param("spin", id="in Python"), pytest.param("counted", id="in one call")])
def test_time_is_bounded_where_the_caller_has_blocked_or_ignores_signals(function: str, threads: str) -> None:
    program = f"""
import signal, sys, threading, time
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(HELPERS)!r}]
from template_fix.bounds.limits import LimitExceeded, run_bounded
from test_limits import {function}
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
if {threads!r} == "two threads":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
try:
    run_bounded({function}, 50.0, computing=1.0, seconds=50)
except LimitExceeded as error:
    print(error)
"""
    begun = time.monotonic()
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ran.stdout.startswith("takes more ") and "50 s" not in ran.stdout, ran.stdout + ran.stderr
    assert time.monotonic() - begun < 40


def processes(mark: str) -> list[int]:
    """Return the processes whose environment has a mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


ENDS = {"SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL, "an exit": None}
THREADS = ("one thread", "two threads", "blocked signals")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("work", ["spin", "slept"])
def test_no_child_outlives_its_parent(work: str, end: str, threads: str, tmp_path: Path) -> None:
    mark = f"TEMPLATE_FIX_TEST={os.getpid()}-{time.monotonic_ns()}"
    program = f"""
import os, signal, sys, threading, time
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(HELPERS)!r}]
if {threads!r} == "blocked signals":
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {{signal.SIGTERM}})
from template_fix.bounds.limits import start
from test_limits import {work}, noted
if {threads!r} == "two threads":
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
folder = {str(tmp_path)!r}
waiting = [start(noted, folder, {work}, 60.0, seconds=100) for _ in range(2)]
while len(os.listdir(folder)) < 2:
    time.sleep(0.02)
print("ready", flush=True)
if {ENDS[end] is None}:
    os._exit(0)
time.sleep(60)
"""
    name, _, value = mark.partition("=")
    ran = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, name: value}, stdout=subprocess.PIPE, text=True
    )
    assert ran.stdout is not None and ran.stdout.readline() == "ready\n"
    if (sent := ENDS[end]) is not None:
        assert len(processes(mark)) >= 3
        ran.send_signal(sent)
    ran.wait(10)
    deadline = time.monotonic() + 10
    while processes(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not processes(mark)
