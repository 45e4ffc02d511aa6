from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import BYTE_LEVEL, FLAGS, alphabet, checkpoint, entry, files
from tokenizers import Tokenizer

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.tokens.stub_tokenizer import Vocabulary

TEXT = "<think>\n6 times 7\n</think>\n\n42"
SPLIT = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "never", "split": False}
METASPACE: dict[str, Any] = {"pre_tokenizer": SPLIT, "decoder": SPLIT}


def bpe(*merges: str, **model: Any) -> dict[str, Any]:
    pairs = [merge.split() for merge in merges]
    vocab = {**alphabet(), **{"".join(pair): 300 + order for order, pair in enumerate(pairs)}}
    return {"type": "BPE", "vocab": vocab, "merges": pairs, **model}


SCORES = [["<unk>", 0.0], ["<", -1.0], ["think", -2.5], [">", -1.0], ["/", -1.0], ['"think', -1.0]]
WORDS = {"[UNK]": 0, "<": 1, "think": 2, ">": 3, "</": 4}
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("byte-level pairs", {"model": bpe("t h", "i n", "in k", "th ink", "x y")}),
    ("pairs written as one text", {"model": {**bpe("t h", "in k"), "merges": ["t h"]}}),
    ("pairs with quotes", {"model": bpe('" t', 't "', "t h", '"t h', '" "')}),
    ("pieces by score", {"model": {"type": "Unigram", "unk_id": 0, "vocab": SCORES}, **METASPACE}),
    (
        "words",
        {"model": {"type": "WordLevel", "vocab": WORDS, "unk_token": "[UNK]"}, "pre_tokenizer": {"type": "Whitespace"}},
    ),
    ("a byte fallback", {"model": bpe("t h", byte_fallback=True, unk_token="<unk>"), **METASPACE}),
]


def with_model(parts: dict[str, Any], *added: dict[str, Any]) -> dict[str, Any]:
    base = {"version": "1.0", "pre_tokenizer": BYTE_LEVEL, "decoder": BYTE_LEVEL, **parts}
    return {"tokenizer.json": {**base, "added_tokens": [{"id": 900 + n, **one} for n, one in enumerate(added)]}}


@pytest.mark.parametrize("parts", [pytest.param(parts, id=name) for name, parts in MODELS])
@pytest.mark.parametrize("token", ["<think>", "</think>", "think"])
def test_pieces_are_those_of_the_whole_vocabulary(parts: dict[str, Any], token: str) -> None:
    found = with_model(parts)
    whole = Tokenizer.from_str(json.dumps(found["tokenizer.json"])).encode(token, add_special_tokens=False).tokens
    assert list(Vocabulary(checkpoint(found)).pieces(token, added=False)) == whole


@pytest.mark.parametrize("parts", [pytest.param(parts, id=name) for name, parts in MODELS])
def test_only_special_tokens_are_skipped(parts: dict[str, Any]) -> None:
    vocabulary = Vocabulary(checkpoint(with_model(parts, entry("<think>", True), entry("</think>", False))))
    printed = {
        special: "".join(vocabulary.round_trip("<think>a</think>", {"<think>": special}).split())
        for special in (False, True)
    }
    assert printed == {False: "<think>a</think>", True: "a</think>"}


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.just("\n"), max_size=20))
def test_ascii_text_comes_back_as_it_was(text: str) -> None:
    vocabulary = Vocabulary(checkpoint(files()))
    assert vocabulary.round_trip(text, {"<think>": True}).replace("<think>", "") == text.replace("<think>", "")


def test_an_added_token_is_one_piece_and_the_same_text_without_it_is_not() -> None:
    vocabulary = Vocabulary(checkpoint(files()))
    assert vocabulary.pieces("<think>", added=True) == ("<think>",)
    assert vocabulary.pieces("<think>", added=False) == tuple("<think>")


def test_without_a_tokenizer_nothing_is_known_of_pieces_but_skipping_can_be_tried() -> None:
    vocabulary = Vocabulary(Checkpoint("model", {"tokenizer_config.json": "{}"}))
    assert vocabulary.pieces("<think>", added=False) == ()
    assert vocabulary.round_trip(TEXT, {"<think>": True, "</think>": True}) == "\n6 times 7\n\n\n42"
    assert vocabulary.id_of("<think>") is None


@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_vocabulary_tells_an_id_as_it_is_spelled(ascii_only: bool) -> None:
    found = with_model({"model": bpe("é \u2581", "a b", '" c')})["tokenizer.json"]
    vocabulary = Vocabulary(Checkpoint("model", {"tokenizer.json": json.dumps(found, ensure_ascii=ascii_only)}))
    ids = [vocabulary.id_of(token) for token in ("ab", "é\u2581", "a", '"c', "c", "abc", "")]
    assert ids == [301, 300, 97, 302, 99, None, None]


def test_flags_of_a_record_are_tried() -> None:
    found = checkpoint(files(False, False))
    record = found.records_of("</think>")[1]
    printed = Vocabulary(found).round_trip_as("a \n</think>\n b", record._replace(rstrip=True))
    assert printed == "a \n</think>b"
    assert Vocabulary(found).round_trip_as("a \n</think>\n b", record) == "a \n</think>\n b"


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        pytest.param({"added_tokens": []}, "tokenizer.json: it has no model", id="no model"),
        pytest.param(
            {"model": {"type": "BPE"}, "added_tokens": [{"content": "<think>", **FLAGS, "special": False}]},
            "tokenizer.json: tokenizers can't read it: missing field `id`",
            id="an entry without id",
        ),
    ],
)
def test_what_the_library_refuses_is_told(tokenizer: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        Vocabulary(checkpoint({"tokenizer.json": tokenizer})).round_trip(TEXT, {"<think>": True})


@pytest.mark.slow
def test_pieces_of_the_corpus_are_those_of_the_whole_vocabulary(shared: Path) -> None:
    directories = [file.parent for file in shared.glob("corpus/models/*/tokenizer.json") if file.stat().st_size > 1000]
    assert len(directories) >= 3
    for directory in directories:
        content = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
        content["added_tokens"] = [each for each in content["added_tokens"] if "think" not in each["content"]]
        whole = Tokenizer.from_str(json.dumps(content))
        vocabulary = Vocabulary(Checkpoint.read(directory))
        for token in ("<think>", "</think>", "[THINK]", "<|START_THINKING|>", "thinking"):
            assert list(vocabulary.pieces(token, added=False)) == whole.encode(token, add_special_tokens=False).tokens
