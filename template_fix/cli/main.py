"""The command line: options in, one call, its outcome printed, the exit code out."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import click

from template_fix.cli.options import (
    FILLED,
    Data,
    Models,
    check_options,
    checked,
    data_options,
    manner,
    models,
    pairs,
    patch_options,
    push_options,
    report_format,
    revision,
)
from template_fix.cli.settings import Configured, settings_lines
from template_fix.text.display import one_line

if TYPE_CHECKING:
    from template_fix.cli.output import Format, Manner
    from template_fix.data.check import DataReport
    from template_fix.options import Options
    from template_fix.share.plan import Plan, PushRequest
    from template_fix.share.push import Pushed

# Raised by click 8.2 and later.
_HELP: tuple[type[Exception], ...] = (getattr(click.exceptions, "NoArgsIsHelpError", click.exceptions.Exit),)
CLEAN, FAILED, INTERRUPTED, PIPE_CLOSED = 0, 2, 130, 141
EXIT_CODES = """\b
Exit codes:
  0  nothing is wrong, or nothing is left that counts
  1  errors were found or remain (check --strict: warnings too), or a template
     could not be given markers (patch --mark)
  2  the work could not be done: bad usage, files that can't be read or written,
     a template that doesn't parse or run, a Hub that doesn't do what is asked,
     a push that is refused or declined
"""


class Commands(click.Group):
    """The commands; a reader who closes the pipe early ends them without a word."""

    def invoke(self, ctx: click.Context) -> Any:
        """Return the exit code of the command that was called."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            return _silence_stdout(PIPE_CLOSED)


def _silence_stdout(code: int) -> int:
    """Let what is still in the buffer of stdout go nowhere, so that Python doesn't stumble over it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from template_fix.version import version

        click.echo(f"template-fix {version()}")
        ctx.exit()


def _settings(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        for text in settings_lines():
            click.echo(one_line(text))
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.option(
    "--show-settings", is_flag=True, expose_value=False, callback=_settings, help="Show what pyproject.toml settles."
)
def cli() -> None:
    """Find and repair chat templates and tokenizers that lose the reasoning of reasoning models.

    A MODEL is a directory with tokenizer files, a template in a file of its own (*.jinja), or a repository on the
    Hugging Face Hub, such as org/model. Begin with `template-fix demo`.
    """


@cli.command(cls=Configured, epilog=EXIT_CODES)
@checked
@revision
@check_options
@manner
@data_options
def check(models: Models, revision: str | None, options: Options, manner: Manner, rows: Data) -> int:
    """Say what is wrong with models, and change nothing.

    With --data, say what a model's template loses of training data as well: of JSONL, JSON, Parquet and Arrow files,
    folders of them, or data sets on the Hub. Rows have their conversation in messages, in conversations, or in prompt
    and completion, or are preference pairs; --column messages=dialog names another column. --rows OUT.jsonl lists
    the rows in trouble, and --rewrite OUT.jsonl writes all of them, with reasoning where the template prints it.

    --set preserve_thinking=true judges with what your training passes to the template; rows that bring their own
    chat_template_kwargs keep them.
    """
    from template_fix import api
    from template_fix.cli import output, run
    from template_fix.cli.models import find_models
    from template_fix.results import Failed

    if not rows.data and rows.needs_data:
        raise click.UsageError(
            "--column, --subset, --limit, --sample, --transformers, --rows, --rewrite and --processes go with --data"
        )
    if not any(models):
        raise click.UsageError("Name a MODEL, a list of models (--from), or whose models (--org).")
    found = run.try_one(", ".join(models.lists + models.owners), lambda: find_models(*models))
    if isinstance(found, Failed):
        return output.print_check([found], manner)
    if not rows.data:
        call = partial(api.check, options=options, revision=revision)
        return output.print_check(run.try_each(found, call), manner)
    if len(found) > 1 or manner.form not in ("text", "json"):
        raise click.UsageError("--data takes one MODEL, and reports as text or json")
    return output.print_data(run.try_one(found[0], lambda: _check_rows(found[0], revision, options, rows)), manner)


def _check_rows(model: str, revision: str | None, options: Options, rows: Data) -> DataReport:
    from template_fix import api
    from template_fix.cli.progress import progress
    from template_fix.data.check import DataWish
    from template_fix.data.sources import Source

    source = Source(rows.data, rows.split, rows.subset, rows.limit, rows.sample, tuple(rows.columns.values()))
    wish = DataWish(rows.columns, rows.release, rows.listing, rows.rewrite, rows.processes or _count_processors())
    with progress() as on_batch:
        return api.check_data(model, source, options, revision=revision, wish=wish, told=on_batch)


def _count_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cli.command()
@click.argument("base", type=FILLED)
@click.argument("tuned", required=False, type=FILLED)
@click.option(
    "--revision",
    "revisions",
    type=FILLED,
    multiple=True,
    metavar="REV",
    help="The branch, tag or commit of BASE and, once more, that of TUNED.",
)
@check_options
@report_format("text", "json")
def compare(base: str, tuned: str | None, revisions: tuple[str, ...], options: Options, form: Format) -> int:
    """Say what two models do otherwise: a base and what was made of it.

    Their templates render the same conversations, and what their files record of tokens is held side by side: what is
    wrong with both was inherited. Two revisions of one model are compared with --revision twice. The exit code is 0
    where they do the same, 1 where they differ, 2 where one can't be read.
    """
    if len(revisions) > 2 or (tuned is None and len(revisions) < 2):
        raise click.UsageError("compare takes two models, or one with --revision twice")
    from template_fix import api
    from template_fix.cli import output, run

    first, second = (*revisions, None, None)[:2]
    call = partial(api.compare, base, tuned or base, options, revisions=(first, second))
    return output.print_comparison(run.try_one(f"{base}, {tuned or base}", call), form)


@cli.command(cls=Configured, epilog=EXIT_CODES)
@models
@revision
@patch_options
@click.option("--diff", "diff", flag_value="diff", help="Print the changes as a diff, and write nothing.")
@click.option("--raw-diff", "diff", flag_value="raw", help="The same, of the files as they are, for git apply.")
@click.option("--check", "dry", is_flag=True, help="Write nothing, and exit with 1 where something would change.")
@click.option(
    "--output",
    type=FILLED,
    metavar="DIR",
    help="Write the repaired tokenizer to DIR, with all files but weights; leave MODEL alone.",
)
@report_format("text", "json")
def patch(
    models: tuple[str, ...],
    revision: str | None,
    options: Options,
    diff: Literal["diff", "raw"] | None,
    dry: bool,
    output: str | None,
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
    call = partial(api.patch, options=options, revision=revision, output=output, write=not (diff or dry))
    return print_patch(run.try_each(models, call), form, alone=diff or piped, unchanged=dry)


@cli.command(cls=Configured, epilog=EXIT_CODES)
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


@cli.command(epilog=EXIT_CODES)
@click.argument("directory", metavar="DIR", type=FILLED)
@report_format("text", "json")
def undo(directory: str, form: Format) -> int:
    """Take the last patch of a directory back."""
    from template_fix import api
    from template_fix.cli import output, run

    return output.print_undo(directory, run.try_one(directory, lambda: api.undo(directory)), form)


@cli.command(epilog=EXIT_CODES)
@click.argument("code", required=False)
@report_format("text", "json")
def explain(code: str | None, form: Format) -> int:
    """Print a rule's page, or the table of all rules."""
    from template_fix.cli.output import print_rules

    return print_rules(code, form)


@cli.command(epilog=EXIT_CODES)
@click.argument("model", type=FILLED)
@revision
@click.option(
    "--messages", type=FILLED, metavar="FILE", help="A conversation: JSON, or the first line of a JSONL file."
)
@click.option("--variant", metavar="NAME", help="The template of this name, such as tool_use.")
@click.option("--tag", "tags", nargs=2, callback=pairs, metavar="OPEN CLOSE", help="The reasoning tags.")
@report_format("text", "json")
def show(
    model: str,
    revision: str | None,
    messages: str | None,
    variant: str | None,
    tags: tuple[str, str] | None,
    form: Format,
) -> int:
    """Render a conversation, with what is dropped struck out."""
    from template_fix import api
    from template_fix.cli import output, run

    call = partial(api.show, messages=messages, tags=tags, variant=variant, revision=revision)
    return output.print_show(next(run.try_each([model], call)), form)


@cli.command(epilog=EXIT_CODES)
@click.argument("directory", metavar="[DIR]", required=False, type=FILLED)
@report_format("text", "json")
def demo(directory: str | None, form: Format) -> int:
    """Check, patch and check again a small broken model.

    It is written to DIR, which must be new or empty, or else to a temporary directory, and stays there.
    """
    from template_fix.cli.demo import make_demo, print_demo

    return print_demo(make_demo(directory), form)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on ``arguments``, by default the process's own, and return the exit code."""
    # A failure is one line: huggingface_hub says more to those who ask for it, and draws its bars on terminals alone.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(cli.main(arguments, prog_name="template-fix", standalone_mode=False) or CLEAN)
    except click.ClickException as error:
        if not isinstance(error, _HELP):  # whose message is the help, and no argument is quoted in it
            vars(error).update(message=one_line(error.message))  # click declares it to be final
        error.show()
        return FAILED
    except click.Abort:
        return INTERRUPTED
    except OSError as error:
        message = one_line(f"{error.filename or 'the output'}: {error.strerror or error}")
        click.echo(f"template-fix: {message}", err=True)
        return _silence_stdout(FAILED)
