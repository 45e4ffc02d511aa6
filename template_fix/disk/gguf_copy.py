"""Writes a GGUF file anew with other metadata: its tensors are copied byte for byte, and compared before it appears."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from tempfile import mkstemp
from typing import BinaryIO

from template_fix.checkpoint.gguf import SUFFIX, is_gguf, read_gguf, splices, texts_of
from template_fix.checkpoint.gguf_header import Header
from template_fix.disk.journal import name_errors, sync
from template_fix.disk.store import WriteError

_CHUNK = 8 << 20


def copy_gguf(source: Path, output: Path, before: Mapping[str, str], changed: Mapping[str, tuple[str, str]]) -> None:
    """Write ``source`` to ``output``, a new file, with the texts that a patch has changed, given before and after.

    ``before`` are all texts that were read. What was written is read again, and has to say what is wanted; its tensors
    have the digest of those of ``source``. Only then does it get its name. Raises WriteError, having written nothing,
    where ``output`` exists, where ``source`` was changed since, and for whatever the system refuses.
    """
    refuse_output(output)
    header = read_gguf(source, str(source))
    if texts_of(header) != before:
        raise WriteError(f"{source}: was changed since it was read; run the command again")
    wanted = {**before, **{file: after for file, (_, after) in changed.items()}}
    with name_errors(output.parent, lambda: "nothing was written"):
        descriptor, name = mkstemp(prefix=f".{output.name}.", dir=output.parent)
        made = Path(name)
        try:
            with open(descriptor, "wb") as copy:
                raw = _spliced(header, changed)
                digest = _write(source, header, raw, copy)
                copy.flush()
                os.fsync(copy.fileno())
            _refuse_unlike(made, raw, wanted, digest)
            _dress(made, source)
            _name(made, output)
            sync(output.parent)
        finally:
            made.unlink(missing_ok=True)


def refuse_output(output: Path) -> None:
    """Raise WriteError where a copy can't get this name: it is that of a new GGUF file."""
    if not is_gguf(output):
        raise WriteError(f"{output}: name a new file for the copy, such as NEW{SUFFIX}")
    if os.path.lexists(output):
        raise WriteError(f"{output}: is there already; name a new file")


def _spliced(header: Header, changed: Mapping[str, tuple[str, str]]) -> bytes:
    """Return the new header: the bytes of the old one but for what was changed."""
    parts, at = [], 0
    for start, end, new in splices(header, changed):
        parts += [header.raw[at:start], new]
        at = end
    return b"".join([*parts, header.raw[at:]])


def _write(source: Path, header: Header, raw: bytes, copy: BinaryIO) -> bytes:
    """Write a file with this header, and return the digest of the data of its tensors."""
    copy.write(raw)
    if header.tensors:
        copy.write(bytes(-len(raw) % header.alignment))
    with open(source, "rb") as file:
        file.seek(_start(header))
        return _digest(file, copy)


def _digest(file: BinaryIO, copy: BinaryIO | None = None) -> bytes:
    """Return the digest of the rest of a file, which is written to ``copy`` on the way."""
    digest = blake2b()
    while part := file.read(_CHUNK):
        digest.update(part)
        if copy is not None:
            copy.write(part)
    return digest.digest()


def _refuse_unlike(made: Path, raw: bytes, wanted: Mapping[str, str], digest: bytes) -> None:
    """Raise WriteError where the copy doesn't have this header, doesn't say what is wanted, or has other tensors."""
    written = read_gguf(made, str(made))
    with open(made, "rb") as file:
        file.seek(_start(written))
        same_tensors = _digest(file) == digest
    if not (same_tensors and written.raw == raw and texts_of(written) == wanted):
        raise WriteError(f"{made}: what came out isn't what was to be written; nothing was kept")


def _start(header: Header) -> int:
    """Return where the data of the tensors begin; without any, no space has to be left."""
    return header.data if header.tensors else len(header.raw)


def _dress(made: Path, source: Path) -> None:
    os.chmod(made, os.stat(source).st_mode & 0o777)


def _name(made: Path, output: Path) -> None:
    """Give the copy its name, which nothing has got meanwhile."""
    try:
        os.link(made, output)
    except FileExistsError:
        raise WriteError(f"{output}: is there already; name a new file") from None
    except OSError:  # not every file system has links
        os.rename(made, output)
