from __future__ import annotations

import json
import os
import re
import subprocess

import pytest

from template_fix.cli.demo import ROW, model_files
from template_fix.cli.main import main
from template_fix.conversations.tags import USUAL

THOUGHTS = [message["content"].split("\n")[1] for message in ROW if message["role"] == "assistant"]


def test_the_demo_tells_a_repair_from_beginning_to_end(tmp_path, capsys):
    code = main(["demo", str(tmp_path / "model")])
    out = capsys.readouterr().out
    assert code == 0
    assert re.findall(r"^(\d)\. ", out, re.MULTILINE) == list("123456")
    assert "error TF201" in out
    assert "error TF301" in out
    assert f"[-{THOUGHTS[0]}-]" in out
    assert f"    {THOUGHTS[0]}\n" in out
    assert f"template-fix undo {tmp_path / 'model'}" in out
    assert max(map(len, out.replace(str(tmp_path), "").splitlines())) <= 100


def test_before_the_patch_reasoning_is_lost_and_after_it_is_not(tmp_path, capsys):
    assert main(["demo", str(tmp_path / "model"), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    before, after = told["row_before"], told["row_after"]
    lost = "".join(run["text"] for turn in before["turns"] for run in turn["runs"] if run["kind"] == "dropped")
    assert all(thought in lost for thought in THOUGHTS)
    assert [run for turn in after["turns"] for run in turn["runs"] if run["kind"] == "dropped"] == []
    assert not set(USUAL) & set(before["tokens"])
    assert set(USUAL) < set(after["tokens"])
    assert not any(tag in before["decoded"] for tag in USUAL)
    assert after["decoded"] == ROW[-1]["content"]
    assert not [finding for finding in told["after"]["findings"] if finding["level"] == "error"]


def test_the_demo_can_be_undone(tmp_path, capsys):
    main(["demo", str(tmp_path / "model")])
    assert main(["undo", str(tmp_path / "model")]) == 0
    assert {name: (tmp_path / "model" / name).read_text(encoding="utf-8") for name in model_files()} == model_files()


def test_a_second_patch_changes_nothing(tmp_path, capsys):
    main(["demo", str(tmp_path / "model")])
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").glob("*.json")}
    assert main(["patch", str(tmp_path / "model")]) == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").glob("*.json")} == before


def test_without_a_directory_it_makes_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    main(["demo", "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    [made] = tmp_path.iterdir()
    assert told["directory"] == str(made)


def test_a_directory_with_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine").write_text("mine")
    assert main(["demo", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert capsys.readouterr().err == f"template-fix: {tmp_path}: is not empty; name a new or an empty directory\n"


@pytest.mark.slow
def test_the_repaired_model_keeps_reasoning_in_the_real_transformers(tmp_path, capsys):
    transformers = pytest.importorskip("transformers")
    main(["demo", str(tmp_path / "model")])
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    text = tokenizer.apply_chat_template(list(ROW), tokenize=False)
    assert all(message["content"] in text for message in ROW)
    ids = tokenizer.encode(ROW[1]["content"], add_special_tokens=False)
    assert tokenizer.decode(ids, skip_special_tokens=True) == ROW[1]["content"]
    original = tokenizer.apply_chat_template(list(ROW), tokenize=False, preserve_thinking=False)
    assert not any(thought in original for thought in THOUGHTS)


OLD = """
import json, sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
row = json.loads(sys.argv[2])
ids = tokenizer.encode(row[1]["content"], add_special_tokens=False)
print(json.dumps([tokenizer.apply_chat_template(row, tokenize=False), tokenizer.decode(ids, skip_special_tokens=True)]))
"""


@pytest.mark.slow
def test_the_repaired_model_keeps_reasoning_in_transformers_4(tmp_path, capsys):
    python = os.environ.get("TEMPLATE_FIX_TRANSFORMERS4")
    if not python:
        pytest.skip("TEMPLATE_FIX_TRANSFORMERS4 names no Python that has transformers 4.57")
    main(["demo", str(tmp_path / "model")])
    command = [python, "-c", OLD, str(tmp_path / "model"), json.dumps(ROW)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    text, decoded = json.loads(done.stdout)
    assert all(message["content"] in text for message in ROW)
    assert decoded == ROW[1]["content"]
