from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import faults
import pytest
from hub_server import Hub, Server
from hypothesis import settings

from template_fix.bounds import child
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import patch as repair
from template_fix.options import Options
from template_fix.results import PatchResult

# How long one example takes says more about the machine than about the code.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# huggingface_hub reads this when it is imported. No test, nor what a test starts, is to reach the real Hub.
SERVER = Server()
os.environ.update(HF_ENDPOINT=SERVER.endpoint, HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
# Nor is any to find or to leave a key in the user's home.
_STATE = tempfile.TemporaryDirectory()
os.environ["XDG_STATE_HOME"] = _STATE.name


def _has_other_threads() -> bool:
    """Whether there is another thread than those of the Hub: what is patched here has to be so in children, too."""
    of_the_hub = ("(serve_forever)", "(process_request_thread)")
    return any(
        not thread.name.endswith(of_the_hub) for thread in threading.enumerate() if thread != threading.current_thread()
    )


child.has_threads = _has_other_threads


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if faults.COUNTED:
        told = ", ".join(f"{number:,} {what}" for what, number in sorted(faults.COUNTED.items()))
        terminalreporter.write_line(f"Without a lost byte: {told}.")


@pytest.fixture(scope="session")
def _served() -> Iterator[None]:
    with SERVER.running():
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
def _results() -> dict[object, PatchResult]:
    return {}


@pytest.fixture
def remembered(_results: dict[object, PatchResult], monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair takes the engine half a second, and is the same each time: here it is worked out once a session."""

    def patch(checkpoint: Checkpoint, options: Options | None = None) -> PatchResult:
        key = (frozenset(checkpoint.files.items()), options)
        if key not in _results:
            _results[key] = repair(checkpoint, options)
        named = {"model": checkpoint.name, "revision": checkpoint.revision}
        found = _results[key]
        return replace(found, before=replace(found.before, **named), after=replace(found.after, **named))

    for place in ("template_fix.engine.patch.patch", "template_fix.share.plan.patch"):
        monkeypatch.setattr(place, patch)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of corpora beside the repository; tests that need it are skipped where it is missing."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not (path / "corpus").is_dir():
        pytest.skip(f"the corpus is not at {path}")
    return path
