#!/usr/bin/env python3
"""Measures the row check beside the loop that users write, on generated rows, in one run.

    dataset.py [--rows N] [--processes N] [--reasoning CHARACTERS] [--field] [--tools] [--broken]
               [--model DIR | --template FILE] [--growth]

    check     `template-fix check MODEL --data rows.jsonl`, from its start to its end
    map       datasets.map(row_check(MODEL), batched=True) over the loaded rows
    loop      datasets.map of tokenizer.apply_chat_template(row["messages"], tokenize=False) over the loaded rows
    loading   datasets.load_dataset of the JSONL file, which the loop needs first

The model is that of the demo, with --template another template in it, repaired, or with --broken as it is, so that
every row loses its reasoning. Rows have a question and an answer with reasoning in it, with --field in a field of its
own, or with --tools five tools, a call, its result and the answer. Beside the time of the clock stands the computing
time of all processes, which other work on the machine changes less. The check of a tenth comes first, so that what it
found of the templates, and their repair, are known to that of all rows. It needs template-fix with the extras data and
transformers.

With --growth, the check alone is measured, of a tenth, of all, and of ten times as many rows: the computing time a row,
and the memory at its peak, of the command and of the largest of its child processes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WANTED, WANTED_BROKEN = 5.0, 3.0
# The command, which tells at its end how much memory it took, and the largest of its children. (What `getrusage` says
# of a process itself is at least what the one that started it took.)
CHECK = """
import re, resource, sys
from template_fix.cli.main import main
main(sys.argv[1:])
own = int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read()).group(1))
print(own // 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, file=sys.stderr)
"""
WORDS = ("so", "the", "next", "step", "takes", "seven", "of", "what", "is", "left", "and", "adds", "it", "again")


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model or made_model(folder / "model", arguments)
        few, all_rows = folder / "few.jsonl", folder / "all.jsonl"
        for path, rows in ((few, arguments.rows // 10), (all_rows, arguments.rows)):
            written(path, rows, arguments)
        if arguments.growth:
            many = folder / "many.jsonl"
            with many.open("wb") as file:
                for _ in range(10):
                    with all_rows.open("rb") as rows_again:
                        shutil.copyfileobj(rows_again, file)
            for path, rows in zip((few, all_rows, many), (0.1, 1, 10), strict=True):
                print(grown(str(model), path, int(rows * arguments.rows), arguments.processes), flush=True)
        else:
            told(measured(str(model), few, all_rows, arguments.processes, folder / "cache"), arguments)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--reasoning", type=int, default=2000, help="characters of reasoning a row, on average")
    parser.add_argument("--field", action="store_true")
    parser.add_argument("--tools", action="store_true")
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--template", type=Path)
    parser.add_argument("--growth", action="store_true")
    return parser.parse_args()


def made_model(folder: Path, arguments: argparse.Namespace) -> Path:
    from template_fix import patch
    from template_fix.cli import demo

    folder.mkdir()
    for name, text in demo.model_files().items():
        (folder / name).write_text(text, encoding="utf-8")
    if arguments.template:
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        del config["chat_template"]
        (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        shutil.copyfile(arguments.template, folder / "chat_template.jinja")
    if not arguments.broken:
        patch(str(folder))
    return folder


def written(path: Path, rows: int, arguments: argparse.Namespace) -> None:
    chance = random.Random(0)
    sets = [[tool(chance.randrange(100)) for _ in range(5)] for _ in range(8)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            thought = " ".join(chance.choices(WORDS, k=chance.randrange(1, 2 * arguments.reasoning // 5)))
            some = sets[number % len(sets)]
            row = with_tools(number, thought, some) if arguments.tools else without(number, thought, arguments.field)
            file.write(json.dumps(row) + "\n")


def without(number: int, thought: str, field: bool) -> dict[str, Any]:
    reasoning, answer = f"{number}: {thought}", f"That makes {number} in all, as asked."
    turn = {"reasoning_content": reasoning} if field else {}
    turn["content"] = answer if field else f"<think>\n{reasoning}\n</think>\n\n{answer}"
    return {"messages": [{"role": "user", "content": f"How many are {number}?"}, {"role": "assistant", **turn}]}


def with_tools(number: int, thought: str, tools: list[dict[str, Any]]) -> dict[str, Any]:
    name = tools[0]["function"]["name"]
    call = {"type": "function", "function": {"name": name, "arguments": {"place": f"table {number}", "count": number}}}
    said = f"That makes {number} in all, as asked."
    messages = [
        {"role": "user", "content": f"How many are {number}?"},
        {"role": "assistant", "content": "", "reasoning_content": f"{number}: {thought}", "tool_calls": [call]},
        {"role": "tool", "name": name, "content": json.dumps({"found": number})},
        {"role": "assistant", "content": said, "reasoning_content": f"So it is {number}, as the table says."},
    ]
    return {"messages": messages, "tools": tools}


def tool(number: int) -> dict[str, Any]:
    kinds = {"place": {"type": "string", "description": "Where to look"}, "count": {"type": "integer"}}
    parameters = {"type": "object", "properties": kinds, "required": ["place"]}
    about = f"Looks up number {number} in the table that is given."
    function = {"name": f"look_up_{number}", "description": about, "parameters": parameters}
    return {"type": "function", "function": function}


def computing() -> float:
    """Return how many seconds this process and all that have ended have computed."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def grown(model: str, path: Path, rows: int, processes: int) -> str:
    """Return what the check of so many rows takes, in time and memory."""
    command = [sys.executable, "-c", CHECK, "check", model, "--data", str(path), "--processes", str(processes)]
    start, used = time.perf_counter(), computing()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    clock, used = time.perf_counter() - start, computing() - used
    own, child = done.stderr.split()[-2:]
    each = f"{1e6 * used / rows:6.1f} microseconds a row"
    return f"{rows:>10,} rows{clock:9.2f} s{used:9.2f} s of computing,{each}; at most {own} MB, {child} MB in a child"


def measured(model: str, few: Path, rows: Path, processes: int, cache: Path) -> dict[str, tuple[float, float]]:
    """Return the seconds that each takes, and those that it computes."""
    from datasets import disable_progress_bars, load_dataset
    from transformers import AutoTokenizer

    from template_fix import row_check

    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(model)
    check = row_check(model)
    times: dict[str, tuple[float, float]] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start, used = time.perf_counter(), computing()
        value = call()
        times[name] = time.perf_counter() - start, computing() - used
        return value

    def checked(path: Path) -> None:
        command = [sys.executable, "-m", "template_fix", "check", model, "--data", str(path)]
        subprocess.run([*command, "--processes", str(processes)], stdout=subprocess.DEVNULL, check=False)

    timed("check, a tenth", lambda: checked(few))
    timed("check", lambda: checked(rows))
    given = {"data_files": str(rows), "split": "train", "cache_dir": str(cache)}
    data = timed("loading", lambda: load_dataset("json", **given))
    each = {"num_proc": processes, "load_from_cache_file": False}

    def render(row: dict[str, Any]) -> dict[str, str]:
        given = {"tools": row["tools"]} if "tools" in row else {}
        return {"text": tokenizer.apply_chat_template(row["messages"], tokenize=False, **given)}

    timed("loop", lambda: data.map(render, **each))
    timed("map", lambda: data.map(check, batched=True, remove_columns=data.column_names, **each))
    return times


def told(times: dict[str, tuple[float, float]], arguments: argparse.Namespace) -> None:
    rows, wanted = arguments.rows, WANTED_BROKEN if arguments.broken else WANTED
    print(f"{rows:,} rows, {arguments.processes} processes, load of the machine {os.getloadavg()[0]:.1f}")
    for name, (clock, used) in times.items():
        rate = (rows // 10 if "tenth" in name else rows) / clock
        print(f"{name:20}{clock:9.2f} s{rate:12,.0f} rows/s{used:9.2f} s of computing")
    for at, what in enumerate(("by the clock", "in computing time")):
        check, tenth, loop, loading, mapped = (
            times[name][at] for name in ("check", "check, a tenth", "loop", "loading", "map")
        )
        print(f"loading and loop / check    {(loop + loading) / check:5.2f} {what} (wanted {wanted})")
        print(f"loop / map                  {loop / mapped:5.2f} {what}")
        print(f"share of the check that grows with the rows  {(check - tenth) / 0.9 / check:5.2f} {what}")


if __name__ == "__main__":
    main()
