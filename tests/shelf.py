"""The templates of tests/templates, and what the engine makes of each, worked out once a session."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import patch
from template_fix.repair.study import Setting, Study
from template_fix.results import PatchResult

FOLDER = Path(__file__).with_name("templates")
NAMES = sorted(path.stem for path in FOLDER.glob("*.jinja"))
FILE = "chat_template.jinja"
# To repair all of them takes half a minute.
SLOW = ("channel_macro", "empty_block", "gate", "own_switch", "stray")
EACH = [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in NAMES]


def source(name: str) -> str:
    return (FOLDER / f"{name}.jinja").read_text(encoding="utf-8")


def chat(turn: str, prompt: str = "A:") -> str:
    """A template whose assistant turns are printed as ``turn`` says."""
    return (
        "{% for m in messages %}{% set content = m.content or '' %}"
        "{% if m.role == 'assistant' %}A:" + turn + "{% for call in m.tool_calls or [] %}"
        "[{{ call.function.arguments | tojson }}]{% endfor %};\n"
        "{% else %}{{ m.role }}: {{ content }};\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}" + prompt + "{% endif %}"
    )


@cache
def study(text: str) -> Study:
    """The study of a template that is trusted, in this process: without limits, and remembered."""
    return Study(text, Setting())


@cache
def patched(text: str) -> PatchResult:
    return patch(Checkpoint("model", {FILE: text}))


def repaired(text: str) -> str:
    """The template as ``patch`` leaves it."""
    return patched(text).changed.get(FILE, (text, text))[1]


def codes(result: PatchResult) -> set[str]:
    """The codes found before the repair."""
    return {finding.code for finding in result.before.findings}
