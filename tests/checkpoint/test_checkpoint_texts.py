"""The files of a model are decoded when they are asked for, and are known by their bytes before."""

from __future__ import annotations

from hashlib import sha256

import pytest

from template_fix.checkpoint.json_file import CheckpointError
from template_fix.checkpoint.texts import Texts, hash_files

RAW = {"a.json": '{"a": "ä"}\r\n'.encode(), "b.jinja": b"\xef\xbb\xbfx", "c.json": b"\xff"}


def made() -> Texts:
    return Texts(RAW, {name: f"model/{name}" for name in RAW})


def test_it_is_a_mapping_of_texts() -> None:
    texts = made()
    assert list(texts) == list(RAW) and len(texts) == 3 and "a.json" in texts and "d" not in texts
    assert texts["a.json"] == '{"a": "ä"}\r\n' and texts["b.jinja"] == "\ufeffx"
    assert texts["a.json"] is texts["a.json"]


def test_a_file_that_is_no_text_is_refused_when_it_is_asked_for() -> None:
    texts = made()
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"model/c.json:1: this is not UTF-8"):
            texts["c.json"]


def test_digests_are_those_of_the_bytes_whether_they_are_decoded_or_not() -> None:
    texts, expected = made(), tuple((name, sha256(raw).hexdigest()) for name, raw in sorted(RAW.items()))
    assert hash_files(texts) == expected
    _ = texts["a.json"], texts["b.jinja"]
    assert hash_files(texts) == expected
    assert hash_files({"b.jinja": "\ufeffx"}) == (expected[1],)
