"""What `patch` says where nothing may stand: the conversation, its text before and after, and what is to be decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shelf import FILE, chat, patched, study

from template_fix.cli.main import main
from template_fix.contract.examination import Rendering
from template_fix.jinja.renderer import Renderer
from template_fix.results import PatchResult, Refusal
from template_fix.text.edits import apply

CUT = "{{ content.split('</think>')[-1] }}"
PROMPTS = chat(
    "{% if '</think>' in content and loop.last %}{{ content }}{% else %}" + CUT + "{% endif %}",
    "A:{{ said(messages) }}",
).replace(
    "{% for m in",
    "{% macro said(all) %}{% for m in all if m.role == 'assistant' %}"
    "{{ (m.content or '').split('</think>')[0] if '</think>' in (m.content or '') }}{% endfor %}{% endmacro %}"
    "{% for m in",
    1,
)
PROMPTS_OTHERWISE = PROMPTS.replace("m.content", "m['content']").replace("'</think>'", '"</think>"')
BACKWARDS = chat(CUT).replace("{% for m in messages %}", "{% for m in messages | reverse %}", 1)
BACKWARDS_OTHERWISE = chat("{{- (content.split('</think>') | last) -}}").replace(
    "{% for m in messages %}", "{%- for m in messages[::-1] -%}", 1
)
# Behind reasoning stands how many messages follow.
COUNTS = chat(
    "{% set said = content if loop.last else content.split('</think>')[-1] %}"
    "{{ said }}{% if '</think>' in said %} ({{ loop.revindex }} left){% endif %}"
)
COUNTS_OTHERWISE = chat(
    "{%- set said = (content.split('</think>') | last) if messages[loop.index:] else content -%}"
    "{{- said ~ (' (' ~ (messages[loop.index0:] | length) ~ ' left)' if '</think>' in said else '') -}}"
)


def about(result: PatchResult, code: str) -> Refusal:
    return next(each for each in result.refused if each.repair.codes == (code,))


def before_and_after(text: str, refusal: Refusal) -> list[tuple[str, str]]:
    """What the template and the edited one print of the conversation that a refusal shows, each rendered anew."""
    edited = apply(text, [edit for _, edit in refusal.repair.edits])
    subject = refusal.evidence[0].subject
    printed = []
    for probe in study(text).enlarged().examined.probes.values():
        for upto in (*probe.cuts, len(probe.messages)):
            for prompt in (False, True):
                if Rendering(probe, upto, prompt).describe() == subject:
                    given = probe.messages[:upto], probe.tools, prompt
                    texts = [Renderer(each)(*given, **dict(probe.flags)) for each in (text, edited)]
                    printed.append(tuple(each if isinstance(each, str) else "" for each in texts))
    return printed


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        pytest.param(PROMPTS, "TF202", "change the generation prompt", id="a prompt that quotes history"),
        pytest.param(PROMPTS_OTHERWISE, "TF202", "change the generation prompt", id="the same in another spelling"),
        pytest.param(BACKWARDS, "TF203", "lose a text that the template prints", id="turns that are printed backwards"),
        pytest.param(BACKWARDS_OTHERWISE, "TF203", "lose a text", id="turns that a slice turns round"),
    ],
)
def test_a_refusal_shows_what_the_closest_edit_prints_and_what_is_to_be_decided(
    text: str, code: str, reason: str
) -> None:
    refusal = about(patched(text), code)
    assert f"it would {reason}" in refusal.reason
    assert refusal.decide.startswith("With this edit, reasoning that is lost now is printed: decide whether the edit")
    shown = refusal.evidence[0]
    assert shown.labels == ("before", "after")
    assert (shown.given, shown.printed) in before_and_after(text, refusal)
    assert shown.stray and all(part in shown.printed for part in shown.stray)


@pytest.mark.parametrize(
    "text", [pytest.param(COUNTS, id="the number of the turn"), pytest.param(COUNTS_OTHERWISE, id="what is left")]
)
def test_a_turn_that_would_change_later_is_shown_alone_and_followed(text: str) -> None:
    refusal = about(patched(text), "TF202")
    assert refusal.reason == "it would print a turn differently once more messages follow it"
    alone = refusal.evidence[1]
    assert alone.labels == ("alone", "followed") and alone.subject.startswith("with this edit; its first ")
    assert alone.given != alone.printed and alone.lost


def test_an_edit_that_mends_nothing_is_no_attempt() -> None:
    for text in (PROMPTS, BACKWARDS):
        assert all(each.decide for each in patched(text).refused if each.evidence)


def test_nothing_is_to_be_decided_where_all_is_repaired() -> None:
    assert not patched(chat(CUT)).refused


def test_the_command_tells_it_in_text_json_and_html(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text(PROMPTS, encoding="utf-8")
    page = tmp_path / "page.html"
    assert main(["patch", str(tmp_path), "--check", "--html", str(page)]) == 1
    told = " ".join(capsys.readouterr().out.split())
    decision = "decide: With this edit, reasoning that is lost now is printed: decide whether the edit may change the"
    assert "it would change the generation prompt" in told and decision in told
    assert "its first 3 messages; with the generation prompt:" in told
    assert "after:" in told and r"A:{+<think>\nWeighing idea 1.\nSettling on idea 1.\n</think>+}" in told
    assert "<strong>Decide:</strong> With this edit" in page.read_text(encoding="utf-8")
    assert main(["patch", str(tmp_path), "--check", "--format", "json"]) == 1
    refused = json.loads(capsys.readouterr().out)["models"][0]["refused"]
    shown = next(each for each in refused if each["codes"] == ["TF202"])
    assert shown["decide"].endswith("decide whether the edit may change the generation prompt.")
    assert [each["labels"] for each in shown["evidence"]] == [["before", "after"]]
    assert (tmp_path / FILE).read_text(encoding="utf-8") == PROMPTS
