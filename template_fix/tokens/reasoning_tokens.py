"""Reasoning tags among the tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.json_file import place
from template_fix.conversations.tags import pairs

MOST_PAIRS, MOST_LISTED = 32, 40


def vocabulary_tags(checkpoint: Checkpoint) -> tuple[tuple[str, str], ...]:
    """Return the pairs of recorded tokens whose names mark the beginning and the end of reasoning."""
    return tuple(pairs(record.content for record in checkpoint.records))


def recorded_tags(checkpoint: Checkpoint, chosen: tuple[tuple[str, str], ...] = ()) -> tuple[tuple[str, str], ...]:
    """Return the pairs of `vocabulary_tags` that are to be looked at; ``chosen`` are those that the user named.

    Where there are more than any model has, they aren't tags of reasoning: then only those that are chosen count.
    Raises CheckpointError where there are none.
    """
    found = vocabulary_tags(checkpoint)
    if len(found) <= MOST_PAIRS:
        return found
    if chosen:
        return ()
    record = checkpoint.records_of(found[0][0])[0]
    where = place(checkpoint.name, record.file, checkpoint.files[record.file], record.span.start)
    raise CheckpointError(
        f"{where}: the first of {len(found):,} pairs of tokens that are named like reasoning tags, more than any model "
        "has; --tag OPEN CLOSE names the right ones"
    )


def tokens_in(checkpoint: Checkpoint, tag: str) -> tuple[str, ...]:
    """Return the recorded tokens that make up ``tag``: itself, or several where a tag such as gpt-oss's holds more.

    Where none of its parts is recorded, the tag stands for itself.
    """
    if checkpoint.records_of(tag):
        return (tag,)
    inside = {record.content for record in checkpoint.records if record.content in tag} - {""}
    contents = sorted(inside, key=len, reverse=True)
    found = re.findall("|".join(map(re.escape, contents)), tag) if contents else []
    return tuple(dict.fromkeys(found)) or (tag,)


def listed(names: Iterable[str], last: str = "and") -> str:
    """Return names as a sentence lists them: ``a, b and c``; of very many, the first ones and how many more."""
    shown = list(names)
    if len(shown) > MOST_LISTED:
        shown[MOST_LISTED - 1 :] = [f"{len(shown) - MOST_LISTED + 1:,} more"]
    *most, final = shown
    return f"{', '.join(most)} {last} {final}" if most else final
