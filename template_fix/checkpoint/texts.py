"""The files of a model as text. Each is decoded at its first use; a digest needs the bytes alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256

from template_fix.checkpoint.json_file import CheckpointError

_LFS = "version https://git-lfs.github.com/spec/"
_LINK = re.compile(r"(?:\.\.?/)+[\w./-]+|[\w./-]*/annex/objects/[\w./-]+")


class Texts(Mapping[str, str]):
    """The texts of files, by name. ``raw`` are their bytes, ``places`` the names of the files in messages.

    Reading an item raises CheckpointError if the bytes aren't text, or aren't the file itself.
    """

    def __init__(self, raw: Mapping[str, bytes], places: Mapping[str, str]) -> None:
        self._raw, self._places = dict(raw), dict(places)
        self._texts: dict[str, str] = {}
        self._digests: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._texts:
            self._texts[name] = decode(self._raw[name], self._places[name])
            del self._raw[name]  # no file is held twice
        return self._texts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file's bytes."""
        if name not in self._digests:
            raw = self._raw.get(name)
            self._digests[name] = sha256(self._texts[name].encode() if raw is None else raw).hexdigest()
        return self._digests[name]


def hash_files(files: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the name and the SHA-256 of each file, in the order of the names."""
    return tuple(
        (name, files.digest(name) if isinstance(files, Texts) else sha256(files[name].encode()).hexdigest())
        for name in sorted(files)
    )


def decode(raw: bytes, where: str) -> str:
    """Return the text of a file, which messages call ``where``. Raises CheckpointError if it isn't text."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CheckpointError(
            f"{where}:{line}: this is not UTF-8 (byte 0x{raw[error.start]:02x} at offset {error.start}); "
            "save the file as UTF-8"
        ) from None
    if text.startswith(_LFS):
        raise CheckpointError(f"{where}: this is a Git LFS pointer, not the file; run git lfs pull in its repository")
    if len(text) < 500 and _LINK.fullmatch(text.strip()):
        raise CheckpointError(
            f"{where}: this is a symbolic link saved as text (it holds only {text.strip()}); download the file itself"
        )
    return text
