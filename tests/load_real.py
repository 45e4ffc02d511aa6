"""Loads checkpoints with the transformers of the Python that runs this, and tells what each came to.

Reads a JSON list of jobs from its input, each with ``files``, ``slow`` and ``texts``; prints a JSON list.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any


def _loaded(job: dict[str, Any]) -> dict[str, Any]:
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        for name, text in job["files"].items():
            Path(folder, name).write_bytes(text.encode())
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=not job["slow"])
        except Exception as error:  # whatever it is, it is the result
            return {"error": _first(error)}
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in job["texts"]]
    return {
        "ids": ids,
        "skipped": [tokenizer.decode(each, skip_special_tokens=True) for each in ids],
        "kept": [tokenizer.decode(each) for each in ids],
        "special": list(tokenizer.all_special_tokens),
        "whole": [sorted(tokenizer("hello")), tokenizer.padding_side, tokenizer.encode("hello")],
        "vocab": {token: number for token, number in tokenizer.get_vocab().items() if number > 255},
    }


def _first(error: BaseException) -> str:
    """4.57 asks for protobuf while it handles an error, and hides that error where protobuf is missing."""
    while isinstance(error, ImportError) and error.__context__ is not None:
        error = error.__context__
    return " ".join(f"{type(error).__name__}: {error}".split())


if __name__ == "__main__":
    import transformers

    transformers.logging.set_verbosity_error()
    print(json.dumps([_loaded(job) for job in json.load(sys.stdin)]))
