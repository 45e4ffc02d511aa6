from __future__ import annotations

import json
from pathlib import Path

from samples import AT, FOUND, PATCHED

from template_fix.report.alignment import Run
from template_fix.report.as_json import document, outcomes_json, showing_json
from template_fix.report.showing.rendering import Shown, Turn
from template_fix.report.showing.show import Showing, TagTokens
from template_fix.results import Failed, Patched
from template_fix.share.plan import Plan
from template_fix.share.push import Pushed
from template_fix.share.report import pushed_json


def answer(command, content):
    return json.loads(document(command, content))


def test_every_answer_names_its_schema_and_command():
    told = answer("undo", {"model": "m"})
    assert (told["schema"], told["command"], told["model"]) == (1, "undo", "m")
    assert list(told) == ["schema", "version", "command", "model"]


def test_a_check_tells_of_each_model_and_of_those_that_failed():
    told = answer("check", outcomes_json([FOUND, Failed("nope", "nope: no such directory")], 2))
    assert told["exit_code"] == 2
    report, failure = told["models"]
    assert failure == {"model": "nope", "error": "nope: no such directory"}
    assert list(report) == ["model", "findings", "templates", "revision", "known", "unevaluated", "unjudged"]
    assert report["templates"] == [
        {
            "file": "tokenizer_config.json",
            "variant": "default",
            "reasoning": True,
            "tags": [["<think>", "</think>"]],
            "probes": 424,
            "accepted": 412,
            "tests": 0,
            "exercised": 0,
            "refused": [],
            "versions": [],
            "forms": [],
            "fitting": 0,
            "unevaluated": [],
        }
    ]


def test_a_finding_has_the_keys_that_are_documented():
    _, finding, _ = answer("check", outcomes_json([FOUND], 1))["models"][0]["findings"]
    assert list(finding) == ["code", "level", "message", "place", "evidence", "fix", "patch_with", "fingerprint"]
    assert finding["level"] == "error"
    assert finding["place"] == {
        "file": "tokenizer_config.json",
        "line": 2,
        "column": 40,
        "template": "default",
        "template_line": 2,
        "template_column": 18,
        "source": "{% set content = content.split('</think>')[-1] %}",
        "width": 29,
        "end_line": None,
        "end_column": None,
    }
    assert list(finding["evidence"][0]) == ["subject", "given", "printed", "lost", "stray", "labels"]


def test_a_patch_tells_of_repairs_and_edits():
    [told] = answer("patch", outcomes_json([Patched(PATCHED, "out", ("model.gguf",), ("vocab.json",))], 0))["models"]
    keys = "model written changed copied left before after asked elsewhere served kept refused diff"
    assert list(told) == keys.split()
    assert (told["written"], told["changed"]) == ("out", ["tokenizer_config.json"])
    assert (told["copied"], told["left"]) == (["vocab.json"], ["model.gguf"])
    assert told["kept"][0]["edits"] == [
        {"file": "tokenizer_config.json", "start": AT, "end": AT, "text": "content if preserve_thinking else "}
    ]
    assert told["refused"][0]["reason"] == "It doubles the opening tag."
    assert told["diff"].startswith("--- a/tokenizer_config.json\n")


def test_a_showing_tells_runs_and_tokens():
    turns = (Turn("user", (Run("template", "<s>"), Run("dropped", "hello"))),)
    tags = (TagTokens("<t>", ((3, "<"), (4, "t>")), False),)
    told = answer("show", showing_json(Showing("m", "t.jinja", (Shown("x", turns), Shown("y", failure="no")), tags)))
    assert told["conversations"] == [
        {
            "title": "x",
            "failure": None,
            "turns": [
                {
                    "role": "user",
                    "runs": [{"kind": "template", "text": "<s>"}, {"kind": "dropped", "text": "hello"}],
                }
            ],
        },
        {"title": "y", "failure": "no", "turns": []},
    ]
    assert told["tags"] == [
        {"tag": "<t>", "tokens": [{"id": 3, "token": "<"}, {"id": 4, "token": "t>"}], "special": False}
    ]
    assert told["note"] is None


def keys(value):
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_every_key_is_documented():
    docs = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    outcomes = [FOUND, Patched(PATCHED, "out", ("model.gguf",), ("vocab.json",)), Failed("nope", "no")]
    showing = Showing(
        "m", "t", (Shown("x", (Turn("user", (Run("kept", "a"),)),)),), (TagTokens("<t>", ((3, "<"),), True),)
    )
    plan = Plan("m", "r", "main", None, {"t": b""}, "message", "description", PATCHED)
    told = [
        answer("check", outcomes_json(outcomes, 2)),
        answer("push", pushed_json(Pushed(plan, "planned"))),
        answer("show", showing_json(showing)),
    ]
    assert {key for key in keys(told) if f"`{key}`" not in docs} == set()


def test_the_text_is_ascii_whatever_is_in_it():
    assert document("undo", {"model": "<｜User｜>\ud800"}).isascii()
