from __future__ import annotations

import pytest
from click.shell_completion import BashComplete

from template_fix.cli.main import cli, main

COMPLETE = BashComplete(cli, {}, "template-fix", "_TEMPLATE_FIX_COMPLETE")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_what_completes_is_printed_for_a_shell(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "_TEMPLATE_FIX_COMPLETE" in capsys.readouterr().out


def test_an_unknown_shell_is_bad_usage(capsys):
    assert main(["completion", "csh"]) == 2
    assert "csh" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, incomplete, expected",
    [
        ([], "com", {"compare", "completion"}),
        (["check"], "--stat", {"--statistics"}),
        (["check", "--select"], "tf20", {f"TF20{number}" for number in range(1, 10)}),
    ],
)
def test_commands_options_and_codes_are_completed(words, incomplete, expected):
    assert {each.value for each in COMPLETE.get_completions(words, incomplete)} == expected


def test_models_are_completed_as_paths():
    assert [each.type for each in COMPLETE.get_completions(["check"], "mod")] == ["file"]
