"""``check --data`` through the real command line, on a model that cuts reasoning out."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_model

from template_fix import Options
from template_fix.api import check_data
from template_fix.bounds import limits
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.cli.main import main
from template_fix.data import check as data_check
from template_fix.data.batches import Batch, rising
from template_fix.data.row_check import RowCheck
from template_fix.data.sources import Source
from template_fix.data.survey import surveyed
from template_fix.data.tally import WORST, Counted, Example, Tally
from template_fix.disk.user_folders import cache_path, key_path
from template_fix.engine.patch import patch
from template_fix.results import PatchResult

KEEPS = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{{ '</think>' if false else '' }}"
ROW = tiny_model.inline(*tiny_model.QUESTIONS[0])
LOST = len(tiny_model.QUESTIONS[0][1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    tiny_model.written(folder / "cuts")
    tiny_model.written(folder / "keeps", KEEPS)
    tiny_model.written(folder / "reads", KEEPS.replace("{{ m.content", "{{ m.reasoning_content }}</think>{{ m.content"))
    return folder


@pytest.fixture
def told(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(folder)

    def told(model: str, rows: Any, *arguments: str) -> tuple[int, str, str]:
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        Path("train.jsonl").write_text(text, encoding="utf-8")
        code = main(["check", model, "--data", "train.jsonl", "--ignore", "TF203,TF3", *arguments])
        return code, *capfd.readouterr()

    return told


def counts(out: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(out)["models"][0]["data"]
    return data


def test_what_is_lost_is_told_in_rows_and_characters_and_what_a_repair_leaves(told: Any) -> None:
    code, out, err = told("cuts", [ROW, ROW, tiny_model.asked("Why?", {"content": "It is so."})])
    assert (code, err) == (1, "")
    text = out[out.index("train.jsonl") :]
    assert text.startswith(
        "train.jsonl: 3 rows, rendered as transformers 5 does\n"
        f"  reasoning: 2 of 2 rows lose some, {2 * LOST} of {2 * LOST} characters\n"
        "  answers: all kept, in 3 rows that have some\n"
        "  3 rows that don't begin with the generation prompt\n"
    )
    assert f"train.jsonl:1: {LOST} of {LOST} characters of reasoning, in message 2:" in text
    assert f"[-{tiny_model.QUESTIONS[0][1]}-]" in text
    assert "With the repaired template, of the 3 rows in trouble:\n  reasoning: all kept, in 2 rows" in text


def test_what_python_gets_is_short_and_a_table_in_notebooks(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({**ROW, "reasoning": "It is said in a column, too."}) + "\n")
    found = check_data(str(folder / "keeps"), Source((str(data),)), Options(select="TF101"))
    assert repr(found) == f"<DataReport: {found.report!r}; <Survey: 0 of 1 rows in trouble>>"
    assert "<td>warning</td><td>1 rows have reasoning in a column of its own" in found._repr_html_()


def test_where_no_repair_keeps_reasoning_the_way_on_is_said_and_works(told: Any) -> None:
    said = tiny_model.asked("Why?", {"content": "It is so.", "cot": tiny_model.QUESTIONS[0][1]})
    code, out, _ = told("keeps", [said])
    assert code == 1
    assert "next: --rewrite OUT.jsonl" in out
    told("keeps", [said], "--rewrite", "moved.jsonl")
    assert "reasoning: all kept" in told("keeps", Path("moved.jsonl").read_text())[1]
    assert "next: " not in told("cuts", [ROW])[1]


def test_a_template_that_keeps_all_is_clean(told: Any) -> None:
    code, out, _ = told("keeps", [ROW])
    assert "reasoning: all kept, in 1 row that has some" in out
    assert code == 0


def test_broken_rows_end_no_run(told: Any) -> None:
    code, out, _ = told("keeps", json.dumps(ROW) + '\n{"messages"\n{"text": 1}\n' + json.dumps(ROW) + "\n")
    assert code == 1
    assert "train.jsonl: 4 rows" in out
    assert "2 rows are broken" in out
    assert "train.jsonl:2: not JSON: Expecting ':' delimiter" in out
    assert "train.jsonl:3: no messages, conversations, or prompt and completion; the row has text" in out


def test_a_file_that_is_broken_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(folder)
    Path("cut.json").write_text(json.dumps([ROW, ROW])[:-9], encoding="utf-8")
    assert main(["check", "keeps", "--data", "cut.json"]) == 1
    assert "cut.json:2: the file can't be read from here on: not JSON: " in capfd.readouterr().out


@pytest.mark.parametrize(
    "row, said",
    [
        pytest.param(
            {"instruction": "Why?", "input": "", "output": "So."},
            "--column prompt=instruction --column completion=output reads them",
            id="alpaca",
        ),
        pytest.param(
            {"question": "Why?", "thinking": "So it is.", "answer": "So."},
            "--column prompt=question --column completion=answer --column reasoning=thinking",
            id="question and answer",
        ),
        pytest.param({"text": "Once upon a time."}, "text is plain text, which trainers take as it is", id="text"),
        pytest.param({"dialog": ROW["messages"]}, "--column messages=dialog reads that", id="another name"),
    ],
)
def test_columns_of_another_layout_are_told_once_with_the_way_on(told: Any, row: dict[str, Any], said: str) -> None:
    code, out, _ = told("keeps", [row] * 30)
    flat = " ".join(out.split())
    assert code == 1 and "reasoning and answers: not judged, as no row was rendered" in flat
    assert "30 rows hold no conversation, by their columns" in flat and "are broken" not in flat
    assert flat.count(said) == 1 and "(and 29 more rows)" in flat


def test_columns_of_plain_text_are_read_where_they_are_named(told: Any) -> None:
    rows = [{"question": "Why?", "thinking": tiny_model.QUESTIONS[0][1], "answer": "It is just so."}]
    named = ["--column", "prompt=question", "--column", "completion=answer", "--column", "reasoning=thinking"]
    _, out, _ = told("cuts", rows, *named)
    assert f"reasoning: 1 of 1 row lose some, {LOST} of {LOST} characters" in out


def test_reasoning_of_a_column_is_that_of_the_last_answer(told: Any) -> None:
    row = {**tiny_model.asked("Why?", {"content": "It is just so."}), "notes": tiny_model.QUESTIONS[0][1]}
    _, out, _ = told("cuts", [row], "--column", "reasoning=notes")
    assert f"{LOST} of {LOST} characters of reasoning, in message 2" in out


def test_nothing_is_said_of_the_reasoning_of_prompts_alone(told: Any) -> None:
    _, out, _ = told("keeps", [{"prompt": [{"role": "user", "content": "Which one is it?"}]}] * 3)
    assert "not judged, as no row has a turn of the model" in out and "no row has any" not in out
    assert "3 rows have no turn of the model" in out and "a prompt alone (and 2 more rows)" in out
    _, out, _ = told("keeps", [{"prompt": [{"role": "user", "content": "Which?"}]}, {"messages": ROW["messages"][:1]}])
    assert "no row has any" not in out


@pytest.mark.parametrize("explicit", [True, False])
def test_both_sides_of_a_preference_pair_are_rendered(told: Any, explicit: bool) -> None:
    question, answer = ROW["messages"]
    before = [] if explicit else [question]
    row = {"chosen": [*before, {"role": "assistant", "content": "It is so."}], "rejected": [*before, answer]}
    _, out, _ = told("cuts", [{**row, "prompt": [question]} if explicit else row])
    assert f"reasoning: 1 of 1 row lose some, {LOST} of {LOST} characters" in out
    assert "in message 2:" in out and "answers: all kept, in 1 row" in out


def test_rows_with_images_are_rendered_with_the_template_that_a_processor_reads(told: Any, folder: Path) -> None:
    blocks = "{% for b in m.content %}{{ (b.text or '').split('</think>')[-1] }}{% endfor %}"
    takes = KEEPS.replace("{{ m.content }}", blocks)
    model = tiny_model.written(folder / "sees", KEEPS)
    (model / "chat_template.json").write_text(json.dumps({"chat_template": takes}))
    (model / "preprocessor_config.json").write_text(json.dumps({"processor_class": "LlavaProcessor"}))
    image, text = {"type": "image", "url": "a.png"}, {"type": "text", "text": "What is it?"}
    answer = {"role": "assistant", "content": [{"type": "text", "text": ROW["messages"][1]["content"]}]}
    _, out, _ = told("sees", [{"messages": [{"role": "user", "content": [image, text]}, answer]}])
    assert f"reasoning: 1 of 1 row lose some, {LOST} of {LOST} characters" in out
    _, out, _ = told("sees", [ROW])
    assert "reasoning: all kept, in 1 row that has some" in out


@pytest.mark.parametrize("release, lost", [("4.57", True), ("5", False)])
def test_rows_are_rendered_as_the_version_does_that_was_named(told: Any, release: str, lost: bool) -> None:
    row = tiny_model.asked("Why?", {"content": "It is so.", "reasoning": tiny_model.QUESTIONS[0][1]})
    _, out, _ = told("reads", [row], "--transformers", release)
    assert f"rendered as transformers {release} does" in out
    assert ("1 of 1 row lose some" in out) is lost
    assert "1 row is printed differently by transformers 4.57 than by 5" in out


def test_rows_that_fail_are_counted_by_their_reason(told: Any) -> None:
    bad = {"messages": [{"role": "user", "content": None}]}
    code, out, _ = told("cuts", [bad] * 3 + [ROW])
    assert code == 1
    assert "3 rows aren't rendered" in out
    assert "(and 2 more rows)" in out


def test_the_answer_in_json_has_all_counts(told: Any) -> None:
    code, out, _ = told("cuts", [ROW] * 7, "--format", "json")
    data = counts(out)
    assert json.loads(out)["exit_code"] == code == 1
    assert data["before"]["reasoning_rows_lost"] == data["after"]["rows"] == 7
    assert data["after"]["reasoning_lost"] == 0
    assert len(data["before"]["worst"]) == WORST
    assert data["before"]["worst"][0]["number"] == 1


@pytest.mark.slow
@pytest.mark.children
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_several_processes_say_the_same_as_one(told: Any, processes: int) -> None:
    rows = [tiny_model.inline("Why?", "s" * number, "It is so.") for number in range(1, 2200)]
    _, out, _ = told("cuts", rows, "--format", "json", "--processes", str(processes))
    data = counts(out)["before"]
    assert (data["rows"], data["reasoning_rows_lost"]) == (2199, 2199)
    assert [each["number"] for each in data["worst"]] == [2199, 2198, 2197, 2196, 2195]


@pytest.mark.parametrize("option, rows", [("--limit", 5), ("--sample", 6)])
def test_a_part_can_be_looked_at(told: Any, option: str, rows: int) -> None:
    _, out, _ = told("cuts", [ROW] * 20, option, str(rows), "--format", "json")
    assert counts(out)["before"]["rows"] == rows


def test_columns_can_be_named(told: Any) -> None:
    code, out, _ = told("keeps", [{"dialog": ROW["messages"]}], "--column", "messages=dialog")
    assert code == 0, out


@pytest.mark.parametrize(
    "arguments, why",
    [
        pytest.param(["cuts", "--data", "no.jsonl"], "no.jsonl: no such file or directory", id="no such file"),
        pytest.param(["cuts", "--data", "empty.jsonl"], "empty.jsonl: holds no rows", id="an empty file"),
        pytest.param(["cuts", "keeps", "--data", "x"], "--data takes one MODEL", id="two models"),
        pytest.param(["cuts", "--data", "x", "--format", "sarif"], "--format text, concise or json", id="SARIF"),
        pytest.param(["cuts", "--data", "x", "--column", "dialog"], "write WHAT=NAME", id="a column of no kind"),
        pytest.param(["cuts", "--limit", "5"], "need --data", id="a part of no data"),
        pytest.param(["bare", "--data", "one.jsonl"], "bare: no chat template here", id="no template"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    monkeypatch.chdir(folder)
    Path("empty.jsonl").touch()
    Path("one.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
    Path("bare").mkdir(exist_ok=True)
    Path("bare/tokenizer_config.json").write_text("{}", encoding="utf-8")
    assert main(["check", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert why in err.splitlines()[-1]


def test_tallies_add_up_and_rows_that_show_the_same_are_one_example() -> None:
    ones = [Counted("nulls", 1, (Example("a", n, 1, f"messages[{n}].x is null"),)) for n in (1, 2)]
    both = Tally(rows=2, lossy=1, troubles=(ones[0],)) + Tally(rows=3, failed=1, broken=1, troubles=(ones[1],))
    assert (both.rows, both.harmed) == (5, 3)
    assert both.troubles == (Counted("nulls", 2, (Example("a", 1, 1, "messages[1].x is null", 2),)),)


def test_examples_beyond_so_many_are_counted_alone() -> None:
    told = sum((Tally(troubles=(Counted("nulls", 1, (Example("a", n, 0, "x" * n),)),)) for n in range(70)), Tally())
    [nulls] = told.troubles
    assert nulls.rows == 70 and len(nulls.examples) == 51 and nulls.examples[-1].rows == 20


def test_data_that_is_kept_whole_does_not_wait_for_a_repair() -> None:
    def mended() -> RowCheck:
        raise AssertionError("asked for")

    rows = [json.dumps({"messages": [{"role": "user", "content": "Which number is left over?"}]}).encode()]
    survey = surveyed(RowCheck((("default", "{{ messages[0].content }}"),)), [Batch("a", [1], rows)], 1, None, mended)
    assert survey.before.rows == 1 and survey.after is None


def test_a_repair_is_asked_for_once_and_tried_on_every_batch_in_trouble() -> None:
    asked = []

    def mended() -> RowCheck:
        asked.append(1)
        return RowCheck((("default", "{% for m in messages %}{{ m.content }}{% endfor %}"),))

    said = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": "The one that is left over."}]
    batches = [Batch("a", [number], [{"messages": said}]) for number in range(1, 6)]
    check = RowCheck((("default", "{{ messages[0].content }}"),))
    survey = surveyed(check, batches, 2, None, mended)
    assert survey.before.answer_rows_lost == 5 and asked == [1]
    assert survey.after is not None and (survey.after.rows, survey.after.harmed) == (5, 0)


@pytest.fixture
def repairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cache and a key of the test's own; models of which a repair is looked for go into the list."""
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / name))
    names: list[str] = []

    def noted(checkpoint: Checkpoint, options: Options) -> PatchResult:
        names.append(checkpoint.name)
        return patch(checkpoint, options)

    monkeypatch.setattr(data_check, "patch", noted)
    return names


def test_a_second_run_looks_for_no_repair_and_says_the_same(told: Any, repairs: list[str]) -> None:
    first = told("cuts", [ROW])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(limits, "start", _refuse_template_work(limits.start))
        assert told("cuts", [ROW]) == first
    assert "With the repaired template" in first[1] and repairs == ["cuts"]
    assert told("cuts", [ROW], "--no-cache") == first
    assert repairs == ["cuts", "cuts"]


def _refuse_template_work(start: Any) -> Any:
    def refuse(function: Any, *given: Any, **named: Any) -> Any:
        assert function.__name__ == "survey", "more than rows is looked at"
        return start(function, *given, **named)

    return refuse


@pytest.mark.parametrize(
    ("model", "arguments"),
    [("cuts", ["--transformers", "4.57"]), ("cuts", ["--set", "x=1"]), ("cuts", ["--column", "tools=x"]), ("cut", [])],
    ids=["another release", "a variable", "another column", "a file that changed"],
)
def test_what_is_asked_otherwise_has_a_repair_looked_for(
    told: Any, repairs: list[str], folder: Path, model: str, arguments: list[str]
) -> None:
    told("cuts", [ROW])
    tiny_model.written(folder / "cut")
    (folder / "cut" / "config.json").write_text("{}")
    told(model, [ROW], *arguments)
    assert repairs == ["cuts", model]


@pytest.mark.parametrize("damage", ["cut short", "of another user", "of another value"])
def test_entries_of_the_cache_that_are_not_this_users_are_passed_over(
    told: Any, repairs: list[str], tmp_path: Path, damage: str
) -> None:
    first = told("cuts", [ROW])
    for entry in cache_path().iterdir():
        content = entry.read_bytes()
        if damage == "cut short":
            entry.write_bytes(content[:-1])
        elif damage == "of another value":
            entry.write_bytes(content[:64] + pickle.dumps("what nobody signed"))
    if damage == "of another user":
        key_path().write_bytes(b"k" * 32)
    assert told("cuts", [ROW]) == first
    assert repairs == ["cuts", "cuts"]


def test_a_repair_that_came_of_a_limit_is_looked_for_again(
    told: Any, repairs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = data_check.patch

    def stopped(checkpoint: Checkpoint, options: Options) -> PatchResult:
        limits.stopped += 1
        return noted(checkpoint, options)

    with monkeypatch.context() as patched:
        patched.setattr(data_check, "patch", stopped)
        told("cuts", [ROW])
    for _ in range(2):
        told("cuts", [ROW])
    assert repairs == ["cuts", "cuts"]


def test_rows_are_rendered_by_the_command_itself(tmp_path: Path) -> None:
    """In a process of its own, where nothing is trusted: the tests' own process is."""
    tmp_path.joinpath("chat_template.jinja").write_text("{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}")
    data = tmp_path.joinpath("rows.jsonl")
    data.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n')
    line = [sys.executable, "-m", "template_fix", "check", str(tmp_path), "--data", str(data)]
    told = subprocess.run(line, capture_output=True, text=True)
    assert "Traceback" not in told.stderr
    assert "1 row" in told.stdout


def test_the_first_rows_are_checked_a_few_at_a_time() -> None:
    batches = [Batch("a", range(1, 2001), range(2000)), Batch("b", [1], ["x"])]
    made = list(rising(batches))
    assert [len(each) for each in made] == [250, 500, 1000, 250, 1]
    assert [row for each in made for row in each.rows] == [*range(2000), "x"]
    assert [number for each in made for number in each.numbers] == [*range(1, 2001), 1]
