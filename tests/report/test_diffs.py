from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from samples import PATCHED, UNTOUCHED

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.cli.demo import model_files
from template_fix.engine.patch import patch
from template_fix.report.diffs import raw_diff, readable_diff
from template_fix.results import PatchResult

RESULT = patch(Checkpoint("model", model_files()))


def test_the_raw_diff_is_of_the_files():
    diff = raw_diff(PATCHED)
    assert diff.startswith("--- a/tokenizer_config.json\n+++ b/tokenizer_config.json\n@@ ")
    assert diff.count("\n+ ") == 1
    assert raw_diff(UNTOUCHED) == readable_diff(UNTOUCHED) == ""


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_git_applies_the_raw_diff(tmp_path: Path):
    for name, text in model_files().items():
        (tmp_path / name).write_bytes(text.encode())
    subprocess.run(["git", "apply"], input=raw_diff(RESULT).encode(), cwd=tmp_path, check=True)
    after = {**model_files(), **{file: after for file, (_, after) in RESULT.changed.items()}}
    assert {path.name: path.read_bytes().decode() for path in tmp_path.iterdir()} == after


def test_a_template_in_json_is_shown_line_by_line_and_everything_else_once():
    diff = readable_diff(RESULT)
    assert "--- a/tokenizer_config.json, its default template\n" in diff
    [line] = [row for row in diff.split("\n") if row.startswith("+ ") and "preserve_thinking" in row]
    assert line == "+" + next(
        row
        for row in json.loads(RESULT.changed["tokenizer_config.json"][1])["chat_template"].split("\n")
        if "preserve_thinking" in row
    )
    assert diff.count('"special": false') == raw_diff(RESULT).count('"special": false')
    assert "chat_template" not in diff


def test_a_template_of_its_own_is_one_diff():
    before, after = "one\ntwo\n", "one\n2\n"
    result: PatchResult = replace(RESULT, changed={"chat_template.jinja": (before, after)})
    assert readable_diff(result) == raw_diff(result)
