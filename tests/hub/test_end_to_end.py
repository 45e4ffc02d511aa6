"""From a broken model on the Hub to one that transformers loads from there with its reasoning intact."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from hub_server import Hub
from real import interpreter
from shelf import source

from template_fix.cli.demo import ROW, model_files
from template_fix.cli.main import main

BROKEN = {name: text.encode() for name, text in model_files().items()}
REPLY = ROW[-1]["content"]
LOADED = """
import json, sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
row, reply = json.load(sys.stdin)
rendered = [tokenizer.apply_chat_template(row, tokenize=False, **flags) for flags in ({"preserve_thinking": True}, {})]
decoded = tokenizer.decode(tokenizer.encode(reply, add_special_tokens=False), skip_special_tokens=True)
print(json.dumps([*rendered, decoded]))
"""


def loaded(release: int, name: str, tmp_path: Path) -> list[str]:
    """What transformers makes of a row with its reasoning kept, of the same where nothing is passed, and of a reply."""
    done = subprocess.run(
        [interpreter(release), "-c", LOADED, name],
        input=json.dumps([ROW, REPLY]),
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_CACHE": str(tmp_path / "loaded")},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("release", [5, 4], ids=["transformers 5", "transformers 4.57"])
@pytest.mark.parametrize("stored", ["in the config", "in a file"])
def test_a_broken_model_is_checked_repaired_merged_and_loaded(hub: Hub, tmp_path, monkeypatch, release, stored):
    monkeypatch.setenv("HF_TOKEN", hub.user("me"))
    beside = {"chat_template.jinja": source("strip").encode()} if stored == "in a file" else {}
    hub.add("org/model", {**BROKEN, **beside})
    *_, before, decoded = loaded(release, "org/model", tmp_path)
    assert "<think>" not in decoded
    assert main(["check", "org/model"]) == 1
    assert main(["push", "org/model", "--to", "org/model", "--create-pr", "--yes"]) == 0
    hub.merge("org/model", 1)
    assert main(["check", "org/model", "--set", "preserve_thinking=true"]) == 0
    rendered, without, decoded = loaded(release, "org/model", tmp_path)
    assert all(message["content"] in rendered for message in ROW)
    assert without == before
    assert decoded == REPLY


@pytest.mark.slow
def test_a_repository_of_one_s_own_is_loaded(hub: Hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.user("me"))
    hub.add("org/model", {**BROKEN, "model.safetensors": b"\0"})
    assert main(["patch", "org/model", "--output", str(tmp_path / "mended")]) == 0
    assert main(["push", str(tmp_path / "mended"), "--to", "me/mended", "--private"]) == 0
    rendered, _, decoded = loaded(5, "me/mended", tmp_path)
    assert all(message["content"] in rendered for message in ROW)
    assert decoded == REPLY
