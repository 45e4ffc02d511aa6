from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from template_fix.cli import EXIT_CODES, cli
from template_fix.pages import pages

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(command, comments=True)[1:]
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for command in re.findall(r"(?:^|&& \S*/)(template-fix .*)", block, re.MULTILINE)
]


def test_the_table_is_that_of_the_rules():
    rows = re.findall(r"^\| (TF\d{3}) \| (\w+) \| (.*) \|$", README, re.MULTILINE)
    assert rows == [(page.code, page.level, page.summary) for page in pages()]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_every_command_parses(arguments):
    name, command, rest = cli.resolve_command(click.Context(cli), arguments)
    assert command is not None
    command.make_context(name, rest)


def test_commands_are_found():
    assert {arguments[0] for arguments in COMMANDS} == set(cli.commands)


def test_the_exit_codes_are_those_of_the_help():
    told = re.findall(r"^\| (\d) \| ", README, re.MULTILINE)
    assert told == re.findall(r"^  (\d)  ", EXIT_CODES, re.MULTILINE)


@pytest.mark.parametrize("name", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_to_files(name):
    assert (Path(__file__).parents[1] / name).is_file()
