"""Signs what this user's runs write in a directory, with a key that is kept outside of all models.

A journal says which files are to be replaced, so a journal that came with a download must not be trusted. Whoever made
the download doesn't know the key, and a signature for one directory isn't valid in another.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import suppress
from pathlib import Path

from template_fix.disk.user_folders import STATE, key_path

_LENGTH = 32


def sign(place: Path, content: bytes) -> str:
    """Return this user's signature of ``content`` for the directory ``place``; the key is made on first use.

    Raises OSError if the key can't be read or made.
    """
    return _signature(_key(), place, content)


def is_signed(place: Path, content: bytes, signature: object) -> bool:
    """Whether this user signed ``content`` for ``place``; false if there is no key.

    Raises OSError if the key can't be read.
    """
    try:
        key = _read_key(key_path())
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
        return _read_key(path)
    except FileNotFoundError:
        try:
            _make_key(path)
        except OSError as error:
            message = f"{error.strerror}, and the key of template-fix is kept there; set {STATE[0]} to another folder"
            raise OSError(error.errno, message, error.filename) from None
        return _read_key(path)


def _read_key(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != _LENGTH:
        raise OSError(None, "is no key; delete it", str(path))
    return key


def _make_key(path: Path) -> None:
    """Write a new key, completely or not at all; if two runs do so at once, the first key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"key.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(os.urandom(_LENGTH))
            file.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        made.unlink(missing_ok=True)
