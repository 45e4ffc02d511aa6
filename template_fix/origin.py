"""The repository and the commit that a model comes from; for a directory, `patch --output` has written them down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from template_fix.document import CheckpointError
from template_fix.journal import ORIGIN
from template_fix.models import Model


class Origin(NamedTuple):
    """A repository on the Hub and one of its commits."""

    repo: str
    commit: str

    def text(self) -> str:
        """Return the file that says so."""
        return json.dumps(self._asdict()) + "\n"


def origin(model: Model) -> Origin | None:
    """Return where a model comes from, None of a directory where nothing was written down. Raises CheckpointError."""
    if model.checkpoint.revision is not None:
        return Origin(model.checkpoint.name, model.checkpoint.revision)
    return _written(model.folder / ORIGIN)


def _written(path: Path) -> Origin | None:
    try:
        return Origin(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        raise CheckpointError(f"{path}: is damaged; delete it, or patch the model again") from None
