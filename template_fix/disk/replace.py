"""Writes changed files into a model directory, all or none of them, and undoes it.

**The guarantee.** Every change is prepared beside the files (see ``journal``), synced to the disk, and decided by one
rename. A run that is killed before that rename has changed nothing. If it is killed after the rename, the next
``replace``, ``undo`` or ``recover`` first moves the remaining files into place; then all files are old, or all are
new. Until then some may be old and some new, but each file is always complete for any reader. If an error stops a
patch half way, the files that were moved so far are moved back at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from template_fix.disk import journal, store
from template_fix.disk.store import STORE, WriteError, digest_file, is_writable


def replace(directory: Path, changed: Mapping[str, tuple[str, str]]) -> None:
    """Write files of ``directory``, all or none of them, and keep what ``undo`` needs.

    ``changed`` maps a file name, relative and with forward slashes, to its text before and after; both stand for
    exactly their UTF-8 bytes. Modes are kept, and owners if the system allows it. Files whose text doesn't change are
    not written. See the module's docstring for what happens if the run is killed.

    Raises WriteError, with every file as it was: if a file no longer has its text before; for a symbolic link and for
    a directory of the Hub cache, which are shared; if another run holds the directory; and for any error of the system
    (a read-only directory or file, a full disk).
    """
    texts = {name: both for name, both in changed.items() if both[0] != both[1]}
    if not texts:
        return
    _refuse_shared(directory, texts)
    digests = {name: (_digest(old), _digest(new)) for name, (old, new) in texts.items()}
    with journal.session(directory) as held:
        journal.finish(directory, held)
        _refuse_changed(directory, digests)
        entry = journal.stage(directory, held, texts, digests)
        try:
            _refuse_changed(directory, digests)
            journal.move_into_place(directory, entry)
        except BaseException:
            journal.roll_back(directory, entry)
            raise


def undo(directory: Path, file: str | None = None) -> tuple[str, ...]:
    """Undo the last ``replace`` in ``directory``, byte for byte, and return the names of the restored files.

    Each call undoes one more. An undo that was killed is completed first.

    Raises WriteError, with nothing changed, if there is nothing to undo, if the last change was not one of ``file``
    (if given), if a file was changed since it was written, for a store that this user's runs didn't write there, and
    whenever ``replace`` would.
    """
    if not os.path.lexists(directory / STORE.parts[0]):
        raise WriteError(f"{directory}: there is nothing to undo here")
    _refuse_shared(directory, ())
    with journal.session(directory) as held:
        if finished := journal.finish(directory, held):
            return finished
        entry = journal.last_entry(directory)
        if entry is None:
            raise WriteError(f"{directory}: there is nothing to undo here")
        if file is not None and file not in entry.files:
            changed = ", ".join(entry.files)
            raise WriteError(f"{directory / file}: the last change here was of {changed}; undo that first")
        _refuse_undo(directory, entry)
        return journal.take_back(directory, entry)


def recover(directory: Path) -> bool:
    """Complete the change of a killed run; return whether there was one.

    Call it before the files are read for a patch. If nothing is unfinished, nothing is written. Raises WriteError for
    a store that this user's runs didn't write there, if a file was changed in between, and for errors of the system.
    """
    with journal.name_errors(directory):
        found = store.find_state(directory)
    if not found:
        return False
    _refuse_shared(directory, ())
    with journal.session(directory) as held:
        journal.finish(directory, held)
    return True


def write_elsewhere(directory: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files into ``directory``, which is made if needed; files with the same content are left alone.

    ``files`` maps relative names with forward slashes to texts or bytes. All files are prepared first, then each one
    appears at once. Raises WriteError, with nothing written, if a file exists with other content, and for errors of
    the system.
    """
    data = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    missing = {name: new for name, new in data.items() if not _is_present(directory, name, new)}
    if not missing:
        return
    folders = {folder for name in missing for folder in (directory / name).parents}
    made = sorted((folder for folder in folders if not os.path.lexists(folder)), reverse=True)
    try:
        with journal.session(directory) as held, journal.empty_folder(held / "scratch") as scratch:
            for name, new in missing.items():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                journal.write(scratch / name, [new])
            journal.move(scratch, directory, missing)
            for folder in made:
                journal.sync(folder.parent)
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def _refuse_shared(directory: Path, names: Iterable[str]) -> None:
    if strange := [name for name in names if not is_writable(name)]:
        raise WriteError(f"{directory}: {strange[0]!r} is not the name of a file that template-fix writes")
    if (link := _find_link(directory, names)) is not None:
        raise WriteError(
            f"{link}: is a symbolic link, and what it leads to may be shared; "
            "write the repaired files elsewhere with --output DIR"
        )
    real = directory.resolve()
    if real.parent.name == "snapshots" and real.parent.parent.name.startswith("models--"):
        raise WriteError(
            f"{directory}: lies in the Hub cache, which is shared; write the repaired files elsewhere with --output DIR"
        )
    if not os.path.isdir(directory):
        raise WriteError(f"{directory}: is not a directory")


def _find_link(directory: Path, names: Iterable[str]) -> Path | None:
    """Return the first symbolic link among the directory, the files of these names and the folders between."""
    paths = [directory]
    for name in names:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\\" in name:
            raise WriteError(f"{directory}: the file name {name!r} leads out of the directory")
        paths += (directory / part for part in (pure, *pure.parents))
    return next((path for path in paths if os.path.islink(path)), None)


def _digest(text: str) -> str:
    return store.digest(store.encoded(text))


def _refuse_changed(directory: Path, digests: Mapping[str, tuple[str, str]]) -> None:
    for name, (old, _) in digests.items():
        path = directory / name
        if digest_file(path) != old:
            raise WriteError(f"{path}: was changed since it was read; run the command again")
        _refuse_protected(path)


def _refuse_undo(directory: Path, entry: store.Entry) -> None:
    _refuse_shared(directory, entry.files)
    for name, (_, new) in entry.files.items():
        if digest_file(directory / name) != new:
            raise WriteError(f"{directory / name}: was changed since it was patched; nothing was undone")
        _refuse_protected(directory / name)
    entry.refuse_damage("before")


def _refuse_protected(path: Path) -> None:
    # A rename replaces even a write-protected file, so its protection has to be checked.
    if not os.access(path, os.W_OK):
        raise WriteError(f"{path}: is write-protected; nothing was changed")


def _is_present(directory: Path, name: str, new: bytes) -> bool:
    """Whether the file is there with the new content. Raises WriteError if it has other content."""
    if (link := _find_link(directory, [name])) is not None:
        raise WriteError(f"{link}: is a symbolic link; name a real directory, new or empty")
    path = directory / name
    if not os.path.lexists(path):
        return False
    with journal.name_errors(directory):
        if not path.is_file() or path.read_bytes() != new:
            raise WriteError(f"{path}: exists with other content; name a new or an empty directory")
    return True
