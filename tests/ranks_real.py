"""Runs a pre-flight and its callback as one of two processes that train together, and tells what each came to.

Takes the directory of a model, a file for the processes to meet at, and the number of this one; prints a JSON object.
Only the second process has rows whose reasoning doesn't reach the labels.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import tiny_model
import torch.distributed
from transformers import AutoTokenizer

from template_fix import PreflightCallback, PreflightError, preflight

ROW = tiny_model.inline(*tiny_model.QUESTIONS[0])


def said(call: Any, *given: Any, **named: Any) -> str:
    try:
        call(*given, **named)
    except PreflightError as error:
        return str(error)
    return ""


def loader(tokenizer: Any, whole: bool) -> SimpleNamespace:
    """A trainer's loader of one row, with all that is said in its labels, or with the answer alone."""
    question, reasoning, answer = tiny_model.QUESTIONS[0]
    text = f"<think>\n{reasoning}\n</think>\n\n{answer}" if whole else answer
    ids = tokenizer.encode(f"<|user|>{question}<|assistant|>{text}<|end|>", add_special_tokens=False)
    batch = {"input_ids": [ids], "labels": [ids]}
    return SimpleNamespace(dataset=[0], batch_size=1, collate_fn=lambda _: batch)


def steps(folder: str, meeting: str, rank: int) -> dict[str, str]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    state = SimpleNamespace(is_world_process_zero=rank == 0)
    told = {"preflight": said(preflight, tokenizer, [ROW])}
    for name, whole in (("right", True), ("wrong", rank == 0)):
        callback = PreflightCallback([ROW], tokenizer=tokenizer)
        given = {"train_dataloader": loader(tokenizer, whole)}
        told[name] = said(callback.on_train_begin, None, state, None, **given)
    torch.distributed.destroy_process_group()
    return told


if __name__ == "__main__":
    print(json.dumps(steps(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
