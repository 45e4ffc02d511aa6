"""The library: one function for each command, which returns a value or raises an error of one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from template_fix.models import Model, companions, opened
from template_fix.options import Options
from template_fix.outcome import Patched, Report

if TYPE_CHECKING:
    from template_fix.plan import Plan
    from template_fix.sending import Pushed


def check(model: str, options: Options | None = None, *, revision: str | None = None) -> Report:
    """Return what is wrong with a model: a directory, or a repository on the Hub at ``revision``.

    Raises CheckpointError where its files can't be read, and HubError where the Hub doesn't hand them out.
    """
    from template_fix.repair import check as check_one

    return check_one(opened(model, revision).checkpoint, options)


def patch(
    model: str,
    options: Options | None = None,
    *,
    revision: str | None = None,
    output: str | None = None,
    write: bool = True,
) -> Patched:
    """Repair a model: in place, or into the directory ``output``, or in memory alone where ``write`` is false.

    Raises CheckpointError and HubError as `check` does, and WriteError where the files can't be written.
    """
    options = options or Options()
    if not write:
        return _previewed(opened(model, revision), options)
    if output is not None:
        return _copied(opened(model, revision), options, output)
    return _replaced(model, revision, options)


def _previewed(model: Model, options: Options) -> Patched:
    from template_fix.repair import patch as patch_one

    return Patched(patch_one(model.checkpoint, options), None)


def _copied(model: Model, options: Options, output: str) -> Patched:
    from template_fix.journal import ORIGIN
    from template_fix.origin import origin
    from template_fix.repair import patch as patch_one
    from template_fix.writing import write_elsewhere

    files = model.checkpoint.files
    result = patch_one(model.checkpoint, options)
    after = {file: text for file, (_, text) in result.changed.items()}
    unchanged, left = companions(model)
    made_of = origin(model)
    made = {str(ORIGIN): made_of.text()} if made_of else {}
    write_elsewhere(Path(output), {**files, **after, **unchanged, **made})
    return Patched(result, output, left, tuple(sorted({*files, *unchanged} - after.keys())))


def _replaced(model: str, revision: str | None, options: Options) -> Patched:
    from template_fix.document import CheckpointError
    from template_fix.models import is_repo
    from template_fix.repair import patch as patch_one
    from template_fix.writing import recover, replace

    if is_repo(model):
        raise CheckpointError(
            f"{model}: no such directory here, and a repository on the Hub isn't patched in place; "
            "name a directory with --output DIR, or share the repair with template-fix push"
        )
    # What a killed run has decided must be finished before the files are read.
    recover(Path(model))
    result = patch_one(opened(model, revision).checkpoint, options)
    replace(Path(model), result.changed)
    return Patched(result, model)


def push(
    source: str,
    to: str,
    options: Options | None = None,
    *,
    revision: str | None = None,
    create_pr: bool = False,
    branch: str | None = None,
    private: bool = False,
    message: str | None = None,
    allow_errors: bool = False,
    dry_run: bool = False,
    confirm: Callable[[Plan, str], bool] | None = None,
) -> Pushed:
    """Share a repaired tokenizer: as a commit or a pull request on its own model, or as a repository of one's own.

    ``source`` is a patched directory, or a repository, which is checked and repaired on the way. ``confirm`` is asked,
    with the reason, before anything is written to a repository that isn't the user's own, or that holds another
    tokenizer; without it, nobody is. A ``dry_run`` writes nothing and needs no token.

    Raises PushError where it should not be pushed, Moved where the repository has changed meanwhile, HubError where
    the Hub doesn't do it, and CheckpointError where the files can't be read.
    """
    from template_fix.plan import Wish
    from template_fix.sending import pushed

    wish = Wish(source, to, options or Options(), revision, create_pr, branch, private, message, allow_errors)
    return pushed(wish, dry_run=dry_run, confirm=confirm)
