"""Reading a model from the Hub, by the name of its repository."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Hub

import template_fix
from template_fix import HubError
from template_fix.cli.demo import model_files
from template_fix.cli.main import main
from template_fix.hub.model import is_repo, open_model, read_tokenizer_files
from template_fix.hub.tokenizer_files import is_read, is_tokenizer_file

BROKEN = {name: text.encode() for name, text in model_files().items()}
BESIDE = {"model.safetensors": b"\0" * 1000, "README.md": b"# model\n", "vocab.json": b"{}", "train.py": b"pass\n"}


@pytest.fixture
def repo(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    return hub.add("org/model", {**BROKEN, **BESIDE})


def fetched(hub: Hub) -> set[str]:
    return {path.rpartition("/")[2] for method, path in hub.log if method == "GET" and "/resolve/" in path}


def test_a_repository_is_checked_as_its_directory_would_be(repo, tmp_path):
    (tmp_path / "model").mkdir()
    for name, content in BROKEN.items():
        (tmp_path / "model" / name).write_bytes(content)
    there, here = template_fix.check("org/model"), template_fix.check("model")
    assert (there.findings, there.templates) == (here.findings, here.templates)
    assert (there.model, there.revision, here.revision) == ("org/model", repo.refs["main"], None)


def test_only_what_a_check_reads_is_fetched(hub, repo):
    template_fix.check("org/model")
    assert fetched(hub) == set(BROKEN)


def test_what_is_in_the_cache_is_not_fetched_again(hub, repo):
    template_fix.check("org/model")
    hub.log.clear()
    template_fix.check("org/model")
    assert fetched(hub) == set()


def test_templates_in_their_own_folder_are_read(hub, repo):
    repo.commit({"additional_chat_templates/tool_use.jinja": b"{{ messages }}"})
    assert "additional_chat_templates/tool_use.jinja" in open_model("org/model").checkpoint.files


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub, repo):
    first = repo.refs["main"]
    repo.commit({"chat_template.jinja": b"{{ 1 }}"}, "main")
    for revision in (first, "refs/pr/1"):
        repo.refs["refs/pr/1"] = first
        report = template_fix.check("org/model", revision=revision)
        assert (report.revision, report.templates[0].file) == (first, "tokenizer_config.json")
    assert template_fix.check("org/model").revision == repo.refs["main"]


def test_a_directory_goes_before_a_repository_of_its_name(hub, repo, tmp_path, capsys):
    (tmp_path / "org" / "model").mkdir(parents=True)
    (tmp_path / "org" / "model" / "tokenizer_config.json").write_text("{}")
    assert template_fix.check("org/model").findings[0].code == "TF101"
    assert main(["check", "org/model", "--revision", "main"]) == 2
    assert "org/model: is no repository on the Hub" in capsys.readouterr().err
    assert hub.log == []


@pytest.mark.parametrize(
    "name, expected",
    [
        ("org/model", True),
        ("DeepSeek-ai/R1.5_x", True),
        ("model", False),
        ("./org/model", False),
        ("../model", False),
        ("/org/model", False),
        ("a/b/c", False),
        ("org/", False),
        ("org/..", False),
    ],
)
def test_what_looks_like_a_repository(name, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_repo(name) is expected


def test_the_repaired_tokenizer_goes_to_a_directory_with_what_belongs_to_it(hub, repo, tmp_path, capsys):
    assert main(["patch", "org/model", "--output", "out"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_file()} == {*BROKEN, "vocab.json"}
    assert {finding.code for finding in template_fix.check("out").findings} == {"TF205", "TF504"}
    assert "model.safetensors" not in fetched(hub)
    told = capsys.readouterr().out
    assert "Not copied: .gitattributes, README.md, model.safetensors, train.py." in told


def test_the_cache_is_never_written_into(hub, repo, tmp_path):
    template_fix.patch("org/model", output="out")
    blobs = [path for path in (tmp_path / "hf").rglob("*") if path.is_file() and path.name == "tokenizer_config.json"]
    assert [path.read_bytes() for path in blobs] == [BROKEN["tokenizer_config.json"]]


def test_a_repository_is_not_patched_in_place(hub, repo, capsys):
    assert main(["patch", "org/model"]) == 2
    assert "name a directory with --output DIR, or share the repair with template-fix push" in capsys.readouterr().err
    assert hub.log == []


def test_a_diff_of_a_repository_is_shown(repo, capsys):
    assert main(["patch", "org/model", "--diff"]) == 0
    assert capsys.readouterr().out.startswith("--- a/tokenizer_config.json, its default template\n")


def test_a_conversation_is_shown_with_a_repository_s_template(repo, capsys):
    assert main(["show", "org/model", "--revision", "main"]) == 0
    assert capsys.readouterr().out.startswith("org/model, template in tokenizer_config.json")


def test_the_next_step_is_one_that_works(repo, capsys):
    main(["check", "org/model"])
    assert "Next: template-fix patch org/model --output DIR" in capsys.readouterr().out
    main(["patch", "org/model", "--diff"])
    assert "Next: template-fix push org/model --to org/model --create-pr" in capsys.readouterr().err


def test_private_and_gated_repositories_open_with_the_user_s_token(hub, monkeypatch):
    hub.add("me/private", BROKEN, private=True)
    hub.add("org/gated", BROKEN, gated=True)
    monkeypatch.setenv("HF_TOKEN", hub.user("me"))
    assert template_fix.check("me/private").findings == template_fix.check("org/gated").findings


def test_what_is_in_the_cache_is_read_offline(repo, monkeypatch):
    online = template_fix.check("org/model")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for revision in (None, "main", repo.refs["main"]):
        assert template_fix.check("org/model", revision=revision) == online


def test_a_repository_that_changes_while_it_is_fetched_is_told(hub, repo):
    hub.fail("HEAD", "/resolve/main/", times=1, before=lambda: repo.commit({"README.md": b"# new\n"}))
    with pytest.raises(HubError, match="org/model: main changed while it was fetched; run the same command again"):
        template_fix.check("org/model")


@pytest.mark.parametrize(
    "name, read, belonging",
    [
        ("tokenizer.json", True, True),
        ("config.json", True, True),
        ("generation_config.json", True, False),
        ("additional_chat_templates/tool_use.jinja", True, True),
        ("additional_chat_templates/deeper/x.jinja", False, False),
        ("onnx/tokenizer.json", False, False),
        ("vocab.json", False, True),
        ("merges.txt", False, True),
        ("spiece.model", False, True),
        ("tokenizer.model.v3", False, True),
        ("qwen.tiktoken", False, True),
        ("tokenization_own.py", False, False),
        ("modeling_own.py", False, False),
        ("README.md", False, False),
        ("model.safetensors", False, False),
        ("pytorch_model.bin", False, False),
        (".env", False, False),
    ],
)
def test_what_belongs_to_a_tokenizer(name, read, belonging):
    assert (is_read(name), is_tokenizer_file(name)) == (read, belonging)


@pytest.mark.parametrize(
    "auto_map",
    [{"AutoTokenizer": ["tokenization_own.Slow", None], "AutoConfig": "other.Config"}, ["tokenization_own.Slow", None]],
    ids=["by classes", "as a list"],
)
def test_code_goes_along_with_what_it_imports_and_nothing_else(hub, auto_map):
    config = {**json.loads(model_files()["tokenizer_config.json"]), "auto_map": auto_map}
    code = {
        "tokenization_own.py": b"from .tools import spell\nfrom os import path\nimport other\n",
        "tools.py": b"def f():\n    from .tools_deep import x\n",
        "tools_deep.py": b"from .tokenization_own import Slow\nfrom .gone import y\n",
        "other.py": b"",
        "train.py": b"",
    }
    hub.add("org/own", {**BROKEN, **code, "tokenizer_config.json": json.dumps(config).encode()})
    found = set(read_tokenizer_files(open_model("org/own")))
    assert found - BROKEN.keys() == {"tokenization_own.py", "tools.py", "tools_deep.py"}
    assert fetched(hub) >= found and not fetched(hub) & {"other.py", "train.py"}


def test_code_of_another_repository_stays_there(hub):
    config = json.dumps({"auto_map": {"AutoTokenizer": "org/base--tokenization_own.Slow"}})
    hub.add("org/own", {"tokenizer_config.json": config.encode(), "tokenization_own.py": b""})
    assert set(read_tokenizer_files(open_model("org/own"))) == {"tokenizer_config.json"}


def test_weights_do_not_belong_to_a_tokenizer_whatever_they_are_called(hub):
    hub.add("org/model", {**BROKEN, "big.model": b"\0" * (64 * 2**20 + 1)})
    assert set(read_tokenizer_files(open_model("org/model"))) == BROKEN.keys() - {"generation_config.json"}


def test_the_report_in_json_names_the_commit(repo, capsys):
    main(["check", "org/model", "--format", "json"])
    assert json.loads(capsys.readouterr().out)["models"][0]["revision"] == repo.refs["main"]


LIGHT = """
import sys, template_fix
from template_fix.cli.main import main
assert "template_fix.api" not in sys.modules
main(["check", sys.argv[1]])
print(*[name for name in ("huggingface_hub", "transformers", "concurrent.futures") if name in sys.modules])
"""


def test_checking_a_directory_loads_nothing_of_the_hub(tmp_path):
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run([sys.executable, "-c", LIGHT, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == ""


# Of the public names, what needs an extra to be imported at all.
EXTRA = {"PreflightCallback"}


def test_the_public_names_are_there():
    assert [name for name in template_fix.__all__ if name not in EXTRA and not hasattr(template_fix, name)] == []
    with pytest.raises(AttributeError):
        template_fix.nothing  # noqa: B018


def test_a_name_that_needs_transformers_is_there_with_it_and_without_it_says_what_to_install():
    if importlib.util.find_spec("transformers"):
        assert template_fix.PreflightCallback
    else:
        with pytest.raises(ImportError, match=r"pip install 'template-fix\[train\]'"):
            template_fix.PreflightCallback  # noqa: B018
