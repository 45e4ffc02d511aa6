"""Renders conversations in other engines: minijinja, and transformers.js in node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.conversations.builtin import Conversation
from template_fix.jinja.renderer import Failure
from template_fix.repair.minijinja import Minijinja, Refusal, installed_version
from template_fix.report.showing.rendering import SECONDS, Shown, list_renderings, show_rendering
from template_fix.text.display import UserError, one_line

Engine = Literal["minijinja", "transformers.js"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
MODULES = "TEMPLATE_FIX_NODE_MODULES"
_PACKAGE = "@huggingface/jinja"
_MEGABYTES, _NODE_SECONDS, _LARGEST = 512, 20, 64 << 20
# Memory is limited by node itself, since it reserves far more than it uses.
_PROGRAM = """
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
const { source, requests } = JSON.parse(readFileSync(0, "utf8"));
const told = (make) => { try { return { text: make() }; } catch (error) { return { error: String(error.message) }; } };
const made = told(() => new Template(source));
const all = requests.map((each) => (made.error === undefined ? told(() => made.text.render(each)) : made));
process.stdout.write(JSON.stringify(all));
"""


class EngineError(UserError):
    """An engine isn't installed, or failed; the message is one line that says what to do."""


def render_in_engine(
    engine: Engine, source: str, variables: Mapping[str, object], conversations: Sequence[Conversation]
) -> tuple[str, list[Shown]]:
    """Return the engine's name with its version, and how it prints conversations. Raises EngineError."""
    if engine == "minijinja":
        version = installed_version()
        if version is None:
            raise EngineError("minijinja isn't installed: pip install 'template-fix[engines]'")
        try:
            return f"{engine} {version}", run_bounded(
                _render_in_minijinja, source, variables, conversations, computing=SECONDS
            )
        except LimitExceeded as error:
            raise EngineError(f"minijinja was stopped: it {error}") from None
    package = _find_package()
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    return f"{engine} ({_PACKAGE} {version})", [
        _render_in_node(package, source, variables, each) for each in conversations
    ]


def _render_in_minijinja(
    source: str, variables: Mapping[str, object], conversations: Sequence[Conversation]
) -> list[Shown]:
    engine = Minijinja(source, variables)

    def render(*given: Any, **flags: Any) -> str | Failure:
        printed = engine.render(*given, **flags)
        return Failure(printed.reason) if isinstance(printed, Refusal) else printed

    return [show_rendering(render, each) for each in conversations]


def _find_package() -> Path:
    """Return the directory of the npm package; the working directory is not searched: it may be a stranger's."""
    package = Path(os.environ.get(MODULES, "")).absolute() / _PACKAGE
    if shutil.which("node") is None or not os.environ.get(MODULES) or not package.joinpath("package.json").is_file():
        raise EngineError(
            f"the engine of transformers.js isn't installed: install node, run `npm install {_PACKAGE}`, and set "
            f"{MODULES} to the path of the folder node_modules"
        )
    return package


def _render_in_node(package: Path, source: str, variables: Mapping[str, object], conversation: Conversation) -> Shown:
    given = {"tools": conversation.tools, "add_generation_prompt": False, **variables, **conversation.flags}
    requests = [{**given, "messages": messages} for messages in list_renderings(conversation)]
    try:
        told = subprocess.run(
            ["node", f"--max-old-space-size={_MEGABYTES}", "--input-type=module", "--eval", _PROGRAM],
            input=json.dumps({"source": source, "requests": requests}).encode(),
            cwd=package.parents[2],
            capture_output=True,
            timeout=_NODE_SECONDS,
            check=True,
        ).stdout
    except subprocess.TimeoutExpired:
        raise EngineError(f"node was stopped: it takes more than {_NODE_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().split("\n")[-1]
        raise EngineError(one_line(f"node failed: {last}")) from None
    if len(told) > _LARGEST:
        raise EngineError(f"node printed more than {_LARGEST >> 20} MB")
    try:
        return run_bounded(_replay, told, conversation, computing=SECONDS)
    except LimitExceeded as error:
        raise EngineError(f"what node printed can't be shown: it {error}") from None


def _replay(told: bytes, conversation: Conversation) -> Shown:
    """Return the result of `show_rendering` for renderings that were made before, in its order."""
    answers = (Failure(one_line(each["error"], 500)) if "error" in each else each["text"] for each in json.loads(told))
    return show_rendering(lambda *_, **__: next(answers), conversation)
