"""Watching the tags while a model is trained: whether what it says still reasons, in a block that is closed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from template_fix.data.texts import Pairs


class Answer(NamedTuple):
    """One answer of a model: the prompt that it continues, and its text as it is served."""

    prompt: str
    text: str


def answer_shares(said: Sequence[Answer], tags: Pairs) -> dict[str, float]:
    """Return the share of answers whose reasoning is opened, closed, and not empty, from 0 to 1.

    A block that the prompt has opened counts as opened. An empty list has no shares.
    """
    blocks = [_find_block(each, tags) for each in said]
    names = ("reasoning_opened", "reasoning_closed", "reasoning_nonempty")
    return {name: sum(each[at] for each in blocks) / len(blocks) for at, name in enumerate(names)} if blocks else {}


def _find_block(said: Answer, tags: Iterable[tuple[str, str]]) -> tuple[bool, bool, bool]:
    """Return whether reasoning is opened, closed and not empty, by the pair of tags that does best."""
    return max((_parse_block(said, *pair) for pair in tags), default=(False, False, False))


def _parse_block(said: Answer, opening: str, closing: str) -> tuple[bool, bool, bool]:
    text = opening + said.text if said.prompt.rstrip().endswith(opening.rstrip()) else said.text
    _, opened, rest = text.partition(opening)
    reasoning, closed, _ = rest.partition(closing)
    return bool(opened), bool(closed), bool(opened and reasoning.strip())
