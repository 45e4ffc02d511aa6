"""The site of the documentation: what is generated for it, and that it builds without a complaint."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from template_fix.cli.main import cli
from template_fix.options import rule_codes

ROOT = Path(__file__).parents[1]


@pytest.fixture
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs/site/pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_option_of_every_command_is_in_the_tables(site: ModuleType) -> None:
    sections = site.options_page().split("\n## ")[1:]
    assert [section.split("\n")[0] for section in sections] == sorted(cli.commands)
    for section in sections:
        command = cli.commands[section.split("\n")[0]]
        spelled = {
            one
            for each in command.params
            if isinstance(each, click.Option)
            for one in (*each.opts, *each.secondary_opts)
        }
        assert set(re.findall(r"`(--?[\w-]+)`", section)) == spelled


def test_every_rule_has_its_page(site: ModuleType) -> None:
    pages = site.rule_pages()
    assert list(pages) == [f"rules/{code}.md" for code in rule_codes()]
    assert all("## What" in text and "## Fix" in text for text in pages.values())
    # What isn't in code, and looks like a tag, would vanish on a page.
    plain = [re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL) for text in pages.values()]
    assert not [text for text in plain if re.search(r"<[/\w]", text)]


@pytest.mark.slow
def test_it_builds_without_a_complaint(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material isn't installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "WARNING -" not in built.stderr
    for name in ("index.html", "training/index.html", "rules/TF202/index.html", "options/index.html"):
        assert (tmp_path / "site" / name).is_file()
    assert 'href="TF202/"' in (tmp_path / "site/rules/index.html").read_text(encoding="utf-8")
