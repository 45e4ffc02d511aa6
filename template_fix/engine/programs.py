"""The different programs among the templates of a checkpoint: those that say the same are studied and repaired once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint, TemplateCopy
from template_fix.jinja.spelling import Spelling, spelling
from template_fix.text.edits import Edit

# Computing time to read all templates of a model.
SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class Program:
    """The copies of a template, which differ in spelling at most, and how each is spelled where they do."""

    copies: tuple[TemplateCopy, ...]
    spellings: tuple[Spelling, ...] = ()

    @property
    def source(self) -> str:
        """The text of the first copy: what is studied."""
        return self.copies[0].source

    def placed(self, edits: Sequence[Edit]) -> tuple[tuple[str, Edit], ...]:
        """Return edits of the first copy's text as edits of the files of all copies."""
        spellings = self.spellings or (None,) * len(self.copies)
        return tuple(
            placed
            for copy, each in zip(self.copies, spellings, strict=True)
            for placed in copy.edits(self.spellings[0].moved(edits, each) if each else edits)
        )


def programs(checkpoint: Checkpoint, *, alike: bool = True) -> list[Program]:
    """Return the different programs; where ``alike`` is false, two copies are one only if their texts are the same."""
    by_source: dict[str, list[TemplateCopy]] = {}
    for copy in checkpoint.templates:
        by_source.setdefault(copy.source, []).append(copy)
    spellings = _spellings(by_source) if alike and len(by_source) > 1 else []
    if not spellings:
        return [Program(tuple(copies)) for copies in by_source.values()]
    by_program: dict[str, list[tuple[TemplateCopy, Spelling]]] = {}
    for copies, each in zip(by_source.values(), spellings, strict=True):
        by_program.setdefault(each.program, []).extend((copy, each) for copy in copies)
    return [Program(*map(tuple, zip(*pairs, strict=True))) for pairs in by_program.values()]


def are_still_alike(found: Iterable[Program], after: Checkpoint) -> bool:
    """Whether the copies of each program say the same once more after they were edited; the files are the same ones."""
    edited = {(copy.file, copy.variant): copy.source for copy in after.templates}
    for program in found:
        sources = dict.fromkeys(edited[copy.file, copy.variant] for copy in program.copies if program.spellings)
        if len(sources) > 1 and len({each.program for each in _spellings(sources)}) != 1:
            return False
    return True


def _spellings(sources: Iterable[str]) -> list[Spelling]:
    """Return how templates are spelled, none where that takes too long."""
    try:
        return run_bounded(_all_spellings, list(sources), seconds=10 * SECONDS, computing=SECONDS)
    except LimitExceeded:
        return []


def _all_spellings(sources: list[str]) -> list[Spelling]:
    return list(map(spelling, sources))
