"""A Hub that means harm: what it answers takes no more than so long, fills no disk, and is believed nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub, Repo

from template_fix.cli.demo import model_files
from template_fix.cli.main import main
from template_fix.hub import client
from template_fix.hub.client import Remote, RemoteFile, fetch_info
from template_fix.hub.errors import HubError
from template_fix.hub.model import fetch_model
from template_fix.hub.tokenizer_files import is_read

pytestmark = pytest.mark.children

BROKEN = {name: text.encode() for name, text in model_files().items()}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
TOKEN = "my-own-token-0123456789"


@pytest.fixture
def repo(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", hub.user("me"))
    return hub.add("org/model", BROKEN)


def told(capfd: pytest.CaptureFixture[str], *command: str) -> str:
    """Run a command that has to end with one line and exit code 2."""
    assert main(command) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1, err
    return err


def answer(body: bytes) -> Iterator[bytes]:
    yield HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


INFO: dict[str, Any] = {"id": "org/model", "sha": "0" * 40, "private": False, "siblings": []}
SIBLING = {"rfilename": "tokenizer.json", "size": 5, "blobId": "0" * 40}
SHAPES: dict[str, object] = {
    "null": None,
    "a number": 7,
    "a list": [INFO],
    "a text": "org/model",
    "an empty object": {},
    "siblings that are a text": {**INFO, "siblings": "tokenizer.json"},
    "siblings that are numbers": {**INFO, "siblings": [1, 2]},
    "siblings without names": {**INFO, "siblings": [{"size": 1}]},
    "a name that is a number": {**INFO, "siblings": [{**SIBLING, "rfilename": 7}]},
    "a name that is a list": {**INFO, "siblings": [{**SIBLING, "rfilename": ["a"]}]},
    "a size that is a text": {**INFO, "siblings": [{**SIBLING, "size": "5"}]},
    "a size below nothing": {**INFO, "siblings": [{**SIBLING, "size": -5}]},
    "a digest that is an object": {**INFO, "siblings": [{**SIBLING, "blobId": {"a": 1}}]},
    "a commit that is a path": {**INFO, "sha": "../../../etc"},
    "a commit that is a number": {**INFO, "sha": 12345678},
    "no commit": {**INFO, "sha": None},
    "an id that is a path": {**INFO, "id": "../../etc/passwd"},
    "an id that acts on a terminal": {**INFO, "id": "org/\x1b]0;x\x07model"},
    "an id of a million letters": {**INFO, "id": "org/" + "m" * 1_000_000},
    "a date that is none": {**INFO, "lastModified": "yesterday", "createdAt": {}},
    "a card that is a list": {**INFO, "cardData": [1]},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_answer_of_another_shape_is_one_line(
    hub: Hub, repo: Repo, shape: object, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.fail("GET", r"/api/models/org/model", says=lambda: answer(json.dumps(shape).encode()))
    assert "doesn't answer as the Hub does" in (said := told(capfd, "check", "org/model")) or "no tokenizer" in said
    assert len(said) < 1200 and "\x1b" not in said


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 500_000, id="nested deeply"),
        pytest.param(b'{"id": ' + b"9" * 5000 + b"}", id="a number of 5,000 digits"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b'{"id"', id="cut off"),
    ],
)
def test_what_is_no_json_is_one_line(hub: Hub, repo: Repo, body: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    hub.fail("GET", r"/api/models/org/model", says=lambda: answer(body))
    told(capfd, "check", "org/model")


def dripping(length: int = 10**9) -> Iterator[bytes]:
    yield HEAD + b"Content-Length: %d\r\n\r\n" % length
    while True:
        yield b" "
        time.sleep(0.05)


def test_an_answer_that_comes_byte_by_byte_is_not_waited_for(
    hub: Hub, repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_SECONDS", 1.5)
    hub.fail("GET", r"/api/models/org/model", says=dripping)
    begun = time.monotonic()
    assert "takes more than 1.5 s; run the same command again" in told(capfd, "check", "org/model")
    assert time.monotonic() - begun < 10


def test_a_file_that_comes_byte_by_byte_is_not_waited_for(
    hub: Hub, repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_SECONDS", 1.5)
    length = len(BROKEN["tokenizer.json"])
    hub.fail("GET", r"/resolve/.*tokenizer\.json", says=lambda: dripping(length))
    assert "takes more than 1." in told(capfd, "check", "org/model")


def test_an_answer_without_end_takes_no_more_memory_than_this(
    hub: Hub, repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless() -> Iterator[bytes]:
        yield HEAD + b"\r\n["
        while True:
            yield b"1," * 500_000

    monkeypatch.setattr(client, "_MEGABYTES", 128)
    hub.fail("GET", r"/api/models/org/model", says=endless)
    told(capfd, "check", "org/model")


def test_a_file_that_is_longer_than_it_was_listed_does_not_fill_the_disk(
    hub: Hub, repo: Repo, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless() -> Iterator[bytes]:
        yield HEAD.replace(b"application/json", b"application/octet-stream") + b"\r\n"
        while True:
            yield b"x" * 100_000

    monkeypatch.setattr(client, "_SLACK", 1 << 20)
    hub.fail("GET", r"/resolve/.*tokenizer\.json", says=endless)
    told(capfd, "check", "org/model")
    cache = Path(os.environ["HF_HOME"])
    assert max(path.stat().st_size for path in cache.rglob("*") if path.is_file()) < 4 << 20


NAMES = (
    *("../tokenizer.json", "/tokenizer.json", "a/../../vocab.json", "..\\vocab.json", "C:\\vocab.json", "C:vocab.json"),
    *(
        "additional_chat_templates/../x.jinja",
        "additional_chat_templates/..\\x.jinja",
        "additional_chat_templates/.jinja",
    ),
    *(
        "tokenizer\x00.json",
        "tokenizer\n.json",
        "tokenizer\x1b[2J.json",
        ".vocab.json",
        "additional_chat_templates\\x.jinja",
    ),
)


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_no_name_leads_out_of_the_cache(name: str) -> None:
    from template_fix.hub.tokenizer_files import is_tokenizer_file

    assert not is_read(name) and not is_tokenizer_file(name)


def test_a_file_that_was_not_listed_as_large_is_still_refused_by_its_size(hub: Hub, repo: Repo) -> None:
    listed = fetch_info("org/model")
    lying = Remote(listed.repo, False, "main", listed.commit, {"tokenizer.json": RemoteFile(10**12, "0")})
    with pytest.raises(ValueError, match="more than a file of this kind holds"):
        fetch_model(lying)


@pytest.mark.parametrize("status", [400, 403, 409, 422, 418])
def test_a_secret_that_the_hub_echoes_is_not_printed(
    hub: Hub, repo: Repo, status: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    said = f"bad token {TOKEN}, Bearer {TOKEN}, hf_abcdefghijklmnopqrstuvwxyz0123456789, http://me:{TOKEN}@hub/x"

    def echo() -> Iterator[bytes]:
        body = json.dumps({"error": said}).encode()
        yield b"HTTP/1.1 %d No\r\nX-Error-Message: %s\r\n" % (status, said.encode())
        yield b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    hub.fail("GET", r"/api/models/org/model", says=echo)
    for error in (told(capfd, "check", "org/model"), told(capfd, "push", "org/model", "--to", "org/model")):
        assert TOKEN not in error and "hf_abc" not in error and "me:" not in error
    with pytest.raises(HubError) as raised:
        fetch_info("org/model")
    assert TOKEN not in str(raised.value)
