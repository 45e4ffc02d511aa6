"""The check of a model over training data: its templates on every row, and the repaired ones on those in trouble."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TextIO

from template_fix.bounds.limits import LimitExceeded, run_in_turn
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.template_copies import PROCESSOR_VIEW, TRANSFORMERS
from template_fix.conversations.discovery import discover
from template_fix.conversations.tags import USUAL
from template_fix.data.batches import Batch, DataError
from template_fix.data.rewrite import Rewriter
from template_fix.data.row_check import RowCheck
from template_fix.data.sources import Source
from template_fix.data.survey import Survey, surveyed
from template_fix.data.tally import Found
from template_fix.data.troubles.kinds import OF_REASONING
from template_fix.engine.checked import check, find_or_recall
from template_fix.engine.patch import patch, special_tokens
from template_fix.jinja.renderer import Renderer, RenderError
from template_fix.jinja.templates import ParseError, Template
from template_fix.options import Options
from template_fix.results import Report
from template_fix.tokens.reasoning_tokens import recorded_tags

# Computing time to learn the tags of all templates of a model.
SECONDS = 8.0


@dataclass(frozen=True)
class DataReport:
    """What is wrong with a model, and what it loses of training data."""

    report: Report
    survey: Survey

    def __repr__(self) -> str:
        return f"<DataReport: {self.report!r}; {self.survey!r}>"

    def _repr_html_(self) -> str:
        return self.report._repr_html_() + self.survey._repr_html_()


def row_check_of(
    checkpoint: Checkpoint,
    options: Options | None = None,
    columns: Mapping[str, str] | None = None,
    release: int = 5,
) -> RowCheck:
    """Return the row check of a checkpoint's templates as transformers sees them, of version 5 or 4.57.

    Raises CheckpointError where there are none, or none that can be compiled, and as `recorded_tags` does.
    """
    copies = dict(checkpoint.seen[TRANSFORMERS]) or {copy.variant: copy for copy in checkpoint.templates}
    if not copies:
        raise CheckpointError(f"{checkpoint.name}: no chat template here to render rows with")
    variables = {**special_tokens(checkpoint), **dict(options.flags if options else ())}
    chosen = options.tags if options else ()
    tags = dict.fromkeys(chosen + recorded_tags(checkpoint, chosen))
    own: dict[tuple[str, str], None] = {}
    found = run_in_turn(_tags, [(copy.source, variables) for copy in copies.values()], computing=SECONDS)
    for copy, each in zip(copies.values(), found, strict=True):
        if isinstance(each, (str, LimitExceeded)):
            raise CheckpointError(f"{checkpoint.name}/{copy.file}: rows can't be rendered with it: {each}")
        own |= dict.fromkeys(each)
    tags |= own
    templates = tuple((variant, copy.source) for variant, copy in copies.items())
    processor = checkpoint.seen[PROCESSOR_VIEW]
    media = tuple(
        (variant, copy.source) for variant, copy in processor.items() if copy.source not in dict(templates).values()
    )
    named = tuple((columns or {}).items())
    known = tuple(dict.fromkeys((*tags, USUAL)))
    return RowCheck(templates, tuple(variables.items()), known, named, release, chosen or tuple(own or tags), media)


def _tags(source: str, variables: Mapping[str, object]) -> tuple[tuple[str, str], ...] | str:
    """Return the reasoning tags of a template, or why it can't be compiled."""
    try:
        found = discover(Renderer(source, variables), Template(source).tree)
    except (RenderError, ParseError) as error:
        return str(error)
    return ((found.open, found.close),) if found else ()


@dataclass(frozen=True)
class DataWish:
    """What is wanted of training data beside the counts.

    ``columns`` is as in `row_check_of`, ``release`` the version of transformers, 5 or 4 for 4.57; ``listing`` and
    ``rewrite`` are files to write: a line for each row in trouble, and all rows with reasoning where it is printed.
    ``exact`` renders each row, also where others of its shape were.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    release: int = 5
    listing: str | None = None
    rewrite: str | None = None
    processes: int = 1
    exact: bool = False


def check_data(
    checkpoint: Checkpoint,
    source: Source,
    options: Options | None = None,
    wish: DataWish | None = None,
    on_batch: Callable[[Batch], None] | None = None,
) -> DataReport:
    """Return what is wrong with a checkpoint, and what it loses of training data, now and repaired.

    ``on_batch`` is called with each batch that is done. Raises CheckpointError as `row_check_of` does, and DataError
    where there are no rows, or a file can't be written.
    """
    options, wish = options or Options(), wish or DataWish()
    batches = source.batches()

    def check_of(some: Checkpoint) -> RowCheck:
        return replace(row_check_of(some, options, wish.columns, wish.release), exact=wish.exact)

    def find_repair() -> tuple[Report, RowCheck | None]:
        """Return what is wrong with the checkpoint, and the repaired check, None where templates are as they were."""
        patched = patch(checkpoint, options)
        then = check_of(checkpoint.after(patched.changed)) if patched.changed else now
        return patched.before, then if (then.templates, then.media) != (now.templates, now.media) else None

    beside = (sorted(wish.columns.items()), wish.release, wish.exact)
    now = find_or_recall("rows", lambda: check_of(checkpoint), checkpoint, options, *beside)
    report: Report | None = None
    repaired: RowCheck | None = None

    def repair() -> RowCheck | None:
        nonlocal report, repaired
        report, repaired = find_or_recall("repaired rows", find_repair, checkpoint, options, *beside)
        return repaired

    with _writing(wish.listing) as lines, _writing(wish.rewrite) as out:

        def listed(found: Found) -> None:
            assert lines is not None
            lines.write(json.dumps(found.as_line()) + "\n")

        survey = surveyed(now, batches, wish.processes, on_batch, repair, listed if lines else None)
        if not survey.before.rows:
            raise DataError(f"{', '.join(source.names)}: holds no rows")
        if out and report is None and any(map(survey.before.having, OF_REASONING)):
            repair()  # rows that lose nothing as they stand may need it once their reasoning is moved
        done = Rewriter(now, repaired).written(source.batches(), out) if out else None
    return DataReport(report or check(checkpoint, options), replace(survey, names=source.names, rewritten=done))


@contextmanager
def _writing(name: str | None) -> Iterator[TextIO | None]:
    """Give a new file to write to, None without a name; where the work isn't finished, it is gone again.

    Raises DataError where it can't be written, or where something of that name is there, be it the data itself.
    """
    if name is None:
        yield None
        return
    try:
        file = open(name, "x", encoding="utf-8")  # noqa: SIM115 - what fails from here on isn't the opening
    except FileExistsError:
        raise DataError(f"{name}: is there already, and is left as it is; name another file") from None
    except OSError as error:
        raise DataError(f"{name}: {error.strerror or error}") from None
    with file:
        try:
            yield file
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
