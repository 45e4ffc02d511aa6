"""Rows are rewritten so that a template prints their reasoning as such, and only where it was rendered so."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import tiny_model
from test_troubles import ANSWER, OWN, TEMPLATE, THOUGHT

from template_fix.cli.main import main
from template_fix.data.batches import Batch
from template_fix.data.rewrite import Rewriter, Rewritten
from template_fix.data.row_check import RowCheck

CHECK = RowCheck((("default", TEMPLATE),), (), (OWN, ("<think>", "</think>")), (), 5, (OWN,))
NO_FIELD = RowCheck((("default", TEMPLATE.replace("m.reasoning_content", "m.none")),), (), CHECK.tags, (), 5, (OWN,))
# Prints the reasoning of the last turn alone, and ends reasoning by the tag that ends all messages.
LAST_ALONE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{% if m.thinking and loop.last %}{{ '<|go|>assistant<|way|>reason<|say|>' + m.thinking + '<|end|>' }}{% endif %}"
    "{{ '<|go|>assistant<|way|>reply<|say|>' + m.content + '<|end|>' }}"
    "{% else %}{{ '<|go|>' + m.role + '<|say|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|go|>assistant' }}{% endif %}"
)
RIGHT = {"content": ANSWER, "reasoning_content": THOUGHT}
TEXT = {"type": "text", "text": ANSWER}
BLOCKS = [
    pytest.param({"type": "thinking", "thinking": THOUGHT}, id="thinking"),
    pytest.param({"type": "reasoning", "text": THOUGHT}, id="reasoning"),
    pytest.param({"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}]}, id="chunks"),
]
READS = (
    "{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for b in m.content if b.type == 'text' %}{{ b.text }}{% endfor %}{% endif %}"
)
REFUSES = READS.replace(
    " if b.type == 'text' %}", " %}{% if b.type != 'text' %}{{ raise_exception('odd') }}{% endif %}"
)


def rewritten(turn: dict[str, Any], check: RowCheck = CHECK, **columns: Any) -> tuple[dict[str, Any], Rewritten]:
    row = {"messages": [{"role": "user", "content": "6*7?"}, {"role": "assistant", **turn}], **columns}
    out = io.StringIO()
    told = Rewriter(check).written([Batch("a", [1], [json.dumps(row).encode()])], out)
    made = json.loads(out.getvalue())
    assert made.pop("messages")[0] == row["messages"][0]
    return {**json.loads(out.getvalue())["messages"][1], **made}, told


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param({"content": f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"}, id="other tags"),
        pytest.param({"content": f"{THOUGHT}\n</think>\n\n{ANSWER}"}, id="a lone closing tag"),
        pytest.param({"content": f"[IN]{THOUGHT}[/IN]{ANSWER}", "reasoning_content": THOUGHT}, id="twice"),
        pytest.param({"content": f"[IN][/IN][IN]{THOUGHT}[/IN]{ANSWER}"}, id="an empty block first"),
        pytest.param({"content": f"<think>{THOUGHT}<\\think>{ANSWER}"}, id="closed by another spelling"),
        pytest.param({"content": ANSWER, "cot": THOUGHT}, id="a field that isn't printed"),
    ],
)
def test_reasoning_goes_to_the_field_that_is_printed(turn: dict[str, Any]) -> None:
    made, told = rewritten(turn)
    assert made == {"role": "assistant", **RIGHT}
    assert told == Rewritten(1, 1, 0, 0)


def test_reasoning_goes_between_the_models_tags_where_no_field_is_printed() -> None:
    made, told = rewritten({"content": f"<think>{THOUGHT}</think>{ANSWER}", "weight": 1}, NO_FIELD)
    assert made == {"role": "assistant", "weight": 1, "content": f"[IN]\n{THOUGHT}\n[/IN]\n\n{ANSWER}"}
    assert told.rewritten == 1


def test_no_tag_that_ends_a_turn_as_well_goes_into_an_answer() -> None:
    turn = "<a>say<m>{{ m.content }}<end>"
    source = f"{{% for m in messages %}}{{% if m.role != 'user' %}}{turn}{{% else %}}<u>{{% endif %}}{{% endfor %}}"
    ends = ("<a>think<m>", "<end>")
    check = RowCheck((("default", source),), (), (ends, ("<think>", "</think>")), (), 5, (ends,))
    made, told = rewritten({"content": f"<think>{THOUGHT}</think>{ANSWER}"}, check)
    assert made == {"role": "assistant", "content": f"<think>{THOUGHT}</think>{ANSWER}"}
    assert told == Rewritten(1, 0, 1, 0)


def test_a_column_of_reasoning_goes_into_the_last_turn() -> None:
    made, _ = rewritten({"content": ANSWER}, reasoning=THOUGHT, id=7)
    assert made == {"role": "assistant", "id": 7, **RIGHT}


@pytest.mark.parametrize("turn", [RIGHT, {"content": ANSWER}])
def test_a_row_that_is_right_stays_as_it_is(turn: dict[str, Any]) -> None:
    made, told = rewritten(turn)
    assert made == {"role": "assistant", **turn} and told == Rewritten(1)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    ("source", "content"),
    [
        pytest.param(TEMPLATE.replace("m.content }}", "m.content if m.content is string }}"), ANSWER, id="texts alone"),
        pytest.param(TEMPLATE.replace("{{ m.content }}{% for c", f"{READS}{{% for c"), [TEXT], id="lists of texts"),
        pytest.param(TEMPLATE.replace("m.content }}", "'' ~ m.content }}"), ANSWER, id="lists with their braces"),
        pytest.param(TEMPLATE.replace("m.content }}", "'' + m.content }}"), ANSWER, id="texts, or it fails"),
        pytest.param(
            TEMPLATE.replace("{{ m.content }}{% for c", REFUSES + "{% for c"), [TEXT], id="lists of texts, or it fails"
        ),
    ],
)
def test_reasoning_in_a_block_of_its_own_type_goes_to_the_field(
    source: str, content: object, block: dict[str, object]
) -> None:
    check = RowCheck((("default", source),), (), CHECK.tags, (), 5, (OWN,))
    made, told = rewritten({"content": [block, TEXT]}, check)
    assert made == {"role": "assistant", "content": content, "reasoning_content": THOUGHT}
    assert told == Rewritten(1, 1, 0, 0)


def test_a_list_that_is_printed_with_its_braces_becomes_text_without_any_reasoning() -> None:
    made, told = rewritten({"content": [TEXT]})
    assert made == {"role": "assistant", "content": ANSWER} and told.rewritten == 1


def test_of_several_texts_none_is_made() -> None:
    made, told = rewritten({"content": [TEXT, TEXT]})
    assert made == {"role": "assistant", "content": [TEXT, TEXT]} and told.left == 1


def test_reasoning_that_is_encrypted_stays_where_it_is() -> None:
    sealed = {"type": "redacted_thinking", "data": "c2VhbGVk"}
    made, _ = rewritten({"content": [sealed, TEXT]}, NO_FIELD)
    assert made == {"role": "assistant", "content": [sealed, TEXT]}


def test_a_row_that_no_form_helps_stays_as_it_is() -> None:
    cuts = RowCheck((("default", "{% for m in messages %}{{ m.role }}{% endfor %}"),), (), CHECK.tags, (), 5, (OWN,))
    made, told = rewritten({"content": f"<think>{THOUGHT}</think>{ANSWER}"}, cuts)
    assert made["content"].startswith("<think>") and told.left == 1


def test_the_command_writes_rows_and_lists_those_in_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_model.written(tmp_path / "model", TEMPLATE)
    wrong = tiny_model.asked("6*7?", {"content": f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"})
    Path("rows.jsonl").write_text(json.dumps(wrong) + "\n" + json.dumps(tiny_model.asked("6*7?", RIGHT)) + "\n")
    command = ["check", "model", "--data", "rows.jsonl", "--select", "TF101"]
    assert main([*command, "--rewrite", "out.jsonl", "--rows", "bad.jsonl"]) == 1
    out = capfd.readouterr().out
    assert "reasoning: printed as plain text in 1 row, of 2 rows that have some" in out
    assert "1 row prints reasoning as plain text" in out and "Rewritten: 1 of 2 rows" in out
    [bad] = map(json.loads, Path("bad.jsonl").read_text().splitlines())
    assert (bad["file"], bad["number"], bad["kind"], bad["message"]) == ("rows.jsonl", 1, "reasoning_as_text", 2)
    assert main(["check", "model", "--data", "out.jsonl", "--select", "TF101"]) == 0
    assert main([*command, "--rewrite", "rows.jsonl"]) == 2


def test_a_row_that_is_right_with_the_repaired_template_alone_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_model.written(tmp_path / "model", LAST_ALONE)
    turn = {"role": "assistant", "content": f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"}
    row = {"messages": [{"role": "user", "content": "6*7?"}, turn, {"role": "user", "content": "Why?"}, turn]}
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    main(["check", "model", "--data", "rows.jsonl", "--select", "TF202", "--rewrite", "out.jsonl"])
    out = " ".join(capfd.readouterr().out.split())
    assert "Rewritten: 1 of 1 row; 1 row of these fit only the repaired template: run patch first" in out
    main(["check", "model", "--data", "out.jsonl", "--select", "TF101"])
    assert "1 of 1 row lose some" in capfd.readouterr().out
    main(["patch", "model"])
    main(["check", "model", "--data", "out.jsonl", "--select", "TF101"])
    assert "reasoning: all kept, in 1 row that has some" in capfd.readouterr().out


def test_the_answer_in_json_counts_by_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_model.written(tmp_path / "model", TEMPLATE)
    row = tiny_model.asked("6*7?", {"content": ANSWER, "reasoning": THOUGHT})
    Path("rows.jsonl").write_text(json.dumps(row) + "\n")
    command = ["check", "model", "--data", "rows.jsonl", "--select", "TF101", "--format", "json"]
    main([*command, "--transformers", "4.57"])
    data = json.loads(capfd.readouterr().out)["models"][0]["data"]
    assert data["transformers"] == "4.57" and data["before"]["reasoning_lost"] == len(THOUGHT)
    [told] = data["before"]["troubles"]
    assert (told["kind"], told["rows"], told["examples"][0]["message"]) == ("versions_differ", 1, 2)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tiny_model.written(tmp_path / "model")


@pytest.mark.parametrize("option", ["--rewrite", "--rows"])
def test_a_file_that_is_there_is_left_as_it_is(
    tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = json.dumps(tiny_model.inline(*tiny_model.QUESTIONS[0])) + "\n"
    (data / "train.jsonl").write_text(rows)
    assert main(["check", str(model), "--data", "data", option, "data/train.jsonl"]) == 2
    assert "data/train.jsonl: is there already, and is left as it is; name another file" in capfd.readouterr().err
    assert (data / "train.jsonl").read_text() == rows


@pytest.mark.parametrize("option", ["--rewrite", "--rows"])
def test_a_run_that_fails_leaves_no_part_of_a_file(
    tmp_path: Path, model: Path, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    (tmp_path / "train.jsonl").write_text("")
    assert main(["check", str(model), "--data", "train.jsonl", option, "out.jsonl"]) == 2
    assert "holds no rows" in capfd.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()
