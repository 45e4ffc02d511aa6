"""A store that came with a download: nothing that lies in it makes a run write, delete or restore anything."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from template_fix.cli.main import cli
from template_fix.disk.replace import recover, replace, undo
from template_fix.disk.store import STORE, ForeignError, WriteError, find_state, is_writable
from template_fix.disk.user_folders import key_path
from template_fix.engine.patch import check
from template_fix.hub.model import open_model

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links and FIFOs")

BEFORE, AFTER = '{"chat_template": "{{ 1 }}"}', '{"chat_template": "{{ 2 }}"}'
NAMES = {"tokenizer_config.json": (BEFORE, AFTER), "additional_chat_templates/rag.jinja": ("{{ 1 }}", "{{ 2 }}")}
# Every path that a store of one patch has.
PLACES = (
    *(".template-fix", ".template-fix/.cache", str(STORE)),
    *(f"{STORE}/{name}" for name in ("lock", ".gitignore", "origin.json", "scratch", "undoing")),
    *(f"{STORE}/1/{name}" for name in ("", "manifest.json", "before", "after")),
    *(f"{STORE}/1/{side}/{name}" for side in ("before", "after") for name in NAMES),
    *(f"{STORE}/1/{side}/additional_chat_templates" for side in ("before", "after")),
)
ACTIONS: dict[str, Callable[[Path], object]] = {
    "patch": lambda directory: replace(directory, {"chat_template.jinja": ("{{ 0 }}", "{{ 3 }}")}),
    "undo": undo,
    "recovery": recover,
}
actions = pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)


def model(directory: Path) -> Path:
    for name, (before, _) in {**NAMES, "chat_template.jinja": ("{{ 0 }}", "")}.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(before)
    return directory


def everything(root: Path) -> dict[str, object]:
    """Return all that lies below ``root`` without following a link: kinds, contents, targets, numbers."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[str(path.relative_to(root))] = (status.st_mode, status.st_ino, content)
    return found


def refused(root: Path, directory: Path, action: Callable[[Path], object]) -> None:
    """Require that an action ends in one line, with nothing touched in the model nor outside of it."""
    before = everything(root)
    with pytest.raises(ForeignError) as error:
        action(directory)
    assert everything(root) == before
    assert "\n" not in str(error.value) and ".template-fix" in str(error.value)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with a model in it, and what an attacker may be after beside it."""
    model(tmp_path / "model")
    (tmp_path / ".profile").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_text("mine, too")
    return tmp_path


@pytest.fixture
def patched(root: Path) -> Path:
    """The same, patched by this user, with the new files of the patch still waiting, as a kill leaves them."""
    directory = root / "model"
    replace(directory, NAMES)
    for name, (before, after) in NAMES.items():
        (directory / STORE / "1/after" / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / STORE / "1/after" / name).write_text(after)
        (directory / name).write_text(before)
    assert find_state(directory) == "unfinished"
    return root


def entry(directory: Path, where: str, manifest: object, name: str = "") -> None:
    """Write an entry of a store by hand."""
    folder = directory / STORE / where
    (folder / "before").mkdir(parents=True)
    (folder / "after").mkdir()
    text = manifest if isinstance(manifest, (str, bytes)) else json.dumps(manifest)
    (folder / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    for side in ("before", "after") if name else ():
        path = Path(os.path.normpath(folder / side / name))
        if directory in path.parents and not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("theirs")


OUTSIDE = ("../.profile", "/etc/passwd", "a/../../.profile", "..", "", "./x", "a\\..\\b", "C:x", "x\0")
INSIDE = ("config.json", "model.safetensors", ".bashrc", "tokenizer.json", "additional_chat_templates/a/b.jinja")


@pytest.mark.parametrize("name", [*OUTSIDE, *INSIDE])
@pytest.mark.parametrize("where", ["1", "7", "undoing"])
@actions
def test_names_in_a_journal_that_nobody_signed_are_not_acted_on(
    root: Path, where: str, name: str, action: Callable[[Path], object]
) -> None:
    sha = ["0" * 64] * 2
    files = {name: sha}
    for manifest in ({name: sha}, {"files": files, "signature": "0" * 64}, {"files": files, "signature": None}):
        if "\0" not in name:
            entry(root / "model", where, manifest, name.lstrip("/"))
            refused(root, root / "model", action)
            shutil.rmtree(root / "model/.template-fix")


@pytest.mark.parametrize("name", [*OUTSIDE, *INSIDE[1:3], INSIDE[4]])
def test_no_such_name_is_one_that_this_program_writes(name: str) -> None:
    assert not is_writable(name)
    assert all(map(is_writable, NAMES))


@actions
def test_a_journal_of_this_user_from_another_place_is_a_strangers(patched: Path, action: object) -> None:
    assert callable(action)
    shutil.copytree(patched / "model", patched / "copy", symlinks=True)
    refused(patched, patched / "copy", action)
    assert recover(patched / "model")


@actions
def test_a_journal_of_another_user_is_a_strangers(
    patched: Path, action: object, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert callable(action)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    refused(patched, patched / "model", action)
    assert not key_path().exists(), "looking makes no key"
    replace(model(home / "model"), NAMES)
    refused(patched, patched / "model", action)


@pytest.mark.parametrize("begun", ["1", "undoing"], ids=["an unfinished patch", "an unfinished undo"])
@actions
def test_no_file_is_moved_through_a_link_that_stands_in_the_place_of_a_folder(
    patched: Path, action: Callable[[Path], object], begun: str
) -> None:
    directory = patched / "model"
    (directory / "additional_chat_templates").rename(patched / "moved")
    (directory / "additional_chat_templates").symlink_to(patched / "moved")
    if begun == "undoing":
        shutil.rmtree(directory / STORE / "1/after")
        (directory / STORE / "1").rename(directory / STORE / begun)
    before = everything(patched)
    with pytest.raises(WriteError, match=r"rag\.jinja: was changed after a run was killed"):
        action(directory)
    assert everything(patched) == before


def test_a_key_is_never_looked_for_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_path() == tmp_path / ".local/state/template-fix/key"
    monkeypatch.setenv("HOME", "home")
    with pytest.raises(OSError, match=r"home directory.*set XDG_STATE_HOME|set XDG_STATE_HOME.*home directory"):
        key_path()


@pytest.mark.parametrize("home", [None, "/proc/nowhere"], ids=["no home directory", "one that can't be written"])
def test_where_no_key_can_be_made_a_patch_is_one_line_that_says_what_to_do(
    root: Path, home: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwd = pytest.importorskip("pwd")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)  # a container's user has no entry there
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    before = everything(root)
    with pytest.raises(WriteError, match=r"template-fix is kept.*; set XDG_STATE_HOME.*; nothing was changed$"):
        replace(root / "model", NAMES)
    assert everything(root) == before
    entry(root / "model", "1", {"files": {}, "signature": ""})
    assert open_model(str(root / "model")).checkpoint.files


BROKEN = {
    "a list": "[]",
    "cut off": '{"files"',
    "nothing": b"",
    "no UTF-8": b"\xff\xfe\x00",
    "nested deeply": "[" * 100_000,
    "nested deeply inside": '{"files": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + ', "signature": ""}',
    "a number of 5,000 digits": '{"files": {}, "signature": ' + "9" * 5000 + "}",
    "2 MB": '{"files": {}, "signature": "' + "0" * 2**21 + '"}',
    "files that are no mapping": '{"files": 1, "signature": "0"}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@actions
def test_a_broken_manifest_is_one_line(root: Path, text: object, action: object) -> None:
    assert callable(action)
    entry(root / "model", "1", text)
    refused(root, root / "model", action)


@pytest.mark.parametrize("place", PLACES)
@actions
def test_a_link_at_any_level_is_not_followed(patched: Path, place: str, action: object) -> None:
    """Each part of a real store is moved away and linked to, which a reader that follows links can't tell apart."""
    assert callable(action)
    path, target = patched / "model" / place, patched / "moved"
    if not path.exists():
        target.mkdir() if place.endswith(("scratch", "undoing")) else target.write_text("mine")
    else:
        path.rename(target)
    path.symlink_to(target)
    refused(patched, patched / "model", action)


def special(path: Path) -> Iterator[str]:
    os.mkfifo(path)
    yield "a pipe"
    path.unlink()
    path.mkdir()
    (path / "file").write_text("")
    yield "a folder"
    shutil.rmtree(path)
    path.write_text("")
    yield "a file"


@pytest.mark.parametrize("place", PLACES)
@actions
def test_a_pipe_or_whatever_else_stands_in_a_place_is_refused(patched: Path, place: str, action: object) -> None:
    assert callable(action)
    path = patched / "model" / place
    kind = "a folder" if path.is_dir() or place.endswith(("scratch", "undoing")) else "a file"
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for what in special(path):
        if what != kind:
            refused(patched, patched / "model", action)


@actions
def test_new_files_that_were_exchanged_in_an_unfinished_patch_are_not_moved_into_place(
    patched: Path, action: Callable[[Path], object]
) -> None:
    for side in ("before", "after"):
        (patched / "model" / STORE / "1" / side / "tokenizer_config.json").write_text("theirs")
    with pytest.raises(Exception, match=r"tokenizer_config\.json: is a damaged backup"):
        action(patched / "model")
    assert (patched / "model/tokenizer_config.json").read_text() == BEFORE
    assert (patched / "model/additional_chat_templates/rag.jinja").read_text() == "{{ 1 }}"


@pytest.mark.parametrize("command", [["patch"], ["undo"], ["patch", "--format", "json"]])
def test_the_commands_tell_of_a_strangers_store_in_one_line_and_exit_with_2(root: Path, command: list[str]) -> None:
    entry(root / "model", "1", {"files": {"../.profile": ["0" * 64, "1" * 64]}, "signature": "x"})
    before = everything(root)
    told = CliRunner().invoke(cli, [command[0], str(root / "model"), *command[1:]], standalone_mode=False)
    assert told.return_value == 2
    assert told.stderr.count("\n") == 1 and "none of your runs wrote" in told.stderr
    assert everything(root) == before


def test_check_tells_of_a_strangers_store_and_of_an_unfinished_run(patched: Path, tmp_path: Path) -> None:
    def told(directory: Path) -> list[str]:
        return [each.message for each in check(open_model(str(directory)).checkpoint).findings if each.code == "TF403"]

    assert "was stopped while it moved files" in told(patched / "model")[0]
    recover(patched / "model")
    assert not told(patched / "model")
    (patched / "model").rename(patched / "moved")
    assert "no run of yours" in told(patched / "moved")[0]


def test_deleting_a_strangers_store_is_the_way_on(root: Path) -> None:
    entry(root / "model", "1", [])
    shutil.rmtree(root / "model/.template-fix")
    replace(root / "model", NAMES)
    assert undo(root / "model") == tuple(NAMES)
