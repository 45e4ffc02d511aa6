"""The commands that write: patch, undo, push, and the demo."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Literal

import click

from template_fix.cli.options import (
    EXIT_CODES,
    FILLED,
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


@click.command(cls=ConfiguredCommand, epilog=EXIT_CODES)
@models
@revision
@tokens
@patch_options
@click.option("--diff", "diff", flag_value="diff", help="Print the changes as a diff, and write nothing.")
@click.option("--raw-diff", "diff", flag_value="raw", help="The same, of the files as they are, for git apply.")
@click.option("--check", "dry", is_flag=True, help="Write nothing, and exit with 1 where something would change.")
@click.option(
    "--output",
    type=FILLED,
    metavar="DIR",
    help="Write the repaired tokenizer to DIR, with all files but weights, or a GGUF file to a new one; leave MODEL.",
)
@page
@report_format("text", "json")
def patch(
    models: tuple[str, ...],
    revision: str | None,
    tokens: str | None,
    options: Options,
    diff: Literal["diff", "raw"] | None,
    dry: bool,
    output: str | None,
    page: str | None,
    form: Format,
) -> int:
    """Repair models in place; what is not proved is not kept.

    The former files are kept for `template-fix undo`. The exit code goes by the errors that remain. Some engines' Jinja
    doesn't know generation markers, so they are only put in with --mark.
    """
    if output is not None and (diff or dry or len(models) > 1):
        raise click.UsageError(f"--output takes {'no --diff and no --check' if diff or dry else 'one MODEL only'}")
    if "-" in models and len(models) > 1:
        raise click.UsageError("- is a template on stdin, and the only MODEL")
    from template_fix import api
    from template_fix.cli import run
    from template_fix.cli.output import print_patch

    piped: Literal["template"] | None = "template" if models == ("-",) and not (dry or output) else None
    call = partial(api.patch, options=options, revision=revision, tokens=tokens, output=output, write=not (diff or dry))
    return print_patch(run.try_each(models, call), form, alone=diff or piped, unchanged=dry, page=page)


@click.command(cls=ConfiguredCommand, epilog=EXIT_CODES)
@push_options
@report_format("text", "json")
def push(request: PushRequest, dry_run: bool, yes: bool, form: Format) -> int:
    """Share a repaired tokenizer on the Hub: with the model it is of, or as a repository of your own.

    SOURCE is a patched directory, or a repository on the Hub, which is then checked and patched on the way. What is
    sent to the model that the repair is of are the changed files alone; a repository of your own gets the whole
    tokenizer and a model card.
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
    """Show what is about to be sent and ask; where nobody can answer, refuse."""
    from template_fix.cli.output import print_plan
    from template_fix.share.plan import PushError

    if not sys.stdin.isatty():
        raise PushError(f"{plan.repo}: {doubt}, so this needs --yes; --dry-run shows what would be sent")
    print_plan(plan)
    return _ask(f"{plan.repo} {doubt}. Send this? (--dry-run shows all of it)")


def _ask(question: str) -> bool:
    return click.confirm(one_line(question), err=True)


@click.command(epilog=EXIT_CODES)
@click.argument("directory", metavar="DIR", type=FILLED)
@report_format("text", "json")
def undo(directory: str, form: Format) -> int:
    """Take the last patch of a directory back."""
    from template_fix import api
    from template_fix.cli import output, run

    return output.print_undo(directory, run.try_one(directory, lambda: api.undo(directory)), form)


@click.command(epilog=EXIT_CODES)
@click.argument("directory", metavar="[DIR]", required=False, type=FILLED)
@report_format("text", "json")
def demo(directory: str | None, form: Format) -> int:
    """Check, patch and check again a small broken model.

    It is written to DIR, which must be new or empty, or else to a temporary directory, and stays there.
    """
    from template_fix.cli.demo import make_demo, print_demo

    return print_demo(make_demo(directory), form)
