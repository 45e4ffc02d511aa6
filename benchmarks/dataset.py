#!/usr/bin/env python3
"""Measures the row check beside the loop that users write, on generated rows, in one run.

    dataset.py [--rows N] [--processes N] [--reasoning CHARACTERS] [--broken] [--model DIR]

    check     `template-fix check MODEL --data rows.jsonl`, from its start to its end
    map       datasets.map(row_check(MODEL), batched=True) over the loaded rows
    loop      datasets.map of tokenizer.apply_chat_template(row["messages"], tokenize=False) over the loaded rows
    loading   datasets.load_dataset of the JSONL file, which the loop needs first

The model is that of the demo, repaired, or with --broken as it is, so that every row loses its reasoning. It needs
template-fix with the extras data and transformers.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WANTED = 3.0
WORDS = ("so", "the", "next", "step", "takes", "seven", "of", "what", "is", "left", "and", "adds", "it", "again")


def main() -> None:
    arguments = parsed()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = arguments.model or made_model(folder / "model", arguments.broken)
        few, all_rows = folder / "few.jsonl", folder / "all.jsonl"
        written(few, arguments.rows // 10, arguments.reasoning)
        written(all_rows, arguments.rows, arguments.reasoning)
        told(measured(str(model), few, all_rows, arguments.processes, folder / "cache"), arguments)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--reasoning", type=int, default=2000, help="characters of reasoning a row, on average")
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--model", type=Path)
    return parser.parse_args()


def made_model(folder: Path, broken: bool) -> Path:
    from template_fix import patch
    from template_fix.cli import demo

    folder.mkdir()
    for name, text in demo.model_files().items():
        (folder / name).write_text(text, encoding="utf-8")
    if not broken:
        patch(str(folder))
    return folder


def written(path: Path, rows: int, reasoning: int) -> None:
    chance = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            thought = " ".join(chance.choices(WORDS, k=chance.randrange(1, 2 * reasoning // 5)))
            answer = f"<think>\n{number}: {thought}\n</think>\n\nThat makes {number} in all, as asked."
            messages = [
                {"role": "user", "content": f"How many are {number}?"},
                {"role": "assistant", "content": answer},
            ]
            file.write(json.dumps({"messages": messages}) + "\n")


def measured(model: str, few: Path, rows: Path, processes: int, cache: Path) -> dict[str, float]:
    """Return the seconds that each takes."""
    from datasets import disable_progress_bars, load_dataset
    from transformers import AutoTokenizer

    from template_fix import row_check

    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(model)
    check = row_check(model)
    times: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        value = call()
        times[name] = time.perf_counter() - start
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
        return {"text": tokenizer.apply_chat_template(row["messages"], tokenize=False)}

    timed("loop", lambda: data.map(render, **each))
    timed("map", lambda: data.map(check, batched=True, remove_columns=data.column_names, **each))
    return times


def told(times: dict[str, float], arguments: argparse.Namespace) -> None:
    rows = arguments.rows
    print(f"{rows:,} rows, {arguments.processes} processes, load of the machine {os.getloadavg()[0]:.1f}")
    for name, value in times.items():
        rate = f" s{(rows // 10 if 'tenth' in name else rows) / value:12,.0f} rows/s"
        print(f"{name:20}{value:9.2f}{rate}")
    print(f"loading and loop / check    {(times['loop'] + times['loading']) / times['check']:5.2f} (wanted {WANTED})")
    print(f"loop / map                  {times['loop'] / times['map']:5.2f}")
    slope = (times["check"] - times["check, a tenth"]) / 0.9 / times["check"]
    print(f"share of time that grows with the rows  {slope:5.2f}")


if __name__ == "__main__":
    main()
