from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any

import pytest
from rendering import render
from shelf import EACH, FILE, chat, codes, patched, repaired, source
from tiny import dump, tokenizer

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import Options, check, patch, special_tokens
from template_fix.engine.programs import Program, programs
from template_fix.engine.studies import Studied, study_templates
from template_fix.results import Level, PatchResult
from template_fix.rules import WHOLE_RULES

CONFIG = "tokenizer_config.json"
FIELD = "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
# One defect, found and repaired at once.
SMALL = chat(FIELD + "{{ '' + content.split('</think>')[-1] }}")
SPLIT = "content.split('</think>')[-1]"
KEPT = f"(content if (preserve_thinking | default(true)) else {SPLIT})"
MENDED = SMALL.replace(SPLIT, KEPT)
TURN = {"role": "assistant", "content": "<think>\nwhy\n</think>\n\nso"}
ASKED = [{"role": "user", "content": "what?"}, TURN]


@cache
def _patched(files: tuple[tuple[str, str], ...], options: Options) -> PatchResult:
    return patch(Checkpoint("model", dict(files)), options)


def run(files: dict[str, str], options: Options | None = None) -> PatchResult:
    return _patched(tuple(files.items()), options or Options())


def after(files: dict[str, str], result: PatchResult) -> dict[str, str]:
    return {file: result.changed.get(file, (text, text))[1] for file, text in files.items()}


def config(template: Any, **rest: Any) -> str:
    return (
        json.dumps({"bos_token": "<s>", "chat_template": template, "model_max_length": 1e30, **rest}, indent=2) + "\n"
    )


# What these templates do to tools and system texts has no repair.
WHOLE = {str(rule.code) for rule in WHOLE_RULES}
# The same template in every form of storage, so that it is studied once; JSON spells it in several ways.
STORED = {
    FILE: SMALL,
    "additional_chat_templates/rag.jinja": SMALL,
    CONFIG: config([{"name": "default", "template": SMALL}, {"name": "tool_use", "template": SMALL}]),
    "processor_config.json": json.dumps({"a": "ü", "chat_template": {"default": SMALL, "rag": SMALL}}, indent=4),
    "chat_template.json": json.dumps({"chat_template": SMALL}).replace("</", "<\\/"),
}
FORMS = [
    pytest.param(STORED, id="every form at once"),
    pytest.param(
        {CONFIG: "\ufeff" + config(SMALL)},
        id="a string in a config that begins with a byte order mark",
        marks=pytest.mark.slow,
    ),
    pytest.param({FILE: SMALL.replace("\n", "\r\n") + "\r\n"}, id="carriage returns", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("files", FORMS)
def test_a_template_is_repaired_wherever_it_is_stored(files: dict[str, str]) -> None:
    result = run(files)
    assert result.changed.keys() == files.keys()
    before, now = Checkpoint("m", files).templates, Checkpoint("m", after(files, result)).templates
    assert [new.source for new in now] == [old.source.replace(SPLIT, KEPT) for old in before]
    assert {"TF201", "TF206", "TF208"} <= codes(result)
    assert not [finding for finding in result.after.findings if finding.patch_with is not None]


@pytest.mark.parametrize("files", FORMS)
def test_only_the_edited_bytes_change(files: dict[str, str]) -> None:
    result = run(files)
    front = KEPT.partition(SPLIT)[0]
    for file, (was, now) in result.changed.items():
        assert was == files[file]
        assert now.replace(front, "") == was.replace("[-1]", "[-1])") and now.count(front) == was.count("[-1]")


@pytest.mark.parametrize("files", FORMS)
def test_a_second_patch_changes_nothing(files: dict[str, str]) -> None:
    again = run(after(files, run(files)))
    assert not again.changed and not again.kept and again.after == again.before


def test_named_templates_are_checked_each_by_itself() -> None:
    other = chat("{% if loop.last %}" + FIELD + "{{ content }}{% else %}{{ content.split('</think>')[-1] }}{% endif %}")
    files = {CONFIG: config([{"name": "default", "template": SMALL}, {"name": "tool_use", "template": other}])}
    report = check(Checkpoint("m", files))
    found = {(finding.place.template, finding.code) for finding in report.findings if finding.place}
    assert ("default", "TF201") in found and ("tool_use", "TF202") in found and ("tool_use", "TF201") not in found
    assert len(programs(Checkpoint("m", files))) == 2


def test_the_repaired_template_keeps_what_was_lost_and_the_switch_brings_the_original_back() -> None:
    now = after({FILE: SMALL}, run({FILE: SMALL}))[FILE]
    assert now == MENDED
    assert "why" not in render(SMALL, ASKED)
    assert "A:<think>\nwhy\n</think>\n\nso;" in render(now, ASKED) == render(now, ASKED, preserve_thinking=True)
    assert render(now, ASKED, preserve_thinking=False) == render(SMALL, ASKED)


def test_with_the_original_as_default_nothing_changes_until_it_is_asked_for() -> None:
    now = after({FILE: SMALL}, run({FILE: SMALL}, Options(default="original")))[FILE]
    assert now == MENDED.replace("true", "false")
    assert render(now, ASKED) == render(now, ASKED, preserve_thinking=False) == render(SMALL, ASKED)
    assert render(now, ASKED, preserve_thinking=True) == render(MENDED, ASKED)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(Options(select=frozenset({"TF201"})), True, id="the code is selected"),
        pytest.param(Options(select=frozenset({"TF3"})), False, id="another group is selected"),
        pytest.param(Options(select=frozenset({"TF203"})), False, id="a code that isn't there is selected"),
        pytest.param(Options(ignore=frozenset({"TF2"})), False, id="the group is ignored"),
        pytest.param(
            Options(select=frozenset({"TF"}), ignore=frozenset({"TF2"})), False, id="ignoring goes before selecting"
        ),
    ],
)
def test_what_is_selected_is_repaired_and_reported(options: Options, expected: bool) -> None:
    result = run({FILE: SMALL}, options)
    assert bool(result.changed) is expected
    assert all(options.wants(finding.code) for finding in result.before.findings)


@pytest.mark.slow
def test_of_two_repairs_only_the_selected_one_is_made() -> None:
    text = chat("{{ content.split('</think>')[-1] }}")
    field = after({FILE: text}, run({FILE: text}, Options(select=frozenset({"TF203"}))))[FILE]
    kept = after({FILE: text}, run({FILE: text}, Options(ignore=frozenset({"TF203"}))))[FILE]
    assert "reasoning_content" not in kept and "content if (preserve_thinking" in kept
    assert "content if (preserve_thinking" not in field


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(source("plain"), id="no notion of reasoning"),
        pytest.param(source("safe"), id="a safe template"),
        pytest.param("{{ raise_exception('never') }}</think>", id="one that fails on everything"),
        pytest.param("{% if %}</think>", id="one that doesn't parse"),
        pytest.param("{{ '</think>' * 900000000 }}", id="one that exceeds its limits"),
        pytest.param("", id="an empty one"),
    ],
)
def test_what_needs_no_repair_or_allows_none_is_left_alone(text: str) -> None:
    result = run({FILE: text})
    assert not result.changed and not result.kept
    assert result.after == result.before


def special(*tags: str) -> dict[str, Any]:
    """A tokenizer whose tags are special."""
    found = tokenizer(None)
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    found["added_tokens"] += [{"id": 258 + i, "content": tag, **flags, "special": True} for i, tag in enumerate(tags)]
    return found


def test_special_tags_and_the_template_are_repaired_together() -> None:
    files = {FILE: SMALL, "tokenizer.json": dump(special("<think>", "</think>")), CONFIG: "{}"}
    result = run(files)
    assert sorted(result.changed) == [FILE, "tokenizer.json"]
    flags = {
        each["content"]: each["special"] for each in json.loads(result.changed["tokenizer.json"][1])["added_tokens"]
    }
    assert flags == {"<eos>": True, "<pad>": True, "<think>": False, "</think>": False}
    assert "TF301" in codes(result) and "TF301" not in {finding.code for finding in result.after.findings}


BRACKETS = {FILE: source("brackets"), "tokenizer.json": dump(special("[THINK]", "[/THINK]")), CONFIG: "{}"}


def test_control_tokens_are_noted_and_stay_special() -> None:
    result = run(BRACKETS)
    assert list(result.changed) == [FILE]
    assert {finding.level for finding in result.before.findings if finding.code == "TF301"} == {Level.NOTE}
    assert {finding.code for finding in result.after.findings} - WHOLE == {"TF301"}


@pytest.mark.slow
def test_control_tokens_that_are_selected_become_ordinary() -> None:
    result = run(BRACKETS, Options(select=frozenset({"TF301"})))
    assert list(result.changed) == ["tokenizer.json"]
    assert not result.after.findings


def test_tags_of_the_user_go_before_those_that_are_found() -> None:
    text = SMALL.replace("think>", "pondering>")
    options = Options(tags=(("<pondering>", "</pondering>"),))
    report = check(Checkpoint("m", {FILE: text}), options)
    assert report.templates[0].tags == options.tags
    assert "TF201" in {finding.code for finding in report.findings}


@pytest.mark.parametrize(
    ("files", "tokens"),
    [
        pytest.param({FILE: ""}, {"bos_token": "<s>", "eos_token": "</s>"}, id="nothing is known"),
        pytest.param({FILE: "", CONFIG: "{}"}, {}, id="a config without any"),
        pytest.param(
            {FILE: "", CONFIG: '{"bos_token": "<b>", "x_token": {"content": "<x>"}}'},
            {"bos_token": "<b>", "x_token": "<x>"},
            id="tokens of a config",
        ),
    ],
)
def test_the_special_tokens_that_a_template_can_print(files: dict[str, str], tokens: dict[str, str]) -> None:
    assert special_tokens(Checkpoint("m", files)) == tokens


# What is left of each of our templates: a prompt that no edit changes, forms that the family has no way to print.
LEFT = {"strip": {"TF205"}, "stray": {"TF205"}, "channel_macro": {"TF205"}, "channels": {"TF206"}}


@pytest.mark.parametrize("name", EACH)
def test_each_of_our_templates_is_repaired(name: str) -> None:
    result = patched(source(name))
    assert {finding.code for finding in result.after.findings} - WHOLE == LEFT.get(name, set())
    assert bool(result.kept) is (name not in ("safe", "plain"))
    assert (repaired(source(name)) == source(name)) is (name in ("safe", "plain"))
    resolved = set(chain.from_iterable(repair.codes for repair in result.kept))
    assert codes(result) - {finding.code for finding in result.after.findings} <= resolved <= codes(result) | {"TF207"}


@pytest.mark.parametrize("name", ["brackets", *(each for each in EACH if each.marks)])
def test_a_check_finds_what_a_patch_begins_with(name: str) -> None:
    before = patched(source(name)).before
    templates = tuple(replace(each, tests=0, exercised=0) for each in before.templates)
    assert check(Checkpoint("model", {FILE: source(name)})) == replace(before, templates=templates)


def test_the_repair_of_a_channel_is_the_familys_own_form() -> None:
    text = repaired(source("channels"))
    turn = {"role": "assistant", "thinking": "why", "content": "so"}
    printed = render(text, [ASKED[0], turn, ASKED[0], turn])
    told = "<|start|>assistant<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>final<|message|>so"
    assert printed.count(told) == 2 and printed.endswith("<|return|>") and printed.count("<|return|>") == 1


@pytest.mark.slow
def test_a_template_with_a_switch_of_its_own_gets_no_second_one() -> None:
    text = chat(
        "{% set keep = keep_thoughts if keep_thoughts is defined else false %}"
        + FIELD.replace("{% if", "{% if keep and")
        + "{{ '' + (content if keep else content.split('</think>')[-1]) }}"
    )
    now = after({FILE: text}, run({FILE: text}))[FILE]
    assert now != text and now.count("preserve_thinking") == 1
    assert "why" in render(now, ASKED) and "why" not in render(now, ASKED, keep_thoughts=False)
    assert render(now, ASKED, preserve_thinking=False) == render(text, ASKED)
    assert "why" in render(now, ASKED, preserve_thinking=False, keep_thoughts=True), "a caller's own wish always wins"


@pytest.mark.parametrize("joined", [" ~ ", pytest.param(" + ", marks=pytest.mark.slow)])
def test_a_field_is_folded_into_turns_that_only_call_tools(joined: str) -> None:
    """Such a turn reads no content: the field goes behind the header that its first output begins with."""
    text = (
        "{%- for m in messages %}{%- if m.role != 'assistant' %}{{- m.role ~ ': ' ~ m.content }}"
        "{%- elif not m.tool_calls %}{{- 'A:' ~ m.content }}{%- endif %}"
        "{%- for call in m.tool_calls or [] %}{{- 'A:[' + call.function.name ~ (call.function.arguments | tojson) }}"
        "{%- endfor %}{%- endfor %}{%- if add_generation_prompt %}{{- 'A:' ~ '</think>'[:0] }}{%- endif %}"
    ).replace(" ~ ", joined)
    result = run({FILE: text})
    calls = [{"type": "function", "function": {"name": "look_up", "arguments": {"x": 1}}}]
    turn = {"role": "assistant", "reasoning_content": "why", "tool_calls": calls}
    printed = render(after({FILE: text}, result)[FILE], [ASKED[0], turn])
    assert "A:<think>\nwhy\n</think>\n\n[look_up" in printed


def test_a_turn_that_reads_no_content_at_all_is_no_reason_to_fail() -> None:
    text = (
        "{%- for m in messages %}{%- if m.role != 'assistant' %}{{- m.role ~ ': ' ~ m.content }}{%- endif %}"
        "{%- for call in m.tool_calls or [] %}{{- 'A:' ~ (call.function.arguments | tojson) ~ '</think>'[:0] }}"
        "{%- endfor %}{%- endfor %}{%- if add_generation_prompt %}{{- 'A:' }}{%- endif %}"
    )
    assert "TF203" in codes(run({FILE: text}))


def test_reasoning_that_comes_under_two_names_is_printed_once() -> None:
    """Transformers 5 passes a message's `reasoning` as `reasoning_content` too: printing both would double it."""
    text = chat("{% if m.reasoning %}<think>{{ m.reasoning }}</think>{% endif %}{{ content }}")
    turn = {"role": "assistant", "content": "so", "reasoning": "why"}
    printed = render(after({FILE: text}, run({FILE: text}))[FILE], [ASKED[0], turn])
    assert printed == render(text, [ASKED[0], turn]) and printed.count("why") == 1


def test_markers_are_put_right_in_templates_without_reasoning_too() -> None:
    turn = "{% generation %}{{ m.role }}: {{ m.content }}\n{% endgeneration %}"
    source = f"{{% for m in messages %}}{turn}{{% endfor %}}{{% if add_generation_prompt %}}assistant: {{% endif %}}"
    (finding,) = (each for each in run({FILE: source}).before.findings if each.code == "TF502")
    assert finding.patch_with == "--mark"
    assert not run({FILE: source}, Options(mark=True)).after.findings


def test_only_templates_that_were_changed_are_studied_again(monkeypatch: pytest.MonkeyPatch) -> None:
    studied: list[list[str]] = []

    def noted(checkpoint: Checkpoint, options: Options, found: list[Program], *, heal: bool) -> dict[Program, Studied]:
        studied.append([program.source for program in found])
        return study_templates(checkpoint, options, found, heal=heal)

    monkeypatch.setattr("template_fix.engine.patch.study_templates", noted)
    other = MENDED.replace("A:", "B:")
    files = {FILE: SMALL, "additional_chat_templates/other.jinja": other}
    result = patch(Checkpoint("model", files), Options(cache=False))
    assert [*map(sorted, studied)] == [sorted([SMALL, other]), [result.changed[FILE][1]]]
    assert result.after == replace(check(Checkpoint("model", after(files, result))), templates=result.after.templates)
