"""What lies in a directory's store of former files, and what is believed of it.

The store may have come with a download, in whole or in part. So its folders are real ones at every level, an entry has
to be signed by this user in this place, and the names in it are those of files that this program can write. Anything
else is a stranger's: no run acts on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from template_fix.checkpoint.checkpoint import CONFIGS, EDITABLE
from template_fix.checkpoint.links import is_plain
from template_fix.checkpoint.template_copies import ADDITIONAL, SUFFIXES
from template_fix.disk.signature import is_signed, sign
from template_fix.text.display import UserError

# Uploads of a whole folder to the Hub skip `.cache/huggingface` at any depth, and nothing else that is hidden.
STORE = PurePosixPath(".template-fix/.cache/huggingface")
ORIGIN = STORE / "origin.json"
LOCK, IGNORE, MANIFEST = "lock", ".gitignore", "manifest.json"

State = Literal["", "unfinished", "foreign"]

_LARGEST_MANIFEST = 2**20
_TEMPLATE = re.compile(rf"{re.escape(ADDITIONAL)}[^/]+\.jinja|[^/]+(?:{'|'.join(map(re.escape, SUFFIXES))})")


class WriteError(UserError):
    """A directory could not be written or undone; the message is one line that says where, why and what to do."""


class ForeignError(WriteError):
    """A store that no run of this user's wrote in this place."""


class Entry(NamedTuple):
    """A change that was decided: its folder, and the digests before and after of each file by name."""

    path: Path
    files: Mapping[str, tuple[str, str]]

    @property
    def waits(self) -> bool:
        """Whether new files still have to be moved into place."""
        return os.path.isdir(self.path / "after")

    def names(self, side: str) -> list[str]:
        """Return the names of the files that lie in ``before`` or ``after``."""
        return [name for name in self.files if (self.path / side / name).is_file()]

    def refuse_damage(self, side: str) -> None:
        """Raise WriteError where a file in ``before`` or ``after`` isn't what was put there."""
        for name in self.names(side):
            if digest(self.path / side / name) != self.files[name][side == "after"]:
                raise WriteError(f"{self.path / side / name}: is a damaged backup; nothing was changed")


def writable(name: str) -> bool:
    """Whether this program ever changes a file of this name, which is relative, with forward slashes."""
    return name in (*EDITABLE, *CONFIGS) or (is_plain(name) and _TEMPLATE.fullmatch(name) is not None)


def state(directory: Path) -> State:
    """Tell whether a directory has a stranger's store, or one that a run left unfinished or is at work on now.

    Nothing is written. Raises OSError where the system doesn't let us look.
    """
    try:
        return "unfinished" if refuse_foreign(directory) else ""
    except ForeignError:
        return "foreign"


def refuse_foreign(directory: Path) -> bool:
    """Return whether a run was left unfinished, or is at work now. Raises ForeignError for a stranger's store."""
    refuse_links(directory)
    try:
        known = entries(directory)
        return begun_undo(directory) is not None or any(entry.waits for entry in known)
    except FileNotFoundError:  # another run has just moved on
        return False


def entries(directory: Path) -> list[Entry]:
    """Return the patches that can be undone. Raises ForeignError where any entry of the store is a stranger's."""
    store = directory / STORE
    if not os.path.isdir(store):
        return []
    begun_undo(directory)
    return [_entry(directory, store / name) for name in os.listdir(store) if name.isdecimal()]


def begun_undo(directory: Path) -> Entry | None:
    """Return the patch whose undo has begun. Raises ForeignError."""
    path = directory / STORE / "undoing"
    return _entry(directory, path) if os.path.lexists(path) else None


def refuse_links(directory: Path) -> None:
    """Raise ForeignError where the way to the store, or what lies in it, isn't of the kind that this program makes."""
    store = directory / STORE
    for folder in (store.parent.parent, store.parent, store, store / "scratch"):
        _require(directory, folder, stat.S_ISDIR)
    for name in (LOCK, IGNORE, ORIGIN.name):
        _require(directory, store / name, stat.S_ISREG)


def _entry(directory: Path, path: Path) -> Entry:
    _require(directory, path, stat.S_ISDIR)
    files = _manifest(directory, path / MANIFEST)
    for side in ("before", "after"):
        for name in files:
            _require(directory, path / side, stat.S_ISDIR)
            _require(directory, (path / side / name).parent, stat.S_ISDIR)
            _require(directory, path / side / name, stat.S_ISREG)
    return Entry(path, files)


def _require(directory: Path, path: Path, kind: Callable[[int], bool]) -> None:
    """Raise ForeignError where something of another kind stands at a path; nothing need stand there."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not kind(mode):
        raise _foreign(directory)


def manifest_text(directory: Path, files: Mapping[str, tuple[str, str]]) -> bytes:
    """Return the manifest of an entry, signed."""
    return json.dumps({"files": files, "signature": sign(directory, _content(files))}, indent=1).encode()


def _content(files: object) -> bytes:
    return json.dumps(files, sort_keys=True).encode()


def _manifest(directory: Path, path: Path) -> dict[str, tuple[str, str]]:
    _require(directory, path, stat.S_ISREG)
    try:
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise _foreign(directory)
        read = json.loads(path.read_bytes())
        files, signature = read["files"], read["signature"]
        content = _content(files)
    except FileNotFoundError:
        if os.path.lexists(path.parent):
            raise _foreign(directory) from None
        raise
    except (ValueError, TypeError, LookupError, RecursionError):
        raise _foreign(directory) from None
    if not (is_signed(directory, content, signature) and all(map(writable, files))):
        raise _foreign(directory)
    return {name: (old, new) for name, (old, new) in files.items()}


def _foreign(directory: Path) -> ForeignError:
    store = directory / STORE.parts[0]
    return ForeignError(
        f"{store}: holds a journal that no run of yours wrote in this place: it came with the files, was damaged, or "
        f"the directory was moved or copied; nothing is done by it. Delete {store} and run the command again"
    )


def sha(data: bytes) -> str:
    """Return the digest of a file's content."""
    return hashlib.sha256(data).hexdigest()


def digest(path: Path) -> str | None:
    """Return the digest of a file, None where there is none, or something else that mustn't be read."""
    try:
        return sha(path.read_bytes()) if stat.S_ISREG(os.lstat(path).st_mode) else None
    except FileNotFoundError:
        return None
