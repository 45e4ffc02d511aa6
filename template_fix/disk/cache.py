"""The user's cache of results that take long to compute, for later runs of the same program.

Entries are unpickled, so only those that this user signed are read. If anything is wrong with the cache, the result is
computed again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from template_fix.disk.signature import is_signed, sign
from template_fix.disk.user_folders import cache_path

MOST_ENTRIES, LARGEST = 512, 4 * 2**20
_SIGNATURE = 64
_METADATA = (".dist-info", ".egg-info")


def entry_name(*known: object) -> str:
    """Return the cache name of a result that depends only on these values and on the programs that run.

    Equal values must have an equal ``repr``, so sets are not allowed.
    """
    return hashlib.sha256(repr((known, _program_versions())).encode(errors="surrogatepass")).hexdigest()


def day_for(sources: Iterable[str]) -> date | None:
    """Return the day where one of these templates may ask for it, and what is found out is true of it alone."""
    return date.today() if any("now" in source for source in sources) else None


@cache
def _program_versions() -> tuple[object, ...]:
    """Return what identifies this release of the program, local edits included, and this version of Python."""
    patches = find_spec("template_fix.patches")
    folders = (os.path.dirname(os.path.dirname(__file__)), *((patches and patches.submodule_search_locations) or ()))
    return sorted(stat for folder in folders for stat in _stats(folder)), sys.version, _installed()


def _stats(folder: str) -> Iterator[tuple[str, int, int]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _stats(entry.path)
        elif entry.name.endswith((".py", ".toml")):
            yield entry.path, entry.stat().st_size, entry.stat().st_mtime_ns


def _installed() -> list[str]:
    """Return the names, with their versions, of all installed packages.

    Loading a tokenizer may import any of them, and whether another engine is there counts, too. The names are those of
    the folders of their metadata; to ask ``importlib.metadata`` takes longer than all else here.
    """
    found = []
    for folder in filter(None, sys.path):
        with suppress(OSError):
            found += sorted(name for name in os.listdir(folder) if name.endswith(_METADATA))
    if found:
        return found
    from importlib.metadata import version

    return [version("jinja2"), version("markupsafe")]


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
        path, made = folder / name, folder / f"{name}.{os.getpid()}.{os.urandom(4).hex()}"
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
