"""The other files beside a model's templates and token lists, and which of them are copied with the tokenizer.

A tokenizer may need files of any name: ``vocab.json``, ``spm.model``, ``qwen.tiktoken``, Python modules. With a list of
known names a copy would lack the next new file, and fail to load. So every file is copied except weights (by name),
files larger than any vocabulary, hidden files, and directories, in which no loader looks for a tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from template_fix.checkpoint.json_file import CheckpointError
from template_fix.checkpoint.links import refuse_outside
from template_fix.checkpoint.template_copies import ADDITIONAL

WEIGHTS = (
    *("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.ckpt.*", "*.h5", "*.msgpack", "*.npz", "*.index.json"),
    *("*.gguf", "*.ggml", "*.llamafile", "*.onnx", "*.onnx_data", "*.onnx.data", "*.tflite", "*.pte"),
)
LARGEST = 64 * 2**20
# Read elsewhere, and this program's own.
ELSEWHERE = (ADDITIONAL.rstrip("/"), ".template-fix")


class Companions(NamedTuple):
    """The files that are copied, as bytes, and the names of those that are left out; directories end in a slash."""

    copied: dict[str, bytes]
    left: tuple[str, ...]


def sort_companions(root: Path, names: Iterable[str]) -> Companions:
    """Read those entries ``names`` of the directory ``root`` that are copied, and list the others.

    Raises CheckpointError if one can't be read, or is a link that leads out of the directory.
    """
    entries = {name: root / name for name in sorted(names) if name not in ELSEWHERE}
    copied = {name: _read_bytes(root, name) for name, path in entries.items() if _is_copied(path)}
    return Companions(copied, tuple(name + "/" * path.is_dir() for name, path in entries.items() if name not in copied))


def _is_copied(path: Path) -> bool:
    known = path.name.startswith(".") or any(fnmatch(path.name.lower(), pattern) for pattern in WEIGHTS)
    return not known and path.is_file() and path.stat().st_size <= LARGEST


def _read_bytes(root: Path, name: str) -> bytes:
    path = root / name
    refuse_outside(root, name, str(root))
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: the file can't be read: {(error.strerror or str(error)).lower()}") from None
