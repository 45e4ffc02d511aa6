from __future__ import annotations

from samples import CLEAN, FOUND, LINE

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.report.pages import Page
from template_fix.report.sarif import sarif_log
from template_fix.results import Failed, Finding, Level, Place, Report

RULES = [Page(code, "error", f"{code} in short", f"{code} at length") for code in ("TF201", "TF205", "TF301")]


def run(*outcomes):
    log = sarif_log(outcomes, RULES)
    assert log["version"] == "2.1.0"
    [only] = log["runs"]
    return only


def location(finding, model="models/r1"):
    [result] = run(Report(model, (finding,), ()))["results"]
    return result["locations"][0]["physicalLocation"]


def test_results_point_to_their_rules():
    results = run(FOUND)["results"]
    rules = run(FOUND)["tool"]["driver"]["rules"]
    assert [result["ruleId"] for result in results] == ["TF205", "TF201", "TF301"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in results)
    said, _, shown = results[1]["message"]["text"].partition("\n\n")
    assert said == "The last turn's reasoning is dropped. Fix: Print the content as it is."
    assert shown == (
        "a question and a turn that reasons inline\nin: <think>\nalpha\n</think>\n\nbeta\nout: <bos>beta\n"
        "lost: <think>\nalpha\n</think>"
    )
    assert rules[0]["help"]["text"] == "TF201 at length"


def test_a_place_becomes_a_region_of_the_file():
    place = Place("chat_template.jinja", 3, 9, "default", 3, 9, LINE, 5, 3, 14)
    assert location(Finding("TF201", Level.ERROR, "x", place)) == {
        "artifactLocation": {"uri": "models/r1/chat_template.jinja"},
        "region": {"startLine": 3, "startColumn": 9, "endLine": 3, "endColumn": 14},
    }


def test_inside_of_json_the_end_is_that_in_the_file(tmp_path):
    text = '{"chat_template": "{{ \\"a\\" }}\\n{{ \\"b\\" }}"}'
    (tmp_path / "tokenizer_config.json").write_text(text)
    [copy] = Checkpoint.read(tmp_path).templates
    start = copy.source.index('"b"')
    region = location(Finding("TF201", Level.ERROR, "x", copy.place(start, start + 3)))["region"]
    assert text[region["startColumn"] - 1 : region["endColumn"] - 1] == '\\"b\\"'
    assert (region["startLine"], region["endLine"]) == (1, 1)


def test_fingerprints_stay_where_lines_move():
    places = [Place("t.jinja", line, 9, "default", line, 9, LINE, 5, line, 14) for line in (3, 300)]
    results = [run(Report("m", (Finding("TF201", Level.ERROR, "x", place),), ()))["results"][0] for place in places]
    one, other = (result["partialFingerprints"] for result in results)
    assert one == other
    assert all(one.values())


def test_a_finding_without_a_place_points_to_the_model():
    assert location(Finding("TF101", Level.WARNING, "x"))["artifactLocation"]["uri"] == "models/r1"


def test_paths_are_written_as_references():
    finding = Finding("TF201", Level.NOTE, "x", Place("a b.json"))
    assert location(finding, "my:models/ü")["artifactLocation"]["uri"] == "my%3Amodels/%C3%BC/a%20b.json"
    assert location(finding, "/models")["artifactLocation"]["uri"] == "file:///models/a%20b.json"


def test_a_model_that_failed_is_a_notification():
    only = run(CLEAN, Failed("nope", "nope: no such directory"))
    assert only["results"] == []
    assert only["invocations"] == [
        {
            "executionSuccessful": False,
            "toolExecutionNotifications": [{"level": "error", "message": {"text": "nope: no such directory"}}],
        }
    ]
    assert run(CLEAN)["invocations"][0]["executionSuccessful"] is True
