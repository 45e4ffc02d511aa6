"""Tokenizers small enough to be loaded by the hundred: an alphabet of bytes and the tags in every recorded form."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

from template_fix.checkpoint.checkpoint import Checkpoint

TAGS = ("<think>", "</think>")
BASE = ("<eos>", "<pad>")
IDS = dict(zip((*BASE, *TAGS), range(256, 260), strict=True))
FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def alphabet() -> dict[str, int]:
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte) if byte in shown else chr(256 + hidden.index(byte)): byte for byte in range(256)}


def entry(content: str, special: bool, **flags: bool) -> dict[str, Any]:
    return {"content": content, **FLAGS, "special": special, **flags}


def entries(special: bool | None, **flags: bool) -> dict[int, dict[str, Any]]:
    """Entries of the base tokens and, where ``special`` tells how, of the tags; by their ids."""
    tags = {} if special is None else {IDS[tag]: entry(tag, special, **flags) for tag in TAGS}
    return {**{IDS[token]: entry(token, True) for token in BASE}, **tags}


def tokenizer(special: bool | None, **flags: bool) -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, **token} for number, token in entries(special, **flags).items()],
        "normalizer": None,
        "pre_tokenizer": BYTE_LEVEL,
        "post_processor": None,
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": alphabet(), "merges": []},
    }


def files(
    json_special: bool | None = False,
    decoder_special: bool | str | None = "absent",
    config: dict[str, Any] | None = None,
    token_map: dict[str, Any] | None = None,
    added: bool = False,
) -> dict[str, Any]:
    """The files of a checkpoint. ``None`` for a flag leaves the tags out; a decoder that is ``absent`` is no member."""
    members: dict[str, Any] = {"eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<eos>", **(config or {})}
    if decoder_special != "absent":
        assert not isinstance(decoder_special, str)
        members["added_tokens_decoder"] = {str(n): token for n, token in entries(decoder_special).items()}
    found: dict[str, Any] = {"tokenizer.json": tokenizer(json_special), "tokenizer_config.json": members}
    if token_map is not None:
        found["special_tokens_map.json"] = {"eos_token": "<eos>", **token_map}
    if added:
        found["added_tokens.json"] = {tag: IDS[tag] for tag in TAGS}
    return found


def checkpoint(found: dict[str, Any], indent: int | None = 2) -> Checkpoint:
    texts = {file: content if isinstance(content, str) else dump(content, indent) for file, content in found.items()}
    return Checkpoint("tiny", texts)


def dump(content: object, indent: int | None = 2) -> str:
    return json.dumps(content, indent=indent, ensure_ascii=False) + "\n"


def typed(token: str) -> dict[str, Any]:
    return {"__type": "AddedToken", "content": token, **FLAGS}


def bare(token: str) -> dict[str, Any]:
    return {"content": token, **FLAGS}


LISTS: tuple[dict[str, Any], ...] = (
    {},
    {"additional_special_tokens": list(TAGS)},
    {"additional_special_tokens": [typed(tag) for tag in TAGS]},
    {"additional_special_tokens": list(TAGS), "extra_special_tokens": {}},
    {"additional_special_tokens": list(TAGS), "extra_special_tokens": {"x_token": "<eos>"}},
    {"additional_special_tokens": list(TAGS), "extra_special_tokens": ["<eos>"]},
    {"extra_special_tokens": []},
    {"extra_special_tokens": list(TAGS)},
    {"extra_special_tokens": {"a_token": TAGS[0], "b_token": TAGS[1]}},
)
ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {},
    {"think_token": TAGS[0], "unthink_token": TAGS[1]},
    {"think_token": typed(TAGS[0])},
    {"pad_token": TAGS[1]},
    {"pad_token": typed(TAGS[1])},
)
MAPS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"additional_special_tokens": list(TAGS)},
    {"additional_special_tokens": [bare(tag) for tag in TAGS]},
    {"extra_special_tokens": list(TAGS)},
    {"pad_token": bare(TAGS[1])},
    {"pad_token": "<pad>"},
    {"think_token": TAGS[0]},
)


class Form(NamedTuple):
    """One way to record the tags."""

    json_special: bool | None
    decoder_special: bool | str | None
    lists: dict[str, Any]
    attributes: dict[str, Any]
    token_map: dict[str, Any] | None
    added: bool

    def files(self) -> dict[str, Any]:
        config = {**self.lists, **self.attributes}
        return files(self.json_special, self.decoder_special, config, self.token_map, self.added)


FORMS = [
    Form(*parts)
    for parts in product((None, False, True), ("absent", None, False, True), LISTS, ATTRIBUTES, MAPS, (False, True))
]


def sample(step: int, wanted: Callable[[Form], bool] = lambda form: True) -> list[Form]:
    """Every ``step``-th of the forms; a step without a factor of 2, 3, 5 or 7 meets all values of each part."""
    return [form for form in FORMS[::step] if wanted(form)]
