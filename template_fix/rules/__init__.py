"""What can be wrong with a checkpoint: one file a rule."""

from __future__ import annotations

from typing import Protocol

from template_fix.checkpoint import Checkpoint


class Subject(Protocol):
    """What a rule of tokens and files looks at.

    ``tags`` are the pairs of reasoning delimiters; those in ``control_tags`` are control tokens by design.
    """

    @property
    def checkpoint(self) -> Checkpoint: ...

    @property
    def tags(self) -> tuple[tuple[str, str], ...]: ...

    @property
    def control_tags(self) -> frozenset[tuple[str, str]]: ...
