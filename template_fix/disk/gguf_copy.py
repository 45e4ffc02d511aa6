"""Copies a GGUF file with changed metadata: tensors are copied byte for byte, and compared before the copy appears."""

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
    """Copy ``source`` to the new file ``output`` with changed texts; ``changed`` has each text before and after.

    ``before`` are all texts that were read. The copy is read again and compared: its texts, and the digest of its
    tensors. Only then it gets its name. Raises WriteError, with nothing written, if ``output`` exists, if ``source``
    was changed meanwhile, and for any error of the system.
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
                raw = _splice_header(header, changed)
                digest = _write(source, header, raw, copy)
                copy.flush()
                os.fsync(copy.fileno())
            _refuse_wrong_copy(made, raw, wanted, digest)
            _copy_mode(made, source)
            _rename(made, output)
            sync(output.parent)
        finally:
            made.unlink(missing_ok=True)


def refuse_output(output: Path) -> None:
    """Raise WriteError unless a copy can get this name: that of a GGUF file which doesn't exist yet."""
    if not is_gguf(output):
        raise WriteError(f"{output}: name a new file for the copy, such as NEW{SUFFIX}")
    if os.path.lexists(output):
        raise WriteError(f"{output}: exists already; name a new file")


def _splice_header(header: Header, changed: Mapping[str, tuple[str, str]]) -> bytes:
    """Return the new header: the bytes of the old one with the changed values replaced."""
    parts, at = [], 0
    for start, end, new in splices(header, changed):
        parts += [header.raw[at:start], new]
        at = end
    return b"".join([*parts, header.raw[at:]])


def _write(source: Path, header: Header, raw: bytes, copy: BinaryIO) -> bytes:
    """Write this header and the tensors' data to ``copy``; return the digest of the data."""
    copy.write(raw)
    if header.tensors:
        copy.write(bytes(-len(raw) % header.alignment))
    with open(source, "rb") as file:
        file.seek(_tensor_start(header))
        return _digest(file, copy)


def _digest(file: BinaryIO, copy: BinaryIO | None = None) -> bytes:
    """Return the digest of the rest of a file; it is also written to ``copy``, if given."""
    digest = blake2b()
    while part := file.read(_CHUNK):
        digest.update(part)
        if copy is not None:
            copy.write(part)
    return digest.digest()


def _refuse_wrong_copy(made: Path, raw: bytes, wanted: Mapping[str, str], digest: bytes) -> None:
    """Raise WriteError if the copy has another header, other texts or other tensors than it should have."""
    written = read_gguf(made, str(made))
    with open(made, "rb") as file:
        file.seek(_tensor_start(written))
        same_tensors = _digest(file) == digest
    if not (same_tensors and written.raw == raw and texts_of(written) == wanted):
        raise WriteError(f"{made}: what came out isn't what was to be written; nothing was kept")


def _tensor_start(header: Header) -> int:
    """Return the offset of the tensors' data; without tensors, it is the end of the header."""
    return header.data if header.tensors else len(header.raw)


def _copy_mode(made: Path, source: Path) -> None:
    os.chmod(made, os.stat(source).st_mode & 0o777)


def _rename(made: Path, output: Path) -> None:
    """Give the copy its name. Raises WriteError if a file of that name was made meanwhile."""
    try:
        os.link(made, output)
    except FileExistsError:
        raise WriteError(f"{output}: exists already; name a new file") from None
    except OSError:  # not every file system has links
        os.rename(made, output)
