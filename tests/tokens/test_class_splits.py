"""Whether transformers 5 goes by tokenizer.json: what the table says, and what the real library does."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from real import load
from tiny import alphabet, checkpoint, tokenizer
from tokenizers import Tokenizer

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.jinja.tables import table
from template_fix.results import Finding, Level
from template_fix.rules.tokens import tf305_encodes_otherwise
from template_fix.tokens.class_splits import SAMPLES, otherwise
from template_fix.tokens.loaders import BACKEND5
from template_fix.tokens.tagged_checkpoint import Subject

FORMS = table("tokenizer_classes.toml", "template_fix.tokens")
# Numbers in groups of three, which no class of transformers does by itself.
BY_THREE = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}| ?\p{L}+"}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
    ],
}
CLASSES = [*FORMS["classes"], "PreTrainedTokenizerFast", "GPT2TokenizerFast", "LlamaTokenizerFast", "Unheard"]
TYPES = [None, "llama", "qwen3", "gpt2", "phi3", "mistral3", "unheard", *FORMS["model_types"]]


def merging() -> dict[str, Any]:
    """A vocabulary in which digits, and letters after a blank, are merged, so that it matters how text is split."""
    pairs = [*product("0123456789", repeat=2), *(("\u0120", letter) for letter in "acist")]
    vocab = {**alphabet(), **{a + b: 300 + order for order, (a, b) in enumerate(pairs)}}
    return {"type": "BPE", "vocab": vocab, "merges": [f"{a} {b}" for a, b in pairs]}


def stored(kind: str | None, model_type: str | None, **parts: Any) -> dict[str, Any]:
    json = {**tokenizer(False), "model": merging(), "pre_tokenizer": BY_THREE, **parts}
    config = {"eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<eos>", "bos_token": None}
    found = {"tokenizer.json": json, "tokenizer_config.json": {**({"tokenizer_class": kind} if kind else {}), **config}}
    return {**found, "config.json": {"model_type": model_type}} if model_type else found


def findings(found: dict[str, Any]) -> list[Finding]:
    return list(tf305_encodes_otherwise.check(Subject(checkpoint(found), (), frozenset())))


def test_a_class_with_rules_of_its_own_is_shown_with_a_text() -> None:
    (finding,) = findings(stored("Qwen2TokenizerFast", "qwen3"))
    assert finding.level is Level.ERROR
    assert finding.place is not None
    assert finding.place.source == '  "tokenizer_class": "Qwen2TokenizerFast",'
    (evidence,) = finding.evidence
    assert " 12 | 3 | 45 " in evidence.given
    assert " 1 | 2 | 3 | 4 | 5 " in evidence.printed
    assert "name PreTrainedTokenizerFast as tokenizer_class" in finding.fix


def test_where_the_model_type_decides_no_edit_is_advised() -> None:
    (finding,) = findings(stored("PreTrainedTokenizerFast", "qwen2"))
    assert finding.fix.startswith("load it with PreTrainedTokenizerFast.from_pretrained")


def test_what_newer_releases_do_right_is_a_warning() -> None:
    (finding,) = findings(stored("LlamaTokenizerFast", "llama"))
    assert (finding.level, "5.8 to 5.21" in finding.message) == (Level.WARNING, True)


@pytest.mark.parametrize(
    ("kind", "model_type", "parts"),
    [
        pytest.param("PreTrainedTokenizerFast", "qwen3", {}, id="the class that goes by the file"),
        pytest.param("GPT2Tokenizer", "phi3", {}, id="a model type that goes by the file"),
        pytest.param(None, "qwen3", {}, id="no class named"),
        pytest.param("Qwen2Tokenizer", "qwen3", FORMS["classes"]["Qwen2Tokenizer"], id="the rules of the class itself"),
        pytest.param(
            "Qwen2Tokenizer",
            "qwen3",
            {**FORMS["classes"]["Qwen2Tokenizer"], "model": {"type": "BPE", "vocab": alphabet(), "merges": []}},
            id="nothing to merge",
        ),
        pytest.param(
            "LlamaTokenizer",
            "llama",
            {
                "pre_tokenizer": {
                    "type": "Metaspace",
                    "replacement": "\u2581",
                    "prepend_scheme": "first",
                    "split": False,
                }
            },
            id="Llama's own rules",
        ),
    ],
)
def test_no_finding(kind: str | None, model_type: str | None, parts: dict[str, Any]) -> None:
    parts = {part: value for part, value in parts.items() if part in ("normalizer", "pre_tokenizer", "model")}
    assert findings(stored(kind, model_type, **parts)) == []


def test_a_file_without_rules_of_its_own_is_compared_as_well() -> None:
    assert "GPT2Tokenizer" in findings(stored("GPT2Tokenizer", None, pre_tokenizer=None))[0].message


def test_without_a_tokenizer_json_nothing_is_said() -> None:
    assert findings({"tokenizer_config.json": {"tokenizer_class": "Qwen2Tokenizer"}}) == []


@pytest.mark.parametrize("part", [{"type": "Nonsense"}, 7, "text", []])
def test_a_file_that_the_library_cannot_read_is_one_line(part: object) -> None:
    with pytest.raises(CheckpointError, match=r"^tiny/tokenizer\.json: tokenizers can't read it"):
        otherwise(checkpoint(stored("Qwen2Tokenizer", "qwen3", pre_tokenizer=part)))


@pytest.mark.slow
def test_the_table_says_what_the_real_library_does() -> None:
    grid = list(product(CLASSES, TYPES))
    loaded = load(BACKEND5, [stored(kind, model_type) for kind, model_type in grid], SAMPLES)
    for (kind, model_type), real in zip(grid, loaded, strict=True):
        found: Checkpoint = checkpoint(stored(kind, model_type))
        own = Tokenizer.from_str(found.files["tokenizer.json"])
        differs = "ids" in real and real["ids"] != [own.encode(text, add_special_tokens=False).ids for text in SAMPLES]
        told = otherwise(found)
        assert differs == (told is not None and told.today), (kind, model_type, real.get("error"))
        if differs and told is not None:
            ids = real["ids"][SAMPLES.index(told.text)]
            vocab = own.get_vocab()
            assert ids == [vocab[token] for token in told.built], (kind, model_type)
