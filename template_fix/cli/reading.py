"""The commands that read models and change nothing: check, compare, show, explain."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
    from template_fix.disk.baseline import Baseline
    from template_fix.options import Options


@click.command(cls=ConfiguredCommand, epilog=EXIT_CODES)
@checked
@check_options
@reporting
@data_options
def check(models: ModelArguments, options: Options, reporting: Reporting, rows: DataOptions) -> int:
    """Report what is wrong with models, and change nothing.

    With --data, also report what a model's template loses of training data: JSONL, JSON, Parquet and Arrow files,
    folders of them, or data sets on the Hub. A row has its conversation in the column messages, in conversations, in
    prompt and completion, or as a preference pair; --column messages=dialog names another column. --rows OUT.jsonl
    lists the rows in trouble. --rewrite OUT.jsonl writes all rows, with their reasoning moved to where the template
    prints it.

    With --config, all of this is read from a trainer's configuration file, an Axolotl or TRL YAML: the model, the
    template, the data sets with their columns, and what is masked. Keys that aren't understood are listed.

    --set preserve_thinking=true passes this variable to the template, as your training does; rows with their own
    chat_template_kwargs keep them.
    """
    from template_fix.cli import output, run
    from template_fix.cli.models import find_models
    from template_fix.results import Failed

    if rows.config is not None:
        return _check_run(rows.config, models, options, reporting, rows)
    if not rows.data and rows.needs_data:
        raise click.UsageError(
            "--column, --subset, --limit, --sample, --transformers, --rows, --rewrite, --processes and --exact need "
            "--data"
        )
    if not (models.named or models.lists or models.owners):
        raise click.UsageError("Name a MODEL, a file with a list of models (--from), or an organisation (--org).")
    names = ", ".join(models.lists + models.owners)
    found = run.try_one(names, lambda: find_models(models.named, models.lists, models.owners))
    if isinstance(found, Failed):
        return output.print_check([found], reporting)
    check_found = _check_data if rows.data else _check_models
    return check_found(found, models, options, reporting, rows)


def _check_models(
    found: Sequence[str], models: ModelArguments, options: Options, reporting: Reporting, rows: DataOptions
) -> int:
    """Check each model; findings that the baseline knows don't count."""
    from template_fix import api
    from template_fix.cli import output, run
    from template_fix.cli.progress import show_progress
    from template_fix.results import Failed

    call = partial(api.check, options=options, revision=models.revision, tokens=models.tokens)
    path = reporting.baseline
    known = run.try_one(path, lambda: _read_baseline(path)) if path else None
    if isinstance(known, Failed):
        return output.print_check([known], reporting._replace(new_baseline=None))
    silent = reporting.statistics or reporting.form in ("json", "sarif")
    outcomes = show_progress(found, lambda name: run.try_one(name, partial(call, name)), silent=silent)
    return output.print_check(map(known.without_known, outcomes) if known else outcomes, reporting)


def _read_baseline(path: str) -> Baseline:
    from template_fix.disk.baseline import read_baseline
    from template_fix.options import rule_codes

    return read_baseline(path, rule_codes("readable"))


def _check_data(
    found: Sequence[str], models: ModelArguments, options: Options, reporting: Reporting, rows: DataOptions
) -> int:
    """Check one model and its training data."""
    from template_fix.cli import output, run

    if reporting.baseline or reporting.new_baseline:
        raise click.UsageError("--baseline and --write-baseline can't be used with --data")
    if models.tokens is not None:
        raise click.UsageError("--tokens can't be used with --data; name the directory of the whole model")
    if len(found) > 1 or reporting.form not in ("text", "concise", "json"):
        raise click.UsageError("--data takes one MODEL, and --format text, concise or json")
    outcome = run.try_one(found[0], lambda: _check_rows(found[0], models.revision, options, rows))
    return output.print_data(outcome, reporting)


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
    """Check what a trainer's configuration file names; a MODEL on the command line replaces the one in the file."""
    given = click.get_current_context().get_parameter_source("columns")
    named = rows.columns and given is click.core.ParameterSource.COMMANDLINE  # columns in pyproject.toml are for --data
    if rows.data or named or rows.subset or len(models.named) > 1 or models.lists or models.owners:
        raise click.UsageError("--config reads the data and its columns from the file, and takes at most one MODEL")
    if rows.listing or rows.rewrite or reporting.form not in ("text", "json"):
        raise click.UsageError("--config takes --format text or json; --rows and --rewrite need --data")
    if reporting.baseline or reporting.new_baseline:
        raise click.UsageError("--baseline and --write-baseline can't be used with --config")
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
    help="The branch, tag or commit of BASE; given twice, the second is that of TUNED.",
)
@check_options
@page
@report_format("text", "json")
def compare(
    base: str, tuned: str | None, revisions: tuple[str, ...], options: Options, page: str | None, form: Format
) -> int:
    """Report what two models do differently: a base model and one made from it.

    Both templates render the same conversations, and the records of tokens in the files are compared. What is wrong
    with both was inherited. Give --revision twice to compare two revisions of one model. The exit code is 0 if no
    difference was found, 1 if there is one, and 2 if a model can't be read or its template can't be run.
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
    """Explain a rule, or list all rules."""
    from template_fix.cli.output import print_rules

    return print_rules(code, form)


@click.command(epilog=EXIT_CODES)
@click.argument("model", type=FILLED)
@revision
@tokens
@show_options
@report_format("text", "json")
def show(model: str, revision: str | None, tokens: str | None, wanted: ShowOptions, form: Format) -> int:
    """Render a conversation; text that the template drops is struck out.

    By default these are built-in conversations. --messages FILE renders yours. --data rows.jsonl --row 7 renders a row
    of training data: the one that check --data calls rows.jsonl:7. --mask shows the tokens, and which of them are
    trained on with assistant_only_loss. --engine shows what another engine prints.
    """
    if wanted.messages and wanted.data:
        raise click.UsageError("--messages and --data both name a conversation; give only one of them")
    if not wanted.data and wanted.needs_data:
        raise click.UsageError("--row, --column, --split and --subset need --data")
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
