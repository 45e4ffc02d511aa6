from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from template_fix.cli.main import cli
from template_fix.cli.options import EXIT_CODES
from template_fix.report.pages import load_pages

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted(ROOT.glob("docs/*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
COMMANDS = [
    shlex.split(command, comments=True)[1:]
    for text in TEXTS.values()
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for command in re.findall(r"(?:^|&& \S*/)(template-fix .*)", block, re.MULTILINE)
]


def test_the_table_is_that_of_the_rules():
    rows = re.findall(r"^\| (TF\d{3}) \| (\w+) \| (.*) \|$", TEXTS[ROOT / "docs/rules.md"], re.MULTILINE)
    assert rows == [(page.code, page.level, page.summary) for page in load_pages()]


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


LINKS = [(page, name) for page, text in TEXTS.items() for name in re.findall(r"\]\(([^)#:]+)\)", text)]


@pytest.mark.parametrize(("page", "name"), LINKS, ids=[f"{page.name}-{name}" for page, name in LINKS])
def test_links_lead_to_files(page, name):
    assert (page.parent / name).is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_are_named_are_there(page):
    folders = "|".join(path.name for path in (ROOT / "template_fix").iterdir() if path.is_dir())
    named = re.findall(rf"`((?:{folders})/[\w/]+\.(?:py|toml))`", TEXTS[page])
    assert not [name for name in named if not (ROOT / "template_fix" / name).is_file() and not (ROOT / name).is_file()]
