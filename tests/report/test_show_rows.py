"""`show` for rows of training data, in other engines, and with what is trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from template_fix import Options, api
from template_fix.cli.demo import model_files
from template_fix.cli.main import main


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


ROWS = [
    {
        "messages": [
            {"role": "user", "content": "One?"},
            {"role": "assistant", "content": "<think>\nhm\n</think>\n\nYes."},
        ]
    },
    {"chat": [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "No."}]},
    {
        "prompt": [{"role": "user", "content": "Three?"}],
        "chosen": [{"role": "assistant", "content": "Good."}],
        "rejected": [{"role": "assistant", "content": "Bad."}],
    },
]
NODE = Path(os.environ.get("TEMPLATE_FIX_NODE_MODULES", "none"))
Show = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, text in model_files().items():
        tmp_path.joinpath(name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*map(json.dumps, ROWS), "{broken", ""]), encoding="utf-8")
    return path


@pytest.fixture
def show(model: Path, capfd: pytest.CaptureFixture[str]) -> Show:
    def show(*options: object) -> tuple[int, str, str]:
        return main(["show", str(model), *map(str, options)]), *capfd.readouterr()

    return show


def test_a_row_is_shown_by_the_number_that_a_check_tells(show: Show, rows: Path) -> None:
    code, told, _ = show("--data", rows)
    assert code == 0
    assert f"{rows}:1" in told
    assert "[-<think>-]" in told


def test_a_column_is_named_as_for_a_check(show: Show, rows: Path) -> None:
    assert "Two?" in show("--data", rows, "--row", 2, "--column", "messages=chat")[1]


def test_both_sides_of_a_pair_are_shown(show: Show, rows: Path) -> None:
    _, told, _ = show("--data", rows, "--row", 3)
    assert "rows.jsonl:3, chosen" in told
    assert "rows.jsonl:3, rejected" in told


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--row", 2], "rows.jsonl:2: no messages, conversations, or prompt and completion"),
        (["--row", 4], "rows.jsonl:4: not JSON"),
        (["--row", 5], "there is no row 5; the last one is 4"),
    ],
)
def test_a_row_that_is_none_is_one_line(show: Show, rows: Path, options: list[object], reason: str) -> None:
    code, told, error = show("--data", rows, *options)
    assert (code, told, error.count("\n"), reason in error) == (2, "", 1, True)


@pytest.mark.parametrize(
    "options", [["--row", 3], ["--subset", "x"], ["--data", "a.jsonl", "--messages", "b.json"], ["--engine", "other"]]
)
def test_options_that_make_no_sense_are_refused(show: Show, options: list[object]) -> None:
    code, _, error = show(*options)
    assert (code, "Error: " in error) == (2, True)


def test_a_variable_reaches_the_template(show: Show, model: Path) -> None:
    template = model / "mine.jinja"
    template.write_text("{{ mood }}{% for m in messages %}{{ m.content }}{% endfor %}")
    assert main(["show", str(template), "--set", "mood=merry"]) == 0


def shown(show: Show, *options: object) -> Any:
    return json.loads(show(*options, "--format", "json")[1])


def test_the_mask_has_all_tokens_and_those_that_a_turn_is_made_of(show: Show, rows: Path) -> None:
    told = shown(show, "--data", rows, "--mask")
    [mask] = told["masks"]
    text = "".join(
        run["text"] for turn in told["conversations"][0]["turns"] for run in turn["runs"] if run["kind"] != "dropped"
    )
    assert mask["tokenized"]
    assert "".join(token["text"] for token in mask["tokens"]) == text
    assert "".join(token["text"] for token in mask["tokens"] if token["trained"]).strip() == "Yes.<|end|>"
    assert "patch --mark" in told["mask_note"]


def test_a_templates_own_markers_are_what_is_trained_on(show: Show, model: Path, rows: Path) -> None:
    api.patch(model, Options(mark=True))
    told = shown(show, "--data", rows, "--mask")
    assert "own generation markers" in told["mask_note"]
    trained = "".join(token["text"] for token in told["masks"][0]["tokens"] if token["trained"])
    assert trained == "hm\n</think>\n\nYes.<|end|>"  # its prompt opens the block


def test_without_a_tokenizer_the_mask_is_of_the_text(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    template = tmp_path / "mine.jinja"
    template.write_text(
        "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|end|>"
        "{% endgeneration %}{% else %}{{ m.content }}<|end|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    assert main(["show", str(template), "--mask", "--format", "json"]) == 0
    mask = json.loads(capfd.readouterr().out)["masks"][0]
    assert not mask["tokenized"]
    assert [token["text"][-7:] for token in mask["tokens"] if token["trained"]] == ["<|end|>", "<|end|>"]


def test_minijinja_prints_in_place_of_transformers(show: Show) -> None:
    pytest.importorskip("minijinja")
    told = shown(show, "--engine", "minijinja")
    assert told["engine"].startswith("minijinja ")
    assert told["otherwise"] == []


def test_what_an_engine_refuses_is_said(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("minijinja")
    template = model / "mine.jinja"
    template.write_text("{% for m in messages %}{{ m.content.rsplit('?', 1)[0] }}{% endfor %}")
    assert main(["show", str(template), "--engine", "minijinja"]) == 2
    told = capfd.readouterr().out
    assert "transformers prints 2 of 2 differently" in told
    assert "has no method named rsplit" in told


def test_an_engine_that_is_not_there_is_one_line(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPLATE_FIX_NODE_MODULES", raising=False)
    monkeypatch.setattr("template_fix.report.showing.engines.installed_version", lambda: None)
    for engine, way in (("transformers.js", "npm install"), ("minijinja", "pip install")):
        code, told, error = show("--engine", engine)
        assert (code, told, error.count("\n"), way in error) == (2, "", 1, True)


@pytest.mark.skipif(not (NODE / "@huggingface/jinja").is_dir(), reason="transformers.js isn't installed")
def test_transformers_js_prints_in_place_of_transformers(show: Show, model: Path) -> None:
    told = shown(show, "--engine", "transformers.js")
    assert told["engine"].startswith("transformers.js (@huggingface/jinja ")
    assert told["otherwise"] == []
    template = model / "mine.jinja"
    template.write_text("{% for m in messages %}{{ m.content.rsplit('?', 1)[0] }}{% endfor %}")
    assert main(["show", str(template), "--engine", "transformers.js"]) == 2


@pytest.mark.skipif(not (NODE / "@huggingface/jinja").is_dir(), reason="transformers.js isn't installed")
def test_node_is_stopped_where_it_goes_on_for_ever(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_NODE_SECONDS", 1), ("_PROGRAM", "while (true) {}")):
        monkeypatch.setattr(f"template_fix.report.showing.engines.{name}", value)
    code, told, error = show("--engine", "transformers.js")
    assert (code, told, error.count("\n")) == (2, "", 1)
    assert "node was stopped: it takes more than 1 s" in error
