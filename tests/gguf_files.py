"""GGUF files, written with the `gguf` package of llama.cpp's makers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

TOKENS = ("<s>", "</s>", "<think>", "</think>", "<|im_start|>", "<|im_end|>", "a", "b", "ab")
CONTROL, NORMAL, USER_DEFINED = 3, 1, 4
TYPES = (CONTROL,) * 6 + (NORMAL,) * 3


def write_gguf(
    path: Path,
    template: str | Sequence[Mapping[str, str]] | None,
    *,
    tokens: Sequence[str] = TOKENS,
    types: Sequence[int] = TYPES,
    tensors: int = 2,
    big_endian: bool = False,
    alignment: int | None = None,
) -> Path:
    """Write a small file with a template (or several, each with its name), tokens and tensors; return its path."""
    gguf = pytest.importorskip("gguf", reason="the gguf package isn't installed")
    import numpy

    order = gguf.GGUFEndian.BIG if big_endian else gguf.GGUFEndian.LITTLE
    writer = gguf.GGUFWriter(path, "llama", endianess=order)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(list(tokens))
    writer.add_token_scores([0.5] * len(tokens))
    writer.add_token_types(list(types))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(5)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    for number in range(tensors):
        writer.add_tensor(f"blk.{number}.weight", numpy.arange(35 + 7 * number, dtype=numpy.float32).reshape(-1, 7))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def read_whole(path: Path) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """Return all metadata and tensors of a file, as gguf's own reader has them."""
    import gguf

    reader = gguf.GGUFReader(path)
    fields = {name: each.contents() for name, each in reader.fields.items() if not name.startswith("GGUF.")}
    return fields, [(each.name, each.tensor_type, tuple(each.shape), each.data.tobytes()) for each in reader.tensors]
