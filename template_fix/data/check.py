"""The check of a model over training data: its templates on every row, and the repaired ones on those in trouble."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from template_fix.bounds.limits import LimitExceeded, in_turn
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.template_copies import TRANSFORMERS
from template_fix.conversations.tags import USUAL, discover
from template_fix.data.batches import Batch, DataError
from template_fix.data.row_check import RowCheck
from template_fix.data.sources import Source
from template_fix.data.survey import Survey, surveyed
from template_fix.engine.patch import check, patch, special_tokens
from template_fix.jinja.renderer import Renderer, RenderError
from template_fix.jinja.templates import ParseError, Template
from template_fix.options import Options
from template_fix.results import PatchResult, Report
from template_fix.tokens.reasoning_tokens import recorded_tags

# Computing time to learn the tags of all templates of a model.
SECONDS = 8.0


@dataclass(frozen=True)
class DataReport:
    """What is wrong with a model, and what it loses of training data."""

    report: Report
    survey: Survey


def row_check_of(
    checkpoint: Checkpoint, options: Options | None = None, columns: Mapping[str, str] | None = None
) -> RowCheck:
    """Return the row check of a checkpoint's templates as transformers sees them.

    Raises CheckpointError where there are none, or none that can be compiled, and as `recorded_tags` does.
    """
    copies = dict(checkpoint.seen[TRANSFORMERS]) or {copy.variant: copy for copy in checkpoint.templates}
    if not copies:
        raise CheckpointError(f"{checkpoint.name}: no chat template here to render rows with")
    variables = {**special_tokens(checkpoint), **dict(options.flags if options else ())}
    chosen = options.tags if options else ()
    tags = dict.fromkeys(chosen + recorded_tags(checkpoint, chosen))
    found = in_turn(_tags, [(copy.source, variables) for copy in copies.values()], computing=SECONDS)
    for copy, each in zip(copies.values(), found, strict=True):
        if isinstance(each, (str, LimitExceeded)):
            raise CheckpointError(f"{checkpoint.name}/{copy.file}: rows can't be rendered with it: {each}")
        tags |= dict.fromkeys(each)
    templates = tuple((variant, copy.source) for variant, copy in copies.items())
    named = tuple((columns or {}).items())
    return RowCheck(templates, tuple(variables.items()), tuple(dict.fromkeys((*tags, USUAL))), named)


def _tags(source: str, variables: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | str:
    """Return the reasoning tags of a template, or why it can't be compiled."""
    try:
        found = discover(Renderer(source, variables), Template(source).tree)
    except (RenderError, ParseError) as error:
        return str(error)
    return ((found.open, found.close),) if found else ()


def check_data(
    checkpoint: Checkpoint,
    source: Source,
    options: Options | None = None,
    columns: Mapping[str, str] | None = None,
    *,
    processes: int = 1,
    told: Callable[[Batch], None] | None = None,
) -> DataReport:
    """Return what is wrong with a checkpoint, and what it loses of training data, now and repaired.

    ``told`` hears of each batch that is done. Raises CheckpointError as `row_check_of` does, and DataError where there
    are no rows.
    """
    batches = source.batches()
    now = row_check_of(checkpoint, options, columns)
    result: PatchResult | None = None

    def repaired() -> RowCheck | None:
        nonlocal result
        result = patch(checkpoint, options)
        then = row_check_of(checkpoint.after(result.changed), options, columns) if result.changed else now
        return then if then.templates != now.templates else None

    survey = surveyed(now, batches, processes, told, repaired)
    if not survey.before.rows:
        raise DataError(f"{', '.join(source.names)}: holds no rows")
    report = result.before if result else check(checkpoint, options)
    return DataReport(report, replace(survey, names=source.names))
