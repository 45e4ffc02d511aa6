"""Writes a page for browsers: over an older page of its own, and over nothing else."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from template_fix.disk.journal import name_errors
from template_fix.disk.store import WriteError

# What every page has in its first lines.
MARK = "<!-- made by template-fix -->"
_BEGINNING = 400


def refuse_page(path: Path) -> None:
    """Raise WriteError where a page can't have this name, as far as that can be told before it is made."""
    if not path.parent.is_dir():
        raise WriteError(f"{path}: there is no directory {path.parent}")
    if os.path.lexists(path) and not _is_page(path):
        raise WriteError(f"{path}: is there already, and no page of template-fix; name another file")


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all. Raises WriteError as `refuse_page` does, and for what the system refuses."""
    refuse_page(path)
    with name_errors(path.parent, lambda: "the page was not written"):
        descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
        made = Path(name)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(made, 0o666 & ~_umask())
            os.replace(made, path)
        finally:
            made.unlink(missing_ok=True)


def _is_page(path: Path) -> bool:
    with suppress(OSError):
        if path.is_file() and not path.is_symlink():
            with open(path, "rb") as file:
                return MARK.encode() in file.read(_BEGINNING)
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
