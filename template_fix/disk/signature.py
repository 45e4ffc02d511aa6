"""Tells what this user's runs have written in a place: they sign it with a key that lies outside of every model.

A journal tells which files are to be replaced, so one that came with a download must not be believed. Whoever made the
download doesn't know the key, and a signature made for one directory doesn't hold in another.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path

_LENGTH = 32
_WINDOWS = sys.platform == "win32"
_STATE = ("LOCALAPPDATA", "AppData/Local") if _WINDOWS else ("XDG_STATE_HOME", ".local/state")
_CACHE = ("LOCALAPPDATA", "AppData/Local") if _WINDOWS else ("XDG_CACHE_HOME", ".cache")


def key_path() -> Path:
    """Return where the user's key is kept: with the state of programs. Raises OSError where there is no such folder."""
    return _own(*_STATE) / "key"


def cache_path() -> Path:
    """Return the folder for what can be found out again. Raises OSError where there is none."""
    return _own(*_CACHE) / "cache"


def _own(variable: str, usual: str) -> Path:
    """Return this program's folder below the one that an environment variable names.

    A relative path would lie in the working directory, which may be a stranger's, with a key that the stranger knows.
    """
    folder = os.environ.get(variable, "")
    if not os.path.isabs(folder):
        folder = os.path.join(os.path.expanduser("~"), usual)
    if not os.path.isabs(folder):
        raise OSError(
            None, f"is not known, and the key of template-fix is kept there; set {variable}", "home directory"
        )
    return Path(folder, "template-fix")


def sign(place: Path, content: bytes) -> str:
    """Return this user's signature of ``content`` in the directory ``place``; the key is made at its first use.

    Raises OSError where the key can't be read or made.
    """
    return _signature(_key(), place, content)


def is_signed(place: Path, content: bytes, signature: object) -> bool:
    """Whether this user signed ``content`` in ``place``; never, where there is no key.

    Raises OSError where the key can't be read.
    """
    try:
        key = _read(key_path())
    except FileNotFoundError:
        return False
    return isinstance(signature, str) and hmac.compare_digest(
        _signature(key, place, content).encode(), signature.encode(errors="replace")
    )


def _signature(key: bytes, place: Path, content: bytes) -> str:
    signed = hashlib.sha256(os.fsencode(os.path.realpath(place))).digest() + content
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


def _key() -> bytes:
    path = key_path()
    try:
        return _read(path)
    except FileNotFoundError:
        try:
            _make(path)
        except OSError as error:
            message = f"{error.strerror}, and the key of template-fix is kept there; set {_STATE[0]} to another folder"
            raise OSError(error.errno, message, error.filename) from None
        return _read(path)


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != _LENGTH:
        raise OSError(None, "is no key; delete it", str(path))
    return key


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; where two runs do so at once, the first one's stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_LENGTH))
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        made.unlink(missing_ok=True)
