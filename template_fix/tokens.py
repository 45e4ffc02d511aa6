"""Reasoning tags among the tokens: finding them, what loaders do to them, and making them ordinary."""

from __future__ import annotations

from template_fix.checkpoint import Checkpoint
from template_fix.loaders import LOADERS, skipped_by, skips, told
from template_fix.tags import pairs
from template_fix.unflag import Unflagged, unflag
from template_fix.vocabulary import Vocabulary

__all__ = ["LOADERS", "Unflagged", "Vocabulary", "skipped_by", "skips", "told", "unflag", "vocabulary_tags"]


def vocabulary_tags(checkpoint: Checkpoint) -> tuple[tuple[str, str], ...]:
    """Return the pairs of recorded tokens whose names mark the beginning and the end of reasoning."""
    return tuple(pairs(record.content for record in checkpoint.records))
