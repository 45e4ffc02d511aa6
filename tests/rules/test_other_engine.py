"""What other engines make of a template: minijinja by running it, the others by the table of constructs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.cli.main import main
from template_fix.engine.patch import check, patch
from template_fix.options import Options
from template_fix.repair import minijinja as engines
from template_fix.results import Finding

FILE = "chat_template.jinja"


def loop(turn: str) -> str:
    """Return a template that prints this for each message."""
    prompt = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    return f"{{% for m in messages %}}<|{{{{ m.role }}}}|>{turn}<|end|>{{% endfor %}}{prompt}"


ALIKE = loop("{{ m.content }}")
CUTS = loop("{{ m.content.rpartition('</think>')[2] }}")
ESCAPES = loop("{{ m.content }}{{ '<i>' | tojson }}")
MARKED = loop("{% generation %}{{ m.content }}{% endgeneration %}")


def found(source: str) -> list[Finding]:
    return list(check(Checkpoint("m", {FILE: source}), Options(select=frozenset({"TF404"}))).findings)


def words(finding: Finding) -> str:
    assert finding.place is not None and finding.place.source is not None
    start = (finding.place.template_column or 1) - 1
    return finding.place.source[start : start + finding.place.width]


def test_a_template_that_all_engines_run_alike_is_no_finding() -> None:
    assert found(ALIKE) == []


def test_a_refusal_is_told_with_the_reason_the_place_and_a_conversation() -> None:
    ran = next(each for each in found(CUTS) if each.evidence)
    assert ran.message.startswith("minijinja ") and "no method named rpartition" in ran.message
    assert words(ran).startswith(".rpartition") or words(ran).startswith("m.content.rpartition")
    assert ran.evidence[0].given.startswith("<|user|>") and ran.evidence[0].printed.startswith("refused: ")


def test_another_text_is_told_with_both_texts_and_the_expression_that_prints_it() -> None:
    (ran,) = found(ESCAPES)
    assert "prints another text" in ran.message and words(ran) == "'<i>' | tojson"
    assert '"<i>"' in ran.evidence[0].given and "u003c" in ran.evidence[0].printed


def test_what_does_not_parse_elsewhere_is_refused_in_all_renderings() -> None:
    ran = next(each for each in found(MARKED) if each.evidence)
    _, _, told = ran.message.partition("refuses ")
    refused, compared = told.split(" renderings")[0].split(" of ")
    assert int(refused) == int(compared) > 100


def test_the_table_answers_for_engines_that_are_not_tried() -> None:
    (told,) = [each for each in found(CUTS) if not each.evidence]
    assert words(told) == "m.content.rpartition('</think>')"
    assert told.message.startswith(".rpartition(1) does not run as in transformers in transformers.js, llama.cpp")
    assert "minijinja" not in told.message and "the table of constructs" in told.message


def test_without_minijinja_the_table_answers_for_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "installed_version", lambda: None)
    (told,) = found(CUTS)
    assert " in minijinja, transformers.js" in told.message and not told.evidence
    assert found(ESCAPES) == []


def test_it_is_told_only_where_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text(CUTS)
    codes = []
    for given in [], ["--engines"], ["--engines", "--ignore", "TF4"]:
        main(["check", str(tmp_path), "--format", "json", *given])
        told = json.loads(capsys.readouterr().out)["models"][0]["findings"]
        codes.append("TF404" in {each["code"] for each in told})
    assert codes == [False, True, False]


@pytest.mark.children
def test_in_a_process_with_other_threads_they_are_tried_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("template_fix.bounds.child.has_threads", lambda: True)
    report = check(Checkpoint("m", {FILE: ESCAPES}), Options(engines=True))
    assert "TF404" in {finding.code for finding in report.findings}


@pytest.mark.slow
@pytest.mark.children
def test_a_template_that_never_ends_elsewhere_is_stopped() -> None:
    endless = loop("{% for i in range(99999) %}{% for j in range(i) %}{% endfor %}{% endfor %}{{ m.content }}")
    report = check(Checkpoint("m", {FILE: endless}), Options(engines=True))
    assert {finding.code for finding in report.findings} <= {"TF103", "TF404"}


def test_a_patch_says_in_which_engines_it_takes_effect() -> None:
    result = patch(Checkpoint("m", {FILE: loop("{{ m.content.split('</think>')[-1] }}")}))
    assert result.changed and result.elsewhere is not None
    assert set(result.elsewhere.engines) == {"minijinja", "transformers.js", "llama.cpp", "google/minja", "swift-jinja"}
    assert not any(result.elsewhere.engines.values())


def test_what_the_template_had_itself_is_left_open() -> None:
    result = patch(Checkpoint("m", {FILE: loop("{{ m.content.rsplit('</think>', 1)[-1] }}")}))
    assert result.changed and result.elsewhere is not None
    assert result.elsewhere.engines["minijinja"] == (".rsplit(2)",) and result.elsewhere.engines["llama.cpp"] == ()


def test_markers_are_left_open_where_they_are_not_known() -> None:
    result = patch(Checkpoint("m", {FILE: ALIKE}), Options(mark=True))
    assert result.changed and result.elsewhere is not None
    assert result.elsewhere.engines["minijinja"] == ("{% generation %}",)


def test_where_no_template_is_changed_nothing_is_said() -> None:
    assert patch(Checkpoint("m", {FILE: "{{ messages }}"})).elsewhere is None
