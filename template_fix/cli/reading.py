"""The commands that read models and change nothing: check, compare, show, explain."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import click

from template_fix.cli.options import (
    EXIT_CODES,
    FILLED,
    ModelArguments,
    check_options,
    checked,
    page,
    report_format,
    reporting,
    revision,
    tokens,
)
from template_fix.cli.row_options import DataOptions, ShowOptions, data_options, show_options
from template_fix.cli.settings import ConfiguredCommand

if TYPE_CHECKING:
    from template_fix.cli.output import Format, Reporting
    from template_fix.data.check import DataReport
    from template_fix.options import Options


@click.command(cls=ConfiguredCommand, epilog=EXIT_CODES)
@checked
@revision
@tokens
@check_options
@reporting
@data_options
def check(
    models: ModelArguments,
    revision: str | None,
    tokens: str | None,
    options: Options,
    reporting: Reporting,
    rows: DataOptions,
) -> int:
    """Say what is wrong with models, and change nothing.

    With --data, say what a model's template loses of training data as well: of JSONL, JSON, Parquet and Arrow files,
    folders of them, or data sets on the Hub. Rows have their conversation in messages, in conversations, or in prompt
    and completion, or are preference pairs; --column messages=dialog names another column. --rows OUT.jsonl lists
    the rows in trouble, and --rewrite OUT.jsonl writes all of them, with reasoning where the template prints it.

    With --config, all of it is read from a training's own file, an Axolotl or TRL YAML: the model, the template, the
    data sets with their columns, and what is masked. What isn't understood there is named.

    --set preserve_thinking=true judges with what your training passes to the template; rows that bring their own
    chat_template_kwargs keep them.
    """
    from template_fix import api
    from template_fix.cli import output, run
    from template_fix.cli.models import find_models
    from template_fix.results import Failed

    if rows.config is not None:
        return _check_run(rows.config, models, options, reporting, rows)
    if not rows.data and rows.needs_data:
        raise click.UsageError(
            "--column, --subset, --limit, --sample, --transformers, --rows, --rewrite, --processes and --exact go with "
            "--data"
        )
    if not any(models):
        raise click.UsageError("Name a MODEL, a list of models (--from), or whose models (--org).")
    found = run.try_one(", ".join(models.lists + models.owners), lambda: find_models(*models))
    if isinstance(found, Failed):
        return output.print_check([found], reporting)
    if not rows.data:
        from template_fix.cli.progress import show_progress
        from template_fix.disk.baseline import Baseline, read_baseline
        from template_fix.rules import READABLE_RULES, codes

        call = partial(api.check, options=options, revision=revision, tokens=tokens)
        path = reporting.baseline
        known = run.try_one(path, lambda: read_baseline(path, codes(READABLE_RULES))) if path else Baseline({})
        if isinstance(known, Failed):
            return output.print_check([known], reporting._replace(new_baseline=None))
        silent = reporting.statistics or reporting.form in ("json", "sarif")
        outcomes = show_progress(found, lambda name: run.try_one(name, partial(call, name)), silent=silent)
        return output.print_check(map(known.without_known, outcomes) if path else outcomes, reporting)
    if reporting.baseline or reporting.new_baseline:
        raise click.UsageError("--baseline and --write-baseline are for models, and not for --data")
    if tokens is not None:
        raise click.UsageError("--tokens lends to a template that is checked by itself, and goes without --data")
    if len(found) > 1 or reporting.form not in ("text", "concise", "json"):
        raise click.UsageError("--data takes one MODEL, and reports as text, concise or json")
    return output.print_data(run.try_one(found[0], lambda: _check_rows(found[0], revision, options, rows)), reporting)


def _check_rows(model: str, revision: str | None, options: Options, rows: DataOptions) -> DataReport:
    from template_fix import api
    from template_fix.cli.progress import progress
    from template_fix.data.check import DataWish
    from template_fix.data.sources import Source

    source = Source(rows.data, rows.split, rows.subset, rows.limit, rows.sample, tuple(rows.columns.values()))
    processes = rows.processes or _count_processors()
    wish = DataWish(rows.columns, rows.release, rows.listing, rows.rewrite, processes, rows.exact)
    with progress() as on_batch:
        return api.check_data(model, source, options, revision=revision, wish=wish, on_batch=on_batch)


def _check_run(file: str, models: ModelArguments, options: Options, reporting: Reporting, rows: DataOptions) -> int:
    """Check what a trainer's file names; a MODEL stands for the one in it."""
    given = click.get_current_context().get_parameter_source("columns")
    named = rows.columns and given is click.core.ParameterSource.COMMANDLINE  # a project's columns are of other data
    if rows.data or named or rows.subset or len(models.named) > 1 or models.lists or models.owners:
        raise click.UsageError("--config names the data and its columns, and takes one MODEL at most")
    if rows.listing or rows.rewrite or reporting.form not in ("text", "json"):
        raise click.UsageError("--config reports as text or json; --rows and --rewrite go with --data")
    if reporting.baseline or reporting.new_baseline:
        raise click.UsageError("--baseline and --write-baseline are for models, and not for --config")
    from template_fix import api
    from template_fix.cli import output, run
    from template_fix.cli.progress import progress
    from template_fix.data.check import DataWish
    from template_fix.data.runs.check import RunReport
    from template_fix.data.runs.config import read_config

    def look() -> RunReport:
        wish = DataWish(release=rows.release, processes=rows.processes or _count_processors(), exact=rows.exact)
        with progress() as on_batch:
            model, counts = next(iter(models.named), None), (rows.limit, rows.sample)
            return api.check_run(read_config(file), options, model=model, wish=wish, rows=counts, on_batch=on_batch)

    return output.print_run(run.try_one(file, look), reporting)


def _count_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command()
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
@page
@report_format("text", "json")
def compare(
    base: str, tuned: str | None, revisions: tuple[str, ...], options: Options, page: str | None, form: Format
) -> int:
    """Say what two models do otherwise: a base and what was made of it.

    Their templates render the same conversations, and what their files record of tokens is held side by side: what is
    wrong with both was inherited. Two revisions of one model are compared with --revision twice. The exit code is 0
    where they do the same, 1 where they differ, 2 where one can't be read or run.
    """
    if len(revisions) > 2 or (tuned is None and len(revisions) < 2):
        raise click.UsageError("compare takes two models, or one with --revision twice")
    from template_fix import api
    from template_fix.cli import output, run

    first, second = (*revisions, None, None)[:2]
    call = partial(api.compare, base, tuned or base, options, revisions=(first, second))
    return output.print_comparison(run.try_one(f"{base}, {tuned or base}", call), form, page)


@click.command(epilog=EXIT_CODES)
@click.argument("code", required=False)
@report_format("text", "json")
def explain(code: str | None, form: Format) -> int:
    """Print a rule's page, or the table of all rules."""
    from template_fix.cli.output import print_rules

    return print_rules(code, form)


@click.command(epilog=EXIT_CODES)
@click.argument("model", type=FILLED)
@revision
@tokens
@show_options
@report_format("text", "json")
def show(model: str, revision: str | None, tokens: str | None, wanted: ShowOptions, form: Format) -> int:
    """Render a conversation, with what is dropped struck out.

    It is a built-in one, or that of a file (--messages), or a row of training data, as check --data takes it (--data,
    with --row 7 for the one that a check tells of as rows.jsonl:7). --mask shows its tokens, and which of them are
    trained on with assistant_only_loss; --engine what another engine prints.
    """
    if wanted.messages and wanted.data:
        raise click.UsageError("--messages and --data both name a conversation; one is shown")
    if not wanted.data and wanted.needs_data:
        raise click.UsageError("--row, --column, --split and --subset go with --data")
    from template_fix import api
    from template_fix.cli import output, run
    from template_fix.data.sources import Source

    source = None
    if wanted.data:
        source = Source((wanted.data,), wanted.split or "train", wanted.subset, columns=tuple(wanted.columns.values()))
    call = partial(
        api.show,
        messages=wanted.messages,
        tags=wanted.tags,
        variant=wanted.variant,
        revision=revision,
        source=source,
        row=wanted.row or 1,
        columns=wanted.columns,
        flags=dict(wanted.flags),
        engine=wanted.engine,
        mask=wanted.mask,
        tokens=tokens,
    )
    return output.print_show(next(run.try_each([model], call)), form)
