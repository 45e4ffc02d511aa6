"""A training's own file: what is read of it, what the run would lose, and what isn't understood."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from template_fix.cli.demo import model_files
from template_fix.cli.main import main
from template_fix.data.runs.config import ConfigError, read_config

KEEPS = """\
{%- for m in messages %}{{- '<|' + m.role + '|>' }}
{%- if m.reasoning_content %}{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}
{{- m.content + '<|end|>' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>' }}{% endif %}
"""
DROPS = KEEPS.replace("m.content +", "m.content.split('</think>')[-1] +")
Check = Callable[..., tuple[int, Any, str]]


def row(**columns: str) -> dict[str, list[dict[str, str]]]:
    turn = {"role": "assistant", "content": "<think>\nsurely so, I think\n</think>\n\nYes."}
    return {name: [{"role": "user", "content": f"{question}?"}, turn] for name, question in columns.items()}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "model"
    folder.mkdir()
    for name, text in model_files().items():
        folder.joinpath(name).write_text(text, encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(json.dumps(row(messages="One")) + "\n")
    (tmp_path / "other.jsonl").write_text(json.dumps(row(dialog="Two")) + "\n")
    (tmp_path / "keeps.jinja").write_text(KEEPS)
    (tmp_path / "drops.jinja").write_text(DROPS)
    return tmp_path


@pytest.fixture
def check(here: Path, capfd: pytest.CaptureFixture[str]) -> Check:
    def check(text: str, *options: object) -> tuple[int, Any, str]:
        (here / "run.yaml").write_text(text, encoding="utf-8")
        code = main(["check", "--config", "run.yaml", "--format", "json", *map(str, options)])
        told = capfd.readouterr()
        return code, json.loads(told.out) if told.out else None, told.err

    return check


AXOLOTL = """\
base_model: model
datasets:
  - {path: rows.jsonl, type: chat_template}
learning_rate: 0.0002
sample_packing: true
dataset_prepared_path: prepared
"""
TRL = """\
model_name_or_path: model
dataset_name: rows.jsonl
max_length: 2048
"""


@pytest.mark.parametrize("text", [AXOLOTL, TRL], ids=["Axolotl", "TRL"])
def test_the_model_and_its_data_are_looked_at(check: Check, text: str) -> None:
    code, told, _ = check(text)
    assert code == 1
    assert "TF201" in {finding["code"] for finding in told["models"][0]["findings"]}
    assert [survey["before"]["reasoning_rows_lost"] for survey in told["surveys"]] == [1]
    assert told["config"]["unread"] == []


@pytest.mark.parametrize(
    "text",
    [
        AXOLOTL + "chat_template: jinja\nchat_template_jinja: keeps.jinja\n",
        AXOLOTL + "chat_template_jinja: |\n" + "".join(f"  {line}\n" for line in KEEPS.splitlines()),
        AXOLOTL.replace("type: chat_template", "type: chat_template, chat_template_jinja: keeps.jinja"),
        TRL + "chat_template_path: keeps.jinja\n",
    ],
    ids=["a file", "in the file itself", "a data set's own", "TRL"],
)
def test_a_template_takes_the_place_of_the_models(check: Check, text: str) -> None:
    _, told, _ = check(text)
    assert [survey["before"]["reasoning_rows_lost"] for survey in told["surveys"]] == [0]
    assert "TF401" not in {finding["code"] for finding in told["models"][0]["findings"]}


def test_the_next_command_repairs_the_template_that_is_trained_with(
    check: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    check(TRL + "chat_template_path: drops.jinja\n")
    assert main(["check", "--config", "run.yaml"]) == 1
    told = capfd.readouterr().out
    assert "template-fix patch drops.jinja" in told
    assert "template-fix patch model" not in told


def test_columns_and_several_data_sets_are_read(check: Check) -> None:
    text = AXOLOTL.replace(
        "learning_rate",
        "  - {path: json, data_files: other.jsonl, type: chat_template, field_messages: dialog}\nlearning_rate",
    )
    _, told, _ = check(text)
    assert [survey["names"] for survey in told["surveys"]] == [["rows.jsonl"], ["other.jsonl"]]
    assert [survey["before"]["reasoning_rows_lost"] for survey in told["surveys"]] == [1, 1]


def test_masking_by_markers_asks_for_them(check: Check) -> None:
    _, told, _ = check(TRL + "assistant_only_loss: true\n")
    assert "TF501" in {finding["code"] for finding in told["models"][0]["findings"]}
    assert "generation markers" in told["config"]["trained"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (AXOLOTL + "chat_template: chatml\n", "chat_template: chatml is a template of Axolotl's own"),
        (AXOLOTL.replace("type: chat_template", "type: alpaca"), "datasets[0].type is alpaca"),
        (
            AXOLOTL.replace("type: chat_template", "type: chat_template, split_thinking: true"),
            "datasets[0].split_thinking",
        ),
        (AXOLOTL.replace("type: chat_template", "type: chat_template, roles: {user: [boss]}"), "datasets[0].roles"),
        (AXOLOTL + "special_tokens: {pad_token: '<|end|>'}\n", "special_tokens changes the tokens"),
        (AXOLOTL + "message_magic: 3\n", "message_magic"),
        (AXOLOTL.replace("datasets:", "datasets:\n  - 7"), "datasets[0] is no data set"),
        (TRL.replace("rows.jsonl", "[1, 2]"), "dataset_name is no text"),
        (TRL + "eos_token: '<|im_end|>'\n", "eos_token changes"),
    ],
)
def test_what_is_not_understood_is_named(check: Check, text: str, named: str) -> None:
    _, told, _ = check(text)
    assert any(each.startswith(named) for each in told["config"]["unread"])


def test_a_model_that_is_named_stands_for_the_one_in_the_file(check: Check) -> None:
    code, told, _ = check(TRL.replace("model_name_or_path: model", "model_name_or_path: org/gone"), "model")
    assert (code, told["models"][0]["model"]) == (1, "model")


def test_data_that_cannot_be_read_are_told_of_and_stop_no_other(check: Check) -> None:
    text = AXOLOTL.replace("datasets:", "datasets:\n  - {path: gone.jsonl, type: chat_template}")
    code, told, _ = check(text)
    assert (code, told["untold"]) == (2, ["gone.jsonl: no such file or directory"])
    assert len(told["surveys"]) == 1


BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijk", "bcdefghijkl", strict=True)
)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no such file"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"a: [1", "run.yaml:1:6: is no YAML"),
        (b"a: !!python/object/apply:os.system ['touch pwned']", "is no YAML: could not determine a constructor"),
        (b"- 1", "a trainer's file has keys with values"),
        (b"a: 1", "this one is neither's"),
        (b"model_name_or_path: m\nstage: sft\ntemplate: qwen\n", "of LLaMA-Factory"),
        (b"#" * 300_000, "has more than 256 kB"),
        (b"[" * 1500 + b"]" * 1500, "is nested too deeply"),
        (b"a: &a 1\nb: [" + b"*a, " * 200 + b"1]", "has more than 100 aliases"),
        (BOMB.encode(), "this one is neither's"),
        (b"a: 2026-99-99", "is no YAML"),
    ],
)
def test_what_is_no_trainers_file_is_one_line(
    here: Path, capfd: pytest.CaptureFixture[str], content: bytes | None, reason: str
) -> None:
    if content is not None:
        (here / "run.yaml").write_bytes(content)
    assert main(["check", "--config", "run.yaml"]) == 2
    told = capfd.readouterr()
    assert (told.out, told.err.count("\n")) == ("", 1)
    assert reason in told.err
    assert not (here / "pwned").exists()


@pytest.mark.parametrize(
    "options", [["--data", "rows.jsonl"], ["a", "b"], ["--rows", "out.jsonl"], ["--column", "messages=x"]]
)
def test_options_that_make_no_sense_are_refused(here: Path, options: list[str]) -> None:
    (here / "run.yaml").write_text(TRL)
    assert main(["check", "--config", "run.yaml", *options]) == 2


def test_the_columns_of_the_project_are_of_other_data(check: Check, here: Path) -> None:
    (here / "pyproject.toml").write_text('[tool.template-fix]\ncolumn = {messages = "dialog"}\n')
    code, told, _ = check(TRL)
    assert (code, told["surveys"][0]["before"]["broken"]) == (1, 0)


def test_an_error_is_of_the_users(here: Path) -> None:
    with pytest.raises(ConfigError, match=r"^gone\.yaml: no such file"):
        read_config("gone.yaml")
