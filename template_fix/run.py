"""One call per command: from a model's directory to a value that says what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from template_fix.finding import Finding, Level
from template_fix.outcome import PatchResult, Report

if TYPE_CHECKING:
    from template_fix.repair import Options
    from template_fix.show import Showing

CLEAN, FINDINGS, FAILED = 0, 1, 2
# A template that doesn't parse or run can't be looked at: nothing else is known of it.
UNTRIED = ("TF102", "TF103")


@dataclass(frozen=True)
class Failure:
    """A model that could not be worked on, and why, in one line."""

    model: str
    message: str


@dataclass(frozen=True)
class Patched:
    """What became of a model's patch.

    ``written`` is the directory that it was written to, None where nothing was to be written. Where that isn't the
    model's own, ``left`` are the files that stayed behind, ``copied`` those that went along unchanged.
    """

    result: PatchResult
    written: str | None
    left: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()


Outcome = Report | Patched | Failure


def check(models: Iterable[str], options: Options) -> Iterator[Report | Failure]:
    """Yield the report of each model, or why there is none."""
    from template_fix.checkpoint import Checkpoint, CheckpointError
    from template_fix.repair import check as check_one

    for model in models:
        try:
            yield check_one(Checkpoint.read(model), options)
        except CheckpointError as error:
            yield Failure(model, str(error))


def patch(models: Iterable[str], options: Options, output: str | None, *, write: bool) -> Iterator[Patched | Failure]:
    """Yield what became of each model's patch: written in place, or to ``output``, or not at all."""
    from template_fix.checkpoint import CheckpointError
    from template_fix.journal import WriteError

    for model in models:
        try:
            if not write:
                yield _previewed(model, options)
            elif output is not None:
                yield _copied(model, options, output)
            else:
                yield _replaced(model, options)
        except (CheckpointError, WriteError) as error:
            yield Failure(model, str(error))


def _previewed(model: str, options: Options) -> Patched:
    from template_fix.checkpoint import Checkpoint
    from template_fix.repair import patch as patch_one

    return Patched(patch_one(Checkpoint.read(model), options), None)


def _copied(model: str, options: Options, output: str) -> Patched:
    from template_fix.beside import beside
    from template_fix.checkpoint import Checkpoint
    from template_fix.repair import patch as patch_one
    from template_fix.writing import write_elsewhere

    checkpoint = Checkpoint.read(model)
    result = patch_one(checkpoint, options)
    after = {file: text for file, (_, text) in result.changed.items()}
    unchanged, left = beside(Path(model), checkpoint.others)
    write_elsewhere(Path(output), {**checkpoint.files, **after, **unchanged})
    return Patched(result, output, left, tuple(sorted({*checkpoint.files, *unchanged} - after.keys())))


def _replaced(model: str, options: Options) -> Patched:
    from template_fix.checkpoint import Checkpoint
    from template_fix.repair import patch as patch_one
    from template_fix.writing import recover, replace

    # What a killed run has decided must be finished before the files are read.
    recover(Path(model))
    result = patch_one(Checkpoint.read(model), options)
    replace(Path(model), result.changed)
    return Patched(result, model)


def undo(directory: str) -> tuple[str, ...] | Failure:
    """Take the last patch of a directory back and return the files restored, or why that couldn't be done."""
    from template_fix.journal import WriteError
    from template_fix.writing import undo as undo_one

    try:
        return undo_one(Path(directory))
    except WriteError as error:
        return Failure(directory, str(error))


def show(
    model: str, messages: str | None, tags: tuple[str, str] | None, variant: str | None = None
) -> Showing | Failure:
    """Return what a model's template makes of the conversation in the file ``messages``, or of the built-in one."""
    from template_fix.checkpoint import Checkpoint, CheckpointError
    from template_fix.conversation import ConversationError, read_conversation
    from template_fix.render import RenderError
    from template_fix.show import show as show_one

    try:
        conversation = read_conversation(Path(messages)) if messages else None
        return show_one(Checkpoint.read(model), conversation, tags, variant)
    except (CheckpointError, ConversationError, RenderError) as error:
        return Failure(model, str(error))


def exit_code(outcomes: Iterable[Outcome], *, strict: bool = False) -> int:
    """Return 2 where a model or a template of it couldn't be tried, else 1 where findings remain that count, else 0."""
    return max((_code(outcome, strict) for outcome in outcomes), default=CLEAN)


def _code(outcome: Outcome, strict: bool) -> int:
    if isinstance(outcome, Failure):
        return FAILED
    findings = (outcome.result.after if isinstance(outcome, Patched) else outcome).findings
    if any(finding.code in UNTRIED for finding in findings):
        return FAILED
    return FINDINGS if any(_counts(finding, strict) for finding in findings) else CLEAN


def _counts(finding: Finding, strict: bool) -> bool:
    return finding.level is Level.ERROR or (strict and finding.level is Level.WARNING)
