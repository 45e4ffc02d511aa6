"""What a former run found out about a template: believed where it would come out again, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from shelf import FILE, chat

from template_fix.bounds.limits import LimitExceeded
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.cli.main import main
from template_fix.disk import cache
from template_fix.engine import studies
from template_fix.engine.patch import check, patch
from template_fix.options import Options

STRIPS = chat("{{ content.split('</think>')[-1] }}")
DATED = "{{ 'Today is ' ~ strftime_now('%Y-%m-%d') }}" + STRIPS


@pytest.fixture(autouse=True)
def studied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cache of the test's own; the templates that are studied anew go into the list."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    sources: list[str] = []
    run = studies.run_in_turn

    def noted(function: Any, arguments: Sequence[tuple[Any, ...]], **given: Any) -> Iterator[Any]:
        sources.extend(each[0] for each in arguments)
        return run(function, arguments, **given)

    monkeypatch.setattr(studies, "run_in_turn", noted)
    return sources


def model(source: str = STRIPS, name: str = "model") -> Checkpoint:
    return Checkpoint(name, {FILE: source})


def test_a_template_is_studied_once_whatever_model_it_lies_in(studied: list[str]) -> None:
    first, second, other = check(model()), check(model()), check(model(name="other"))
    assert studied == [STRIPS]
    assert second == first and other.findings == first.findings and other.model == "other"


def test_a_repair_is_found_once_and_its_result_is_known_to_the_next_check(studied: list[str]) -> None:
    first = patch(model())
    repaired = model().after(first.changed)
    times = len(studied)
    assert patch(model()) == first and check(repaired).findings == first.after.findings
    assert first.kept and len(studied) == times


@pytest.mark.parametrize(
    "options",
    [
        Options(tags=(("<think>", "</think>"), ("<reason>", "</reason>"))[1:]),
        Options(flags=(("enable_thinking", False),)),
        Options(cache=False),
    ],
    ids=["other tags", "a variable", "no cache"],
)
def test_what_was_asked_otherwise_is_studied_anew(studied: list[str], options: Options) -> None:
    check(model())
    asked = check(model(), options)
    assert len(studied) == 2
    assert asked == check(model(), Options(options.select, options.ignore, tags=options.tags, flags=options.flags))


@pytest.mark.parametrize("one", [{"select": "TF201"}, {"default": "original"}])
def test_another_repair_is_another_study(studied: list[str], one: dict[str, str]) -> None:
    patch(model())
    times = len(studied)
    patch(model(), Options(**one))  # type: ignore[arg-type]
    assert STRIPS in studied[times:]


def test_nothing_is_kept_without_the_cache(studied: list[str]) -> None:
    check(model(), Options(cache=False))
    check(model())
    assert studied == [STRIPS, STRIPS]


def test_a_template_that_asks_for_the_date_is_studied_each_day(
    studied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Tomorrow(date):
        @classmethod
        def today(cls) -> Tomorrow:
            return cls(2100, 1, 1)

    for _ in range(2):
        check(model(DATED))
        check(model(STRIPS))
    assert studied == [DATED, STRIPS]
    monkeypatch.setattr(cache, "date", Tomorrow)
    check(model(DATED))
    check(model(STRIPS))
    assert studied == [DATED, STRIPS, DATED]


def test_what_came_of_a_limit_is_not_believed(studied: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(studies, "run_in_turn", lambda *_, **__: iter([LimitExceeded("takes more than 1 s")]))
        assert [each.code for each in check(model()).findings if each.code == "TF103"] == ["TF103"]
    assert "TF103" not in [each.code for each in check(model()).findings]
    check(model())
    assert studied == [STRIPS]


@pytest.mark.slow
def test_a_template_that_exceeds_its_limits_is_tried_each_time(studied: list[str]) -> None:
    hangs = "{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}" + STRIPS
    for _ in range(2):
        assert "TF103" in [each.code for each in check(model(hangs)).findings]
    assert studied == [hangs, hangs]


def test_the_command_line_can_do_without(
    studied: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE).write_text(STRIPS)
    texts = []
    for given in [], [], ["--no-cache"]:
        assert main(["check", *given, str(tmp_path)]) == 1
        texts.append(capsys.readouterr().out)
    assert studied == [STRIPS, STRIPS] and len(set(texts)) == 1
