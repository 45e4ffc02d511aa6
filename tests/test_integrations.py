"""The hook for pre-commit and the steps for GitHub Actions do what they say, as they stand in their files."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from template_fix.cli.demo import model_files

yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")
ROOT = Path(__file__).parents[1]
ROW = {"role": "assistant", "content": "<think>\nsurely\n</think>\n\nYes."}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a model in the folder ``model``, its data, and template-fix on the path."""
    (tmp_path / "model").mkdir()
    for name, text in model_files().items():
        (tmp_path / "model" / name).write_text(text, encoding="utf-8")
    rows = [{"messages": [{"role": "user", "content": f"{number}?"}, ROW]} for number in range(3)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    program = tmp_path / "bin" / "template-fix"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m template_fix "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def sh(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(sys.platform == "win32", reason="the steps are written for sh")
def test_the_hook_prints_a_line_for_each_finding(repository: Path) -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    [source] = yaml.safe_load((ROOT / "examples/pre-commit-config.yaml").read_text())["repos"]
    [used] = source["hooks"]
    assert used["id"] == hook["id"]
    for arguments in (["model"], used["args"]):
        done = sh(" ".join([hook["entry"], *arguments]), repository)
        rows = done.stdout.splitlines()
        assert done.returncode == 1
        assert rows
        assert all(re.match(r"(model/[\w.]+|train\.jsonl)(:\d+)*: \w+ (error|warning|note) ", row) for row in rows)
    assert any(row.startswith("train.jsonl:1: lost error 3 of 3 rows lose reasoning") for row in rows)
    pattern = re.compile(hook["files"])
    assert pattern.search("model/tokenizer_config.json")
    assert pattern.search("chat_template.jinja")
    assert not pattern.search("README.md")


@pytest.mark.skipif(sys.platform == "win32", reason="the steps are written for sh")
def test_the_steps_leave_what_code_scanning_takes_and_fail_where_rows_lose_something(repository: Path) -> None:
    [job] = yaml.safe_load((ROOT / "examples/ci.yaml").read_text())["jobs"].values()
    steps = [step["run"] for step in job["steps"] if step.get("run", "").startswith("template-fix ")]
    *before, last = [sh(step, repository).returncode for step in steps]
    assert (before, last) == ([0], 1)
    [uploaded] = [step["with"]["sarif_file"] for step in job["steps"] if "upload-sarif" in step.get("uses", "")]
    [run] = json.loads((repository / uploaded).read_text())["runs"]
    assert run["results"]
    for result in run["results"]:
        [place] = [each["physicalLocation"] for each in result["locations"]]
        text = (repository / place["artifactLocation"]["uri"]).read_text(encoding="utf-8").splitlines()
        region = place.get("region")
        assert region is None or text[region["endLine"] - 1][: region["endColumn"] - 1]
        assert result["partialFingerprints"]["templateFix/v1"]
    [dropped] = [result for result in run["results"] if result["ruleId"] == "TF201"]
    assert "Weighing idea 1." in dropped["message"]["text"]
