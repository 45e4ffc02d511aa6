"""What a push sends, where to, and what it refuses, through the public function and the command."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hub_server import Hub, Repo
from rendering import render
from shelf import source

import template_fix
from template_fix import HubError, Options
from template_fix.cli.demo import model_files
from template_fix.cli.main import main
from template_fix.hub.errors import Moved
from template_fix.share.plan import PushError

BROKEN = {name: text.encode() for name, text in model_files().items()}
CHANGED = {"special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"}
OWN = {*CHANGED, "config.json", "README.md"}
KEEPING = template_fix.Options(default="preserve")


@pytest.fixture
def repo(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub.user("me"))
    return hub.add("org/model", {**BROKEN, "model.safetensors": b"\0" * 1000, "README.md": b"# model\n"})


@pytest.fixture
def mended(repo: Repo, tmp_path: Path) -> Path:
    template_fix.patch("org/model", output="mended")
    return tmp_path / "mended"


def changed(repo: Repo, ref: str) -> set[str]:
    """The files that the last commit of a branch or pull request changed."""
    head = repo.history(ref)[0]
    before = repo.commits[head.parent].files if head.parent else {}
    return {name for name, content in head.files.items() if before.get(name) != content}


# With the model that it is of


@pytest.mark.parametrize("given", ["org/model", "mended"], ids=["from the repository", "from a patched directory"])
def test_a_pull_request_holds_the_changed_files_on_top_of_what_was_checked(hub, repo, mended, given):
    checked = repo.refs["main"]
    pushed = template_fix.push(given, "org/model", KEEPING if given == "mended" else None, create_pr=True)
    assert changed(repo, "refs/pr/1") == CHANGED
    assert repo.history("refs/pr/1")[0].parent == checked == pushed.plan.parent
    assert repo.refs["main"] == checked
    assert pushed.state == "pushed"
    assert pushed.commit == repo.refs["refs/pr/1"]
    assert pushed.url == f"{hub.endpoint}/org/model/commit/{pushed.commit}"
    assert pushed.pull_request == f"{hub.endpoint}/org/model/discussions/1"


def test_what_is_sent_is_what_patch_writes(repo, mended):
    template_fix.push("org/model", "org/model", KEEPING, create_pr=True)
    sent = repo.files("refs/pr/1")
    assert {name: (mended / name).read_bytes() for name in CHANGED} == {name: sent[name] for name in CHANGED}


def test_the_description_is_for_the_maintainer(repo):
    template_fix.push("org/model", "org/model", create_pr=True)
    commit = repo.history("refs/pr/1")[0]
    assert commit.summary == (
        "Let preserve_thinking=true keep all reasoning in the chat template and make the reasoning tags ordinary tokens"
    )
    told = commit.description
    assert [line for line in told.splitlines() if line.startswith("## ")] == [
        "## What was wrong",
        "## Whom it concerns",
        "## In other engines",
        "## Before and after",
        "## What changes",
        "## How it was verified",
        "## How to get the old behaviour back",
    ]
    assert "template-fix check org/model --revision refs/pr/NUMBER --set preserve_thinking=true" in told
    assert "\n- error TF201: the template drops the reasoning of the last turn (`tokenizer_config.json:67:" in told
    assert "\n+Each spider has eight legs, so three times eight.\n" in told
    assert "\n- `<think>`: dropped before, kept after\n" in told
    assert "\n-            {%- set content = content.split('</think>')[-1] %}\n" in told
    assert "template-fix check org/model --revision refs/pr/NUMBER" in told
    assert "printed the same as the original in all conversations that were tried" in told
    assert "prints what the original prints unless `preserve_thinking=True` is passed" in told
    wrong = told.partition("## What was wrong")[2].partition("## ")[0]
    assert "What remains:" in wrong and wrong.count("TF201") == 1


def test_a_pull_request_that_is_told_to_keeps_reasoning_unasked_and_shows_what_that_changes(repo):
    template_fix.push("org/model", "org/model", KEEPING, create_pr=True)
    commit = repo.history("refs/pr/1")[0]
    assert commit.summary == "Repair the chat template and the reasoning tags, so that no reasoning is lost"
    assert "apply_chat_template(messages, preserve_thinking=False)" in commit.description
    assert "get a different text from now on" in commit.description


def test_a_pull_request_changes_no_prompt_of_whoever_passes_nothing(repo):
    template_fix.push("org/model", "org/model", create_pr=True)
    before, after = (
        json.loads(files["tokenizer_config.json"])["chat_template"] for files in (BROKEN, repo.files("refs/pr/1"))
    )
    conversation = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "<think>\nr\n</think>\n\na"},
        {"role": "user", "content": "p"},
    ]
    assert render(after, conversation, add_generation_prompt=True) == render(
        before, conversation, add_generation_prompt=True
    )
    assert "<think>\nr" in render(after, conversation, preserve_thinking=True)


def test_a_message_of_one_s_own(repo):
    template_fix.push("org/model", "org/model", create_pr=True, message="Keep the thoughts")
    assert repo.history("refs/pr/1")[0].summary == repo.requests[0].title == "Keep the thoughts"


def test_pushing_twice_opens_no_second_pull_request(hub, repo):
    first = template_fix.push("org/model", "org/model", create_pr=True)
    assert repr(first).startswith("<Pushed: pushed, 3 files, http") and first.pull_request in repr(first)
    assert f'<a href="{first.pull_request}">' in first._repr_html_()
    again = template_fix.push("org/model", "org/model", create_pr=True)
    assert len(repo.requests) == 1
    assert (again.state, again.pull_request) == ("unchanged", first.pull_request)


def test_a_pull_request_of_somebody_else_is_none_of_ours(hub, repo, monkeypatch):
    template_fix.push("org/model", "org/model", create_pr=True)
    monkeypatch.setenv("HF_TOKEN", hub.user("you"))
    template_fix.push("org/model", "org/model", create_pr=True)
    assert [request.author for request in repo.requests] == ["me", "you"]


def test_once_it_is_merged_there_is_nothing_left_to_push(hub, repo):
    template_fix.push("org/model", "org/model", create_pr=True)
    hub.merge("org/model", 1)
    assert template_fix.push("org/model", "org/model", create_pr=True).state == "unchanged"
    assert len(repo.requests) == 1


def test_a_commit_to_a_model_of_one_s_own(hub, repo):
    mine = hub.add("me/model", {**BROKEN, "model.safetensors": b"\0"})
    pushed = template_fix.push("me/model", "me/model")
    assert (changed(mine, "main"), pushed.pull_request) == (CHANGED, None)
    assert template_fix.push("me/model", "me/model").state == "unchanged"
    assert len(mine.history()) == 2


def test_a_branch_is_made_where_there_is_none(hub, repo):
    mine = hub.add("me/model", BROKEN)
    template_fix.push("me/model", "me/model", branch="mended")
    assert (changed(mine, "mended"), len(mine.history())) == (CHANGED, 1)
    assert template_fix.push("me/model", "me/model", branch="mended").state == "unchanged"
    assert len(mine.history("mended")) == 2


def test_a_directory_that_nothing_is_known_of_is_held_against_the_model_itself(hub, repo, tmp_path):
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
    template_fix.patch(".")
    with pytest.raises(template_fix.HubError, match="also --default, which is original for a pull request"):
        template_fix.push(".", "org/model", create_pr=True)
    template_fix.push(".", "org/model", KEEPING, create_pr=True)
    assert changed(repo, "refs/pr/1") == CHANGED


def test_a_marked_directory_is_pushed_as_one(repo):
    assert main(["patch", "org/model", "--mark", "--default", "original", "--output", "marked"]) == 0
    assert main(["push", "marked", "--to", "org/model", "--create-pr", "--yes"]) == 2
    assert main(["push", "marked", "--to", "org/model", "--create-pr", "--mark", "--yes"]) == 0
    assert b"endgeneration" in repo.files("refs/pr/1")["tokenizer_config.json"]


def test_what_moved_on_beside_the_tokenizer_changes_nothing(repo, mended):
    repo.commit({"README.md": b"# new\n"})
    template_fix.push("mended", "org/model", KEEPING, create_pr=True)
    assert repo.history("refs/pr/1")[0].parent == repo.refs["main"]


# A repository of one's own


@pytest.mark.parametrize("given", ["org/model", "mended"], ids=["from the repository", "from a patched directory"])
def test_a_repository_of_one_s_own_gets_the_whole_tokenizer_and_a_card(hub, repo, mended, given):
    pushed = template_fix.push(given, "me/mended", private=True)
    mine = hub.repos["me/mended"]
    assert (changed(mine, "main"), mine.private, pushed.pull_request) == (OWN, True, None)
    assert mine.files()["tokenizer.json"] == (mended / "tokenizer.json").read_bytes()
    card = mine.files()["README.md"].decode()
    head = "---\nbase_model: org/model\nlibrary_name: transformers\ntags:\n- template-fix\n---\n\n# mended\n"
    assert card.startswith(head)
    assert 'AutoTokenizer.from_pretrained("me/mended")' in card
    assert repo.refs["main"] in card


def test_what_a_tokenizer_needs_beside_goes_along(hub, repo):
    repo.commit({"vocab.json": b"{}", "merges.txt": b"", "train.py": b"", "onnx/tokenizer.json": b"{}"})
    template_fix.push("org/model", "me/mended")
    assert changed(hub.repos["me/mended"], "main") == {*OWN, "vocab.json", "merges.txt"}


def test_nothing_but_the_tokenizer_leaves_a_directory(hub, repo, mended):
    for name in (".env", "train.py", "notes.txt", "model.safetensors", "README.md", "vocab.json"):
        (mended / name).write_text("secret")
    template_fix.push("mended", "me/mended")
    assert changed(hub.repos["me/mended"], "main") == OWN
    assert b"secret" not in b"".join(hub.repos["me/mended"].files().values())


def test_pushing_twice_makes_no_second_commit(hub, repo, mended):
    for given in ("org/model", "org/model", "mended"):
        last = template_fix.push(given, "me/mended", private=True)
    assert last.state == "unchanged"
    assert len(hub.repos["me/mended"].history()) == 2


def test_only_the_files_that_differ_are_sent(hub, repo):
    mine = hub.add("me/mended", {"README.md": b"# My own words\n", "config.json": BROKEN["config.json"]})
    pushed = template_fix.push("org/model", "me/mended")
    assert (changed(mine, "main"), pushed.plan.same) == (CHANGED, ("config.json",))
    assert mine.files()["README.md"] == b"# My own words\n"


def test_another_tokenizer_is_not_replaced_without_a_word(hub, repo, monkeypatch, capsys):
    mine = hub.add("me/other", {"tokenizer_config.json": b"{}", "README.md": b"# other\n"})
    assert main(["push", "org/model", "--to", "me/other"]) == 2
    assert "me/other: holds other files called tokenizer_config.json; confirm it with --yes" in capsys.readouterr().err
    assert len(mine.history()) == 1
    assert main(["push", "org/model", "--to", "me/other", "--yes"]) == 0
    assert "tokenizer_config.json 2,238 bytes, in place of another" in capsys.readouterr().out


def test_a_directory_from_nowhere_makes_a_repository_once_it_is_repaired(hub, repo, tmp_path):
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PushError, match=r"^\.: isn't repaired yet; run template-fix patch \. first$"):
        template_fix.push(".", "me/mended")
    assert hub.writes() == []
    template_fix.patch(".")
    template_fix.push(".", "me/mended")
    assert changed(hub.repos["me/mended"], "main") == OWN
    assert b"base_model" not in hub.repos["me/mended"].files()["README.md"]


def test_a_model_with_nothing_to_repair_makes_no_repository(hub, repo):
    hub.add("org/fine", {"chat_template.jinja": source("safe").encode(), "tokenizer_config.json": b"{}"})
    assert template_fix.push("org/fine", "me/fine").state == "unchanged"
    assert hub.writes() == []


def test_a_large_file_goes_to_large_file_storage(hub, repo):
    large = BROKEN["tokenizer.json"] + b" " * (10 * 2**20) + b"\n"
    repo.commit({"tokenizer.json": large})
    template_fix.push("org/model", "me/mended")
    assert len(hub.repos["me/mended"].files()["tokenizer.json"]) == len(large) + 2
    assert [method for method, path in hub.log if path.startswith("/lfs/")] == ["PUT", "POST"]
    assert template_fix.push("org/model", "me/mended").state == "unchanged"


# What is refused


def test_a_directory_that_differs_from_what_was_proved_is_refused(hub, repo, mended):
    path = mended / "tokenizer_config.json"
    path.write_text(path.read_text().replace("4096", "8192"))
    for to, how in (("org/model", {"create_pr": True}), ("me/mended", {})):
        with pytest.raises(PushError, match=r"tokenizer_config.json isn't what template-fix makes of org/model, so"):
            template_fix.push("mended", to, **how)
    assert hub.writes() == []


def test_a_directory_whose_model_has_moved_on_is_refused(hub, repo, mended):
    path = "tokenizer_config.json"
    repo.commit({path: BROKEN[path].replace(b"4096", b"8192")})
    with pytest.raises(PushError, match=r"org/model, which has moved on from \w{7} to \w{7}, so nothing is proved"):
        template_fix.push("mended", "org/model", create_pr=True)
    assert hub.writes() == []


def test_a_directory_patched_with_other_options_is_refused_without_them(repo, tmp_path):
    template_fix.patch("org/model", Options(select=frozenset({"TF3"})), output="tokens")
    with pytest.raises(PushError, match="call push with the same options as patch"):
        template_fix.push("tokens", "org/model", create_pr=True)
    assert main(["push", "tokens", "--to", "org/model", "--create-pr", "--yes", "--select", "TF3"]) == 0
    assert repo.requests[0].title == "Repair the reasoning tags, so that no reasoning is lost"


def test_errors_that_remain_are_not_pushed_unless_told(hub, repo):
    broken = source("strip").encode()
    hub.add("org/left", {"chat_template.jinja": broken, "additional_chat_templates/rag.jinja": b"{% if %}"})
    with pytest.raises(PushError, match=r"^org/left: errors remain that were not repaired \(TF102\);"):
        template_fix.push("org/left", "org/left", create_pr=True)
    assert hub.writes() == []
    pushed = template_fix.push("org/left", "org/left", create_pr=True, allow_errors=True)
    assert set(pushed.plan.files) == {"chat_template.jinja"}
    assert "What remains:\n\n- error TF102" in pushed.plan.description


@pytest.mark.parametrize(
    "to, how, why",
    [
        ("model", {}, "model: this is not a repository's name; it should be like user/model"),
        ("org/nowhere", {"create_pr": True}, "org/nowhere: no such repository on "),
        (
            "org/empty",
            {"create_pr": True},
            "template-fix push org/empty --to org/empty --create-pr repairs that model and opens one",
        ),
        (
            "org/other",
            {"create_pr": True},
            "template-fix push org/other --to org/other --create-pr repairs that model and opens one",
        ),
        ("org/model", {"private": True}, "exists and is public; --private is only for a new repository"),
        ("org/model", {"create_pr": True, "branch": "dev"}, "has no branch, tag or commit dev"),
        ("org/model", {"create_pr": True, "revision": "old"}, "main is at .{7}, and old is not; omit --rev"),
    ],
    ids=[
        "a name without a user",
        "a pull request on nothing",
        "a pull request on a repository without a tokenizer",
        "a pull request with the repair of another model",
        "making a public repository private",
        "a pull request on a branch that isn't there",
        "a repair of what is no longer the head",
    ],
)
def test_what_makes_no_sense_is_refused(hub, repo, to, how, why):
    hub.add("org/empty")
    hub.add("org/other", BROKEN)
    repo.refs["old"] = repo.refs["main"]
    repo.commit({"README.md": b"# new\n"})
    with pytest.raises(HubError, match=why):
        template_fix.push("org/model", to, **how)
    assert hub.writes() == []


# A branch that moves while we work


def moving(hub: Hub, repo: Repo, method: str, path: str) -> None:
    """Let somebody commit to the repository when this request comes in."""
    hub.fail(method, path, times=1, before=lambda: repo.commit({"README.md": b"# meanwhile\n"}))


@pytest.mark.parametrize(
    "to, how, method, path",
    [
        ("me/model", {}, "GET", "/revision/main$"),
        ("me/model", {}, "POST", "/preupload/"),
        ("me/model", {}, "POST", "/commit/"),
        ("org/model", {"create_pr": True}, "GET", "/discussions$"),
    ],
    ids=["while it is checked", "before the upload", "before the commit", "before a pull request"],
)
def test_a_branch_that_moved_on_is_not_written_to(hub, repo, to, how, method, path):
    target = hub.add("me/model", BROKEN) if to == "me/model" else repo
    if method == "GET" and path.endswith("main$"):
        # The first look at the target is what is checked; the second comes just before the commit.
        hub.fail(method, path, times=1, before=lambda: moving(hub, target, method, path))
    else:
        moving(hub, target, method, path)
    with pytest.raises(Moved, match="has moved on"):
        template_fix.push(to, to, **how)
    assert target.files()["README.md"] == b"# meanwhile\n"
    assert len(target.history()) == 2 and not target.requests
    assert template_fix.push(to, to, **how).state == "pushed"


# The command


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_command_tells_where_it_is(hub, repo, capsys):
    assert main(["push", "org/model", "--to", "me/mended"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "me/mended: repository made with 5 files",
        f"  README.md {len(hub.repos['me/mended'].files()['README.md']):,} bytes",
        "  config.json 270 bytes",
        "  special_tokens_map.json 118 bytes",
        "  tokenizer.json 7,512 bytes",
        "  tokenizer_config.json 2,238 bytes",
        f"  commit: {hub.endpoint}/me/mended/commit/{hub.repos['me/mended'].refs['main']}",
    ]
    assert main(["push", "org/model", "--to", "me/mended"]) == 0
    assert capsys.readouterr().out == "me/mended: has all of these files already; nothing was sent\n"


def test_the_command_answers_in_json(hub, repo, capsys):
    assert main(["push", "org/model", "--to", "org/model", "--create-pr", "--yes", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pull_request"] == f"{hub.endpoint}/org/model/discussions/1"
    assert (told["state"], told["repo"], told["branch"]) == ("pushed", "org/model", "main")
    assert {each["file"] for each in told["files"]} == CHANGED


def test_a_dry_run_shows_all_and_sends_nothing(hub, repo, monkeypatch, capsys):
    monkeypatch.delenv("HF_TOKEN")
    assert main(["push", "org/model", "--to", "org/model", "--create-pr", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("org/model: would open a pull request on main, on top of ")
    for part in ("\nMessage\n", "\nDescription\n", "\nDiff\n  --- a/special_tokens_map.json", "\nNothing was sent.\n"):
        assert part in out
    assert main(["push", "org/model", "--to", "me/mended", "--private", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("me/mended: would make a private repository and commit to it\n")
    assert "\nREADME.md\n  ---\n  base_model: org/model\n" in out
    assert hub.writes() == []


@pytest.mark.parametrize(
    "answer, code, requests",
    [pytest.param("y\n", 0, 1, id="yes sends it"), pytest.param("n\n", 2, 0, id="no sends nothing")],
)
def test_a_terminal_is_asked_before_another_s_repository_is_written_to(
    repo, monkeypatch, capsys, answer, code, requests
):
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    assert main(["push", "org/model", "--to", "org/model", "--create-pr"]) == code
    told = capsys.readouterr()
    assert told.err.startswith("org/model: would open a pull request on main")
    assert "org/model isn't yours. Send this? (--dry-run shows all of it) [y/N]: " in told.err
    assert len(repo.requests) == requests


def test_nobody_is_asked_about_a_repository_of_one_s_own(hub, repo, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert main(["push", "org/model", "--to", "me/mended"]) == 0


def test_a_script_has_to_say_yes(hub, repo, capsys):
    assert main(["push", "org/model", "--to", "org/model", "--create-pr"]) == 2
    assert capsys.readouterr().err == (
        "template-fix: org/model: isn't yours; confirm it with --yes; --dry-run shows what would be sent\n"
    )
    assert hub.writes() == []


def test_a_terminal_is_offered_to_check_again_what_has_moved_on(hub, repo, monkeypatch, capsys):
    mine = hub.add("me/model", BROKEN)
    moving(hub, mine, "POST", "/preupload/")
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert main(["push", "me/model", "--to", "me/model"]) == 0
    assert "Check it as it is now? [y/N]: " in capsys.readouterr().err
    assert [len(mine.history()), changed(mine, "main")] == [3, CHANGED]


def test_what_the_original_did_can_stay_the_default(repo):
    options = Options(default="original")
    pushed = template_fix.push("org/model", "org/model", options, create_pr=True, allow_errors=True)
    assert "prints what the original prints unless `preserve_thinking=True` is passed" in pushed.plan.description


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_sees_how_far_an_upload_is(hub, repo):
    repo.commit({"tokenizer.json": BROKEN["tokenizer.json"] + b" " * (10 * 2**20)})
    template_fix.check("org/model")
    import fcntl
    import termios

    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "template_fix", "push", "org/model", "--to", "me/mended"]
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_PROGRESS_BARS"}
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        told = b"".join(iter(partial(read_terminal, ours), b"")).decode()
    os.close(ours)
    assert "\rtokenizer.json: 100%|" in told


def read_terminal(descriptor: int) -> bytes:
    """What has been written to a terminal, nothing once the other end is closed."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def test_a_title_is_one_short_line_without_secrets(repo):
    message = f"Fix\n\x1b[2J{os.environ['HF_TOKEN']}" + "é" * 999
    template_fix.push("org/model", "org/model", create_pr=True, message=message)
    title = repo.history("refs/pr/1")[0].summary
    assert title.startswith("Fix \\x1b[2J***é") and len(title) <= 200 and "\n" not in title
