"""The library: one function for each command; it returns a value, or raises an error whose message is one line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError, folder_of
from template_fix.checkpoint.gguf import SUFFIX, is_gguf
from template_fix.checkpoint.template_copies import JINJA, TRANSFORMERS
from template_fix.disk.store import ORIGIN, WriteError
from template_fix.hub.model import STDIN, Model, find_companions, is_repo, open_model
from template_fix.options import Options, default_for_push
from template_fix.results import Patched, Report

if TYPE_CHECKING:
    from template_fix.data.batches import Batch
    from template_fix.data.check import DataReport, DataWish
    from template_fix.data.row_check import RowCheck
    from template_fix.data.runs.check import RunReport
    from template_fix.data.runs.config import RunConfig
    from template_fix.data.sources import Source
    from template_fix.engine.compare import Comparison
    from template_fix.report.showing.engines import Engine
    from template_fix.report.showing.show import Showing
    from template_fix.share.plan import Plan
    from template_fix.share.push import Pushed


def check(
    model: str | os.PathLike[str],
    options: Options | None = None,
    *,
    revision: str | None = None,
    tokens: str | None = None,
) -> Report:
    """Check a model and return a Report with its findings; nothing is changed.

    ``model`` is the path of a directory, of a template's own file or of a GGUF file, or a repository on the Hub, at the
    branch, tag or commit ``revision`` (by default its main branch). ``tokens`` names another model whose tokenizer is
    used with a template that has none; findings about that tokenizer are left out.

    Raises CheckpointError if the files can't be read, and HubError if they can't be fetched.
    """
    from template_fix.engine.checked import check as check_one

    opened = open_model(os.fspath(model), revision, tokens, whole=False)
    return check_one(opened.tried, _limit_to_template(options, tokens))


def _limit_to_template(options: Options | None, tokens: str | None) -> Options | None:
    """Return options without the rules on tokens and files if the tokenizer is a lent one."""
    if tokens is None:
        return options
    from template_fix.rules import AGREEMENT_RULES, TOKEN_RULES, codes

    options = options or Options()
    return replace(options, ignore={*options.ignore, *codes((*TOKEN_RULES, *AGREEMENT_RULES))})


def compare(
    base: str | os.PathLike[str],
    tuned: str | os.PathLike[str],
    options: Options | None = None,
    *,
    revisions: tuple[str | None, str | None] = (None, None),
) -> Comparison:
    """Compare two models, named as in `check`: rendered conversations, tokens, and findings. Nothing is changed.

    ``revisions`` are the revisions of ``base`` and of ``tuned`` on the Hub. Raises as `check` does.
    """
    from template_fix.engine.compare import compare as compare_both

    named = zip((base, tuned), revisions, strict=True)
    one, other = (open_model(os.fspath(model), revision).checkpoint for model, revision in named)
    return compare_both(one, other, options)


def row_check(
    model: str | os.PathLike[str],
    options: Options | None = None,
    *,
    revision: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> RowCheck:
    """Return a function that checks training rows: it takes a batch of columns and returns a batch of new columns.

    Use it as ``dataset.map(row_check("MODEL"), batched=True)``, or with Ray's ``map_batches``. A batch maps column
    names to lists or arrays of equal length. The new columns have one value for each row; `losses.Verdict` describes
    them. ``columns`` maps a column's meaning to its name in the data, such as ``{"messages": "dialog"}``; it is needed
    if the names aren't ``messages``, ``conversations``, ``prompt``, ``completion``, ``tools`` and
    ``chat_template_kwargs``.

    Raises as `check` does, and CheckpointError if the model has no chat template.
    """
    from template_fix.data.check import row_check_of

    return row_check_of(open_model(os.fspath(model), revision).checkpoint, options, columns)


def check_data(
    model: str | os.PathLike[str],
    source: Source,
    options: Options | None = None,
    *,
    revision: str | None = None,
    wish: DataWish | None = None,
    on_batch: Callable[[Batch], None] | None = None,
) -> DataReport:
    """Check a model and its training data: what its template loses of the rows, as it is and repaired.

    ``on_batch`` is called with each batch of rows when it is done. Raises as `row_check` does, and DataError if the
    data can't be read.
    """
    from template_fix.data.check import check_data as check_one

    checkpoint = open_model(os.fspath(model), revision, whole=False).checkpoint
    return check_one(checkpoint, source, options, wish, on_batch)


def check_run(
    config: RunConfig,
    options: Options | None = None,
    *,
    model: str | None = None,
    wish: DataWish | None = None,
    rows: tuple[int | None, int | None] = (None, None),
    on_batch: Callable[[Batch], None] | None = None,
) -> RunReport:
    """Check what a training run would lose; ``config`` is its trainer's file, read by `runs.config.read_config`.

    ``model`` replaces the model that the file names. ``rows`` are two limits for each data set: how many rows are taken
    from the beginning, and how many at random. Raises as `check_data` does.
    """
    from template_fix.data.runs.check import check_run as check_one

    revision = None if model else config.revision
    checkpoint = open_model(model or config.model, revision).checkpoint
    return check_one(config, checkpoint, _find_template, options, wish, on_batch, rows)


def _find_template(named: str) -> tuple[str, str]:
    """Return the file name and text of the template in a trainer's file: a text, a path, or another model's name."""
    if "{%" in named or "{{" in named:
        return JINJA, named
    copy = open_model(named).checkpoint.copy_for(TRANSFORMERS)
    if copy is None:
        raise CheckpointError(f"{named}: has no chat template to train with")
    return copy.file, copy.source


def patch(
    model: str | os.PathLike[str],
    options: Options | None = None,
    *,
    revision: str | None = None,
    output: str | os.PathLike[str] | None = None,
    write: bool = True,
    tokens: str | None = None,
) -> Patched:
    """Repair a model: in place, into the directory ``output``, or only in memory if ``write`` is false.

    ``model``, ``revision`` and ``tokens`` are as in `check`. A template from stdin (``-``) is repaired in memory, and
    its text is in the result. For a GGUF file, ``output`` is the name of a new file.

    Raises CheckpointError and HubError as `check` does, and WriteError if the files can't be written.
    """
    options, model = _limit_to_template(options, tokens) or Options(), os.fspath(model)
    if output == "":
        raise WriteError("the name of the directory to write to is empty; is a variable unset?")
    if not write:
        from template_fix.engine.patch import patch as patch_one

        return Patched(patch_one(open_model(model, revision, tokens).tried, options), None)
    if model == STDIN and output is None:
        from template_fix.engine.patch import patch as patch_one

        opened = open_model(model, revision, tokens)
        result = patch_one(opened.tried, options)
        [text] = opened.checkpoint.after(result.changed).files.values()
        return Patched(result, model, text=text)
    if output is not None:
        return _patch_copy(open_model(model, revision, tokens), options, os.fspath(output))
    return _patch_in_place(model, revision, options, tokens)


def _patch_copy(model: Model, options: Options, output: str) -> Patched:
    from template_fix.disk.replace import write_elsewhere
    from template_fix.engine.patch import patch as patch_one
    from template_fix.hub.origin import find_origin

    if is_gguf(Path(model.checkpoint.name)):
        return _patch_gguf_copy(Path(model.checkpoint.name), model.checkpoint, options, output)
    result = patch_one(model.tried, options)
    unchanged, left = find_companions(model)
    origin = find_origin(model)
    noted = {str(ORIGIN): origin.text()} if origin else {}
    write_elsewhere(Path(output), {**model.checkpoint.after(result.changed).files, **unchanged, **noted})
    return Patched(result, output, left, tuple(sorted({*model.checkpoint.files, *unchanged} - result.changed.keys())))


def _patch_gguf_copy(source: Path, checkpoint: Checkpoint, options: Options, output: str) -> Patched:
    from template_fix.disk.gguf_copy import copy_gguf, refuse_output
    from template_fix.engine.patch import patch as patch_one

    refuse_output(Path(output))
    result = patch_one(checkpoint, options)
    copy_gguf(source, Path(output), checkpoint.files, result.changed)
    return Patched(result, output)


def _patch_in_place(model: str, revision: str | None, options: Options, tokens: str | None) -> Patched:
    from template_fix.disk.replace import recover
    from template_fix.disk.replace import replace as replace_files
    from template_fix.engine.patch import patch as patch_one

    if is_repo(model):
        raise CheckpointError(
            f"{model}: no such directory here, and a repository on the Hub isn't patched in place; "
            "name a directory with --output DIR, or share the repair with template-fix push"
        )
    if is_gguf(Path(model)):
        raise CheckpointError(f"{model}: a GGUF file isn't patched in place; name a copy with --output NEW{SUFFIX}")
    # If a run was killed while it moved files, that must be completed before the files are read.
    folder = folder_of(model)
    if model:
        recover(folder)
    result = patch_one(open_model(model, revision, tokens).tried, options)
    replace_files(folder, result.changed)
    return Patched(result, model)


def undo(directory: str) -> tuple[str, ...]:
    """Undo the last patch of a directory or of a template's own file; return the names of the restored files.

    Raises WriteError if there is nothing to undo, or a file was changed since.
    """
    from template_fix.disk.replace import undo as undo_one

    folder, path = folder_of(directory), Path(directory)
    return undo_one(folder, None if path == folder else path.name)


def show(
    model: str,
    messages: str | None = None,
    tags: tuple[str, str] | None = None,
    *,
    variant: str | None = None,
    revision: str | None = None,
    source: Source | None = None,
    row: int = 1,
    columns: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    engine: Engine | None = None,
    mask: bool = False,
    tokens: str | None = None,
) -> Showing:
    """Render a conversation with a model's template: the one in the file ``messages``, or the built-in ones.

    With ``source`` it is row number ``row`` (from 1) of training data, with ``columns`` as in `row_check`. ``variant``
    names the template, ``tags`` are its reasoning tags, ``flags`` are template variables. ``engine`` renders in place
    of transformers. With ``mask`` the result has the tokens, and which of them are trained on.

    Raises as `check` does, ConversationError if the file holds no conversation, DataError if the row can't be read,
    RenderError if the template can't be run, and EngineError if the engine isn't installed.
    """
    from template_fix.conversations.builtin import read_conversation
    from template_fix.report.showing.show import show as show_one

    conversations = [read_conversation(Path(messages))] if messages else []
    if source is not None:
        from template_fix.data.one_row import find_row

        conversations += find_row(source, row, columns or {})
    checkpoint = open_model(model, revision, tokens).tried
    return show_one(checkpoint, conversations, tags, variant, flags, engine=engine, mask=mask)


def push(
    source: str | os.PathLike[str],
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
    """Share a repaired tokenizer on the Hub: as a commit or pull request on its own model, or as a new repository.

    ``source`` is a patched directory, or a repository at ``revision``, which is checked and repaired first. ``to`` is
    the repository to write to. ``confirm`` is called with the plan and the reason before anything is written to a
    repository that isn't the user's own, or that holds another tokenizer; if it returns false, nothing is sent. Without
    ``confirm`` nobody is asked. A ``dry_run`` writes nothing and needs no token.

    Raises PushError if it should not be pushed, Moved if the repository has changed meanwhile, HubError if a request
    to the Hub fails, and CheckpointError if the files can't be read.
    """
    from template_fix.share.plan import PushRequest
    from template_fix.share.push import push as push_one

    options = options or Options(default=default_for_push(create_pr))
    request = PushRequest(os.fspath(source), to, options, revision, create_pr, branch, private, message, allow_errors)
    return push_one(request, dry_run=dry_run, confirm=confirm)
