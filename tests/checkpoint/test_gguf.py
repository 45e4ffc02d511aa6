"""A GGUF file: what is read of its metadata, what is found there, and the repaired copy."""

from __future__ import annotations

import json
import re
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gguf_files import TOKENS, USER_DEFINED, read_whole, write_gguf
from hypothesis import given, settings
from hypothesis import strategies as st

from template_fix import api
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.gguf import texts_of
from template_fix.checkpoint.gguf_header import LARGEST_HEADER, read_header
from template_fix.cli.main import main
from template_fix.disk.store import WriteError

TEMPLATES = sorted((Path(__file__).parents[1] / "templates").glob("*.jinja"))
DROPS = (Path(__file__).parents[1] / "templates" / "strip.jinja").read_text(encoding="utf-8")
KEY = "tokenizer.chat_template"
# Of the files of a directory alone.
ELSEWHERE = {"TF101", "TF302", "TF303", "TF304", "TF305", "TF306", "TF401", "TF402", "TF403", "TF503", "TF504"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "model.gguf", DROPS)


def as_directory(path: Path, template: str) -> Path:
    """Write the model that a GGUF file was made of, as its directory has it."""
    path.mkdir()
    added = [{"id": number, "content": token, "special": True} for number, token in enumerate(TOKENS[:6])]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    path.joinpath("tokenizer.json").write_text(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": [{**each, **flags} for each in added],
                "model": {"type": "BPE", "vocab": {"a": 6, "b": 7, "ab": 8}, "merges": ["a b"]},
            }
        )
    )
    path.joinpath("tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "<|im_end|>"}))
    path.joinpath("chat_template.jinja").write_text(template, encoding="utf-8")
    return path


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_it_has_what_is_found_in_the_directory_of_the_same_model(template: Path, tmp_path: Path) -> None:
    text = template.read_text(encoding="utf-8")
    directory = api.check(as_directory(tmp_path / "model", text))
    file = api.check(write_gguf(tmp_path / "model.gguf", text))

    def told(report: Any) -> list[tuple[str, str | None, int | None]]:
        found = (each for each in report.findings if each.code not in ELSEWHERE)
        return [(each.code, each.level, each.code < "TF3" and each.place and each.place.line) for each in found]

    assert told(file) == told(directory)


def test_each_template_is_found_by_its_key(tmp_path: Path) -> None:
    templates = [{"name": "default", "template": DROPS}, {"name": "tool_use", "template": DROPS + "!"}]
    checkpoint = Checkpoint.read(write_gguf(tmp_path / "model.gguf", templates))
    assert [(copy.file, copy.variant) for copy in checkpoint.templates] == [
        (KEY, "default"),
        (f"{KEY}.tool_use", "tool_use"),
    ]


def test_without_a_template_it_is_said_where_one_would_be(tmp_path: Path) -> None:
    [finding] = api.check(write_gguf(tmp_path / "model.gguf", None)).findings[:1]
    assert (finding.code, KEY in finding.message) == ("TF101", True)


@pytest.mark.parametrize(
    ("big_endian", "alignment", "tensors"),
    [
        pytest.param(False, None, 2, id="as they are"),
        pytest.param(True, 64, 3, id="big endian"),
        pytest.param(False, 4096, 1, id="pages"),
        pytest.param(False, None, 0, id="no tensors"),
    ],
)
def test_the_copy_is_repaired_and_its_tensors_are_the_same(
    tmp_path: Path, big_endian: bool, alignment: int | None, tensors: int
) -> None:
    model = write_gguf(tmp_path / "model.gguf", DROPS, big_endian=big_endian, alignment=alignment, tensors=tensors)
    former = model.read_bytes()
    patched = api.patch(model, output=tmp_path / "new.gguf")
    assert model.read_bytes() == former
    assert {"TF201", "TF301"} <= {code for repair in patched.result.kept for code in repair.codes}
    assert {"TF201", "TF301"}.isdisjoint(each.code for each in api.check(tmp_path / "new.gguf").findings)
    (before, tensors_before), (after, tensors_after) = read_whole(model), read_whole(tmp_path / "new.gguf")
    assert tensors_after == tensors_before
    assert after.pop(KEY) == patched.result.changed[KEY][1] != before.pop(KEY)
    was, types = before.pop("tokenizer.ggml.token_type"), after.pop("tokenizer.ggml.token_type")
    assert types == [USER_DEFINED if "think" in token else was[at] for at, token in enumerate(TOKENS)]
    assert after == before


def test_a_copy_of_what_is_right_is_the_same_file(tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "model.gguf", None, types=[USER_DEFINED] * len(TOKENS))
    api.patch(model, output=tmp_path / "new.gguf")
    assert (tmp_path / "new.gguf").read_bytes() == model.read_bytes()


def test_it_is_never_written_to(model: Path, tmp_path: Path) -> None:
    former = model.read_bytes()
    for output in (model, tmp_path / "model.gguf"):
        with pytest.raises(WriteError, match="exists already"):
            api.patch(model, output=output)
    with pytest.raises(CheckpointError, match="isn't patched in place; name a copy with --output"):
        api.patch(model)
    with pytest.raises(WriteError, match="name a new file for the copy"):
        api.patch(model, output=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]
    assert model.read_bytes() == former


def test_a_copy_that_came_out_wrong_is_not_kept(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from template_fix.disk import gguf_copy

    monkeypatch.setattr(gguf_copy, "_digest", lambda file, copy=None: copy.write(b"x") if copy else file.read())
    with pytest.raises(WriteError, match="what came out isn't what was to be written; nothing was kept"):
        api.patch(model, output=tmp_path / "new.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_a_disk_that_is_full_leaves_nothing(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WriteError, match="No space left on device; nothing was written"):
        api.patch(model, output=tmp_path / "new.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: object) -> tuple[int, str, str]:
        return main(list(map(str, arguments))), *capfd.readouterr()

    return call


def test_the_command_says_what_to_do_next(call: Call, model: Path, tmp_path: Path) -> None:
    code, told, _ = call("check", model)
    assert (code, f"template-fix patch {model} --output NEW.gguf" in told) == (1, True)
    code, told, _ = call("patch", model, "--output", tmp_path / "new.gguf")
    assert (code, "made, written" in " ".join(told.split()), "undo" in told) == (0, True, False)


def test_it_is_not_pushed_as_a_tokenizer(call: Call, model: Path) -> None:
    code, told, error = call("push", model, "--to", "me/model", "--dry-run")
    assert (code, told, "is a GGUF file" in error) == (2, "", True)


def test_code_scanning_is_led_to_the_file(call: Call, model: Path) -> None:
    [run] = json.loads(call("check", model, "--format", "sarif")[1])["runs"]
    locations = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert {json.dumps(each) for each in locations} == {json.dumps({"artifactLocation": {"uri": model.as_uri()}})}
    assert f"file={model},title=TF201" in call("check", model, "--format", "github")[1]


def test_the_diff_shows_templates_and_tokens_as_text(call: Call, model: Path) -> None:
    _, diff, _ = call("patch", model, "--diff")
    assert f"--- a/{KEY}" in diff
    assert '+  {"id": 2, "content": "<think>", "special": false},' in diff


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def gguf(*parts: bytes, keys: int = 1, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + b"".join(parts)


def entry(key: str, type: int, value: bytes) -> bytes:
    return string(key.encode()) + struct.pack("<I", type) + value


HOSTILE = {
    "something else by its name": (b"not at all", "this is no GGUF file"),
    "an empty file": (b"", "is cut off"),
    "another version": (gguf(version=1), "is of version 1 of GGUF"),
    "more keys than there are": (gguf(keys=2**63), "keys are more than a model has"),
    "more tensors than there are": (gguf(tensors=2**40, keys=0), "tensors are more than a model has"),
    "a key without end": (gguf(struct.pack("<Q", 2**62)), "a key of .* bytes is longer than any is"),
    "a key that is no text": (gguf(string(b"\xff\xfe")), "is not UTF-8"),
    "a text without end": (gguf(entry(KEY, 8, struct.pack("<Q", 2**62))), "is more than 64 MB"),
    "a text that is cut off": (gguf(entry(KEY, 8, struct.pack("<Q", 100) + b"abc")), "is cut off"),
    "an array of numbers without end": (gguf(entry("a", 9, struct.pack("<IQ", 5, 2**60))), "is more than 64 MB"),
    "an array of texts without end": (gguf(entry("a", 9, struct.pack("<IQ", 8, 2**60))), "is more than 64 MB"),
    "arrays in arrays": (gguf(entry("a", 9, struct.pack("<IQ", 9, 2**60))), "a value of the type 9"),
    "a type that is none": (gguf(entry("a", 77, b"")), "a value of the type 77"),
    "a key twice": (gguf(entry("a", 0, b"x"), entry("a", 0, b"x"), keys=2), "stands twice"),
    "a template that is a number": (gguf(entry(KEY, 4, b"abcd")), "should be a text"),
    "a template that is no text": (gguf(entry(KEY, 8, string(b"\xff"))), "is not UTF-8"),
    "tokens that are numbers": (gguf(entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 4, 0))), "array of texts"),
    "types of other tokens": (
        gguf(entry("tokenizer.ggml.token_type", 9, struct.pack("<IQi", 5, 1, 3))),
        "0 tokens and 1 types",
    ),
    "a layout by an odd number": (gguf(entry("general.alignment", 4, struct.pack("<I", 3))), "is 3, and no power"),
    "a tensor of many dimensions": (
        gguf(string(b"t") + struct.pack("<I", 2**31), keys=0, tensors=1),
        "dimensions is none",
    ),
}


@pytest.mark.parametrize("command", [["check"], ["patch", "--output", "new.gguf"]], ids=lambda command: command[0])
@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_none_is_one_line_and_nothing_is_written(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str], content: bytes, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.gguf").write_bytes(content)
    start = time.process_time()
    code, told, error = call(command[0], "model.gguf", *command[1:])
    assert time.process_time() - start < 5
    assert (code, told, error.count("\n")) == (2, "", 1)
    assert re.search(message, error)
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_a_header_of_as_many_texts_as_fit_is_read_soon(tmp_path: Path) -> None:
    items = LARGEST_HEADER // 8 - 100
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(entry("a", 9, struct.pack("<IQ", 8, items)), bytes(8 * items)))
    start = time.process_time()
    assert texts_of(read_header(path, "model.gguf"))
    assert time.process_time() - start < 20


@settings(max_examples=200)
@given(st.data())
def test_no_byte_that_changes_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    base = tmp_path_factory.getbasetemp() / "fuzzed.gguf"
    if not base.exists():
        write_gguf(base, DROPS)
    content = bytearray(base.read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
    path = base.with_name("changed.gguf")
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), 40, 400, 1200]))])
    try:
        Checkpoint.read(path, "model.gguf")
    except CheckpointError as error:
        assert str(error).startswith("model.gguf")
        assert "\n" not in str(error)


def test_only_the_header_is_read(tmp_path: Path) -> None:
    model = write_gguf(tmp_path / "model.gguf", DROPS)
    with open(model, "r+b") as file:
        file.truncate(8 << 40)  # with a hole, where the file system has such
    start = time.process_time()
    assert Checkpoint.read(model).templates
    assert time.process_time() - start < 1


def test_it_says_what_the_makers_own_reader_says(model: Path) -> None:
    fields, _ = read_whole(model)
    header = read_header(model, "model.gguf")
    assert [*header.entries] == [*fields]
    assert header.text(KEY) == fields[KEY]
    assert [token.decode() for token in header.texts("tokenizer.ggml.tokens")] == fields["tokenizer.ggml.tokens"]
    assert list(header.numbers("tokenizer.ggml.token_type")) == fields["tokenizer.ggml.token_type"]
