from __future__ import annotations

import pytest
from shelf import FILE, chat

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.ignored import read_ignored
from template_fix.engine.patch import Options, check, patch
from template_fix.results import Level

STRIPS = chat("{{ content.split('</think>')[-1] }}")
REASON = "only answers are trained on"
HEEDED = Options(comments=True)


def commented(codes: str, reason: str = REASON) -> Checkpoint:
    return Checkpoint("model", {FILE: f"{{# template-fix: ignore[{codes}] {reason} #}}\n{STRIPS}"})


@pytest.mark.parametrize(
    ("comment", "codes"),
    [
        ("{# template-fix: ignore[TF201] why #}", {"TF201"}),
        ("{#- # template-fix: ignore[tf201, TF209] why -#}", {"TF201", "TF209"}),
        ("{# template-fix: ignore[TF201] #}", set()),
        ("{# ignore[TF201] why #}", set()),
        ("{{ '{# template-fix: ignore[TF201] why #}' }}", set()),
    ],
)
def test_a_comment_ignores_codes_with_a_reason(comment: str, codes: set[str]) -> None:
    assert read_ignored(comment + STRIPS).keys() == codes


def test_what_is_ignored_is_a_note_with_the_reason_and_all_else_stays() -> None:
    before = check(Checkpoint("model", {FILE: STRIPS})).findings
    after = check(commented("TF201"), HEEDED).findings
    assert [each.code for each in after] == [each.code for each in before]
    noted = [each for each in after if each.code == "TF201"]
    assert [each.level for each in noted] == [Level.NOTE] * len(noted)
    assert all(each.message.endswith(f"; ignored in the template: {REASON}") for each in noted)
    assert [each.level for each in after if each.code != "TF201"] == [
        each.level for each in before if each.code != "TF201"
    ]


def test_without_a_reason_nothing_is_ignored() -> None:
    levels = [each.level for each in check(commented("TF201", ""), HEEDED).findings]
    assert levels == [each.level for each in check(Checkpoint("model", {FILE: STRIPS})).findings]


def test_nothing_is_repaired_of_what_is_all_ignored() -> None:
    codes = ", ".join(sorted({each.code for each in check(Checkpoint("model", {FILE: STRIPS})).findings}))
    assert patch(Checkpoint("model", {FILE: STRIPS})).changed
    assert patch(commented(codes), HEEDED).changed == {}


def test_a_strangers_comment_is_told_and_changes_nothing() -> None:
    before, after = check(Checkpoint("model", {FILE: STRIPS})), check(commented("TF201"))
    assert [each.level for each in after.findings] == [each.level for each in before.findings]
    told = [each.message for each in after.findings if each.code == "TF201"]
    assert told and all(f"ignores it ({REASON})" in each and "--comments" in each for each in told)
    assert patch(commented("TF201")).changed
