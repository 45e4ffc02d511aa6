"""Makes of README, docs/ and what the program says of itself the pages of the site; called by mkdocs as its hook.

README is the first page, CONTRIBUTING and SECURITY are pages as well, each rule has the page that ``explain`` prints,
and the options of each command stand in tables. What a page links to that is none is left as its name.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# Pages that lie above docs/, by their name on the site.
ABOVE = {"index.md": "README.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "SECURITY.md": "SECURITY.md"}
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_RULE = re.compile(r"^\| (TF\d{3}) \|", re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that aren't files in docs/."""
    from mkdocs.structure.files import File

    made = {name: (ROOT / file).read_text(encoding="utf-8") for name, file in ABOVE.items()}
    for name, text in {**made, **rule_pages(), "options.md": options_page()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Return a page's text with links that lead to pages of the site."""
    name = page.file.src_uri
    here = PurePosixPath(ABOVE.get(name, f"docs/{name}")).parent
    text = _LINK.sub(lambda link: _linked(link, here, name, {file.src_uri for file in files}), markdown)
    return _RULE.sub(r"| [\1](rules/\1.md) |", text) if name == "rules.md" else text


def _linked(link: re.Match[str], here: PurePosixPath, page: str, known: set[str]) -> str:
    text, target = link.groups()
    path, _, anchor = target.partition("#")
    if not path or "://" in target:
        return link[0]
    parts: list[str] = []
    for part in (here / path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    above = {file: name for name, file in ABOVE.items()}
    found = "/".join(parts)
    found = above.get(found, found.removeprefix("docs/"))
    if found not in known:
        return f"`{text}`" if "`" not in text else text
    up = "../" * page.count("/")
    return f"[{text}]({up}{found}{'#' * bool(anchor)}{anchor})"


def rule_pages() -> dict[str, str]:
    """Return the page of each rule, by its name on the site."""
    from template_fix.report.pages import load_pages

    heads = {each: f"# {each.code}: {each.summary}\n\nLevel: {each.level}\n\n" for each in load_pages()}
    return {f"rules/{each.code}.md": head + each.page.partition("\n")[2] + "\n" for each, head in heads.items()}


def options_page() -> str:
    """Return the commands with their options, in tables."""
    import click

    from template_fix.cli.main import cli

    parts = ["# Commands and options\n"]
    for name, command in sorted(cli.commands.items()):
        arguments = [each for each in command.params if not isinstance(each, click.Option)]
        usage = " ".join([name, *(each.metavar or str(each.name).upper() for each in arguments)])
        told = " ".join((command.help or "").replace("\b", "").split("\n\n")[0].split())
        parts.append(f"## {name}\n\n`template-fix {usage}`\n\n{_plain(told)}\n")
        parts.append("| option | what it does |\n|---|---|")
        for each in (each for each in command.params if isinstance(each, click.Option)):
            spelled = ", ".join(f"`{one}`" for one in (*each.opts, *each.secondary_opts))
            metavar = "" if each.is_flag or not each.metavar else f" `{each.metavar}`"
            parts.append(f"| {spelled}{metavar} | {_plain(each.help or '')} |")
        parts.append("")
    return "\n".join(parts)


def _plain(text: str) -> str:
    """Return a text with nothing in it that Markdown or HTML would take for more."""
    return re.sub(r"([<|*_\[])", r"\\\1", text)
