"""What a caller passes decides what is wrong, and what a repair changes for one who passes nothing is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rendering import render
from shelf import FILE, source

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.cli.main import main
from template_fix.engine.patch import check, patch
from template_fix.options import Options

SWITCHED = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' and not (preserve_thinking is defined and "
    "preserve_thinking) %}{{ m.content.split('</think>')[-1] }}{% else %}{{ m.content }}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ORIGINAL = Options(default="original")


def lost(text: str, **flags: object) -> set[str]:
    found = check(Checkpoint("m", {FILE: text}), Options(flags=tuple(flags.items()))).findings
    return {finding.code for finding in found} & {"TF201", "TF202", "TF206"}


def test_a_template_that_keeps_all_once_its_switch_is_set_is_no_error_to_whoever_sets_it() -> None:
    assert lost(SWITCHED) and lost(SWITCHED, preserve_thinking=False)
    assert not lost(SWITCHED, preserve_thinking=True)


def test_a_variable_that_a_template_does_not_know_changes_nothing() -> None:
    assert lost(source("strip"), preserve_thinking=True) == lost(source("strip")) != set()


@pytest.mark.parametrize(
    ("given", "code"), [("preserve_thinking=true", 0), ("preserve_thinking=false", 1), ("other=1", 1)]
)
def test_the_command_takes_variables(tmp_path: Path, given: str, code: int) -> None:
    (tmp_path / FILE).write_text(SWITCHED)
    assert main(["check", str(tmp_path), "--select", "TF201", "--set", given]) == code


@pytest.mark.parametrize("given", ["=1", "a b=1", "", "1=2", "messages=[]", "add_generation_prompt=true"])
def test_what_names_no_variable_of_a_caller_is_bad_usage(
    tmp_path: Path, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(tmp_path), "--set", given]) == 2
    assert "name" in capsys.readouterr().err


def test_rows_that_bring_their_own_variables_keep_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text(SWITCHED)
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nlong thought\n</think>\n\na"}]
    rows = [{"messages": turns}, {"messages": turns, "chat_template_kwargs": {"preserve_thinking": False}}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = ["check", str(tmp_path), "--data", str(tmp_path / "rows.jsonl"), "--format", "json"]
    for more, number in ([], 2), (["--set", "preserve_thinking=true"], 1):
        main([*data, *more])
        told = json.loads(capsys.readouterr().out)["models"][0]["data"]["before"]
        assert told["reasoning_rows_lost"] == number


def test_the_shortest_conversation_that_is_printed_otherwise_is_shown() -> None:
    served = patch(Checkpoint("m", {FILE: source("strip")})).served
    assert served is not None and served.given != served.printed


def test_with_the_original_as_default_nothing_is_printed_otherwise_and_the_proof_is_with_the_switch() -> None:
    given = Checkpoint("m", {FILE: source("strip")})
    result = patch(given, ORIGINAL)
    assert result.served is None and result.asked == (("preserve_thinking", True),)
    assert not [finding for finding in result.after.findings if finding.code == "TF201"]
    conversation = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nr\n</think>\n\na"}]
    after = result.changed[FILE][1]
    assert render(after, conversation) == render(given.files[FILE], conversation)
    assert "<think>\nr\n</think>" in render(after, conversation, preserve_thinking=True)
    assert not patch(given.after(result.changed), ORIGINAL).changed, "a second repair finds nothing to do"


CHANGES = SWITCHED.replace("{{ m.content.split('</think>')[-1] }}", "{{ '' if loop.last else ' ' }}{{ m.content }}")


@pytest.mark.parametrize(("code", "text"), [("TF201", SWITCHED), ("TF202", source("own_switch")), ("TF204", CHANGES)])
def test_a_switch_of_the_templates_own_is_named_with_what_it_mends(code: str, text: str) -> None:
    (found,) = check(Checkpoint("m", {FILE: text}), Options(select=frozenset({code}))).findings
    assert re.search(r"; passing \w+=(true|false) mends \d+ of the \d+ conversations", found.fix or "")


def test_a_template_without_a_switch_has_none_to_name() -> None:
    found = check(Checkpoint("m", {FILE: source("gate")})).findings
    assert found and not any("passing" in (finding.fix or "") for finding in found)
