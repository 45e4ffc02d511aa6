"""What goes wrong on the way to the Hub: one line that says what to do, exit code 2, and nothing half-done."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import Hub, Repo

from template_fix.cli.demo import model_files
from template_fix.cli.main import main

BROKEN = {name: text.encode() for name, text in model_files().items()}
LARGE = {**BROKEN, "tokenizer.json": BROKEN["tokenizer.json"] + b" " * (10 * 2**20)}
OWN, OFFER = ["me/model", "--to", "me/model"], ["org/model", "--to", "org/model", "--create-pr", "--yes"]
NEW = ["org/model", "--to", "me/new"]


@pytest.fixture
def repo(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub.user("me"))
    hub.add("me/model", BROKEN)
    return hub.add("org/model", BROKEN)


@pytest.fixture
def complaint(capfd):
    """Run a command that has to fail with one line, and return that line."""

    def complaint(*arguments: str) -> str:
        assert main(arguments) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("template-fix: ") and err.count("\n") == 1
        assert "hf_" not in err.replace("hf_hub", "")
        return err.removeprefix("template-fix: ").rstrip("\n")

    return complaint


def heads(hub: Hub) -> dict[str, dict[str, str]]:
    return {name: dict(repo.refs) for name, repo in hub.repos.items()}


# Reading


def test_a_repository_that_is_not_there(hub, repo, complaint, monkeypatch):
    said = (
        f"org/nowhere: no such repository on {hub.endpoint}, or a private one that needs another token; check the "
        "name, or log in with `hf auth login` (nor is there a directory of that name)"
    )
    assert complaint("check", "org/nowhere") == said
    monkeypatch.delenv("HF_TOKEN")
    assert complaint("check", "org/nowhere") == said


def test_a_revision_that_is_not_there(repo, complaint):
    assert complaint("check", "org/model", "--revision", "nope") == "org/model: has no branch, tag or commit nope"


def test_a_private_repository_without_its_token(hub, repo, complaint, monkeypatch):
    hub.add("you/model", BROKEN, private=True)
    assert "or a private one that needs another token" in complaint("check", "you/model")


def test_a_gated_repository_without_access(hub, repo, complaint, monkeypatch):
    hub.add("org/gated", BROKEN, gated=True)
    monkeypatch.delenv("HF_TOKEN")
    assert complaint("check", "org/gated") == (
        f"org/gated: is gated; ask for access at {hub.endpoint}/org/gated and log in with `hf auth login`, or set "
        "HF_TOKEN"
    )


def test_a_token_that_is_not_accepted(hub, repo, complaint, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    said = "the Hub doesn't accept the token; log in anew with `hf auth login`, or set HF_TOKEN"
    assert complaint("check", "org/model") == f"org/model: {said}"
    assert complaint("push", *OFFER) == f"{hub.endpoint}: {said}"


def test_a_token_that_no_header_can_hold(repo, complaint, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_schlüssel\x01")
    assert "schl" not in complaint("check", "org/model")


def test_a_repository_without_a_tokenizer(hub, repo, complaint):
    hub.add("org/empty")
    assert complaint("check", "org/empty") == "org/empty: has no tokenizer files"
    hub.add("org/model-GGUF", {"model-Q4.gguf": b"GGUF", "model-Q8.gguf": b"GGUF"})
    told = "org/model-GGUF: has no tokenizer files; download a file of it, such as model-Q4.gguf, and name that"
    assert complaint("check", "org/model-GGUF") == told


ANSWERS = [
    pytest.param({"status": 429}, "the Hub asks to slow down (429); wait a few minutes and run the same", id="429"),
    pytest.param({"status": 500}, "the Hub failed (500); run the same command again later", id="500"),
    pytest.param({"html": True}, "doesn't answer as the Hub does; check HF_ENDPOINT, and whether a proxy", id="HTML"),
    pytest.param({}, "failed", id="a connection that breaks"),
]


@pytest.mark.parametrize("how, said", ANSWERS)
def test_the_hub_answers_a_look_with(hub, repo, complaint, how, said):
    hub.fail("GET", "/api/models/", **how)
    assert said in complaint("check", "org/model")


@pytest.mark.parametrize("how, said", ANSWERS)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_the_hub_answers_a_download_with(hub, repo, complaint, method, how, said):
    page = method == "GET" and "html" in how
    hub.fail(method, "/resolve/", **how)
    # A page in place of a file is known by its size alone, and the client before 1.0 goes on where it ends.
    assert ("failed" if page else said) in complaint("check", "org/model")
    hub.heal()
    assert page or main(["check", "org/model"]) == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_cannot_take_what_is_fetched(repo, complaint, monkeypatch, code):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code), "/cache/blobs/1")

    monkeypatch.setattr("huggingface_hub.HfApi.hf_hub_download", refuse)
    assert complaint("check", "org/model") == (
        f"/cache/blobs/1: {os.strerror(code).lower()}; make room for the Hub's cache, or set HF_HOME to where it may "
        "be written"
    )


# Writing


def test_no_token(hub, repo, complaint, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    said = f"{hub.endpoint}: there is no token; log in with `hf auth login`, or set HF_TOKEN"
    assert [complaint("push", *each) for each in (OWN, OFFER, NEW)] == [said] * 3
    assert hub.writes() == []


@pytest.mark.parametrize("arguments", [OWN, OFFER, NEW], ids=["to commit", "for a pull request", "for a repository"])
def test_a_token_without_write_access(hub, repo, complaint, monkeypatch, arguments):
    monkeypatch.setenv("HF_TOKEN", hub.user("me", writes=False))
    before = heads(hub)
    said = complaint("push", *arguments)
    assert ": the token may not do this (" in said
    assert said.endswith("make one with write access and log in with it")
    assert heads(hub) == before


def test_a_namespace_that_is_not_the_user_s(hub, repo, complaint):
    assert "You don't have the rights to write under the namespace" in complaint(
        "push", "org/model", "--to", "org/new", "--yes"
    )
    assert "org/new" not in hub.repos


def test_a_name_that_is_taken(hub, repo, complaint):
    hub.add("me/new", hidden=True)
    assert complaint("push", *NEW) == (
        "me/new: the name is taken; choose another (You already created this model repo)"
    )


@pytest.mark.parametrize("how, said", ANSWERS)
@pytest.mark.parametrize("path", ["/api/whoami-v2", "/preupload/", "/commit/", "/api/repos/create"])
def test_the_hub_answers_a_push_with(hub, repo, complaint, path, how, said):
    arguments = NEW if path == "/api/repos/create" else OWN
    before = heads(hub)
    hub.fail("GET" if "whoami" in path else "POST", path, **how)
    assert said in complaint("push", *arguments)
    assert heads(hub) == before
    hub.heal()
    assert main(["push", *arguments]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/lfs/", "/commit/"], ids=["of a large file", "of the commit"])
def test_a_connection_that_breaks_in_the_middle_of_an_upload(hub, repo, complaint, path):
    hub.add("org/large", LARGE)
    hub.fail("PUT" if path == "/lfs/" else "POST", path)
    arguments = ["push", "org/large", "--to", "me/new", "--private"]
    said = complaint(*arguments)
    assert said.endswith("check the network and run the same command again")
    assert list(hub.repos["me/new"].files()) == [".gitattributes"]
    hub.heal()
    hub.log.clear()
    assert main(arguments) == 0
    assert len(hub.repos["me/new"].history()) == 2
    assert len(hub.repos["me/new"].files()) == 6
    # What has arrived is not sent again.
    assert [method for method, _ in hub.log].count("PUT") == (path == "/lfs/")


def test_a_repository_that_somebody_else_is_writing_to(hub, repo, complaint):
    hub.fail("POST", "/commit/", status=409)
    assert complaint("push", *OWN) == "me/model: somebody else is writing there; run the same command again"


def test_what_is_too_large_to_be_read_is_not_fetched(hub, repo, complaint):
    hub.add("org/large", {**BROKEN, "tokenizer_config.json": b" " * (16 * 2**20 + 1)})
    hub.log.clear()
    assert "org/large/tokenizer_config.json: 16 MB are more than" in complaint("check", "org/large")
    assert not [path for _, path in hub.log if "/resolve/" in path]


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub, repo, complaint):
    def arrived():
        repo = hub.repos["me/model"]
        sent = {name: BROKEN[name].replace(b"true", b"false") for name in ("tokenizer.json",)}
        repo.commit(sent)

    hub.fail("POST", "/commit/", times=1, before=arrived)
    assert "me/model: main has moved on since it was checked" in complaint("push", *OWN)


def test_a_failure_in_json(repo, capsys):
    assert main(["push", *OFFER, "--revision", "nope", "--format", "json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == "org/model: has no branch, tag or commit nope"


# What is decided when the client is imported


def run(hub: Hub, *arguments: str, **environment: str) -> tuple[int, str]:
    """The command in a process of its own: its exit code and what it says on stderr."""
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-m", "template_fix", *arguments], capture_output=True, text=True, env=env)
    assert done.stdout == "" and done.stderr.count("\n") == 1
    assert os.environ["HF_TOKEN"] not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [["check", "org/model"], ["push", *OFFER]], ids=["reading", "pushing"])
def test_no_network(hub, repo, arguments):
    code, said = run(hub, *arguments, HF_ENDPOINT="http://127.0.0.1:9")
    assert code == 2
    assert "the connection to http://127.0.0.1:9 failed (Connect" in said
    assert "; check the network and run the same command again" in said


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["check", "org/model"], "HF_HUB_OFFLINE is set, and main isn't whole in the Hub's cache; unset it"),
        (["push", *OFFER], "HF_HUB_OFFLINE is set, so the Hub can't be asked; unset it"),
    ],
    ids=["reading", "pushing"],
)
def test_offline_mode(hub, repo, arguments, said):
    code, told = run(hub, *arguments, HF_HUB_OFFLINE="1")
    assert (code, told.partition(": ")[2].partition(": ")[2]) == (2, f"{said}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_disk_that_is_full(hub, repo):
    import resource

    limit = (2000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    command = [sys.executable, "-B", "-m", "template_fix", "check", "org/model"]
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "file too large: " in done.stderr
