from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from template_fix.checkpoint.checkpoint import LARGEST, Checkpoint, CheckpointError
from template_fix.text.edits import Edit, Span

CONFIG = "tokenizer_config.json"
TEMPLATE = "{{ a }}\n{{ 'é\"' }}\n"
NEW = "the tokenizer of transformers 4.52 and later"
OLD = "the tokenizer of transformers before 4.48"
PROCESSOR = "the processor of transformers"
SERVER = "vLLM and SGLang"
LLAMA = "llama.cpp's converter"


def directory(path: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        raw = content if isinstance(content, bytes) else None
        text = content if isinstance(content, str) else json.dumps(content, indent=1) if raw is None else ""
        file.write_bytes(text.encode() if raw is None else raw)
    return path


def config(**members: object) -> dict[str, object]:
    return {CONFIG: members}


FORMS = [
    pytest.param(config(chat_template=TEMPLATE), {"default"}, id="a string in the config"),
    pytest.param(
        config(chat_template=[{"name": name, "template": TEMPLATE} for name in ("default", "rag")]),
        {"default", "rag"},
        id="a list of named templates",
    ),
    pytest.param(config(chat_template={"tool_use": TEMPLATE}), {"tool_use"}, id="a mapping of names"),
    pytest.param({"chat_template.jinja": TEMPLATE}, {"default"}, id="a file of its own"),
    pytest.param({"additional_chat_templates/rag.jinja": TEMPLATE}, {"rag"}, id="an additional file"),
    pytest.param({"chat_template.json": {"chat_template": TEMPLATE}}, {"default"}, id="chat_template.json"),
    pytest.param({"processor_config.json": {"chat_template": TEMPLATE}}, {"default"}, id="the processor's config"),
]


@pytest.mark.parametrize(("files", "variants"), FORMS)
def test_every_storage_form_is_read_and_edited_in_place(
    tmp_path: Path, files: dict[str, object], variants: set[str]
) -> None:
    checkpoint = Checkpoint.read(directory(tmp_path, files))
    assert {copy.variant for copy in checkpoint.templates} == variants
    assert {copy.source for copy in checkpoint.templates} == {TEMPLATE}
    start = TEMPLATE.index("é")
    edits = [e for copy in checkpoint.templates for e in copy.edits([Edit(Span(start, start + 1), 'è\n"')])]
    changed = checkpoint.apply(edits)
    assert {copy.source for copy in changed.templates} == {TEMPLATE.replace("é", 'è\n"')}
    assert checkpoint.apply([]) == checkpoint


@pytest.mark.parametrize(("files", "variants"), FORMS)
def test_a_place_names_the_line_in_the_file_and_in_the_template(
    tmp_path: Path, files: dict[str, object], variants: set[str]
) -> None:
    checkpoint = Checkpoint.read(directory(tmp_path, files))
    copy = checkpoint.templates[-1]
    start = TEMPLATE.index("'é")
    place = copy.place(start, start + 4)
    assert (place.template, place.template_line, place.template_column) == (copy.variant, 2, 4)
    assert (place.source, place.width) == ("{{ 'é\"' }}", 4)
    line = checkpoint.files[copy.file].splitlines()[(place.line or 0) - 1]
    assert line[(place.column or 0) - 1 :].startswith(("'\\u00e9", "'é"))


def test_a_byte_order_mark_and_crlf_are_kept(tmp_path: Path) -> None:
    crlf = '\ufeff{\r\n  "chat_template": "a\\nb",\r\n  "eos_token": "x"\r\n}\r\n'
    checkpoint = Checkpoint.read(directory(tmp_path, {CONFIG: crlf, "chat_template.jinja": "\ufeffa\r\nb\r\n"}))
    jinja, string = checkpoint.templates
    assert (jinja.source, string.source) == ("\ufeffa\r\nb\r\n", "a\nb")
    changed = checkpoint.apply([e for copy in (jinja, string) for e in copy.edits([Edit(Span(0, 1), "c\n")])])
    assert changed.files == {CONFIG: crlf.replace('"a\\n', '"c\\n\\n'), "chat_template.jinja": "c\r\na\r\nb\r\n"}


CASES: list[tuple[str, dict[str, object], dict[str, str | None]]] = [
    (
        "a file replaces the config, but not for llama.cpp",
        {**config(chat_template="config"), "chat_template.jinja": "file"},
        {NEW: "file", OLD: "config", PROCESSOR: None, SERVER: "file", LLAMA: "config", "TGI": "config"},
    ),
    (
        "an empty file wins too",
        {**config(chat_template="config"), "chat_template.jinja": ""},
        {NEW: "", OLD: "config", LLAMA: "config"},
    ),
    (
        "an additional default comes before chat_template.jinja",
        {"chat_template.jinja": "file", "additional_chat_templates/default.jinja": "more"},
        {NEW: "more", SERVER: "more", OLD: None, LLAMA: None, "TGI": None},
    ),
    (
        "an additional file alone hides the config's template",
        {**config(chat_template="config"), "additional_chat_templates/rag.jinja": "rag"},
        {NEW: None, LLAMA: "config"},
    ),
    (
        "chat_template.json is read by processors and TGI, and last by llama.cpp",
        {**config(eos_token="x"), "chat_template.json": {"chat_template": "json"}, "chat_template.jinja": "file"},
        {NEW: "file", PROCESSOR: "json", SERVER: "json", LLAMA: "file", "TGI": "json"},
    ),
    (
        "the processor's config comes first for processors",
        {"processor_config.json": {"chat_template": "own"}, "chat_template.json": {"chat_template": "json"}},
        {PROCESSOR: "own", NEW: None, "TGI": "json"},
    ),
    (
        "llama.cpp doesn't take a mapping",
        {**config(chat_template={"default": "map"}), "chat_template.jinja": "file"},
        {LLAMA: "file", OLD: "map"},
    ),
]


@pytest.mark.parametrize(("files", "expected"), [pytest.param(f, e, id=name) for name, f, e in CASES])
def test_each_reader_sees_its_copy(tmp_path: Path, files: dict[str, object], expected: dict[str, str | None]) -> None:
    checkpoint = Checkpoint.read(directory(tmp_path, files))
    copies = {reader: checkpoint.copy_for(reader) for reader in expected}
    assert {reader: copy and copy.source for reader, copy in copies.items()} == expected


ENTRY = {"id": 5, "content": "<t>", "single_word": False, "lstrip": False, "rstrip": True, "normalized": False}


def test_every_form_of_a_token_is_recorded_alike(tmp_path: Path) -> None:
    files: dict[str, object] = {
        "tokenizer.json": {"added_tokens": [{**ENTRY, "special": True}], "model": {"vocab": {}, "merges": []}},
        CONFIG: {
            "added_tokens_decoder": {"5": {"content": "<t>", "special": False}},
            "additional_special_tokens": ["<a>", {"content": "<t>", "lstrip": True}],
            "extra_special_tokens": {"think_token": "<t>"},
            "open_token": "<t>",
            "pad_token": {"content": "<t>"},
            "add_bos_token": True,
            "eos_token": None,
        },
        "special_tokens_map.json": {"additional_special_tokens": ["<t>"], "unk_token": "<t>"},
        "added_tokens.json": {"<t>": 5},
    }
    checkpoint = Checkpoint.read(directory(tmp_path, files))
    told = [(r.file, r.where, r.name, r.id, r.special, r.order, r.listed) for r in checkpoint.records_of("<t>")]
    assert told == [
        ("tokenizer.json", "added_tokens", "", 5, True, 0, True),
        (CONFIG, "added_tokens_decoder", "", 5, False, 0, False),
        (CONFIG, "additional_special_tokens", "", None, None, 1, True),
        (CONFIG, "extra_special_tokens", "think_token", None, None, 0, False),
        (CONFIG, "open_token", "open_token", None, None, 0, False),
        (CONFIG, "pad_token", "pad_token", None, None, 0, False),
        ("special_tokens_map.json", "additional_special_tokens", "", None, None, 0, True),
        ("special_tokens_map.json", "unk_token", "unk_token", None, None, 0, False),
        ("added_tokens.json", "", "", 5, None, 0, False),
    ]
    assert checkpoint.records_of("<t>")[0].rstrip is True
    assert [r.content for r in checkpoint.records if r not in checkpoint.records_of("<t>")] == ["<a>"]


def test_values_of_files_that_are_never_edited_can_be_asked_for(tmp_path: Path) -> None:
    files: dict[str, object] = {"generation_config.json": {"eos_token_id": [1, 2]}, CONFIG: {}}
    checkpoint = Checkpoint.read(directory(tmp_path, files))
    assert checkpoint.value("generation_config.json", "eos_token_id") == [1, 2]
    assert checkpoint.value("config.json", "eos_token_id") is None


BAD: list[tuple[str, dict[str, object], str]] = [
    ("nothing in it", {}, "no tokenizer files here; expected tokenizer_config.json"),
    ("only a model's config", {"config.json": {}}, "no tokenizer files here"),
    ("JSON cut off", {CONFIG: '{\n "a": [1,'}, "tokenizer_config.json:2:10: the text is cut off where a value"),
    ("an empty JSON file", {CONFIG: ""}, "tokenizer_config.json:1:1: the text is cut off"),
    ("a list at the top", {CONFIG: []}, "tokenizer_config.json:1:1: an object in braces should stand here"),
    ("bytes that aren't UTF-8", {CONFIG: b'{"a":\n"\xff"}'}, "json:2: this is not UTF-8 (byte 0xff at offset 7)"),
    (
        "a Git LFS pointer",
        {"tokenizer.json": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"},
        "tokenizer.json: this is a Git LFS pointer, not the file; run git lfs pull",
    ),
    (
        "a link saved as text",
        {CONFIG: "../../blobs/505c5586"},
        "this is a symbolic link saved as text (it holds only ../../blobs/505c5586); download the file itself",
    ),
    (
        "two templates under one key",
        {CONFIG: '{"chat_template": "a",\n "chat_template": "b"}'},
        'json:2:2: the key "chat_template" stands twice, so readers may take either; delete one',
    ),
    ("two entries for one id", {CONFIG: '{"added_tokens_decoder": {"1": {}, "1": {}}}'}, 'the key "1" stands twice'),
    ("a template that is a number", config(chat_template=5), "chat_template should be a string or a list"),
    ("a list of templates without names", config(chat_template=[{"template": "a"}]), "name should be a string"),
    ("a list of texts", config(chat_template=["a"]), 'should be a name and a template, not "a"'),
    ("a number among tokens", config(additional_special_tokens=[1]), "a token of additional_special_tokens should be"),
    ("null among tokens", config(additional_special_tokens=["a", None]), "should be a string, not null"),
    ("a text for a list", config(additional_special_tokens="ab"), 'should be a list of tokens, not "ab"'),
    ("a number for eos", config(eos_token=2), "a token of eos_token should be a string, not the number 2"),
    ("a decoder that is a list", config(added_tokens_decoder=[]), "should map ids to tokens, not be a list"),
    ("an id that is none", config(added_tokens_decoder={"a": {}}), 'an id should stand here, not "a"'),
    ("a flag that is a text", config(added_tokens_decoder={"1": {"content": "a", "special": "no"}}), "true or false"),
    ("added tokens in a mapping", {"tokenizer.json": {"added_tokens": {}}}, "added_tokens should be a list"),
    ("an added token without text", {"tokenizer.json": {"added_tokens": [{"id": 1}]}}, "the content of a token"),
    ("an id that is a text", {"added_tokens.json": {"a": "1"}}, 'an id should be a whole number, not "1"'),
]


@pytest.mark.parametrize(("files", "message"), [pytest.param(f, m, id=name) for name, f, m in BAD])
def test_what_cant_be_read_is_told_in_one_line(tmp_path: Path, files: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.read(directory(tmp_path, files), "model")
    assert str(caught.value).startswith("model")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _too_large(path: Path) -> None:
    with (path / "tokenizer.json").open("wb") as file:
        file.truncate(500 * 2**20)


ODD: list[tuple[str, Callable[[Path], object], str]] = [
    ("a tokenizer.json of 500 MB", _too_large, "500 MB are more than a file of this kind holds"),
    ("a link to nowhere", lambda p: (p / CONFIG).symlink_to(p / "gone"), "the link leads nowhere"),
    ("a link to itself", lambda p: (p / CONFIG).symlink_to(p / CONFIG), "the file can't be read: "),
    ("a directory of that name", lambda p: (p / CONFIG).mkdir(), "this is a directory, not a file"),
    ("a pipe", lambda p: os.mkfifo(p / CONFIG), "this is a device or pipe, not a file"),
]


@pytest.mark.parametrize(("make", "message"), [pytest.param(m, t, id=name) for name, m, t in ODD])
def test_what_is_no_plain_file_is_told_in_one_line(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.read(tmp_path)


def test_the_limit_is_above_the_largest_vocabularies_and_below_100_mb() -> None:
    assert 40 * 2**20 < LARGEST["tokenizer.json"] < 100 * 2**20


def test_no_directory_and_a_file_in_its_place_are_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        Checkpoint.read(tmp_path / "gone")
    directory(tmp_path, {CONFIG: {}})
    with pytest.raises(CheckpointError, match="this is a file; name its directory"):
        Checkpoint.read(tmp_path / CONFIG)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    (directory(tmp_path, {CONFIG: {}}) / CONFIG).chmod(0)
    with pytest.raises(CheckpointError, match="the file can't be read: permission denied"):
        Checkpoint.read(tmp_path)


def test_every_directory_of_the_corpus_is_read_or_told_why_not(shared: Path) -> None:
    refused = {}
    for path in sorted((shared / "corpus/models").iterdir()):
        try:
            checkpoint = Checkpoint.read(path)
        except CheckpointError as error:
            refused[path.name] = str(error)
        else:
            assert checkpoint.templates or checkpoint.records
    assert list(refused) == ["vibethinker"]
    assert "symbolic link saved as text" in refused["vibethinker"]
