"""All that a stranger's model can cost: computing time and memory of whole commands, whatever lies in the directory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from template_fix.api import check, patch
from template_fix.bounds.limits import LimitExceeded, run_in_turn
from template_fix.checkpoint.checkpoint import CheckpointError

pytestmark = [
    pytest.mark.children,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone"),
]

SPIN = "{% for i in range(3000) %}{% for j in range(300) %}{% endfor %}{% endfor %}"
ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
REASONING = "{% for m in messages %}{{ m.role }}: {{ m.content.split('</think>')[-1] }}{% endfor %}"

UNENDED = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}"
    "{% if not loop.last %}<|end|>{% endif %}{% endfor %}"
)

SECONDS, MEGABYTES = 30, 1500


def many(source: Callable[[int], str]) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        (directory / "additional_chat_templates").mkdir()
        for number in range(120):
            (directory / f"additional_chat_templates/t{number}.jinja").write_text(source(number))

    return make


def one(source: str) -> Callable[[Path], None]:
    return lambda directory: directory.joinpath("chat_template.jinja").write_text(source) and None


def listed(directory: Path) -> None:
    """120 variants that stand in two places, and disagree."""
    many(lambda number: f"{SPIN}{REASONING}{number}")(directory)
    templates = [{"name": f"t{number}", "template": f"{SPIN}{REASONING}"} for number in range(120)]
    (directory / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))


MODELS = {
    "120 templates that never end": many(lambda number: f"{ENDLESS}{REASONING}{number}"),
    "120 templates that take their time": many(lambda number: f"{SPIN}{REASONING}{number}"),
    "120 templates that take their time and lack an end": many(lambda number: f"{SPIN}{UNENDED}{number}"),
    "120 templates that take memory": many(lambda number: f"{{% set x = 'x' * 300000000 %}}{REASONING}{number}"),
    "120 templates that differ in comments": many(lambda number: f"{{# {number} #}}{REASONING}"),
    "120 variants that disagree": listed,
    "a template that takes its time": one(SPIN + REASONING),
    "a template that prints megabytes": one(REASONING + "{{ 'é' * 3000000 }}"),
    "an exception of a million letters": one("{{ raise_exception('é' * 1000000) }}" + REASONING),
    "300 filters in a chain": one("{{ messages" + "|list" * 300 + " }}" + REASONING),
    "5,000 filters in a chain": one("{{ messages" + "|list" * 5000 + " }}" + REASONING),
    "a template of a million loops": one("{% for m in messages %}{% endfor %}" * 1_000_00 + REASONING),
}


def cost(command: list[str]) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """Run a command and return what it said, the computing time of it and its children, and its memory in MB."""
    watcher = f"""
import resource, subprocess, sys
ran = subprocess.run({command!r}, capture_output=True, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
sys.stdout.write(ran.stdout); sys.stderr.write(ran.stderr)
print("\\nCOST", used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(ran.returncode)
"""
    ran = subprocess.run([sys.executable, "-c", watcher], capture_output=True, text=True, timeout=400)
    _, seconds, megabytes = ran.stdout.splitlines()[-1].split()
    return ran, float(seconds), float(megabytes)


@pytest.mark.parametrize("command", ["check", "patch", "show"])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_no_model_costs_more_than_this(make: Callable[[Path], None], command: str, tmp_path: Path) -> None:
    make(tmp_path)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    ran, seconds, megabytes = cost([sys.executable, "-m", "template_fix", command, str(tmp_path)])
    assert "Traceback" not in ran.stderr, ran.stderr[-2000:]
    assert seconds < SECONDS and megabytes < MEGABYTES / 2, (seconds, megabytes)
    if command != "patch" or ran.returncode == 2:
        assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_all_calls_together_have_so_much_time() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    tried = list(run_in_turn(spun, [(60.0,)] * 50, computing=3.0))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 5
    assert all(isinstance(each, LimitExceeded) for each in tried) and len(tried) == 50
    assert "takes more than 1.5 s" in str(tried[0]) and "comes behind others" in str(tried[-1])


def test_calls_that_end_in_time_are_all_tried_in_their_order() -> None:
    assert list(run_in_turn(abs, [(-number,) for number in range(30)], computing=3.0)) == list(range(30))


def spun(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def rows(path: Path, number: int) -> Path:
    text = json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})
    path.write_text(f"{text}\n" * number)
    return path


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{% if not tools %}" + SPIN * 2 + "{% endif %}" + REASONING, id="that take their time"),
        pytest.param(
            "{% if messages[1].content == 'a' %}" + ENDLESS + "{% endif %}" + REASONING, id="that never end with it"
        ),
        pytest.param(
            "{% if messages[1].content == 'a' %}{% set x = 'x' * 900000000 %}{% endif %}" + REASONING,
            id="that take memory with it",
        ),
    ],
)
@pytest.mark.parametrize("exact", [(), ("--exact",)], ids=["by their shape", "one by one"])
def test_rows_cost_no_more_than_this(source: str, exact: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(source)
    data = rows(tmp_path / "rows.jsonl", 20_000)
    command = ["check", str(tmp_path), "--data", str(data), "--format", "json", *exact]
    ran, seconds, megabytes = cost([sys.executable, "-m", "template_fix", *command])
    assert seconds < 2 * SECONDS and megabytes < MEGABYTES / 2, (seconds, megabytes)
    before = json.loads(ran.stdout.rpartition("\nCOST")[0])["models"][0]["data"]["before"]
    assert before["rows"] == 20_000
    # Rows of one shape need not be rendered again, however long the first ones took.
    assert before["failed"] == (20_000 if before["stopped"] else 0) and (before["stopped"] or not exact)


# The tokenizers library


def tokenizer(**parts: Any) -> dict[str, Any]:
    added = [
        {"id": 300 + number, "content": tag, "special": True, **dict.fromkeys(FLAGS, False)}
        for number, tag in enumerate(("<think>", "</think>"))
    ]
    return {
        "version": "1.0",
        "added_tokens": added,
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        **parts,
    }


FLAGS = ("lstrip", "rstrip", "normalized", "single_word")
DOUBLING = [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 40
BOMBS = {
    "replacers that double a text": tokenizer(
        normalizer={"type": "Sequence", "normalizers": [*DOUBLING, {"type": "Prepend", "prepend": "a"}, *DOUBLING]}
    ),
    "decoders that double a text": tokenizer(decoder={"type": "Sequence", "decoders": DOUBLING}),
    "a padding of 2^40": tokenizer(
        padding={
            "strategy": {"Fixed": 2**40},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "a",
        }
    ),
    "a pattern that tries all ways": tokenizer(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    ),
    "a pattern that is none": tokenizer(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated", "invert": False}
    ),
    "a model of an unknown kind": tokenizer(model={"type": "Own"}),
    "a truncation to nothing": tokenizer(
        truncation={"direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 5}
    ),
}


@pytest.mark.parametrize("command", ["check", "patch", "show"])
@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_no_tokenizer_costs_more_than_this(content: dict[str, Any], command: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "chat_template.jinja").write_text(REASONING)
    ran, seconds, megabytes = cost([sys.executable, "-m", "template_fix", command, str(tmp_path)])
    assert "Traceback" not in ran.stderr and "panicked" not in ran.stderr, ran.stderr[-2000:]
    assert ran.stderr.count("\n") <= 1
    assert seconds < SECONDS and megabytes < MEGABYTES, (seconds, megabytes)


@pytest.mark.parametrize("call", [check, lambda model: patch(model, write=False)], ids=["check", "patch"])
def test_a_tokenizer_that_never_comes_back_is_one_line(call: Callable[[str], object], tmp_path: Path) -> None:
    content = BOMBS["replacers that double a text"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    (tmp_path / "chat_template.jinja").write_text(REASONING)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: was stopped: to try its tokens takes more") as error:
        call(os.fspath(tmp_path))
    assert "\n" not in str(error.value)
