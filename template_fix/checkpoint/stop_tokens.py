"""The tokens that end a turn: those that generation stops at, as the files of a model say."""

from __future__ import annotations

from template_fix.checkpoint.checkpoint import Checkpoint

GENERATION, MODEL = "generation_config.json", "config.json"


def read_stop_tokens(checkpoint: Checkpoint) -> tuple[str, tuple[str, ...]] | None:
    """Return the file that tells what ``generate()`` stops at, and the texts of those tokens that are recorded.

    transformers makes the generation config of the model's, where it has none of its own. None where neither says.
    """
    for file in (GENERATION, MODEL):
        value = checkpoint.value(file, "eos_token_id")
        ids = [each for each in (value if isinstance(value, list) else [value]) if type(each) is int]
        if ids:
            return file, tuple(dict.fromkeys(_contents(checkpoint, ids)))
        if file in checkpoint.files and file == GENERATION:
            return None
    return None


def _contents(checkpoint: Checkpoint, ids: list[int]) -> list[str]:
    wanted: dict[int | None, list[str]] = {each: [] for each in ids}
    for record in checkpoint.records:
        if record.id in wanted:
            wanted[record.id].append(record.content)
    return [content for found in wanted.values() for content in found]


def named_token(checkpoint: Checkpoint, name: str) -> str | None:
    """Return the text of a named token, such as ``pad_token``."""
    return next((record.content for record in checkpoint.records if record.name == name), None)


def turn_end_tokens(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the texts of the tokens that are known to end a turn."""
    stops = read_stop_tokens(checkpoint)
    eos = named_token(checkpoint, "eos_token")
    return tuple(dict.fromkeys([*(stops[1] if stops else ()), *([eos] if eos else [])]))
