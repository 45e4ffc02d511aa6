"""Several processes that train together: one says what is wrong, and all of them stop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model

pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What each of two processes was told, by the step."""
    folder = tmp_path_factory.mktemp("ranks")
    model = tiny_model.written(folder / "model")
    script = str(Path(__file__).parents[1] / "ranks_real.py")
    commands = [[sys.executable, script, str(model), str(folder / "meeting"), str(rank)] for rank in (0, 1)]
    running = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in commands]
    try:
        outcomes = [each.communicate(timeout=180) for each in running]
    finally:
        for each in running:
            each.kill()
    assert [each.returncode for each in running] == [0, 0], [err[-2000:] for _, err in outcomes]
    return [json.loads(out.splitlines()[-1]) for out, _ in outcomes]


def test_every_process_stops_at_a_preflight_and_the_first_says_all(told: list[dict[str, str]]) -> None:
    first, second = (each["preflight"] for each in told)
    assert "error TF201" in first and "characters of reasoning" in first
    assert second.endswith("(the first process reports all of it)") and "\n" not in second


def test_every_process_stops_where_the_batches_of_one_are_wrong(told: list[dict[str, str]]) -> None:
    first, second = (each["wrong"] for each in told)
    assert "0 of 1 turns with reasoning have it in the labels" in first
    assert second.endswith("(the first process reports all of it)")


def test_no_process_stops_where_the_batches_of_all_are_right(told: list[dict[str, str]]) -> None:
    assert [each["right"] for each in told] == ["", ""]
