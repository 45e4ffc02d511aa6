"""The real transformers, 5 and 4.57, loading checkpoints by the hundred in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from tiny import alphabet

from template_fix.tokens.loaders import BACKEND5, FAST4, OWN5, SLOW4

# Which release, which class the config names, and whether the vocabulary lies beside as the slow classes want it.
KINDS = {
    FAST4: (4, "PreTrainedTokenizerFast", False),
    SLOW4: (4, "Qwen2Tokenizer", True),
    BACKEND5: (5, "PreTrainedTokenizerFast", False),
    OWN5: (5, "Qwen2Tokenizer", True),
}


def interpreter(release: int) -> str:
    """The Python that has transformers of that release; without one, the test is skipped."""
    if release == 4:
        path = os.environ.get("TEMPLATE_FIX_TRANSFORMERS4")
        return path or pytest.skip("TEMPLATE_FIX_TRANSFORMERS4 doesn't name a Python with transformers 4.57")
    try:
        found = version("transformers")
    except PackageNotFoundError:
        pytest.skip("transformers 5 isn't installed")
    if int(found.partition(".")[0]) < 5:
        pytest.skip(f"transformers {found} is installed, not 5")
    return sys.executable


def load(loader: str, checkpoints: Iterable[dict[str, Any]], texts: Sequence[str]) -> list[dict[str, Any]]:
    """Load checkpoints, files by their names, and encode texts.

    Each result has ``error``, or ``ids`` (of each text), ``skipped`` and ``kept`` (decoded with and without special
    tokens), ``special`` (all special tokens), ``whole`` (what a call gives, the padding side and the ids with special
    tokens) and ``vocab`` (the added tokens' ids).
    """
    release, kind, beside = KINDS[loader]
    named = [_named(found, kind, beside) for found in checkpoints]
    jobs = [{"files": found, "slow": loader == SLOW4, "texts": list(texts)} for found in named]
    ran = subprocess.run(
        [interpreter(release), str(Path(__file__).with_name("load_real.py"))],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    results: list[dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    return results


def _named(found: dict[str, Any], kind: str, beside: bool) -> dict[str, str]:
    texts = {file: content if isinstance(content, str) else json.dumps(content) for file, content in found.items()}
    config = texts["tokenizer_config.json"]
    if '"tokenizer_class"' not in config:
        at = config.index("{") + 1
        texts["tokenizer_config.json"] = f'{config[:at]}"tokenizer_class": "{kind}", {config[at:]}'
    return {**texts, "vocab.json": json.dumps(alphabet()), "merges.txt": "#version: 0.2\n"} if beside else texts
