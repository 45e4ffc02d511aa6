#!/usr/bin/env python3
"""Measures the computing time and the peak memory of template-fix, and compares it with the script that it replaces.

    startup.py [--template FILE]... [--model DIR] [--vocab N] [--runs N] [--python PYTHON]

On a model directory of real size (an 11 MB tokenizer.json) for each template, in one run, taking turns:

    check   template-fix check --no-cache DIR
    again   template-fix check DIR, of files that an earlier run has checked
    patch   template-fix patch --no-cache DIR, each time on a fresh copy
    floor   an interpreter that imports json, click, jinja2.sandbox and tokenizers, and reads the files
    script  AutoTokenizer.from_pretrained, apply_chat_template, encode, decode

It needs template-fix and transformers in the environment of PYTHON (its own by default), and in ../shared beside the
repository the maker of model directories and the templates of R1-Distill, Qwen3 and Gemma 4; or with --model DIR a
directory that is there already. --vocab N sets the size of the vocabulary.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

SHARED = Path(__file__).resolve().parents[2] / "shared"
MAKER = SHARED / "tools/make_model.py"
MODELS = SHARED / "corpus/models"
GEMMA = SHARED / "corpus/templates/gemma4/gemma4-jinja--google-chat-template--43b2c64f.jinja"

FLOOR = """
import json, sys
from pathlib import Path
import click, jinja2.sandbox, tokenizers
for path in Path(sys.argv[1]).iterdir():
    path.read_bytes()
"""
SCRIPT = """
import sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
messages = [
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "<think>\\nadding\\n</think>\\n\\n4"},
    {"role": "user", "content": "3+3?"},
]
text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
print(tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True))
"""
NAMES = ("check", "again", "patch", "floor", "script")


class Cost(NamedTuple):
    """The computing time of a command in seconds, with all processes that it starts, and the peak of memory in MB."""

    seconds: float
    megabytes: float


def main() -> None:
    arguments = parsed()
    print(f"{'':16}" + "".join(f"{name:>16}" for name in NAMES))
    for name, template in templates(arguments):
        with model(arguments, template) as directory:
            costs = measured(directory, arguments.python, arguments.runs)
        script = median(cost.seconds for cost in costs["script"])
        for what, unit in (("seconds", "ms"), ("megabytes", "MB"), ("ratio", "of script")):
            print(f"{name[:15] if what == 'seconds' else unit:16}", end="")
            for each in NAMES:
                if what == "ratio":
                    shown = f"{median(cost.seconds for cost in costs[each]) / script:.3f}"
                elif what == "seconds":
                    taken = [1000 * cost.seconds for cost in costs[each]]
                    shown = f"{median(taken):.0f} ({min(taken):.0f} ms)"
                else:
                    shown = f"{max(cost.megabytes for cost in costs[each]):.0f}"
                print(f"{shown:>16}", end="")
            print(flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--template", type=Path, action="append", help="a chat template; without it, the three named")
    parser.add_argument("--model", type=Path, help="measure this directory in place of one that is made")
    parser.add_argument("--vocab", type=int, help="how many tokens the made vocabulary has")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    if not (arguments.model or MAKER.is_file()):
        parser.error(f"{MAKER} is not there; name a model directory with --model DIR")
    return arguments


def templates(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    if arguments.model:
        yield arguments.model.name, ""
    elif arguments.template:
        yield from ((path.stem, path.read_text(encoding="utf-8")) for path in arguments.template)
    else:
        for name, folder in (("R1-Distill", "deepseek-r1-distill-qwen-7b"), ("Qwen3", "qwen3")):
            config = (MODELS / folder / "tokenizer_config.json").read_text(encoding="utf-8")
            yield name, json.loads(config)["chat_template"]
        yield "Gemma 4", GEMMA.read_text(encoding="utf-8")


@contextmanager
def model(arguments: argparse.Namespace, template: str) -> Iterator[Path]:
    if arguments.model:
        yield arguments.model
        return
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "template.jinja"
        file.write_text(template, encoding="utf-8")
        size = ["--vocab", str(arguments.vocab)] if arguments.vocab else []
        made = [arguments.python, str(MAKER), f"{name}/model", "--template", str(file), "--special-think", *size]
        subprocess.run(made, check=True)
        yield Path(name) / "model"


def measured(directory: Path, python: str, runs: int) -> dict[str, list[Cost]]:
    tool = [python, "-m", "template_fix"]
    script = Path(python).with_name("template-fix")
    if script.is_file() and not os.environ.get("PYTHONPATH"):
        tool = [str(script)]

    def patch() -> Cost:
        with tempfile.TemporaryDirectory() as name:
            copy = shutil.copytree(directory, Path(name) / "copy")
            return run([*tool, "patch", "--no-cache", str(copy)])

    runners: dict[str, Callable[[], Cost]] = {
        "check": lambda: run([*tool, "check", "--no-cache", str(directory)]),
        "again": lambda: run([*tool, "check", str(directory)]),
        "patch": patch,
        "floor": lambda: run([python, "-c", FLOOR, str(directory)]),
        "script": lambda: run([python, "-c", SCRIPT, str(directory)]),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in runners}
    for turn in range(runs + 1):
        for name, runner in runners.items():
            cost = runner()
            # The first turn fills the caches of the disk and of compiled modules.
            if turn:
                costs[name].append(cost)
    return costs


def run(command: list[str]) -> Cost:
    # Modules that are compiled anew in each run would count.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(command, env=environment, cwd="/", **quiet)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)[:80]} exited with {child.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
