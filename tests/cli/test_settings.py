from __future__ import annotations

import json
from pathlib import Path

import pytest
from shelf import chat

from template_fix.cli.demo import model_files
from template_fix.cli.main import main


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a broken model in it."""
    model = tmp_path / "project" / "model"
    model.mkdir(parents=True)
    for name, text in model_files().items():
        (model / name).write_text(text, encoding="utf-8")
    (tmp_path / "project" / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def settle(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[project]\nname = 'x'\n\n[tool.template-fix]\n{text}\n", encoding="utf-8")


def found(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    main(["check", *arguments, "--format", "json"])
    return [finding["code"] for finding in json.loads(capsys.readouterr().out)["models"][0]["findings"]]


def test_what_is_settled_holds_for_check_and_patch(project, capsys):
    settle(project, 'select = ["TF3", "TF205"]\nignore = ["TF302"]\nstrict = true')
    assert found(capsys, "model") == ["TF205", "TF301"]
    assert main(["patch", "model"]) == 0
    assert "Repaired: make the reasoning tags ordinary tokens" in capsys.readouterr().out
    assert main(["check", "model"]) == 1, "strict: a warning is left"


def test_what_is_ignored_may_have_its_reason(project, capsys):
    settle(project, 'select = ["TF3"]\nignore = {TF301 = "decoded with special tokens"}')
    assert found(capsys, "model") == []
    main(["--show-settings"])
    assert 'ignore = {"TF301": "decoded with special tokens"}' in capsys.readouterr().out


def test_the_command_line_goes_first(project, capsys):
    settle(project, 'select = ["TF3"]')
    assert found(capsys, "model", "--select", "TF205") == ["TF205"]


def test_tags_variables_and_columns_are_settled(project, capsys):
    settle(project, 'tag = [["<a>", "</a>"]]\nset = {thinking = true, mode = "on"}\ncolumn = {messages = "dialog"}')
    rows = project / "rows.jsonl"
    rows.write_text(json.dumps({"dialog": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}))
    assert main(["check", "model", "--data", str(rows), "--format", "json"]) in (0, 1)
    model = json.loads(capsys.readouterr().out)["models"][0]
    assert model["templates"][0]["tags"] == [["<a>", "</a>"]]
    assert model["data"]["before"]["rows"] == 1


def test_the_nearest_one_with_settings_up_to_the_repository_counts(project, capsys, monkeypatch):
    settle(project.parent, 'select = ["TF5"]')
    assert "TF301" in found(capsys, "model")
    settle(project, 'select = ["TF3"]')
    below = project / "below"
    below.mkdir()
    (below / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    monkeypatch.chdir(below)
    assert found(capsys, "../model") == ["TF301"]


def test_a_model_does_not_say_how_it_is_checked(project, capsys, monkeypatch):
    settle(project / "model", 'ignore = ["TF"]')
    monkeypatch.chdir(project / "model")
    assert "TF301" in found(capsys, ".")


@pytest.mark.parametrize(
    "text, message",
    [
        ("selcet = ['TF2']", "no setting is called selcet; the settings are select, ignore,"),
        ("select = 'TF2'", "select must be a list of texts"),
        ("tag = ['<a>', '</a>']", "tag must be a list of pairs of texts"),
        ("ignore = {TF504 = ''}", "ignore must be a table with a reason for each code, or a list of codes"),
        ("ignore = 'TF504'", "ignore must be a table with a reason for each code, or a list of codes"),
        ("ignore = {TF999 = 'a reason'}", "pyproject.toml: [tool.template-fix]: no rule is called TF999"),
        ("strict = 'yes'", "strict must be true or false"),
        ("set = ['a=1']", "set must be a table"),
        ("select = [", "can't be read: "),
        ("select = ['TF999']", "pyproject.toml: [tool.template-fix]: no rule is called TF999"),
        ("column = {nonsense = 'x'}", "pyproject.toml: [tool.template-fix]: nonsense: write WHAT=NAME"),
    ],
)
def test_a_setting_that_is_wrong_is_told_and_nothing_is_done(project, capsys, text, message):
    settle(project, text)
    assert main(["check", "model"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


def test_other_commands_work_beside_settings_that_cannot_be_read(project, capsys):
    settle(project, "select = [")
    assert main(["explain", "TF201"]) == 0


def test_what_is_no_settings_is_in_nobody_s_way(project, capsys):
    (project / "pyproject.toml").write_bytes(b"# caf\xe9 in Latin-1, and no TOML: [[[")
    assert found(capsys, "model", "--select", "TF301") == ["TF301"]


def test_settings_are_shown(project, capsys):
    assert main(["--show-settings"]) == 0
    assert capsys.readouterr().out == "no pyproject.toml here or above has [tool.template-fix]\n"
    settle(project, 'select = ["TF2"]\nset = {thinking = true}')
    assert main(["--show-settings"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{project}/pyproject.toml: [tool.template-fix]",
        'select = ["TF2"]',
        'set = {"thinking": true}',
    ]


def test_a_templates_own_comments_count_where_that_is_settled(project, capsys):
    comment = "{# template-fix: ignore[TF201] we train on single turns #}\n"
    (project / "ours.jinja").write_text(comment + chat("{{ content.split('</think>')[-1] }}"))
    only = ("ours.jinja", "--select", "TF201")
    assert main(["check", *only]) == 1, "a stranger's comment silences nothing"
    assert "which counts with --comments" in capsys.readouterr().out
    assert main(["check", *only, "--comments"]) == 0
    settle(project, "comments = true")
    assert main(["check", *only]) == 0
