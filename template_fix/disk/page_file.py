"""Writes a page for browsers, or a baseline; replaces only an older file of the same kind."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from template_fix.disk.journal import name_errors
from template_fix.disk.store import WriteError

# Every page has this text in its first lines.
MARK = "<!-- made by template-fix -->"
_BEGINNING = 400


def refuse_page(path: Path, kind: str = "page", mark: str = MARK) -> None:
    """Raise WriteError if a page can't be written to ``path``, as far as that is known before it is made.

    ``mark`` is the text that every file of this ``kind`` has near its beginning.
    """
    if not path.parent.is_dir():
        raise WriteError(f"{path}: there is no directory {path.parent}")
    if os.path.lexists(path) and not _is_page(path, mark):
        raise WriteError(f"{path}: exists already and is no {kind} of template-fix; name another file")


def write_page(path: Path, text: str, kind: str = "page", mark: str = MARK) -> None:
    """Write a page, completely or not at all. Raises WriteError as `refuse_page` does, and for errors of the system."""
    refuse_page(path, kind, mark)
    with name_errors(path.parent, lambda: f"the {kind} was not written"):
        descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
        made = Path(name)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(made, 0o666 & ~_umask())
            os.replace(made, path)
        finally:
            made.unlink(missing_ok=True)


def _is_page(path: Path, mark: str) -> bool:
    with suppress(OSError):
        if path.is_file() and not path.is_symlink():
            with open(path, "rb") as file:
                return mark.encode() in file.read(_BEGINNING)
    return False


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
