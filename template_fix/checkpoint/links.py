"""Refuses names and links that lead out of a model: what they lead to is not the model's, and may be the user's own.

A download can hold a link of any name to any place, such as ``vocab.txt`` to a private key, and what is read here may
be shown, copied or pushed. A link to another file of the model is followed, and so are those of the Hub's cache.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from template_fix.checkpoint.json_file import CheckpointError

# On no system does a name of such parts lead up, to another drive, or to what is hidden.
_PART = r'[^./\\:*?"<>|\x00-\x1f\x7f-\x9f][^/\\:*?"<>|\x00-\x1f\x7f-\x9f]*'
_PLAIN = re.compile(f"{_PART}(?:/{_PART})*")


def is_plain(name: str) -> bool:
    """Whether ``name``, relative and with forward slashes, is that of a file below a directory on every system."""
    return _PLAIN.fullmatch(name) is not None


def refuse_outside(root: Path, file: str, name: str) -> None:
    """Raise CheckpointError where ``file`` of the directory ``root`` is reached through a link that leads out of it.

    A hidden place inside is outside, too: ``.git/config`` may hold a password. Messages call the directory ``name``.
    """
    home, real = Path(os.path.realpath(root)), Path(os.path.realpath(root / file))
    if real == home / file or _is_inside(real, home) or _is_inside(real, _blobs(home)):
        return
    raise CheckpointError(f"{name}/{file}: is a link that leads out of the model, to {real}; put the file itself there")


def _is_inside(path: Path, folder: Path | None) -> bool:
    if folder is None or folder not in path.parents:
        return False
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _blobs(home: Path) -> Path | None:
    """Return where the links of a snapshot in the Hub's cache lead, None of any other directory."""
    repo = home.parent.parent
    return repo / "blobs" if home.parent.name == "snapshots" and repo.name.startswith("models--") else None
