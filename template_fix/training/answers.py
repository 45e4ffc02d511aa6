"""Measures how many answers of a model in training still have reasoning, in a block that is closed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from template_fix.data.texts import Pairs


class Answer(NamedTuple):
    """One answer of a model: its prompt, and its text decoded without special tokens."""

    prompt: str
    text: str


def answer_shares(said: Sequence[Answer], tags: Pairs) -> dict[str, float]:
    """Return the shares of answers, from 0 to 1, whose reasoning is opened, is closed, and is not empty.

    A block that the prompt has opened counts as opened. The result is empty if there are no answers.
    """
    blocks = [_find_block(each, tags) for each in said]
    names = ("reasoning_opened", "reasoning_closed", "reasoning_nonempty")
    return {name: sum(each[at] for each in blocks) / len(blocks) for at, name in enumerate(names)} if blocks else {}


def _find_block(said: Answer, tags: Iterable[tuple[str, str]]) -> tuple[bool, bool, bool]:
    """Return whether reasoning is opened, closed and not empty, for the best pair of tags."""
    return max((_parse_block(said, *pair) for pair in tags), default=(False, False, False))


def _parse_block(said: Answer, opening: str, closing: str) -> tuple[bool, bool, bool]:
    text = opening + said.text if said.prompt.rstrip().endswith(opening.rstrip()) else said.text
    _, opened, rest = text.partition(opening)
    reasoning, closed, _ = rest.partition(closing)
    return bool(opened), bool(closed), bool(opened and reasoning.strip())
