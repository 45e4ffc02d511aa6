"""Checks a checkpoint, or recalls the report of an earlier run on the same files."""

from __future__ import annotations

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.texts import hash_files
from template_fix.disk.cache import day_for, entry_name, keep, recall
from template_fix.options import Options
from template_fix.results import Report


def check(checkpoint: Checkpoint, options: Options | None = None) -> Report:
    """Return what is wrong with a checkpoint. Changes nothing; templates run within limits.

    Raises CheckpointError where a file isn't what it should be.
    """
    options = options or Options()
    # Whoever asks for other engines has them tried.
    name = _entry_name(checkpoint, options) if options.cache and not options.engines else None
    known = recall(name) if name else None
    if isinstance(known, Report):
        return known
    checkpoint.read_all()
    from template_fix.engine.check import check_now

    report, final = check_now(checkpoint, options)
    if name and final:
        keep(name, report)
    return report


def _entry_name(checkpoint: Checkpoint, options: Options) -> str:
    """Return the name of a report in the cache: it depends on all this, and on the day if a template may ask for it."""
    files = hash_files(checkpoint.files)  # first, while no file is decoded
    asked = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in vars(options).items()}
    beside = (checkpoint.name, checkpoint.revision, checkpoint.store, sorted(checkpoint.others))
    return entry_name("report", files, beside, asked, day_for(copy.source for copy in checkpoint.templates))
