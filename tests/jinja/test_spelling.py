from __future__ import annotations

from pathlib import Path

import pytest
from rendering import render
from respell import respelled

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import check, patch
from template_fix.engine.programs import are_still_alike, programs
from template_fix.jinja.spelling import spelling

SOURCES = {
    path.stem: path.read_text() for path in sorted(Path(__file__).parents[1].joinpath("templates").glob("*.jinja"))
}
ALIKE = ["spacing", "quotes", "dashes", "comments", "carriage returns"]
STRIPS = """{%- for m in messages %}
{{- '<|' + m['role'] + '|>' }}
{%- if m['role'] == 'assistant' %}
{{- m['content'].split('</think>')[-1] + '<|end|>' }}
{%- else %}
{{- m['content'] + '<|end|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"""
REASONED = [
    {"role": "user", "content": "q"},
    {"role": "assistant", "content": "<think>\nr\n</think>\n\na"},
    {"role": "user", "content": "p"},
    {"role": "assistant", "content": "<think>\ns\n</think>\n\nb"},
]


def checkpoint(*sources: str) -> Checkpoint:
    return Checkpoint("m", {f"additional_chat_templates/t{n}.jinja": source for n, source in enumerate(sources)})


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("seed", range(3))
def test_templates_that_differ_in_spelling_are_one_program(name: str, seed: int) -> None:
    source = SOURCES[name]
    for chosen in ([each] for each in ("spacing", "quotes", "dashes", "carriage returns")):
        assert spelling(respelled(source, chosen, seed)).program == spelling(source).program, chosen


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(STRIPS.replace("[-1]", "[0]"), id="another number"),
        pytest.param(STRIPS.replace("'</think>'", "'</Think>'"), id="another text"),
        pytest.param(STRIPS.replace("{{- m['content'] +", "x{{- m['content'] +"), id="a text between tags"),
        pytest.param(STRIPS.replace("%}{{ '<|ass", "%} {{ '<|ass"), id="white space that is printed"),
        pytest.param(STRIPS.replace("m['role'] ==", "m['role'] !="), id="another operator"),
        pytest.param(STRIPS + "{% break", id="a tag that is cut off"),
    ],
)
def test_templates_that_differ_in_more_are_two(other: str) -> None:
    assert spelling(other).program != spelling(STRIPS).program
    assert len(programs(checkpoint(STRIPS, other))) == 2


def test_copies_in_many_spellings_are_studied_once_and_each_is_repaired_in_its_own() -> None:
    others = [respelled(STRIPS, ALIKE[: number % 5 + 1], number) for number in range(12)]
    given = checkpoint(STRIPS, *others)
    assert len(programs(given)) == 1
    result = patch(given)
    assert [repair.codes for repair in result.kept] and not result.refused
    assert len(result.changed) == 13
    for file, (before, after) in result.changed.items():
        assert spelling(before).program == spelling(STRIPS).program, file
        assert "r\n</think>" in render(after, REASONED), file
        assert render(after, REASONED, preserve_thinking=False) == render(before, REASONED), file
    assert are_still_alike(programs(given), given.after(result.changed))


@pytest.mark.slow
def test_where_an_edit_would_mean_something_else_in_another_spelling_each_is_repaired_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = checkpoint(STRIPS, respelled(STRIPS, ALIKE, 3))
    moved = "template_fix.jinja.spelling.Spelling.moved"
    monkeypatch.setattr(moved, lambda self, edits, other: tuple(edits) if self is other else ())
    result = patch(given)
    assert len(result.changed) == 2
    assert not [finding for finding in result.after.findings if finding.code == "TF201"]


def test_of_copies_that_say_the_same_the_first_is_told() -> None:
    report = check(checkpoint(STRIPS, respelled(STRIPS, ["spacing"], 1)))
    files = {finding.place.file for finding in report.findings if finding.place}
    assert files == {"additional_chat_templates/t0.jinja"}
    assert len(report.templates) == 2
