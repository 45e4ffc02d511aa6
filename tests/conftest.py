from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faults
import pytest
from hub_server import Hub, Server
from hypothesis import settings

from template_fix.bounds import child, limits
from template_fix.engine import studies

# How long one example takes says more about the machine than about the code.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# huggingface_hub reads this when it is imported. No test, nor what a test starts, is to reach the real Hub.
SERVER = Server()
os.environ.update(HF_ENDPOINT=SERVER.endpoint, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
# So it is imported here: what a test does in the place of a child, which goes offline, is not to decide for the others.
importlib.import_module("huggingface_hub.constants")
# Nor is any to find or to leave a key in the user's home.
_STATE = tempfile.TemporaryDirectory()
os.environ["XDG_STATE_HOME"] = _STATE.name
# What one test finds out, no other is to believe; where there is no folder for it, nothing is kept.
os.environ.setdefault("HF_HOME", os.path.expanduser("~/.cache/huggingface"))
os.environ["XDG_CACHE_HOME"] = os.devnull


def _has_other_threads() -> bool:
    """Whether there is another thread than those of the Hub: what is patched here has to be so in children, too."""
    of_the_hub = ("(serve_forever)", "(process_request_thread)")
    return any(
        not thread.name.endswith(of_the_hub) for thread in threading.enumerate() if thread != threading.current_thread()
    )


child.has_threads = _has_other_threads
limits.trusted = True


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--children", action="store_true", help="work in child processes in every test, as users do")


@pytest.fixture(autouse=True)
def _in_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do in this process what a child would do, which is quicker: within its limits, and pickled.

    Tests of what only a real child does are marked ``children``. Slow tests have children, and with ``--children`` all.
    """
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")  # as it is again for the next test
    marks = map(request.node.get_closest_marker, ("children", "slow"))
    if sys.platform == "win32" or request.config.getoption("children") or any(marks):
        return
    import resource

    bounded = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE)

    def begin(function: Callable[..., bytes], args: tuple[Any, ...], *, show_stderr: bool = False) -> child.Wait:
        pickle.dumps((function, args))  # as for a child that is a fresh interpreter
        before = [resource.getrlimit(each) for each in bounded]
        try:
            answer = function(*args)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, lambda *_: None)  # one that is on its way would bound this process for good
            limits._in_child, limits._all_ticks_left = False, None
            for each, limit in zip(bounded, before, strict=True):
                resource.setrlimit(each, limit)
        return lambda deadline: answer

    monkeypatch.setattr(child, "begin", begin)
    monkeypatch.setattr(limits, "gc", SimpleNamespace(freeze=lambda: None))


def pytest_collection_finish() -> None:
    """Leave what is there by now out of every later collection of garbage: it stays, and there is much of it."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if faults.COUNTED:
        told = ", ".join(f"{number:,} {what}" for what, number in sorted(faults.COUNTED.items()))
        terminalreporter.write_line(f"Without a lost byte: {told}.")


@pytest.fixture(scope="session")
def _served() -> Iterator[None]:
    """The server of all tests' Hubs. Each process that asks it would read all certificates, which no test needs."""
    from huggingface_hub.utils import get_session

    with pytest.MonkeyPatch.context() as patched, SERVER.running():
        patched.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        patched.setattr("tqdm.std.tqdm.monitor_interval", 0)  # it would start a thread that stays
        get_session()  # here, so that children have them too
        yield


@pytest.fixture
def hub(_served: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """An empty Hub that the client speaks to, with an empty cache and no token; the client doesn't wait to retry."""
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import _http

    for name, path in (("HF_HUB_CACHE", "cache"), ("HF_TOKEN_PATH", "token"), ("HF_STORED_TOKENS_PATH", "tokens")):
        monkeypatch.setattr(constants, name, str(tmp_path / "hf" / path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf" / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for module in (_http, file_download):
        monkeypatch.setattr(module, "time", SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None}))
    SERVER.hub = Hub(SERVER.endpoint)
    return SERVER.hub


@pytest.fixture(scope="session")
def _studies() -> dict[str, Any]:
    return {}


# Tests of what is done with the study of a template. How one is made, those of the folders in front of them test.
_BEHIND_STUDIES = {"checkpoint", "cli", "data", "disk", "hub", "report", "share", "training"}


@pytest.fixture(autouse=True)
def _remembered(request: pytest.FixtureRequest, _studies: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Study each template once a session: a repair takes half a second, and is the same each time."""
    if request.path.parent.name in _BEHIND_STUDIES and not request.node.get_closest_marker("children"):
        monkeypatch.setattr(studies, "recall", _studies.get)
        monkeypatch.setattr(studies, "keep", _studies.__setitem__)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of corpora beside the repository; tests that need it are skipped where it is missing."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not (path / "corpus").is_dir():
        pytest.skip(f"the corpus is not at {path}")
    return path
