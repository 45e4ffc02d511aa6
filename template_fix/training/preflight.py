"""`preflight`, one line for a training script: checks or repairs the tokenizer in memory before the first step."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.template_copies import TRANSFORMERS
from template_fix.conversations.tags import USUAL
from template_fix.data.batches import Batch
from template_fix.data.check import row_check_of
from template_fix.data.rewrite import Rewriter
from template_fix.data.row_check import BATCH, RowCheck
from template_fix.data.survey import Survey, surveyed
from template_fix.engine.patch import check, patch
from template_fix.options import Options
from template_fix.report.data import survey_lines
from template_fix.report.findings import by_gravity, finding_lines
from template_fix.report.terminal import WIDEST, Line, add_marks, line, wrap
from template_fix.results import Finding, Level, Place, Report
from template_fix.rules import AGREEMENT_RULES, ENGINE_RULES, MARKER_RULES, TOKEN_RULES, codes, rule_of
from template_fix.rules.checkpoint import tf504_padding_is_the_end
from template_fix.rules.tokens import tf302_flags_disagree
from template_fix.text.display import short
from template_fix.tokens.reasoning_tokens import listed, vocabulary_tags
from template_fix.training.answer_parsing import Tokenizer
from template_fix.training.in_memory import (
    PreflightError,
    find_dropped_tags,
    first_rank,
    keeps_ends,
    repair_tokenizer,
    save_temporarily,
    tokenizer_of,
)

Mode = Literal["raise", "warn"]

_MARKERS, _TOKENS = codes(MARKER_RULES), codes(TOKEN_RULES)
# File names in messages are removed: the user has only an object in memory.
_NAME = r"(?:tokenizer|tokenizer_config|special_tokens_map|added_tokens)\.json|chat_template\.jinja|any other file"
_FILES = re.compile(rf" (?:in|of) (?:{_NAME})(?:(?:, | and | or )(?:{_NAME}))*")


def _columns(options: re.Match[str]) -> str:
    return f"columns={dict(option.split('=', 1) for option in options.group().split() if '=' in option)}"


# Options of the command line in messages, and the Python call that does the same.
_CALLS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"--rewrite OUT\.jsonl"), 'preflight(tokenizer, dataset, mode="warn").rewrite(dataset)'),
    (re.compile(r"--column \w+=\S+(?: --column \w+=\S+)*"), _columns),
    (
        re.compile(r"--transformers 4\.57 or 5 renders as"),
        "the transformers that is installed here renders; it has to be",
    ),
    (re.compile(r"patch --select (TF\d+)"), r'preflight(tokenizer, fix=True, options=Options(select="\1"))'),
)
_PROCESSOR = "the processor of transformers"


class PreflightWarning(UserWarning):
    """The same as PreflightError, as a warning for ``mode="warn"``."""


@dataclass(frozen=True)
class Preflight:
    """The result of `preflight`.

    ``report`` is the report on the tokenizer after any repair, ``survey`` what its template loses of the rows (None
    without rows), and ``repaired`` the codes of what was repaired. ``check`` checks rows; it is None without rows, and
    if there is no template for them.
    """

    report: Report
    survey: Survey | None = None
    repaired: tuple[str, ...] = ()
    check: RowCheck | None = field(default=None, repr=False)

    def rewrite(self, dataset: Any) -> Iterator[object]:
        """Yield all rows, their reasoning moved to where the tokenizer's template prints it as reasoning.

        A changed row was rendered with all of its reasoning between the model's own tags; all other rows are unchanged.
        ``dataset`` is as in `preflight`. Raises CheckpointError if preflight got no rows, or there is no chat template.
        """
        if self.check is None:
            raise CheckpointError("there was no check of rows; call preflight(tokenizer, dataset) with rows")
        batches = (batch for name, rows in _splits(dataset) for batch in _batches(name, rows, None))
        return (row for row, _ in Rewriter(self.check).rows(batches))

    def __repr__(self) -> str:
        parts = [f"{self.survey.before.harmed} of {self.survey.before.rows} rows in trouble"] if self.survey else []
        parts += [f"repaired {', '.join(self.repaired)}"] if self.repaired else []
        return f"<Preflight: {'; '.join([self.report.verdict, *parts])}>"

    def _repr_html_(self) -> str:
        return self.report._repr_html_() + (self.survey._repr_html_() if self.survey else "")


def preflight(
    tokenizer: Tokenizer,
    dataset: object = None,
    *,
    fix: bool = False,
    mark: bool = False,
    mode: Mode = "raise",
    limit: int | None = None,
    options: Options | None = None,
    columns: Mapping[str, str] | None = None,
    chat_template_kwargs: Mapping[str, object] | None = None,
    collator: Callable[[list[dict[str, object]]], object] | None = None,
) -> Preflight:
    """Check or repair a tokenizer or processor in memory, before anything is trained with it.

    ``dataset`` holds rows of conversations: a data set of the ``datasets`` library, a mapping of splits to data sets,
    or a list. The first ``limit`` rows are rendered, by default all. With ``fix``, the chat template and the special
    flags of the object itself are repaired, for this run and for what ``save_pretrained`` writes. With ``mark`` as
    well, the template gets generation markers for ``assistant_only_loss``; it is an error if that is impossible. If TRL
    is installed and recognises the original template, it attaches its response template before the repair. ``columns``
    is as in `api.row_check`; ``chat_template_kwargs`` are the template variables that the training passes, for rows
    without their own. ``collator`` is the trainer's: if it keeps the labels of padding tokens that end a turn, such
    padding (TF504) is only a note. Each repair is logged in one line. In a distributed training only the first process
    reports everything, and all of them raise.

    Raises PreflightError if reasoning or answers are lost; with ``mode="warn"`` it warns. Without rows that means that
    an error was found; with rows, that they lose something, or that a reasoning tag is special. Without rows it only
    warns about an error that concerns rows of some form, such as those with a system text. Raises TypeError for an
    object that is no tokenizer and for rows that can be read only once, ValueError for another ``mode``, and
    CheckpointError if there are rows, but no chat template that can be compiled; with ``mode="warn"``, it warns about
    the latter as well.
    """
    if mode not in ("raise", "warn"):
        raise ValueError(f'mode is "raise" or "warn", not {mode!r}')
    options = _options_in_memory(options or Options(), mark, chat_template_kwargs or {})
    with save_temporarily(tokenizer) as (folder, checkpoint):
        mended = repair_tokenizer(tokenizer, folder, checkpoint, options) if fix else ()
    if mended:
        with save_temporarily(tokenizer) as (_, checkpoint):
            pass
    report = check(checkpoint, options)
    found_here = (*report.findings, *find_dropped_tags(tokenizer, report))
    report = replace(report, findings=tuple(_as_in_memory(each, tokenizer, collator) for each in found_here))
    now, untried = None, ""
    try:
        now = None if dataset is None else _row_check(tokenizer, checkpoint, options, columns)
    except CheckpointError as error:
        if mode == "raise":
            raise
        untried = str(error)
    found = Preflight(report, _survey_rows(now, dataset, limit) if now else None, mended, now)
    counts = bool(untried) or _is_serious(found, mark)
    if counts or _may_concern(found):
        lines = _result_lines(found, fix, untried, _next_step(checkpoint, found, fix, options))
        raise_or_warn(plain_text(lines), mode if counts else "warn")
    return found


def _options_in_memory(options: Options, mark: bool, chat_template_kwargs: Mapping[str, object]) -> Options:
    """Return options without the rules on files, and with the template variables of the training."""
    # There are no files here that could disagree.
    ignored = {*options.ignore, *codes((*AGREEMENT_RULES, *ENGINE_RULES)), tf302_flags_disagree.CODE}
    flags = (*options.flags, *chat_template_kwargs.items())
    return replace(options, ignore=ignored, mark=options.mark or mark, flags=flags)


def _survey_rows(now: RowCheck, dataset: object, limit: int | None) -> Survey:
    """Return what the template loses of the first ``limit`` rows of each split."""
    batches = (batch for name, rows in _splits(dataset) for batch in _batches(name, rows, limit))
    return replace(surveyed(now, batches), names=tuple(name for name, _ in _splits(dataset)))


def tags_of(tokenizer: Tokenizer) -> tuple[tuple[str, str], ...]:
    """Return the pairs of reasoning tags of a tokenizer in memory, from its template and its vocabulary."""
    with save_temporarily(tokenizer) as (_, checkpoint):
        return row_check_of(checkpoint).tags


def plain_text(lines: Iterable[Line]) -> str:
    """Return lines as the text of an error or a warning."""
    rows = (row for each in lines for row in wrap(add_marks(each), WIDEST))
    return "\n".join("".join(piece.text for piece in row) for row in rows)


def _row_check(
    tokenizer: Tokenizer, checkpoint: Checkpoint, options: Options, columns: Mapping[str, str] | None
) -> RowCheck:
    """Return the check of rows with this object's templates and this version of transformers."""
    now = row_check_of(checkpoint, options, columns)
    seen = checkpoint.seen[_PROCESSOR] if tokenizer is not tokenizer_of(tokenizer) else checkpoint.seen[TRANSFORMERS]
    templates = tuple((variant, copy.source) for variant, copy in seen.items()) or now.templates
    return replace(now, templates=templates, release=_find_release(tokenizer))


def _splits(dataset: object) -> list[tuple[str, Any]]:
    splits = dataset if isinstance(dataset, Mapping) else {"dataset": dataset}
    return [(str(name), rows) for name, rows in splits.items()]


def _find_release(tokenizer: Tokenizer) -> int:
    """Return 5 if transformers passes a message's reasoning under all of its names, as from 5.21 on, else 4."""
    printed = tokenizer_of(tokenizer).apply_chat_template(
        [{"role": "user", "content": "", "reasoning": "passed"}],
        chat_template="{{ messages[0].reasoning_content }}",
        tokenize=False,
    )
    return 5 if printed == "passed" else 4


def _batches(name: str, rows: Iterable[object], limit: int | None) -> Iterator[Batch]:
    if hasattr(rows, "__next__"):
        raise TypeError("the rows can be read only once, so none would be left for training; pass a list or a Dataset")
    taken = islice(iter(rows), limit)
    start = 0
    while part := list(islice(taken, BATCH)):
        yield Batch(str(name), range(start, start + len(part)), part)
        start += len(part)


def _is_serious(found: Preflight, mark: bool) -> bool:
    errors = [finding for finding in found.report.findings if finding.level is Level.ERROR]
    if mark and any(finding.code in _MARKERS for finding in found.report.findings):
        return True
    if found.survey is None:
        return any(not rule_of(finding.code).in_some_rows for finding in errors)
    return found.survey.before.harmed > 0 or any(finding.code in _TOKENS for finding in errors)


def _may_concern(found: Preflight) -> bool:
    """Whether there are errors that concern rows of some form, while no rows are known."""
    return found.survey is None and any(finding.level is Level.ERROR for finding in found.report.findings)


def _as_in_memory(finding: Finding, tokenizer: Tokenizer, collator: Any) -> Finding:
    """Return a finding without file names: the files were only written for the check, and are gone."""
    place, level = finding.place, finding.level
    if finding.code == tf504_padding_is_the_end.CODE and collator is not None and keeps_ends(tokenizer, collator):
        level = Level.NOTE
    if place:
        variant = f"[{place.template!r}]" if isinstance(tokenizer.chat_template, dict) else ""
        at = Place(f"chat_template{variant}", place.template_line, place.template_column)
        place = replace(place, **{name: getattr(at, name) for name in ("file", "line", "column")})
    return replace(
        finding,
        level=level,
        message=_FILES.sub("", finding.message),
        place=place if place and place.template else None,
        fix=finding.fix and _FILES.sub("", finding.fix),
    )


def _next_step(checkpoint: Checkpoint, found: Preflight, fix: bool, options: Options) -> str:
    """Return the next step; it names a repair only if that was tried in memory and proved."""
    done = f"Repaired: {', '.join(found.repaired) or 'nothing'}." if fix else ""
    mended = () if fix else _repairable_codes(checkpoint, options)
    if mended:
        return (
            f"Next: preflight(tokenizer, fix=True) repairs {listed(mended)} in memory, template-fix patch in its files."
        )
    tags = (*vocabulary_tags(checkpoint), USUAL)[0]
    known = options.tags or any(template.reasoning for template in found.report.templates)
    mended = () if known else _repairable_codes(checkpoint, replace(options, tags=(tags,)))
    if mended:
        call = f"preflight(tokenizer, fix=True, options=Options(tags=({tags},)))"
        return f"{done} Next: {call} repairs {listed(mended)}, with these tags or others.".strip()
    return f"{done} No edit was found that repairs {'the rest' if fix else 'it'}; change the rows.".strip()


def _repairable_codes(checkpoint: Checkpoint, options: Options) -> tuple[str, ...]:
    return tuple(sorted({code for repair in patch(checkpoint, options).kept for code in repair.codes}))


def _result_lines(found: Preflight, fix: bool, untried: str, following: str) -> Iterator[Line]:
    report = found.report
    yield line(short(report.model), ": ", report.verdict)
    for finding in by_gravity(report.findings):
        yield from finding_lines(finding, brief=True)
    if found.survey is not None:
        yield line("")
        yield from map(_with_python_calls, survey_lines(found.survey))
    if untried:
        yield line("")
        yield line(untried)
    yield line("")
    yield line(following)


def _with_python_calls(shell_line: Line) -> Line:
    """Return a line with Python calls in place of command line options."""
    pieces = []
    for piece in shell_line.pieces:
        text = piece.text
        for option, call in _CALLS:
            text = option.sub(call, text)
        pieces.append(piece._replace(text=text))
    return shell_line._replace(pieces=tuple(pieces))


def raise_or_warn(message: str, mode: Mode) -> None:
    """Raise or warn. In a distributed training each process raises, but only the first with the whole message."""
    if mode == "raise":
        summary = message.partition("\n")[0]
        raise PreflightError(message if first_rank() else f"{summary} (the first process reports all of it)")
    if first_rank():
        warnings.warn(message, PreflightWarning, stacklevel=3)
