"""A link out of a model is refused by name, whatever the file is called; the Hub's cache is read as it lies."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from template_fix.api import patch
from template_fix.checkpoint.checkpoint import CONFIGS, EDITABLE, Checkpoint, CheckpointError
from template_fix.cli.main import cli
from template_fix.hub.companions import sort_companions
from template_fix.hub.model import open_model, read_tokenizer_files

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links")

SECRET = "-----BEGIN OPENSSH PRIVATE KEY-----"
READ = (*EDITABLE, *CONFIGS, "additional_chat_templates/rag.jinja")
COPIED = ("vocab.txt", "spm.model", "qwen.tiktoken", "merges.txt", "README.md", "anything.at.all")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model, and what its owner would not publish beside it and in a hidden folder of it."""
    directory = tmp_path / "model"
    (directory / "additional_chat_templates").mkdir(parents=True)
    (directory / ".git").mkdir()
    (directory / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    for path in (tmp_path / "key", directory / ".git/config"):
        path.write_text(SECRET)
    return tmp_path


def linked(root: Path, file: str, target: str | Path) -> Path:
    path = root / "model" / file
    path.unlink(missing_ok=True)
    path.symlink_to(target)
    return root / "model"


TARGETS = {
    "a file beside the model": "../key",
    "an absolute path": None,
    "a chain of links": "chain",
    "a hidden file of the model": ".git/config",
    "what the system tells of this process": "/proc/self/environ",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("file", READ)
def test_a_link_that_leads_out_is_not_read(root: Path, file: str, target: str | None) -> None:
    (root / "model/chain").symlink_to("../key")
    above = "../" * file.count("/")
    where = str(root / "key") if target is None else target if target.startswith("/") else above + target
    directory = linked(root, file, where)
    with pytest.raises(CheckpointError) as error:
        Checkpoint.read(directory)
    assert str(error.value).startswith(f"{directory}/{file}: is a link that leads out of the model")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("file", COPIED)
def test_a_link_that_leads_out_is_not_copied(root: Path, file: str) -> None:
    directory = linked(root, file, "../key")
    with pytest.raises(CheckpointError, match=f"{file}: is a link that leads out"):
        patch(str(directory), output=str(root / "out"))
    assert not (root / "out").exists()


@pytest.mark.parametrize("file", [*COPIED[:4], "own.py"])
def test_a_link_that_leads_out_is_not_sent(root: Path, file: str) -> None:
    directory = linked(root, file, "../key")
    (directory / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["own.Own", null]}}')
    with pytest.raises(CheckpointError, match=f"{file}: is a link that leads out"):
        read_tokenizer_files(open_model(str(directory)))


def test_a_folder_of_templates_that_is_a_link_is_not_looked_into(root: Path) -> None:
    shutil.rmtree(root / "model/additional_chat_templates")
    (root / "theirs").mkdir()
    (root / "theirs/secret-name.jinja").write_text(SECRET)
    directory = linked(root, "additional_chat_templates", "../theirs")
    with pytest.raises(CheckpointError, match="additional_chat_templates: is a link that leads out") as error:
        Checkpoint.read(directory)
    assert "secret-name" not in str(error.value)


def test_links_among_the_files_of_a_model_are_followed(root: Path) -> None:
    (root / "model/real.jinja").write_text("{{ 1 }}")
    directory = linked(root, "chat_template.jinja", "real.jinja")
    assert Checkpoint.read(directory).files["chat_template.jinja"] == "{{ 1 }}"


def test_links_to_weights_elsewhere_are_none_of_its_business(root: Path) -> None:
    directory = linked(root, "model.safetensors", "../key")
    assert "model.safetensors" in sort_companions(directory, os.listdir(directory)).left
    assert patch(str(directory), output=str(root / "out")).written


def test_a_model_that_is_reached_by_a_link_is_read(root: Path) -> None:
    (root / "link").symlink_to("model")
    assert Checkpoint.read(root / "link").files


def snapshot(root: Path) -> Path:
    repo = root / "models--org--name"
    (repo / "blobs").mkdir(parents=True)
    (repo / "blobs/0123").write_text("{{ 1 }}")
    (repo / "snapshots/abc/additional_chat_templates").mkdir(parents=True)
    (repo / "snapshots/abc/chat_template.jinja").symlink_to("../../blobs/0123")
    (repo / "snapshots/abc/additional_chat_templates/x.jinja").symlink_to("../../../blobs/0123")
    return repo


def test_the_hubs_cache_is_read_as_it_lies(root: Path) -> None:
    repo = snapshot(root)
    assert set(Checkpoint.read(repo / "snapshots/abc").files.values()) == {"{{ 1 }}"}
    repo.rename(root / "elsewhere")
    repo.symlink_to("elsewhere")
    with pytest.raises(CheckpointError, match="leads out"):
        Checkpoint.read(repo / "snapshots/abc")


@pytest.mark.parametrize("harm", ["blobs is a link", "the file is a link to another place"])
def test_what_only_looks_like_the_hubs_cache_leads_nowhere_else(root: Path, harm: str) -> None:
    repo = snapshot(root)
    if harm == "blobs is a link":
        (repo / "blobs").rename(repo / "other")
        (repo / "blobs").symlink_to(root)
        (repo / "snapshots/abc/chat_template.jinja").unlink()
        (repo / "snapshots/abc/chat_template.jinja").symlink_to("../../blobs/key")
    else:
        (repo / "blobs/0123").unlink()
        (repo / "blobs/0123").symlink_to(root / "key")
    with pytest.raises(CheckpointError, match="leads out"):
        Checkpoint.read(repo / "snapshots/abc")


EMPTY = {
    "check": ["check", ""],
    "patch": ["patch", ""],
    "patch to another directory": ["patch", "model", "--output", ""],
    "undo": ["undo", ""],
    "show": ["show", ""],
    "demo": ["demo", ""],
    "push": ["push", "", "--to", "me/model"],
    "push to a repository": ["push", "model", "--to", ""],
}


@pytest.mark.parametrize("arguments", EMPTY.values(), ids=EMPTY)
def test_an_empty_name_never_stands_for_the_working_directory(
    root: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "model")
    told = CliRunner().invoke(cli, arguments)
    assert told.exit_code == 2 and "is empty; is a variable unset?" in told.stderr
    assert sorted(os.listdir()) == [".git", "additional_chat_templates", "tokenizer_config.json"]
