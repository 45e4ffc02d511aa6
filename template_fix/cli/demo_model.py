"""A small but complete model directory that fails as R1-Distill does: the files of `template-fix demo`.

Its template cuts the reasoning out of every turn, and every file says that its reasoning tags are special.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
    {%- if message['role'] == 'assistant' %}
        {%- set content = message['content'] %}
        {%- if '</think>' in content %}
            {%- set content = content.split('</think>')[-1] %}
        {%- elif message['reasoning_content'] %}
            {%- set content = '<think>\n' + message['reasoning_content'] + '\n</think>\n\n' + content %}
        {%- endif %}
        {{- '<|assistant|>' + content + '<|end|>' }}
    {%- else %}
        {{- '<|' + message['role'] + '|>' + message['content'] }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|><think>\\n' }}
{%- endif %}
"""
CONTROL = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
TAGS = ("<think>", "</think>")
ROW: tuple[dict[str, Any], ...] = (
    {"role": "user", "content": "What is 17 times 6?"},
    {"role": "assistant", "content": "<think>\n17 times 6 is 60 and 42.\n</think>\n\nIt is 102."},
    {"role": "user", "content": "And half of that?"},
    {"role": "assistant", "content": "<think>\nHalf of 102 is 51.\n</think>\n\nIt is 51."},
)
_SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def files() -> dict[str, str]:
    """Return the texts of all files by their names."""
    tokenizer = _tokenizer()
    return {
        "tokenizer.json": _json(tokenizer),
        "tokenizer_config.json": _json(_tokenizer_config(tokenizer)),
        "special_tokens_map.json": _json({**_NAMED, "additional_special_tokens": list(TAGS)}),
        "generation_config.json": _json(_generation_config(tokenizer)),
        "config.json": _json(_config(tokenizer)),
    }


_NAMED = {"bos_token": CONTROL[0], "eos_token": CONTROL[1], "pad_token": CONTROL[1]}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _tokenizer() -> dict[str, Any]:
    merges = list(_merges())
    letters = _alphabet()
    vocab = {token: number for number, token in enumerate([*letters, *("".join(pair) for pair in merges)])}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": _SPLIT}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(len(vocab) + index, token) for index, token in enumerate((*CONTROL, *TAGS))],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": [" ".join(pair) for pair in merges],
        },
    }


def _added(number: int, token: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": token, **flags}


def _alphabet() -> list[str]:
    """Return the characters by which byte-level tokenizers spell the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def _merges() -> Iterator[tuple[str, str]]:
    """Yield the merges that make each word of the demo's row one token, letter by letter."""
    words = (word for message in ROW for word in re.findall(r" ?[A-Za-z]+", message["content"]))
    beginnings = (word.replace(" ", "Ġ")[:end] for word in words for end in range(2, len(word) + 1))
    for beginning in dict.fromkeys(beginnings):
        yield beginning[:-1], beginning[-1]


def _tokenizer_config(tokenizer: dict[str, Any]) -> dict[str, Any]:
    decoder = {
        str(token["id"]): {name: value for name, value in token.items() if name != "id"}
        for token in tokenizer["added_tokens"]
    }
    return {
        "added_tokens_decoder": decoder,
        "additional_special_tokens": list(TAGS),
        **_NAMED,
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def _ids(tokenizer: dict[str, Any]) -> dict[str, int]:
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def _generation_config(tokenizer: dict[str, Any]) -> dict[str, Any]:
    ids = _ids(tokenizer)
    return {name.replace("_token", "_token_id"): ids[token] for name, token in _NAMED.items()}


def _config(tokenizer: dict[str, Any]) -> dict[str, Any]:
    size = len(tokenizer["model"]["vocab"]) + len(tokenizer["added_tokens"])
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "vocab_size": size,
        **_generation_config(tokenizer),
    }
