"""Every command in README and docs/ is run, as it stands there, where its names lead to something."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
from gguf_files import write_gguf
from hub_server import Hub
from test_readme import COMMANDS

from template_fix import api
from template_fix.cli.demo import model_files
from template_fix.cli.main import main

pytestmark = pytest.mark.slow

# Names of what is there, and of what a command makes; each stands for one thing, whatever it is called on a page.
PLACES = {"MODEL": "model", "MODEL...": "model", "BASE": "model", "TUNED": "tuned", "REPO": "me/model"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> Path:
    """A folder with all that the pages name, and a Hub with it."""
    monkeypatch.chdir(tmp_path)
    files = {name: text.encode() for name, text in model_files().items()}
    for name in ("model", "tuned", "models/one"):
        (tmp_path / name).mkdir(parents=True)
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
    template = json.loads(files["tokenizer_config.json"])["chat_template"]
    (tmp_path / "mine.jinja").write_text(template, encoding="utf-8")
    (tmp_path / "old.jinja").write_text(template, encoding="utf-8")
    (tmp_path / "models.txt").write_text("model  # a remark\n")
    turn = {"role": "assistant", "content": "<think>\nsurely\n</think>\n\nYes."}
    rows = [json.dumps({"messages": [{"role": "user", "content": f"{number}?"}, turn]}) for number in range(9)]
    (tmp_path / "data").mkdir()
    for name in ("rows.jsonl", "train.jsonl", "data/rows.jsonl"):
        (tmp_path / name).write_text("\n".join(rows) + "\n")
    (tmp_path / "axolotl.yaml").write_text(
        "base_model: model\ndatasets:\n  - {path: train.jsonl, type: chat_template}\n"
    )
    (tmp_path / "sft.yaml").write_text("model_name_or_path: org/gone\ndataset_name: train.jsonl\n")
    repo = hub.add("org/model", files)
    repo.refs["v1"] = repo.refs["main"]
    monkeypatch.setenv("HF_TOKEN", hub.user("me"))
    return tmp_path


def placed(arguments: list[str], here: Path) -> list[str]:
    """Return a command with the names of what is there in place of those on the page."""
    before = {"--output": "made", "--data": "data", "push": "mended", "--config": "model"}
    found: list[str] = []
    for at, each in enumerate(arguments):
        if each == "DIR":
            near = next((name for key, name in before.items() if key in (arguments[at - 1], *arguments[:1])), None)
            found.append(near or ("model" if "--config" in arguments else "data"))
        elif each == "models/*":
            found += sorted(path.as_posix() for path in here.glob("models/*")) and ["models/one"]
        else:
            found.append(PLACES.get(each, each))
    return found


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_it_does_what_the_page_says(
    arguments: list[str], here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if "org/dataset" in arguments:
        pytest.skip("it takes a data set on the Hub")
    if "rows.parquet" in arguments:
        parquet = pytest.importorskip("pyarrow.parquet", reason="it takes the datasets library")
        import pyarrow

        dialog = [json.loads(row)["messages"] for row in (here / "rows.jsonl").read_text().splitlines()]
        parquet.write_table(pyarrow.table({"dialog": dialog}), here / "rows.parquet")
    if any(each.endswith(".gguf") for each in arguments):
        write_gguf(here / "model.gguf", (here / "mine.jinja").read_text(encoding="utf-8"))
    command = placed(arguments, here)
    if "mended" in command or command[0] == "push":
        api.patch("org/model", output="mended")
    if command[0] == "push":  # it would ask, so a dry run of it is tried
        command = [each if each != "model" else "mended" for each in command]
        command += ["--dry-run"] * ("--dry-run" not in command)
    if "--baseline" in command:
        main(["check", "model", "--write-baseline", command[-1]])
    if command[0] == "undo":
        api.patch("model")
    if "<" in command:
        stdin = open(here / command[command.index("<") + 1], "rb")  # noqa: SIM115 - it lasts as long as the test
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=stdin, isatty=lambda: False))
        command = command[: command.index("<")]
    piped = command[command.index("|") + 1 :] if "|" in command else []
    command = command[: command.index("|")] if piped else command
    assert main(command) in (0, 1), capfd.readouterr().err
    told = capfd.readouterr()
    assert told.out or command[0] == "patch"
    if piped:
        subprocess.run(["git", "init", "-q"], cwd=here / "model", check=True)
        subprocess.run(piped, cwd=here / "model", input=told.out, text=True, check=True)
        assert api.patch("model", write=False).result.changed == {}
    for option, made in (("--output", command), ("--html", command), ("--rows", command), ("--rewrite", command)):
        if option in made:
            assert Path(made[made.index(option) + 1]).exists()
