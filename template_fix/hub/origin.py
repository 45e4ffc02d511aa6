"""The repository and commit that a model comes from; in a directory, `patch --output` has recorded them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from template_fix.checkpoint.json_file import CheckpointError
from template_fix.disk.store import ORIGIN, refuse_links
from template_fix.hub.client import looks_like_repo
from template_fix.hub.model import Model

_LARGEST = 4096
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


class Origin(NamedTuple):
    """A repository on the Hub and one of its commits."""

    repo: str
    commit: str

    def text(self) -> str:
        """Return the text of the file that records it."""
        return json.dumps(self._asdict()) + "\n"


def find_origin(model: Model) -> Origin | None:
    """Return where a model comes from, or None for a directory without a record.

    Raises CheckpointError if the record is damaged, and WriteError if a link leads to it.
    """
    if model.checkpoint.revision is not None:
        return Origin(model.checkpoint.name, model.checkpoint.revision)
    refuse_links(model.folder)
    return _read_origin(model.folder / ORIGIN)


def _read_origin(path: Path) -> Origin | None:
    """Read the record. A stranger may have written it: it is only a hint, and a push is proved again."""
    try:
        with open(path, "rb") as file:
            found = Origin(**json.loads(file.read(_LARGEST)))
        if looks_like_repo(found.repo) and _COMMIT.fullmatch(found.commit):
            return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    raise CheckpointError(f"{path}: is damaged; delete it, or patch the model again")
