"""The scripts of benchmarks, which are run by hand: each one starts with the package as it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted(Path(__file__).resolve().parents[1].glob("benchmarks/*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_a_benchmark_tells_how_it_is_used(script: Path) -> None:
    done = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "usage:" in done.stdout, done.stderr
