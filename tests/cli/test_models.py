from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from template_fix.cli.demo import model_files
from template_fix.cli.main import main
from template_fix.cli.models import find_models
from template_fix.text.display import UserError

BROKEN = {name: text.encode() for name, text in model_files().items()}


def test_models_come_in_their_order_and_once(tmp_path):
    (tmp_path / "list.txt").write_text("# ours\n\n  org/one  # the first\r\norg/two\n")
    assert find_models(["b", "org/two"], [str(tmp_path / "list.txt")], []) == ["b", "org/two", "org/one"]


def test_a_list_comes_from_stdin(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"org/one\norg/two")))
    assert find_models([], ["-"], []) == ["org/one", "org/two"]


def test_stdin_is_named_twice_and_read_once(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"org/one")))
    assert find_models([], ["-", "-"], []) == ["org/one"]


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "no such file or directory"),
        (b"\xff\xfe", "isn't text in UTF-8 (byte 0); write one model per line"),
        (b"a" * 1_100_000, "a list of models has at most 1,048,576 bytes"),
        (b"# nothing\n", "no models here that have a tokenizer"),
    ],
)
def test_a_list_that_is_none_is_one_line(tmp_path, capsys, content, message):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    assert main(["check", "--from", str(path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.replace("\n", " ").strip()) == ("", f"template-fix: {path}: {message}")


def test_a_directory_is_no_list(tmp_path):
    with pytest.raises(UserError, match="is a directory"):
        find_models([], [str(tmp_path)], [])


def test_all_models_of_an_owner_that_have_a_tokenizer_are_checked(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    hub.add("org/b", BROKEN)
    hub.add("org/weights", {"model.safetensors": b"\0", "config.json": b"{}"})
    hub.add("org/a", BROKEN)
    hub.add("org/secret", BROKEN, private=True)
    hub.add("other/model", BROKEN)
    assert main(["check", "--org", "org", "-q"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert [each.partition(":")[0] for each in out[:2]] == ["org/a", "org/b"]
    assert out[3] == "2 models: 2 with errors"


def test_an_owner_without_models_is_told(hub, capsys):
    assert main(["check", "--org", "nobody"]) == 2
    assert capsys.readouterr().err == "template-fix: nobody: no models here that have a tokenizer\n"


def test_no_model_at_all_is_bad_usage(capsys):
    assert main(["check"]) == 2
    assert "Name a MODEL" in capsys.readouterr().err


def test_data_takes_one_model_of_a_list(tmp_path: Path, capsys):
    (tmp_path / "list.txt").write_text("a\nb\n")
    assert main(["check", "--from", str(tmp_path / "list.txt"), "--data", "rows.jsonl"]) == 2
    assert "--data takes one MODEL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "watched", "told"),
    [
        (["--statistics"], True, True),
        (["--format", "json"], True, True),
        ([], True, False),
        (["--statistics"], False, False),
    ],
)
def test_a_terminal_is_told_which_model_is_looked_at(hub, monkeypatch, capsys, options, watched, told):
    for name in ("org/a", "org/b"):
        hub.add(name, BROKEN)
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: watched)
    main(["check", "--org", "org", *options])
    error = capsys.readouterr().err
    assert [f"{number} of 2: org/{name}" in error for number, name in ((1, "a"), (2, "b"))] == [told, told]
    assert not told or error.endswith("\r\x1b[K")
