"""The store of former files in a directory: what it contains, and which of it is trusted.

The store, or a part of it, may have come with a download. So all of its folders must be real folders and no links, an
entry must be signed by this user for this directory, and its names must be those of files that this program can write.
Anything else was written by a stranger, and is never acted on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from template_fix.checkpoint.checkpoint import CONFIGS, EDITABLE
from template_fix.checkpoint.links import is_plain
from template_fix.checkpoint.template_copies import ADDITIONAL, SUFFIXES
from template_fix.disk.signature import is_signed, sign
from template_fix.text.display import UserError

# Uploads of a folder to the Hub leave out `.cache/huggingface` at any depth, but no other hidden folders.
STORE = PurePosixPath(".template-fix/.cache/huggingface")
ORIGIN = STORE / "origin.json"
LOCK, IGNORE, MANIFEST = "lock", ".gitignore", "manifest.json"

State = Literal["", "unfinished", "foreign"]

_LARGEST_MANIFEST, _AT_ONCE = 2**20, 2**16
_TEMPLATE = re.compile(rf"{re.escape(ADDITIONAL)}[^/]+\.jinja|[^/]+(?:{'|'.join(map(re.escape, SUFFIXES))})")


class WriteError(UserError):
    """Files could not be written or restored; the message is one line that says where, why and what to do."""


class ForeignError(WriteError):
    """The store was not written by this user in this directory."""


class Entry(NamedTuple):
    """A change that was decided: its folder, and for each file name the digests before and after."""

    path: Path
    files: Mapping[str, tuple[str, str]]

    @property
    def waits(self) -> bool:
        """Whether new files are still waiting to be moved into place."""
        return os.path.isdir(self.path / "after")

    def names(self, side: str) -> list[str]:
        """Return the names of the files in ``before`` or ``after``, whichever ``side`` names."""
        return [name for name in self.files if (self.path / side / name).is_file()]

    def refuse_damage(self, side: str) -> None:
        """Raise WriteError if a file in ``before`` or ``after`` was changed since it was put there."""
        for name in self.names(side):
            if digest_file(self.path / side / name) != self.files[name][side == "after"]:
                raise WriteError(f"{self.path / side / name}: is a damaged backup; nothing was changed")


def is_writable(name: str) -> bool:
    """Whether this program may change a file of this name, a relative path with forward slashes."""
    return name in (*EDITABLE, *CONFIGS) or (is_plain(name) and _TEMPLATE.fullmatch(name) is not None)


def find_state(directory: Path) -> State:
    """Return whether a directory's store is a stranger's, or is unfinished: a run was killed, or is running now.

    Nothing is written. Raises OSError if the store can't be read.
    """
    try:
        return "unfinished" if refuse_foreign(directory) else ""
    except ForeignError:
        return "foreign"


def refuse_foreign(directory: Path) -> bool:
    """Return whether a run was killed, or is running now. Raises ForeignError for a stranger's store."""
    refuse_links(directory)
    try:
        known = read_entries(directory)
        return find_begun_undo(directory) is not None or any(entry.waits for entry in known)
    except FileNotFoundError:  # another run has just moved on
        return False


def read_entries(directory: Path) -> list[Entry]:
    """Return the patches that can be undone. Raises ForeignError if any entry of the store is a stranger's."""
    store = directory / STORE
    if not os.path.isdir(store):
        return []
    find_begun_undo(directory)
    return [_read_entry(directory, store / name) for name in os.listdir(store) if name.isdecimal()]


def find_begun_undo(directory: Path) -> Entry | None:
    """Return the patch whose undo has begun but isn't complete, or None. Raises ForeignError."""
    path = directory / STORE / "undoing"
    return _read_entry(directory, path) if os.path.lexists(path) else None


def refuse_links(directory: Path) -> None:
    """Raise ForeignError if a folder of the store isn't a real folder, or one of its files isn't a regular file."""
    store = directory / STORE
    for folder in (store.parent.parent, store.parent, store, store / "scratch"):
        _require_kind(directory, folder, stat.S_ISDIR)
    for name in (LOCK, IGNORE, ORIGIN.name):
        _require_kind(directory, store / name, stat.S_ISREG)


def _read_entry(directory: Path, path: Path) -> Entry:
    _require_kind(directory, path, stat.S_ISDIR)
    files = _read_manifest(directory, path / MANIFEST)
    for side in ("before", "after"):
        for name in files:
            _require_kind(directory, path / side, stat.S_ISDIR)
            _require_kind(directory, (path / side / name).parent, stat.S_ISDIR)
            _require_kind(directory, path / side / name, stat.S_ISREG)
    return Entry(path, files)


def _require_kind(directory: Path, path: Path, kind: Callable[[int], bool]) -> None:
    """Raise ForeignError if a path exists and isn't of this kind."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not kind(mode):
        raise _foreign_error(directory)


def manifest_text(directory: Path, files: Mapping[str, tuple[str, str]]) -> bytes:
    """Return the signed manifest of an entry, as the bytes of its file."""
    return json.dumps({"files": files, "signature": sign(directory, _signed_content(files))}, indent=1).encode()


def _signed_content(files: object) -> bytes:
    return json.dumps(files, sort_keys=True).encode()


def _read_manifest(directory: Path, path: Path) -> dict[str, tuple[str, str]]:
    _require_kind(directory, path, stat.S_ISREG)
    try:
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise _foreign_error(directory)
        read = json.loads(path.read_bytes())
        files, signature = read["files"], read["signature"]
        content = _signed_content(files)
    except FileNotFoundError:
        if os.path.lexists(path.parent):
            raise _foreign_error(directory) from None
        raise
    except (ValueError, TypeError, LookupError, RecursionError):
        raise _foreign_error(directory) from None
    if not (is_signed(directory, content, signature) and all(map(is_writable, files))):
        raise _foreign_error(directory)
    return {name: (old, new) for name, (old, new) in files.items()}


def _foreign_error(directory: Path) -> ForeignError:
    store = directory / STORE.parts[0]
    return ForeignError(
        f"{store}: holds a journal that none of your runs wrote in this directory: it came with the files, was "
        f"damaged, or the directory was moved or copied. Nothing was done; delete {store} and run the command again"
    )


def encoded(text: str) -> Iterator[bytes]:
    """Yield the UTF-8 bytes of a text, some at a time: they need as much memory as the text itself."""
    return (text[at : at + _AT_ONCE].encode() for at in range(0, len(text), _AT_ONCE))


def digest(data: Iterable[bytes]) -> str:
    """Return the SHA-256 digest of bytes that come in parts, in hexadecimal."""
    found = hashlib.sha256()
    for part in data:
        found.update(part)
    return found.hexdigest()


def digest_file(path: Path) -> str | None:
    """Return the digest of a file, or None if there is no regular file."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with path.open("rb") as file:
            return digest(iter(lambda: file.read(_AT_ONCE), b""))
    except FileNotFoundError:
        return None
