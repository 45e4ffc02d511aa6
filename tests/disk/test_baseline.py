from __future__ import annotations

import json
from pathlib import Path

import pytest

from template_fix.cli.demo import model_files
from template_fix.cli.main import main


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A broken model in the working directory."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name, text in model_files().items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return folder


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    code = main(["check", "model", *arguments, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)["models"][0]


def codes(findings: object) -> list[str]:
    assert isinstance(findings, list)
    return [finding["code"] for finding in findings]


def edit(model: Path, change: str, into: str) -> None:
    path = model / "chat_template.jinja"
    text = path.read_text(encoding="utf-8")
    assert change in text
    path.write_text(text.replace(change, into, 1), encoding="utf-8")


def test_what_a_baseline_has_counts_no_more(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, before = checked(capsys)
    assert checked(capsys, "--write-baseline", "known.json")[0] == 0
    code, after = checked(capsys, "--baseline", "known.json")
    assert (code, codes(after["findings"])) == (0, [])
    assert codes(after["known"]) == codes(before["findings"])
    assert main(["check", "./model", "--baseline", "known.json"]) == 0
    out = capsys.readouterr().out
    assert "nothing new" in out and "of the baseline: " in out


def test_what_is_new_counts_though_lines_have_moved(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = {"--select": "TF2"}
    assert checked(capsys, "--select", known["--select"], "--write-baseline", "known.json")[0] == 0
    path = model / "chat_template.jinja"
    if path.exists():
        path.write_text("{# a remark #}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    code, after = checked(capsys, "--baseline", "known.json")
    assert code == 1
    assert all(not name.startswith("TF2") for name in codes(after["findings"]))


def test_a_finding_that_got_graver_is_new(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "model", "--write-baseline", "known.json", "-q"])
    capsys.readouterr()
    path = Path("known.json")
    noted = json.loads(path.read_text(encoding="utf-8"))
    errors = [entry for entry in noted["findings"] if entry["level"] == "error"]
    errors[0]["level"] = "note"
    path.write_text(json.dumps(noted), encoding="utf-8")
    code, after = checked(capsys, "--baseline", "known.json")
    assert (code, codes(after["findings"])) == (1, [errors[0]["code"]])


def test_two_findings_of_one_line_are_two(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "model", "--write-baseline", "known.json", "-q"])
    capsys.readouterr()
    noted = json.loads(Path("known.json").read_text(encoding="utf-8"))
    Path("known.json").write_text(json.dumps({**noted, "findings": noted["findings"][1:]}), encoding="utf-8")
    assert len(codes(checked(capsys, "--baseline", "known.json")[1]["findings"])) == 1


def test_a_template_that_cannot_be_read_is_never_known_of(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in model.glob("*"):
        path.unlink()
    (model / "chat_template.jinja").write_text("{% if", encoding="utf-8")
    assert main(["check", "model", "--write-baseline", "known.json"]) == 2
    assert main(["check", "model", "--baseline", "known.json"]) == 2


def test_a_baseline_is_the_same_text_for_the_same_findings(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "model", "--write-baseline", "known.json"])
    text = Path("known.json").read_text(encoding="utf-8")
    main(["check", "model", "--baseline", "known.json", "--write-baseline", "known.json"])
    assert Path("known.json").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(None, "no such file", id="no file"),
        pytest.param("[]", "is no baseline", id="another JSON"),
        pytest.param("<html>", "is no baseline", id="no JSON"),
        pytest.param('{"template-fix baseline": 2, "findings": []}', "a newer template-fix", id="a newer one"),
    ],
)
def test_what_is_no_baseline_is_told_and_nothing_is_checked(
    model: Path, capsys: pytest.CaptureFixture[str], content: str | None, told: str
) -> None:
    if content is not None:
        Path("known.json").write_text(content, encoding="utf-8")
    assert main(["check", "model", "--baseline", "known.json"]) == 2
    out, err = capsys.readouterr()
    assert (out, told in err) == ("", True)


def test_no_other_file_is_overwritten(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.json").write_text("mine", encoding="utf-8")
    assert main(["check", "model", "--write-baseline", "notes.json"]) == 2
    assert "no baseline of template-fix" in capsys.readouterr().err
    assert Path("notes.json").read_text(encoding="utf-8") == "mine"


def test_rows_have_no_baseline(model: Path) -> None:
    assert main(["check", "model", "--data", "rows.jsonl", "--baseline", "known.json"]) == 2


def test_sarif_has_the_fingerprints_of_a_baseline(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "model", "--format", "sarif"])
    results = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    _, report = checked(capsys)
    findings = report["findings"]
    assert isinstance(findings, list)
    told = [result["partialFingerprints"]["templateFix/v1"] for result in results]
    assert told == [finding["fingerprint"] for finding in findings]
