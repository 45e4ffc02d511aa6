"""Reasoning tags among the tokens: finding them, what loaders do to them, and making them ordinary."""

from __future__ import annotations

import re

from template_fix.checkpoint import Checkpoint
from template_fix.loaders import LOADERS, skipped_by, skips, told
from template_fix.unflag import Unflagged, unflag
from template_fix.vocabulary import Vocabulary

__all__ = ["LOADERS", "Unflagged", "Vocabulary", "skipped_by", "skips", "told", "unflag", "vocabulary_tags"]

_REASONING = re.compile(r"think|thought|reason", re.IGNORECASE)
_OPENERS = {"start": "end", "begin": "end", "open": "close", "prefix": "suffix", "bos": "eos"}
_WORD = re.compile(r"(?<![a-z])(start|begin|open|prefix|bos)(?![a-z])", re.IGNORECASE)
_BRACKETS = re.compile(r"^(\W+)(?=\w)")


def vocabulary_tags(checkpoint: Checkpoint) -> tuple[tuple[str, str], ...]:
    """Return the pairs of tokens whose names mark the beginning and the end of reasoning.

    Two recorded tokens are a pair where the second is the closing form of the first's name: ``<think>`` and
    ``</think>``, ``[THINK]`` and ``[/THINK]``, ``<|START_THINKING|>`` and ``<|END_THINKING|>``.
    """
    contents = dict.fromkeys(record.content for record in checkpoint.records)
    named = [content for content in contents if _REASONING.search(content)]
    pairs = ((content, closing) for content in named for closing in _closing_forms(content) if closing in contents)
    return tuple(dict.fromkeys(pairs))


def _closing_forms(opening: str) -> list[str]:
    forms = []
    if _BRACKETS.match(opening) and "/" not in opening:
        forms.append(_BRACKETS.sub(r"\1/", opening))
    if _WORD.search(opening):
        forms.append(_WORD.sub(lambda match: _like(match.group(), _OPENERS[match.group().lower()]), opening))
    return forms


def _like(model: str, word: str) -> str:
    """Write ``word`` in the case of ``model``."""
    return word.upper() if model.isupper() else word.capitalize() if model[:1].isupper() else word
