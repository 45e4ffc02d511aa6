"""Other engines that run chat templates: minijinja, and the one of transformers.js, which node runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from template_fix.bounds.limits import run_bounded
from template_fix.jinja.renderer import Renderer, prepare_messages
from template_fix.repair.study import Setting, Study

# Texts as an engine prints them for conversations, given as template variables; None where it refuses one.
Engine = Callable[[str, Sequence[Mapping[str, Any]]], "list[str | None]"]

VARIABLES = {"bos_token": "<s>", "eos_token": "</s>"}
HERE = Path(__file__).parent / "engines"


def minijinja() -> Engine | None:
    """Return minijinja, set up as the servers that use it do, or None where it isn't installed."""
    try:
        from minijinja import Environment
    except ImportError:
        return None

    def raise_exception(message: str) -> None:
        raise ValueError(message)

    def render(source: str, variables: Sequence[Mapping[str, Any]]) -> list[str | None]:
        made = Environment(templates={"chat": source}, trim_blocks=True, lstrip_blocks=True)
        made.auto_escape_callback = lambda name: False
        made.add_global("raise_exception", raise_exception)
        made.add_global("strftime_now", lambda form: datetime.now().strftime(form))
        return [_rendered(made, each) for each in variables]

    return render


def _rendered(environment: Any, variables: Mapping[str, Any]) -> str | None:
    try:
        return str(environment.render_template("chat", **variables))
    except Exception:  # whatever an engine raises is its refusal
        return None


@contextmanager
def transformers_js() -> Iterator[Engine | None]:
    """Give the engine of transformers.js, or None where node or the package isn't installed.

    ``TEMPLATE_FIX_NODE_MODULES`` names the folder that it was installed to, by ``npm ci`` in ``tests/engines``.
    """
    installed = Path(os.environ.get("TEMPLATE_FIX_NODE_MODULES", HERE / "node_modules"))
    if shutil.which("node") is None or not (installed / "@huggingface/jinja").is_dir():
        yield None
        return
    program = installed.parent / "render.mjs"
    if not program.exists():
        shutil.copy(HERE / "render.mjs", program)
    with subprocess.Popen(["node", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdin is not None and node.stdout is not None
        ask, told = node.stdin, node.stdout

        def render(source: str, variables: Sequence[Mapping[str, Any]]) -> list[str | None]:
            ask.write(json.dumps({"source": source, "variables": variables}) + "\n")
            ask.flush()
            answer: list[str | None] = json.loads(told.readline())
            return answer

        yield render
        ask.close()


# What a repair changes in an engine


def gathered(source: str) -> list[dict[str, Any]]:
    """Return the variables of each conversation of the battery, as transformers passes them."""
    study = Study(source, Setting(tuple(VARIABLES.items())))
    return [
        {
            "messages": prepare_messages(probe.messages),
            "tools": probe.tools,
            "add_generation_prompt": prompt,
            **VARIABLES,
            **dict(probe.flags),
        }
        for probe in study.examined.probes.values()
        for prompt in (False, True)
    ]


def printed(source: str, conversations: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Return what transformers prints."""
    renderer = Renderer(source, VARIABLES)
    told = []
    for each in conversations:
        flags = {name: value for name, value in each.items() if name not in (*_PASSED, *VARIABLES)}
        told.append(renderer(each["messages"], each["tools"], each["add_generation_prompt"], **flags))
    return [text if isinstance(text, str) else None for text in told]


_PASSED = ("messages", "tools", "add_generation_prompt")


def compared(
    engine: Engine,
    source: str,
    after: str,
    conversations: Sequence[dict[str, Any]],
    expected: Sequence[list[str | None]],
) -> Counter[str]:
    old, new = engine(source, conversations), engine(after, conversations)
    switched_off = [{**each, "preserve_thinking": False} for each in conversations]
    off_before, off_after = engine(source, switched_off), engine(after, switched_off)
    # What isn't about reasoning is repaired whatever the switch: there transformers doesn't print the same either.
    both = [run_bounded(printed, each, switched_off) for each in (source, after)]
    same = [one == other for one, other in zip(*both, strict=True)]
    counts: Counter[str] = Counter()
    backs = zip(off_before, off_after, same, strict=True)
    for was, now, back, first, second in zip(old, new, backs, *expected, strict=True):
        right, still = was is not None and was == first, now is not None and now == second
        counts["before"] += right
        counts["after"] += still
        counts["lost"] += right and not still
        counts["gained"] += still and not right
        counts["way back differs"] += back[2] and back[0] != back[1]
    return counts
