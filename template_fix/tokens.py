"""Reasoning tags among the tokens: finding them, what loaders do to them, and making them ordinary."""

from __future__ import annotations

import re
from collections.abc import Iterable

from template_fix.checkpoint import Checkpoint
from template_fix.loaders import LOADERS, adds, skipped_by, skips, told
from template_fix.tags import pairs
from template_fix.unflag import Unflagged, unflag
from template_fix.vocabulary import Vocabulary

__all__ = [
    "LOADERS",
    "Unflagged",
    "Vocabulary",
    "adds",
    "skipped_by",
    "skips",
    "tokens_in",
    "told",
    "unflag",
    "vocabulary_tags",
]


def vocabulary_tags(checkpoint: Checkpoint) -> tuple[tuple[str, str], ...]:
    """Return the pairs of recorded tokens whose names mark the beginning and the end of reasoning."""
    return tuple(pairs(record.content for record in checkpoint.records))


def tokens_in(checkpoint: Checkpoint, tag: str) -> tuple[str, ...]:
    """Return the recorded tokens that make up ``tag``: itself, or several where a tag such as gpt-oss's holds more.

    Where none of its parts is recorded, the tag stands for itself.
    """
    if checkpoint.records_of(tag):
        return (tag,)
    contents = sorted({record.content for record in checkpoint.records} - {""}, key=len, reverse=True)
    found = re.findall("|".join(map(re.escape, contents)), tag) if contents else []
    return tuple(dict.fromkeys(found)) or (tag,)


def listed(names: Iterable[str], last: str = "and") -> str:
    """Return names as a sentence lists them: ``a, b and c``."""
    *most, final = names
    return f"{', '.join(most)} {last} {final}" if most else final
