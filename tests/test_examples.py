"""The examples, run as they are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_model

EXAMPLES = Path(__file__).parents[1] / "examples"
ROWS = [tiny_model.inline(*each) for each in tiny_model.QUESTIONS] * 8


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a broken model and the data that it is to be trained on."""
    tiny_model.written(tmp_path / "model")
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return tmp_path


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    # The commands of this environment come first, whether it is activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)


def test_the_shell_preflight_repairs_checks_and_starts_the_trainer(project: Path) -> None:
    ran = run(project, str(EXAMPLES / "preflight.sh"), "model", "train.jsonl", "echo", "trained with", "it")
    assert ran.returncode == 0, ran.stderr
    assert "reasoning: all kept, in 16 rows" in ran.stdout
    assert ran.stdout.endswith("trained with it\n")


def test_the_shell_preflight_starts_no_trainer_where_rows_are_lost(project: Path) -> None:
    with (project / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"messages"\n')
    ran = run(project, str(EXAMPLES / "preflight.sh"), "model", "train.jsonl", "echo", "trained")
    assert ran.returncode == 1
    assert "trained" not in ran.stdout.split()


def test_the_hook_finds_the_broken_model_and_passes_the_repaired_one(project: Path) -> None:
    yaml = pytest.importorskip("yaml")
    [defined] = yaml.safe_load((EXAMPLES.parent / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    [[used]] = [repo["hooks"] for repo in yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text())["repos"]]
    assert used["id"] == defined["id"]
    command = [*defined["entry"].split(), *used["args"]]
    for arguments in (command, [*defined["entry"].split(), "model"]):
        ran = run(project, *arguments)
        assert ran.returncode == 1
        rows = ran.stdout.splitlines()
        form = re.compile(r"(model/[\w.]+|train\.jsonl)(:\d+)*: \w+ (error|warning|note) ")
        assert rows
        assert all(map(form.match, rows))
    assert run(project, "template-fix", "patch", "model").returncode == 0
    assert run(project, *command).returncode == 0


def test_the_steps_of_ci_leave_what_code_scanning_takes_and_fail_on_the_broken_model(project: Path) -> None:
    yaml = pytest.importorskip("yaml")
    steps = yaml.safe_load((EXAMPLES / "ci.yaml").read_text(encoding="utf-8"))["jobs"]["template-fix"]["steps"]
    look, check = [step["run"] for step in steps if step.get("run", "").startswith("template-fix ")]
    assert run(project, "bash", "-e", "-c", look).returncode == 0
    ran = run(project, "bash", "-e", "-c", check)
    assert ran.returncode == 1
    assert "lost error 16 of 16 rows lose reasoning or answers" in ran.stdout
    [uploaded] = [step["with"]["sarif_file"] for step in steps if "upload-sarif" in step.get("uses", "")]
    [log] = json.loads((project / uploaded).read_text())["runs"]
    assert log["results"]
    for result in log["results"]:
        [place] = [each["physicalLocation"] for each in result["locations"]]
        text = (project / place["artifactLocation"]["uri"]).read_text(encoding="utf-8").splitlines()
        region = place.get("region")
        assert region is None or len(text[region["endLine"] - 1]) >= region["endColumn"] - 1
        assert result["partialFingerprints"]["templateFix/v1"]


@pytest.mark.slow
def test_the_script_trains_and_saves_a_model_that_reasons(project: Path) -> None:
    pytest.importorskip("trl")
    from transformers import AutoTokenizer

    tiny_model.model(AutoTokenizer.from_pretrained(project / "model")).save_pretrained(project / "model")
    command = [sys.executable, str(EXAMPLES / "sft.py"), "model", "train.jsonl", "--output", "out", "--steps", "20"]
    ran = run(project, *command)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "reasoning_opened" in ran.stdout
    saved = AutoTokenizer.from_pretrained(project / "out")
    assert "17 times 6 is 60 and 42." in saved.apply_chat_template(ROWS[0]["messages"], tokenize=False)


@pytest.mark.slow
def test_ray_runs_the_row_check(project: Path) -> None:
    pytest.importorskip("ray.data")
    ran = run(project, sys.executable, str(EXAMPLES / "ray_check.py"), "model", "train.jsonl")
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.splitlines()[-1] == "16 of 16 rows lose reasoning or answers"
