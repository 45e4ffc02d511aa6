"""What the rules on a checkpoint look at."""

from __future__ import annotations

from dataclasses import dataclass

from template_fix.checkpoint.checkpoint import Checkpoint


@dataclass(frozen=True)
class Subject:
    """A checkpoint and what is known of its reasoning.

    ``tags`` are the pairs of opening and closing reasoning tags that its templates and its vocabulary name,
    ``control_tags`` those among them that are control tokens by design. ``stops`` are the texts that its templates
    print at the end of a turn, ``begins`` those of special tokens that they print in front of all else.
    """

    checkpoint: Checkpoint
    tags: tuple[tuple[str, str], ...]
    control_tags: frozenset[tuple[str, str]]
    stops: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()
