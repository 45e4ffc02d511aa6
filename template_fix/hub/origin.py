"""The repository and the commit that a model comes from; for a directory, `patch --output` has written them down."""

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
        """Return the file that says so."""
        return json.dumps(self._asdict()) + "\n"


def find_origin(model: Model) -> Origin | None:
    """Return where a model comes from, None of a directory where nothing was written down. Raises CheckpointError,
    and WriteError where links lead there."""
    if model.checkpoint.revision is not None:
        return Origin(model.checkpoint.name, model.checkpoint.revision)
    refuse_links(model.folder)
    return _written(model.folder / ORIGIN)


def _written(path: Path) -> Origin | None:
    """Read what is only a hint, since whatever is pushed by it is proved anew; it may be a stranger's."""
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
