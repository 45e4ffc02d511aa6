"""Checks a checkpoint, or recalls what an earlier run found out about the same files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.texts import hash_files
from template_fix.disk.cache import day_for, entry_name, keep, recall
from template_fix.options import Options
from template_fix.results import Report

Value = TypeVar("Value")


def check(checkpoint: Checkpoint, options: Options | None = None) -> Report:
    """Return what is wrong with a checkpoint. Changes nothing; templates run within limits.

    Raises CheckpointError where a file isn't what it should be.
    """
    options = options or Options()

    def find() -> Report:
        from template_fix.engine.check import check_now

        return check_now(checkpoint, options)

    return find_or_recall("report", find, checkpoint, options)


def find_or_recall(
    kind: str, find: Callable[[], Value], checkpoint: Checkpoint, options: Options, *more: object
) -> Value:
    """Return what ``find`` does, or did in an earlier run for the same files, options and ``more``: never None.

    It must depend on these alone. What came of a limit isn't kept. Raises CheckpointError where a file isn't what it
    should be, and what ``find`` does.
    """
    # Whoever asks for other engines has them tried.
    name = _entry_name(kind, checkpoint, options, more) if options.cache and not options.engines else None
    known = recall(name) if name else None
    if known is not None:
        return cast(Value, known)
    checkpoint.read_all()
    from template_fix.bounds import limits

    before = limits.stopped
    found = find()
    if name and limits.stopped == before:
        keep(name, found)
    return found


def _entry_name(kind: str, checkpoint: Checkpoint, options: Options, more: tuple[object, ...]) -> str:
    """Return the name of what is found in the cache: it depends on all this, and on the day if a template may ask."""
    files = hash_files(checkpoint.files)  # first, while no file is decoded
    asked = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in vars(options).items()}
    beside = (checkpoint.name, checkpoint.revision, checkpoint.store, sorted(checkpoint.others))
    return entry_name(kind, files, beside, asked, more, day_for(copy.source for copy in checkpoint.templates))
