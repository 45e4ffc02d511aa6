"""The user's cache of results that take long to compute, for later runs of the same program.

Entries are unpickled, so only those that this user signed are read. If anything is wrong with the cache, the result is
computed again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import secrets
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from template_fix.disk.signature import cache_path, is_signed, sign

MOST_ENTRIES, LARGEST = 512, 4 * 2**20
_SIGNATURE = 64


def entry_name(*known: object) -> str:
    """Return the cache name of a result that depends only on these values and on the programs that run.

    Equal values must have an equal ``repr``, so sets are not allowed.
    """
    return hashlib.sha256(repr((known, _program_versions())).encode(errors="surrogatepass")).hexdigest()


@cache
def _program_versions() -> tuple[object, ...]:
    """Return what identifies this release of the program, local edits included, and this version of Python."""
    patches = find_spec("template_fix.patches")
    folders = (Path(__file__).parents[1], *map(Path, (patches and patches.submodule_search_locations) or ()))
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".toml"})
    stats = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    return stats, sys.version, version("jinja2"), version("markupsafe")


def recall(name: str) -> Any:
    """Return the value that was kept under a name, or None if there is none that this user signed."""
    try:
        path = cache_path() / name
        with path.open("rb") as file:
            signature, content = file.read(_SIGNATURE), file.read(LARGEST + 1)
        if len(content) > LARGEST or not is_signed(path, content, signature.decode("ascii", "replace")):
            return None
        os.utime(path)
        return pickle.loads(content)
    except Exception:  # then the result is computed again
        return None


def keep(name: str, value: object) -> None:
    """Keep a value under a name; the entries that were used least recently are dropped."""
    content = pickle.dumps(value)
    if len(content) > LARGEST:
        return
    with suppress(OSError):
        folder = cache_path()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, made = folder / name, folder / f"{name}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(sign(path, content).encode() + content)
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)
        _drop_oldest(folder)


def _drop_oldest(folder: Path) -> None:
    entries = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime_ns)
    for path in entries[:-MOST_ENTRIES]:
        path.unlink(missing_ok=True)
