from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of corpora beside the repository; tests that need it are skipped where it is missing."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not (path / "corpus").is_dir():
        pytest.skip(f"the corpus is not at {path}")
    return path
