"""What the transformers that is installed makes of texts, where there is one: a trial in place of a table."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import CONFIG
from template_fix.checkpoint.token_records import ADDED, MAP, TOKENIZER

# Computing time and memory to import the library and to read a whole vocabulary.
SECONDS, MEGABYTES = 60.0, 6144
_READ = (TOKENIZER, CONFIG, MAP, ADDED, "config.json")


class Tried(NamedTuple):
    """The ``release`` of transformers that was tried, and whether it encodes all texts as tokenizer.json says."""

    release: str
    alike: bool


def encode_installed(checkpoint: Checkpoint, texts: tuple[str, ...]) -> Tried | None:
    """Return how AutoTokenizer encodes texts, None where transformers isn't installed, or can't load the files.

    It runs in a child process, offline and without the model's own code.
    """
    if find_spec("transformers") is None:
        return None
    files = {name: checkpoint.files[name] for name in _READ if name in checkpoint.files}
    try:
        return run_bounded(
            _tried,
            files,
            texts,
            seconds=10 * SECONDS,
            computing=SECONDS,
            megabytes=MEGABYTES,
            doing="trying transformers",
        )
    except LimitExceeded:
        return None


def _tried(files: dict[str, str], texts: tuple[str, ...]) -> Tried | None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from tokenizers import Tokenizer
        from transformers import AutoTokenizer, __version__

        own = Tokenizer.from_str(files[TOKENIZER])
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                Path(folder, name).write_bytes(text.encode())
            # Said, since it would ask the user otherwise.
            loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            ids = [loaded.encode(text, add_special_tokens=False) for text in texts]
        return Tried(__version__, ids == [own.encode(text, add_special_tokens=False).ids for text in texts])
    except MemoryError:  # it is a limit's, and tells nothing of the files
        raise
    except Exception:  # a stranger's files, and whichever release: what can't be loaded tells nothing of texts
        return None
