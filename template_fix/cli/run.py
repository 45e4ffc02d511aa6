"""One call per command: from a model's directory to a value that says what came of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from template_fix.results import Failed, Finding, Level, Outcome, Patched, Report
from template_fix.text.display import UserError, one_line

if TYPE_CHECKING:
    from template_fix.data.check import DataReport
    from template_fix.data.sources import Source
    from template_fix.engine.patch import Options
    from template_fix.report.showing import Showing
    from template_fix.share.plan import Plan, Wish
    from template_fix.share.push import Pushed

Value = TypeVar("Value")

CLEAN, FINDINGS, FAILED = 0, 1, 2
# A template that doesn't parse or run can't be looked at: nothing else is known of it.
UNTRIED = ("TF102", "TF103")


def check(models: Iterable[str], options: Options, revision: str | None = None) -> Iterator[Report | Failed]:
    """Yield the report of each model, or why there is none."""
    from template_fix import api

    for model in models:
        yield _tried(model, partial(api.check, model, options, revision=revision))


def check_data(
    model: str,
    source: Source,
    options: Options,
    revision: str | None,
    columns: Mapping[str, str],
    processes: int,
) -> DataReport | Failed:
    """Return what a model loses of training data, or why that can't be said; progress is drawn on a terminal."""
    from template_fix import api
    from template_fix.report.progress import progress

    with progress() as told:
        checked = partial(api.check_data, revision=revision, columns=columns, processes=processes, told=told)
        return _tried(model, partial(checked, model, source, options))


def patch(
    models: Iterable[str], options: Options, output: str | None, *, write: bool, revision: str | None = None
) -> Iterator[Patched | Failed]:
    """Yield what became of each model's patch: written in place, or to ``output``, or not at all."""
    from template_fix import api

    for model in models:
        yield _tried(model, partial(api.patch, model, options, revision=revision, output=output, write=write))


def _tried(model: str, call: Callable[[], Value]) -> Value | Failed:
    from template_fix.bounds.limits import ChildError

    try:
        return call()
    except UserError as error:
        return Failed(model, str(error))
    except ChildError as error:
        said = f"{model}: template-fix itself failed on this {_fault(str(error))}; please report it"
        return Failed(model, one_line(said))


def _fault(told: str) -> str:
    """Return what went wrong in a child process, and where, of the traceback that its error holds."""
    places = list(re.finditer(r'^  File "(?:.*[\\/])?(.+?)", line (\d+)', told, re.MULTILINE))
    said = places and re.search(r"^([\w.]+)(.*)", told[places[-1].end() :], re.MULTILINE)
    return f"({said[1]} in {places[-1][1]}, line {places[-1][2]}){said[2]}" if said else f"({told})"


def undo(directory: str) -> tuple[str, ...] | Failed:
    """Take the last patch of a directory, or of a template file, back and return the files restored.

    Where that couldn't be done, return why.
    """
    from template_fix.checkpoint.checkpoint import folder_of
    from template_fix.disk.replace import undo as undo_one

    folder, path = folder_of(directory), Path(directory)
    return _tried(directory, partial(undo_one, folder, None if path == folder else path.name))


def push(
    wish: Wish, *, dry_run: bool, confirm: Callable[[Plan, str], bool] | None, again: Callable[[str], bool]
) -> Pushed | Failed:
    """Return what became of a push, or why nothing was pushed.

    Where the repository has changed meanwhile, ``again`` is told so, and says whether to check it as it is now.
    """
    from template_fix.hub.errors import Moved
    from template_fix.share.push import pushed

    def push_once() -> Pushed:
        try:
            return pushed(wish, dry_run=dry_run, confirm=confirm)
        except Moved as error:
            if not again(str(error)):
                raise
            return push_once()

    return _tried(wish.source, push_once)


def show(
    model: str,
    messages: str | None,
    tags: tuple[str, str] | None,
    variant: str | None = None,
    revision: str | None = None,
) -> Showing | Failed:
    """Return what a model's template makes of the conversation in the file ``messages``, or of the built-in one."""
    from template_fix.conversations.builtin import read_conversation
    from template_fix.hub.model import opened
    from template_fix.report.showing import show as show_one

    def shown() -> Showing:
        conversation = read_conversation(Path(messages)) if messages else None
        return show_one(opened(model, revision).checkpoint, conversation, tags, variant)

    return _tried(model, shown)


def exit_code(outcomes: Iterable[Outcome], *, strict: bool = False) -> int:
    """Return 2 where a model or a template of it couldn't be tried, else 1 where findings remain that count, else 0.

    It is 1 as well where what was asked for was not done: generation markers that a template could not be given.
    """
    return max((_code(outcome, strict) for outcome in outcomes), default=CLEAN)


def _code(outcome: Outcome, strict: bool) -> int:
    if isinstance(outcome, Failed):
        return FAILED
    findings = (outcome.result.after if isinstance(outcome, Patched) else outcome).findings
    if any(finding.code in UNTRIED for finding in findings):
        return FAILED
    unmarked = isinstance(outcome, Patched) and outcome.result.unmarked
    return FINDINGS if unmarked or any(_counts(finding, strict) for finding in findings) else CLEAN


def _counts(finding: Finding, strict: bool) -> bool:
    return finding.level is Level.ERROR or (strict and finding.level is Level.WARNING)
