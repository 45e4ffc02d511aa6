"""Options that the user gives: codes that there are, and reasoning tags that can be told apart."""

from __future__ import annotations

import subprocess
import sys

import pytest

from template_fix.options import Options, UnknownCodeError, rule_codes
from template_fix.rules import RULES

NO_TAGS = [
    pytest.param("", "</a>", "a reasoning tag must not be empty", id="no opening tag"),
    pytest.param("<a>", "", "a reasoning tag must not be empty", id="no closing tag"),
    pytest.param(" \n\t", "</a>", "a reasoning tag must not be empty", id="an opening tag of white space"),
    pytest.param("<a>", "\u3000", "a reasoning tag must not be empty", id="a closing tag of wide space"),
    pytest.param("<a>", "<a>", "the closing tag must differ from the opening tag <a>", id="the same tag twice"),
]


@pytest.mark.parametrize("opening, closing, why", NO_TAGS)
def test_what_can_be_no_tag_is_refused(opening: str, closing: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}"):
        Options(tags=(("<b>", "</b>"), (opening, closing)))


@pytest.mark.parametrize("opening, closing, why", NO_TAGS[::2])
@pytest.mark.parametrize("command", [["check"], ["patch"], ["push", "--to", "a/b"], ["show"]], ids=lambda each: each[0])
def test_the_command_line_says_so_before_anything_is_read(
    command: list[str], opening: str, closing: str, why: str
) -> None:
    line = [sys.executable, "-m", "template_fix", command[0], "nowhere", *command[1:], "--tag", opening, closing]
    told = subprocess.run(line, capture_output=True, text=True)
    assert told.returncode == 2
    assert f"'--tag': {why}" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("given", ["TF301", "tf301", ("TF301",), ["TF301"], {"TF301"}], ids=repr)
def test_codes_are_a_text_or_several(given: object) -> None:
    selected, ignored = Options(select=given), Options(ignore=given)  # type: ignore[arg-type]
    assert [code for code in rule_codes() if selected.wants(code)] == ["TF301"]
    assert [code for code in rule_codes() if not ignored.wants(code) and Options().wants(code)] == ["TF301"]


@pytest.mark.parametrize("given", ["TF999", ("TF301", "nonsense")], ids=repr)
@pytest.mark.parametrize("name", ["select", "ignore"])
def test_a_code_that_no_rule_has_is_refused(name: str, given: object) -> None:
    with pytest.raises(UnknownCodeError, match="no rule is called"):
        Options(**{name: given})  # type: ignore[arg-type]


def test_the_codes_are_those_of_the_rules() -> None:
    assert rule_codes() == [rule.code for rule in RULES]
