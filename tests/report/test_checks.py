from __future__ import annotations

from samples import CLEAN, DROPPED, FOUND, LEFT, UNTRIED

from template_fix.report.checks import check_lines, concise_lines, summary_lines, workflow_commands
from template_fix.results import Failed, Finding, Level, Place, Report, TemplateSummary, Unevaluated

UNJUDGED = Report("models/odd", (), (TemplateSummary("chat_template.jinja", "default", False, (), 110, 98),))


def text(lines):
    return ["".join(piece.text for piece in line.pieces) for line in lines]


def test_a_finding_with_no_place_is_the_model_s():
    assert [each.split(" ")[0] for each in concise_lines(FOUND)][-1] == "models/r1:"


def test_a_template_by_itself_is_its_own_file():
    finding = Finding("TF201", Level.ERROR, "lost", Place("a.jinja", 3, 4))
    assert list(concise_lines(Report("dir/a.jinja", (finding,), ()))) == ["dir/a.jinja:3:4: TF201 error lost"]


def test_what_was_not_judged_is_no_silence():
    assert list(concise_lines(UNJUDGED)) == ["models/odd: not judged: no reasoning tags were found in the template"]
    assert list(workflow_commands(UNJUDGED)) == [
        "::warning title=not judged::models/odd: no reasoning tags were found in the template"
    ]


def test_what_is_right_says_nothing():
    assert list(concise_lines(CLEAN)) == list(workflow_commands(CLEAN)) == []


def test_nothing_in_a_finding_ends_its_line_or_its_command():
    hostile = Finding("TF201", Level.NOTE, "one\n::error::two %0A\r", Place("a,b:c.jinja\n", 1, 2))
    report = Report("dir", (hostile,), ())
    [command] = workflow_commands(report)
    assert command.startswith("::notice file=dir/a%2Cb%3Ac.jinja")
    assert "%250A" in command
    assert all(len(each.splitlines()) == 1 for each in (command, *concise_lines(report)))


def test_the_summary_counts_models_once_and_findings_each():
    twice = Report("models/twice", (DROPPED, DROPPED), ())
    told = text(summary_lines([FOUND, twice, LEFT, CLEAN, UNTRIED, UNJUDGED, Failed("nowhere", "no such directory")]))
    assert told[0] == ("7 models: 3 with errors, 1 with warnings, 1 with nothing wrong, 1 not judged, 1 not read")
    assert [each.partition(": ")[2].partition(":")[0] for each in told[1:] if "TF201" in each] == [
        "3 errors in 2 models"
    ]


def test_what_could_not_be_evaluated_is_a_block_of_its_own():
    calls = tuple(Unevaluated(code, "no tool call is printed") for code in ("TF211", "TF213"))
    templates = [TemplateSummary("a.jinja", name, True, unevaluated=calls) for name in ("default", "tool_use")]
    files = (Unevaluated("TF306", "there is no tokenizer.json"),)
    said = text(check_lines(Report("model", (), tuple(templates[:1]), unevaluated=files)))
    assert said[-3:] == [
        "Not evaluated; these rules report nothing:",
        "TF306: there is no tokenizer.json",
        "TF211, TF213: no tool call is printed",
    ]
    both = text(check_lines(Report("model", (), tuple(templates))))
    assert both[-1] == "TF211, TF213: no tool call is printed (tool_use template in a.jinja)"
    assert "Not evaluated" not in " ".join(text(check_lines(CLEAN)))
