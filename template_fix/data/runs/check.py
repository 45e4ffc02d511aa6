"""What a training run would lose: the template that it trains with, on each of its data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import JINJA
from template_fix.data.batches import Batch, DataError
from template_fix.data.check import DataWish, check_data
from template_fix.data.runs.config import RunConfig, RunData
from template_fix.data.sources import Source
from template_fix.data.survey import Survey
from template_fix.engine.checked import check
from template_fix.options import Options
from template_fix.results import Report

# Gives the template that a run names in place of the model's: of a text or a path, the file's name and the text.
FindTemplate = Callable[[str], tuple[str, str]]


@dataclass(frozen=True)
class RunReport:
    """What is wrong with a run: of the template that it trains with, and of each data set.

    ``untold`` says of data sets why nothing is known of them.
    """

    config: RunConfig
    report: Report
    surveys: tuple[Survey, ...] = ()
    untold: tuple[str, ...] = ()


def check_run(
    config: RunConfig,
    checkpoint: Checkpoint,
    find_template: FindTemplate,
    options: Options | None = None,
    wish: DataWish | None = None,
    on_batch: Callable[[Batch], None] | None = None,
    rows: tuple[int | None, int | None] = (None, None),
) -> RunReport:
    """Return what is wrong with a run whose model has this checkpoint.

    ``rows`` are the limit of each data set's rows and how many are taken at random, as in `Source`. Raises as
    `check_data` does, but not for data that can't be read: that is reported.
    """
    options, wish = options or Options(), wish or DataWish()
    options = replace(options, mark=options.mark or config.markers, flags=(*config.flags, *options.flags))
    main = with_template(checkpoint, config.template, find_template)
    report: Report | None = None
    surveys, untold = list[Survey](), list[str]()
    for each in config.data:
        used = with_template(checkpoint, each.template, find_template) if each.template else main
        try:
            found = check_data(used, _source(each, rows), options, replace(wish, columns=each.columns), on_batch)
        except DataError as error:
            untold.append(str(error))
            continue
        surveys.append(found.survey)
        report = found.report if used is main or report is None else report
    return RunReport(config, report or check(main, options), tuple(surveys), tuple(untold))


def _source(data: RunData, rows: tuple[int | None, int | None]) -> Source:
    limit, sample = rows
    return replace(data.source, limit=limit, sample=sample)


def with_template(checkpoint: Checkpoint, named: str | None, find_template: FindTemplate) -> Checkpoint:
    """Return a checkpoint whose one template is the one that a run names, or the checkpoint where it names none."""
    if named is None:
        return checkpoint
    file, text = find_template(named)
    return checkpoint.with_templates({file if file.endswith(".jinja") else JINJA: text})
