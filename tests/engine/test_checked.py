"""What a check said is recalled for the same files, and for nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from template_fix import api
from template_fix.bounds import limits
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.engine import check as engine
from template_fix.engine import studies
from template_fix.engine.checked import check
from template_fix.options import Options
from template_fix.results import Report

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content.split('</think>')[-1] }}\n{% endfor %}"
FILES = {"chat_template.jinja": TEMPLATE, "tokenizer_config.json": '{"eos_token": "</s>"}'}


@pytest.fixture(autouse=True)
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cache of the test's own; the models that are checked anew go into the list."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    names: list[str] = []
    check_now = engine.check_now

    def noted(checkpoint: Checkpoint, options: Options) -> Report:
        names.append(checkpoint.name)
        return check_now(checkpoint, options)

    monkeypatch.setattr(engine, "check_now", noted)
    return names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    for name, text in FILES.items():
        (made / name).write_text(text, encoding="utf-8")
    return made


def test_the_same_files_are_checked_once(checked: list[str], folder: Path) -> None:
    first, second = api.check(folder), api.check(folder)
    assert first == second and first.findings
    assert checked == [str(folder)]


@pytest.mark.parametrize("name", [*FILES, "config.json", "vocab.txt", "model.safetensors"])
def test_a_file_that_changes_or_comes_has_them_checked_anew(checked: list[str], folder: Path, name: str) -> None:
    api.check(folder)
    (folder / name).write_text(FILES.get(name, "{}").replace("content", "text") + " ", encoding="utf-8")
    found = api.check(folder)
    assert len(checked) == 2
    assert found == api.check(folder, Options(cache=False))


@pytest.mark.parametrize(
    "asked",
    [
        {"select": "TF2"},
        {"ignore": "TF201"},
        {"default": "original"},
        {"tags": (("<a>", "</a>"),)},
        {"flags": (("enable_thinking", False),)},
        {"plain": ("<answer>",)},
        {"mark": True},
        {"cache": False},
    ],
    ids=str,
)
def test_what_is_asked_otherwise_is_checked_anew(checked: list[str], asked: dict[str, Any]) -> None:
    check(Checkpoint("model", FILES))
    check(Checkpoint("model", FILES), Options(**asked))
    assert len(checked) == 2


@pytest.mark.parametrize(
    "known",
    [{"name": "other"}, {"revision": "0" * 40}, {"store": "foreign"}, {"others": frozenset({"config.py"})}],
    ids=str,
)
def test_what_is_known_of_the_model_besides_counts(checked: list[str], known: dict[str, Any]) -> None:
    check(Checkpoint("model", FILES))
    check(replace(Checkpoint("model", FILES), **known))
    assert len(checked) == 2


def test_other_engines_are_asked_each_time(checked: list[str]) -> None:
    for _ in range(2):
        check(Checkpoint("model", FILES), Options(engines=True))
    assert len(checked) == 2


def test_what_came_of_a_limit_is_not_kept(checked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    plain = engine.subject_of

    def stopped(*given: Any) -> Any:
        limits.stopped += 1
        return plain(*given)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "subject_of", stopped)
        check(Checkpoint("model", FILES))
    check(Checkpoint("model", FILES))
    check(Checkpoint("model", FILES))
    assert len(checked) == 2


def test_what_a_study_without_an_end_becomes_a_part_of_is_not_kept(
    checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = studies.run_in_turn
    monkeypatch.setattr(
        studies, "run_in_turn", lambda *given, **named: (replace(each, final=False) for each in run(*given, **named))
    )
    for _ in range(2):
        check(Checkpoint("model", FILES))
    assert len(checked) == 2


@pytest.mark.children
def test_a_call_that_is_stopped_is_counted() -> None:
    before = limits.stopped
    with pytest.raises(limits.LimitExceeded):
        limits.run_bounded(_spin, computing=0.5)
    assert limits.stopped == before + 1


def _spin() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("tokenizer.json", b"{", "tokenizer.json"),
        ("tokenizer.json", b"\xff{}", "not UTF-8"),
        ("config.json", b"version https://git-lfs.github.com/spec/v1", "LFS"),
    ],
)
def test_a_file_that_is_broken_is_refused(folder: Path, name: str, content: bytes, said: str) -> None:
    (folder / name).write_bytes(content)
    for _ in range(2):
        with pytest.raises(CheckpointError, match=said):
            api.check(folder)


def test_a_report_comes_back_as_it_was(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(
        json.dumps({"added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}})
    )
    first = api.check(folder)
    again = api.check(folder)
    assert again == first and repr(again) == repr(first)
    assert [each.evidence for each in again.findings] == [each.evidence for each in first.findings]
