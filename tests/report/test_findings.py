from __future__ import annotations

from dataclasses import replace

import pytest
from samples import CLEAN, CONTROL, DROPPED, FOUND, LEFT, PATCHED, PREFILLED, SPECIAL, TEMPLATE, UNTOUCHED, UNTRIED

from template_fix.report.checks import check_lines
from template_fix.report.findings import describe_place, finding_lines, patch_lines
from template_fix.report.terminal import add_marks, cell_width, wrap
from template_fix.results import Evidence, Finding, Level, NotRendered, Place, Report, Target, TemplateSummary


def drawn(items, width=100):
    return "\n".join("".join(piece.text for piece in row) for item in items for row in wrap(add_marks(item), width))


def test_a_check_tells_the_gravest_first_and_what_comes_next():
    assert (
        drawn(check_lines(FOUND))
        == """\
models/r1: 2 errors, 1 warning
  default template in tokenizer_config.json: reasoning between <think> … </think>; it renders 412 of
    424 probe conversations

error TF201: The last turn's reasoning is dropped.
  at tokenizer_config.json:2:40 (line 2, column 18 of the template)
  | {% set content = content.split('</think>')[-1] %}
  |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  a question and a turn that reasons inline:
    in:  [-<think>\\nalpha\\n</think>-]\\n\\nbeta
    out: <bos>beta
  fix: Print the content as it is.

error TF301: <think> is special, so decoding skips it.
  at tokenizer.json:7:5
  fix: Flag it as an ordinary added token.

warning TF205: The generation prompt opens a block that plain turns lack.

Next: template-fix patch models/r1 makes all repairs that it can prove.
More: template-fix explain TF201 explains this code."""
    )


def test_a_clean_model_is_said_to_be_clean():
    assert drawn(check_lines(CLEAN)).splitlines()[0] == "models/ok: nothing wrong"
    assert "Next" not in drawn(check_lines(CLEAN))


def test_what_cannot_be_fixed_is_not_offered():
    told = drawn(check_lines(Report("m", (PREFILLED,), ())))
    assert "template-fix patch" not in told
    assert "template-fix explain TF205" in told


def test_a_directory_with_a_space_is_quoted_in_commands():
    assert "template-fix patch 'my model'" in drawn(check_lines(Report("my model", (SPECIAL,), ())))


def test_a_template_without_reasoning_is_said_to_have_none():
    told = drawn(check_lines(Report("m", (), (TemplateSummary("chat_template.jinja", "default", False, (), 9, 9),))))
    assert "default template in chat_template.jinja: no reasoning tags found" in told


def test_without_reasoning_tags_there_is_no_verdict_and_a_way_to_one():
    plain = TemplateSummary("chat_template.jinja", "default", False, (), 9, 9)
    told = drawn(check_lines(Report("m", (), (plain,))))
    assert told.startswith("m: not judged: no reasoning tags were found in the template\n")
    assert "nothing wrong" not in told
    assert "Next: template-fix check m --tag '<think>' '</think>' judges it" in told


def test_a_template_that_refuses_most_conversations_has_no_verdict_and_its_reasons_are_grouped():
    refused = NotRendered("alternate roles", ("conversation 3",) * 4), NotRendered("no tools", ("conversation 4",))
    told = drawn(check_lines(Report("m", (), (replace(TEMPLATE, probes=8, accepted=3, refused=refused),))))
    assert told.startswith("m: not judged: the template refuses most of the conversations\n")
    assert told.index("refused 4: alternate roles") < told.index("refused 1: no tools")
    assert "conversation 3" not in told


def test_a_verbose_check_lists_the_conversations_that_are_refused_and_why():
    summary = replace(TEMPLATE, refused=(NotRendered("no tools here", ("question, tool call",)),))
    assert "refused 1: no tools here\n      question, tool call" in drawn(
        check_lines(Report("m", (), (summary,)), verbose=True)
    )
    assert "refused" not in drawn(check_lines(Report("m", (), (summary,))))


def test_what_a_patch_does_when_it_is_asked_is_named_with_its_option():
    asked = replace(SPECIAL, patch_with="--select TF402")
    told = drawn(check_lines(Report("m", (asked,), (TEMPLATE,))))
    assert "Next: template-fix patch m --select TF402 makes this repair, if it can be proved." in told
    assert "looks for repairs" not in told


def test_what_remains_has_its_conversation_and_the_reason():
    result = replace(PATCHED, after=replace(LEFT, findings=(replace(DROPPED, code="TF203"),)))
    told = drawn(patch_lines(result, None))
    remains = told[told.index("Remains") :]
    assert "in: a question and a turn that reasons inline" in remains
    assert "why: It doubles the opening tag." in remains


def test_a_template_that_does_not_parse_is_not_said_to_know_nothing():
    assert "  default template in t.jinja: could not be tried\n" in drawn(check_lines(UNTRIED))


def test_notes_come_last():
    told = drawn(check_lines(Report("m", (CONTROL, PREFILLED, DROPPED), ())))
    assert told.index("error TF201") < told.index("warning TF205") < told.index("note TF301")


@pytest.mark.parametrize(
    "place, text",
    [
        pytest.param(Place("a.json"), "a.json", id="a file"),
        pytest.param(Place("a.json", 3, 9), "a.json:3:9", id="a line and column"),
        pytest.param(Place("t.jinja", 3, 9, "default", 3, 9), "t.jinja:3:9", id="a template's own file"),
        pytest.param(
            Place("c.json", 1, 99, "tool_use", 3, 9),
            "c.json:1:99 (template tool_use, line 3, column 9 of the template)",
            id="a named template inside of JSON",
        ),
    ],
)
def test_places(place, text):
    assert describe_place(place) == text


def test_a_patch_tells_what_was_kept_and_refused_and_what_remains():
    assert (
        drawn(patch_lines(PATCHED, "models/r1"))
        == """\
models/r1: 1 repair made in tokenizer_config.json

Repaired: keep the content whole
  Every turn is printed with its reasoning.
  in tokenizer_config.json; proposed by patch split-last; resolves TF201, TF202
    tokenizer_config.json:2: "chat_template": "…\\n{% set content = {+content if preserve_thinking
      else +}content.split('</think>')[-1] %}",

Refused: print the field
  It doubles the opening tag.
  proposed by patch field for TF203

Training: TRL recognises some templates by their whole text, but not the repaired one. So
  assistant_only_loss needs generation markers (--mark), and GRPO with tools needs a response
  template: preflight(tokenizer, fix=True) lets TRL attach it before the repair, if TRL recognises
  the original.

Remains
warning TF205: The generation prompt opens a block that plain turns lack.

Proof: before: 2 errors, 1 warning; after: 1 warning; 412 probe conversations rendered before and
       after.
Gone: TF201, TF301.
More: template-fix explain TF205 explains this code.
Undo: template-fix undo models/r1 restores the former files."""
    )


@pytest.mark.parametrize(
    "target, told",
    [
        pytest.param(Target.TEMPLATE, True, id="the template is repaired"),
        pytest.param(Target.MARKERS, True, id="it is only marked"),
        pytest.param(Target.TOKENS, False, id="tokens alone are repaired"),
    ],
)
def test_what_trl_asks_for_is_told_where_the_text_of_a_template_has_changed(target, told):
    result = replace(PATCHED, kept=(replace(PATCHED.kept[0], target=target),))
    assert ("TRL recognises" in drawn(patch_lines(result, "models/r1"))) is told


def test_a_repair_that_leaves_some_of_it_says_so():
    left = replace(PATCHED, after=replace(LEFT, findings=(*LEFT.findings, replace(DROPPED, code="TF202"))))
    assert "resolves TF201; lessens TF202" in " ".join(drawn(patch_lines(left, None)).split())


def test_a_diff_that_was_not_written_says_so():
    told = drawn(patch_lines(PATCHED, None))
    assert "nothing was written" in told
    assert "Next: template-fix patch models/r1 writes these changes." in told
    assert "undo" not in told


def test_a_patch_written_elsewhere_names_the_place_and_what_was_not_copied():
    told = drawn(patch_lines(PATCHED, "out", [f"{number}.safetensors" for number in range(10)], ["vocab.json"]))
    assert "1 repair made, written to out: tokenizer_config.json" in told
    assert "models/r1 was left as it is." in told
    assert "Copied unchanged: vocab.json." in told
    assert "Not copied: 0.safetensors" in told
    assert "7.safetensors and 2 more." in told
    assert "undo" not in told


def test_nothing_to_repair():
    told = drawn(patch_lines(UNTOUCHED, "models/ok"))
    assert told.strip() == "models/ok: nothing to repair"


def test_text_from_a_file_cannot_steer_the_terminal():
    evil = "\x1b[2J\u202e"
    finding = Finding(
        "TF201",
        Level.ERROR,
        evil,
        Place(evil, 1, 1, evil, 2, 1, evil, 1),
        (Evidence(evil, evil, evil, (evil,)),),
        evil,
    )
    told = drawn(finding_lines(finding))
    assert "\x1b" not in told
    assert "\u202e" not in told


@pytest.mark.parametrize("width", [40, 60, 100])
def test_nothing_is_wider_than_the_screen(width):
    items = [*check_lines(FOUND, width), *patch_lines(PATCHED, "models/r1", (), width)]
    rows = [row for row in drawn(items, width).split("\n") if "template-fix" not in row]
    assert all(cell_width(row) <= width for row in rows)
