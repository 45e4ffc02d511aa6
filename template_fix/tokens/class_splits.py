"""Whether transformers 5 encodes text differently from tokenizer.json, and what it makes of it.

Some of its tokenizer classes build the normalizer and the pre-tokenizer anew and take only the vocabulary and the
merges of the file. Where that comes to other tokens, the model meets ids that it was not trained on. It is tried with
the tokenizers library on texts in which such rules differ: the words first, then, where those differ, the tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import CONFIG, PROCESSOR_FILES
from template_fix.checkpoint.token_records import MAP, TOKENIZER
from template_fix.jinja.tables import table
from template_fix.text.edits import Edit, Span
from template_fix.tokens.stub_tokenizer import Vocabulary

# Each holds what rules to split text treat apart: digits, contractions, blanks, line ends, marks, scripts, signs.
SAMPLES = (
    "It cost 12345 in 1999.",
    "I'LL say they'll don't",
    "Two  blanks\n\n and\t tabs\r\n",
    "cafe\u0301 nai\u0308ve \ufb01ne",
    "\u6f22\u5b57 \u304b\u306a \ud55c\uad6d\uc5b4",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e20\u0e32\u0e29\u0e32",
    "x_1 += y[2:]; // (ok)",
)
PARTS = ("normalizer", "pre_tokenizer")


class Otherwise(NamedTuple):
    """A text that ``releases`` encode differently from tokenizer.json, as the class ``name``.

    ``today`` tells that the newest release is among them, ``stored`` and ``built`` are the tokens of both.
    """

    name: str
    releases: str
    today: bool
    text: str
    stored: tuple[str, ...]
    built: tuple[str, ...]


def first_difference(checkpoint: Checkpoint) -> Otherwise | None:
    """Return the first text that transformers 5 encodes differently from tokenizer.json, None where none is known.

    Raises CheckpointError where the tokenizers library can't read the file.
    """
    name, document = splitting_class(checkpoint), checkpoint.document(TOKENIZER)
    if name is None or document is None:
        return None
    form = _classes()["classes"][name]
    stored, built = ({part: source.get(part) for part in PARTS} for source in (document.plain(), form))
    vocabulary = Vocabulary(checkpoint)
    for text in SAMPLES:
        if vocabulary.words(text, stored) == vocabulary.words(text, built):
            continue
        before, after = (vocabulary.encoded(text, parts) for parts in (stored, built))
        if before != after:
            return Otherwise(name, form["releases"], form.get("today", True), text, before, after)
    return None


def splitting_class(checkpoint: Checkpoint) -> str | None:
    """Return the class that builds other rules than tokenizer.json has, None where none does, or none is known."""
    kind = checkpoint.value("config.json", "model_type")
    named = checkpoint.value(CONFIG, "tokenizer_class")
    if any(checkpoint.value(CONFIG, key) is not None for key in ("auto_map", "add_prefix_space")):
        return None
    table = _classes()
    if kind in table["stored"]:
        return None
    own = named.removesuffix("Fast") if isinstance(named, str) else None
    name: str | None = table["model_types"].get(kind, own)
    document, form = checkpoint.document(TOKENIZER), table["classes"].get(name)
    if document is None or form is None:
        return None
    stored = {part: dict(document.plain()).get(part) for part in PARTS}
    same = stored == {part: form.get(part) for part in PARTS}
    return None if same or not (form.get("today", True) or _is_byte_level(stored["pre_tokenizer"])) else name


def rename_class(checkpoint: Checkpoint, name: str) -> Edit | str:
    """Return the edit of tokenizer_config.json that names PreTrainedTokenizerFast, or why none does.

    That class goes by tokenizer.json in every release. What the class ``name`` has by itself is written beside it, so
    that nothing else changes. Raises CheckpointError where the tokenizers library can't read tokenizer.json.
    """
    kind = checkpoint.value("config.json", "model_type")
    if kind in _classes()["model_types"]:
        return f"the model type {kind} stands for {name}"
    if PROCESSOR_FILES & (checkpoint.files.keys() | checkpoint.others):
        return f"a processor lies beside, which may ask for {name} itself; that could not be tried"
    document = checkpoint.document(CONFIG)
    node = document.get("tokenizer_class") if document else None
    if document is None or node is None:
        return f"{CONFIG} names no tokenizer_class"
    own, named = _classes()["classes"][name], document.plain()
    tokens = {key: token for key, token in own["tokens"].items() if key not in named}
    for key, token in tokens.items():
        if any(each.name == key for each in checkpoint.records if each.file == MAP):
            return f"{MAP} alone names {key}"
        if not any(each.where == "added_tokens" for each in checkpoint.records_of(token)):
            return f"{name} has {token} as its {key}, which {TOKENIZER} lacks: name {key} in {CONFIG} first"
    if "adds_bos" in own and not _goes_by_switches(checkpoint, named, own):
        return "add_bos_token and add_eos_token, by which 4.57 goes, say otherwise than its post_processor"
    side = {"padding_side": own["padding_side"]} if "padding_side" in own else {}
    members = {"model_input_names": ["input_ids", "attention_mask"], **side, **tokens}
    added = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in members.items() if key not in named]
    return Edit(node.span, _between(document.text, node.span).join(['"PreTrainedTokenizerFast"', *added]))


def _goes_by_switches(checkpoint: Checkpoint, named: Mapping[str, object], own: Mapping[str, Any]) -> bool:
    """Whether tokenizer.json puts those tokens round a text that 4.57 puts there as the class, by its switches."""
    bare, whole = (list(Vocabulary(checkpoint).encoded("a", {}, special)) for special in (False, True))
    names = {**own["tokens"], **{each.name: each.content for each in checkpoint.records if each.file == CONFIG}}
    front = [names["bos_token"]] if named.get("add_bos_token", own["adds_bos"]) else []
    return whole == [*front, *bare, *([names["eos_token"]] if named.get("add_eos_token") else [])]


def _between(text: str, at: Span) -> str:
    """Return what stands between two members of an object, in the layout of the one whose value is at a place."""
    line = text[text.rfind("\n", 0, at.start) + 1 : at.start]
    indent = line[: len(line) - len(line.lstrip())]
    newline = "\r\n" if "\r\n" in text else "\n"
    return f",{newline}{indent}" if line.lstrip().startswith('"') else ", "


def _is_byte_level(pre_tokenizer: object) -> bool:
    parts = pre_tokenizer.get("pretokenizers", [pre_tokenizer]) if isinstance(pre_tokenizer, dict) else []
    return any(isinstance(part, dict) and part.get("type") == "ByteLevel" for part in parts)


@lru_cache(maxsize=1)
def _classes() -> dict[str, Any]:
    return table("tokenizer_classes.toml", "template_fix.tokens")
