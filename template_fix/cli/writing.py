"""The commands that write: patch, undo, push, and the demo."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import click

from template_fix.cli.options import (
    EXIT_CODES,
    FILLED,
    gather_options,
    models,
    page,
    patch_options,
    push_options,
    report_format,
    revision,
    tokens,
)
from template_fix.cli.settings import ConfiguredCommand
from template_fix.text.display import one_line

if TYPE_CHECKING:
    from template_fix.cli.output import Format
    from template_fix.options import Options
    from template_fix.share.plan import Plan, PushRequest
    from template_fix.share.push import Pushed


class Writing(NamedTuple):
    """What ``patch`` writes and prints: where, how, or nothing at all."""

    diff: Literal["diff", "raw"] | None
    dry: bool
    output: str | None
    page: str | None
    form: Format

    @property
    def writes(self) -> bool:
        """Whether any files are to be written."""
        return not (self.diff or self.dry)


_writing = gather_options(
    "writing",
    Writing,
    click.option("--diff", "diff", flag_value="diff", help="Print the changes as a diff; write nothing."),
    click.option(
        "--raw-diff", "diff", flag_value="raw", help="Print a diff of the files for git apply; write nothing."
    ),
    click.option("--check", "dry", is_flag=True, help="Write nothing, and exit with 1 if something would change."),
    click.option(
        "--output",
        type=FILLED,
        metavar="DIR",
        help="Write the repaired model to DIR, without weights, or the GGUF file to a new one; don't change MODEL.",
    ),
    page,
    report_format("text", "json"),
)


@click.command(cls=ConfiguredCommand, epilog=EXIT_CODES)
@models
@revision
@tokens
@patch_options
@_writing
def patch(models: tuple[str, ...], revision: str | None, tokens: str | None, options: Options, writing: Writing) -> int:
    """Repair models in place; only repairs that are proved are made.

    The former files are kept for `template-fix undo`. The exit code depends on the errors that remain. Generation
    markers are inserted only with --mark, since some engines don't know them.
    """
    if writing.output is not None and not writing.writes:
        raise click.UsageError("--output can't be used with --diff or --check")
    if writing.output is not None and len(models) > 1:
        raise click.UsageError("--output can't be used with several models")
    if "-" in models and len(models) > 1:
        raise click.UsageError("- reads a template from stdin, and must be the only MODEL")
    from template_fix import api
    from template_fix.cli import run
    from template_fix.cli.output import print_patch
    from template_fix.cli.progress import show_progress

    to_stdout = models == ("-",) and not (writing.dry or writing.output)
    piped: Literal["template"] | None = "template" if to_stdout else None
    call = partial(
        api.patch,
        options=options,
        revision=revision,
        tokens=tokens,
        output=writing.output,
        write=writing.writes,
    )
    silent = writing.form == "json"
    outcomes = show_progress(models, lambda name: run.try_one(name, partial(call, name)), silent=silent)
    return print_patch(outcomes, writing.form, alone=writing.diff or piped, unchanged=writing.dry, page=writing.page)


@click.command(cls=ConfiguredCommand, epilog=EXIT_CODES)
@push_options
@report_format("text", "json")
def push(request: PushRequest, dry_run: bool, yes: bool, form: Format) -> int:
    """Share a repaired tokenizer on the Hub, as a change of its model or as your own repository.

    SOURCE is a patched directory, or a repository on the Hub, which is checked and patched first. The repository of the
    repaired model gets only the changed files; any other repository gets the whole tokenizer and a model card.
    """
    from template_fix.cli import output, run
    from template_fix.hub.errors import Moved
    from template_fix.share.push import push as push_one

    def push_until_still() -> Pushed:
        try:
            return push_one(request, dry_run=dry_run, confirm=None if yes else _confirm)
        except Moved as error:
            if not (sys.stdin.isatty() and _ask(f"{error}. Check it as it is now?")):
                raise
            return push_until_still()

    return output.print_push(run.try_one(request.source, push_until_still), form)


def _confirm(plan: Plan, doubt: str) -> bool:
    """Show what is about to be sent and ask the user. Raises PushError if stdin is no terminal."""
    from template_fix.cli.output import print_plan
    from template_fix.share.plan import PushError

    if not sys.stdin.isatty():
        raise PushError(f"{plan.repo}: {doubt}; confirm it with --yes; --dry-run shows what would be sent")
    print_plan(plan)
    return _ask(f"{plan.repo} {doubt}. Send this? (--dry-run shows all of it)")


def _ask(question: str) -> bool:
    return click.confirm(one_line(question), err=True)


@click.command(epilog=EXIT_CODES)
@click.argument("directory", metavar="DIR", type=FILLED)
@report_format("text", "json")
def undo(directory: str, form: Format) -> int:
    """Undo the last patch of a directory."""
    from template_fix import api
    from template_fix.cli import output, run

    return output.print_undo(directory, run.try_one(directory, lambda: api.undo(directory)), form)


@click.command(epilog=EXIT_CODES)
@click.argument("directory", metavar="[DIR]", required=False, type=FILLED)
@report_format("text", "json")
def demo(directory: str | None, form: Format) -> int:
    """Check and repair a small broken model, to see how this tool works.

    The model is written to DIR, which must be new or empty, by default to a temporary directory. It is not deleted.
    """
    from template_fix.cli.demo import make_demo, print_demo

    return print_demo(make_demo(directory), form)
