#!/usr/bin/env python3
"""Measures what template-fix costs beside a bare interpreter and beside the script that it replaces.

    startup.py [--template FILE] [--runs N] [--python PYTHON]

On one model directory of real size (an 11 MB tokenizer.json), in one run, taking turns:

    check   template-fix check --no-cache DIR
    again   template-fix check DIR, of a template that a former run has checked
    patch   template-fix patch --no-cache DIR, each time on a fresh copy
    floor   an interpreter that imports json, click, jinja2.sandbox and tokenizers, and reads the files
    script  AutoTokenizer.from_pretrained, apply_chat_template, encode, decode

It needs template-fix and transformers in the environment of PYTHON (its own by default), and the maker of model
directories in ../shared/tools beside the repository, or with --model DIR a directory that is there already.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

SHARED = Path(__file__).resolve().parents[2] / "shared"
MAKER = SHARED / "tools/make_model.py"
DISTILL = SHARED / "corpus/models/deepseek-r1-distill-qwen-7b/tokenizer_config.json"

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
WANTED = {("check", "script"): 1 / 10, ("check", "floor"): 2.0, ("patch", "script"): 1 / 5}


def main() -> None:
    arguments = parsed()
    with model(arguments) as directory:
        times = measured(directory, arguments.python, arguments.runs)
    for name, taken in times.items():
        spread = f"{min(taken) * 1000:.0f} to {max(taken) * 1000:.0f}"
        print(f"{name:8}{median(taken) * 1000:6.0f} ms, median of {len(taken)}, {spread}")
    for (name, other), wanted in WANTED.items():
        ratio = median(times[name]) / median(times[other])
        print(f"{name} / {other}: {ratio:.3f}, wanted at most {wanted:g}{'' if ratio <= wanted else ', MISSED'}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--template", type=Path, help="a chat template; without it, that of R1-Distill")
    parser.add_argument("--model", type=Path, help="measure this directory in place of one that is made")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--python", default=sys.executable)
    arguments = parser.parse_args()
    if not (arguments.model or MAKER.is_file()):
        parser.error(f"{MAKER} is not there; name a model directory with --model DIR")
    return arguments


@contextmanager
def model(arguments: argparse.Namespace) -> Iterator[Path]:
    if arguments.model:
        yield arguments.model
        return
    with tempfile.TemporaryDirectory() as name:
        template = arguments.template or Path(name) / "template.jinja"
        if not arguments.template:
            template.write_text(json.loads(DISTILL.read_text(encoding="utf-8"))["chat_template"], encoding="utf-8")
        made = [arguments.python, str(MAKER), f"{name}/model", "--template", str(template), "--special-think"]
        subprocess.run(made, check=True)
        yield Path(name) / "model"


def measured(directory: Path, python: str, runs: int) -> dict[str, list[float]]:
    tool = [python, "-m", "template_fix"]
    script = Path(python).with_name("template-fix")
    if script.is_file():
        tool = [str(script)]

    def patch() -> float:
        with tempfile.TemporaryDirectory() as name:
            copy = shutil.copytree(directory, Path(name) / "copy")
            return timed([*tool, "patch", "--no-cache", str(copy)])

    runners: dict[str, Callable[[], float]] = {
        "check": lambda: timed([*tool, "check", "--no-cache", str(directory)]),
        "check, again": lambda: timed([*tool, "check", str(directory)]),
        "patch": patch,
        "floor": lambda: timed([python, "-c", FLOOR, str(directory)]),
        "script": lambda: timed([python, "-c", SCRIPT, str(directory)]),
    }
    times: dict[str, list[float]] = {name: [] for name in runners}
    for turn in range(runs + 1):
        for name, run in runners.items():
            taken = run()
            # The first turn fills the caches of the disk and of compiled modules.
            if turn:
                times[name].append(taken)
    return times


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    taken = time.perf_counter() - start
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)[:80]} exited with {done.returncode}:\n{done.stderr}")
    return taken


if __name__ == "__main__":
    main()
