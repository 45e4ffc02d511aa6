"""The line in a training script: what the tokenizer in memory would lose, told or repaired before the first step."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.checkpoint.template_copies import TRANSFORMERS
from template_fix.data.batches import Batch
from template_fix.data.check import row_check_of
from template_fix.data.row_check import BATCH
from template_fix.data.survey import Survey, surveyed
from template_fix.engine.patch import check, patch
from template_fix.options import Options
from template_fix.report.data import survey_lines
from template_fix.report.findings import by_gravity, finding_lines, tally
from template_fix.report.terminal import WIDEST, Line, add_marks, line, wrap
from template_fix.results import Evidence, Finding, Level, Report
from template_fix.text.display import short
from template_fix.tokens.reasoning_tokens import listed
from template_fix.training.answer_parsing import keep_parsing

Mode = Literal["raise", "warn"]

# What is kept about tokens beside the backend, by transformers 4.57 and 5.
_TOKEN_STATE = (
    "_special_tokens_map",
    "_extra_special_tokens",
    "extra_special_tokens",
    "SPECIAL_TOKENS_ATTRIBUTES",
    "_added_tokens_decoder",
    "_added_tokens_encoder",
    "tokens_trie",
    "total_vocab_size",
)
_PROCESSOR = "the processor of transformers"


class PreflightError(ValueError):
    """Training as it is set up would lose what is in the rows; the message lists what, and what to do about it."""


class PreflightWarning(UserWarning):
    """What a PreflightError says, where a warning was asked for."""


@dataclass(frozen=True)
class Preflight:
    """What a pre-flight came to.

    ``report`` is what is wrong with the tokenizer as it now is, ``survey`` what its template loses of the rows, None
    where none were given, and ``repaired`` the codes of what was repaired.
    """

    report: Report
    survey: Survey | None = None
    repaired: tuple[str, ...] = ()


def preflight(
    tokenizer: Any,
    dataset: Any = None,
    *,
    fix: bool = False,
    mark: bool = False,
    mode: Mode = "raise",
    limit: int | None = None,
    options: Options | None = None,
    columns: Mapping[str, str] | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
) -> Preflight:
    """Say what a tokenizer or processor in memory loses, or repair it, before anything is trained with it.

    ``dataset`` holds rows of conversations: a data set of the ``datasets`` library, a mapping of splits, or a list; the
    first ``limit`` of them are rendered, all where it is None. With ``fix``, the chat template and the special flags of
    the object itself are repaired: it is right in this run and in what ``save_pretrained`` writes. With ``mark`` as
    well, the template gets generation markers, for ``assistant_only_loss``; where they can't be had, that is an error.
    TRL, where it is installed and knows a template by its text, attaches its response template before that changes.
    ``columns`` is as in `api.row_check`; ``chat_template_kwargs`` are what the training passes to the template, where
    rows don't bring their own.

    Raises PreflightError where reasoning or answers are lost, or warns with ``mode="warn"``: without rows, where an
    error is found; with rows, where they lose something or a reasoning tag is special. Raises TypeError for an object
    that is no tokenizer, or rows that can be read only once, and CheckpointError for rows without a chat template that
    can be compiled; with ``mode="warn"``, that is warned of as well.
    """
    if mode not in ("raise", "warn"):
        raise ValueError(f'mode is "raise" or "warn", not {mode!r}')
    options = options or Options()
    # How files agree is not this run's concern.
    options = replace(options, ignore=options.ignore | {"TF4"}, mark=options.mark or mark)
    options = replace(options, flags=(*options.flags, *(chat_template_kwargs or {}).items()))
    with _saved(tokenizer) as (folder, checkpoint):
        repaired = _repaired(tokenizer, folder, checkpoint, options) if fix else ()
    if repaired:
        with _saved(tokenizer) as (_, checkpoint):
            pass
    report = check(checkpoint, options)
    report = replace(report, findings=(*report.findings, *_dropped_here(tokenizer, report)))
    survey, untried = None, ""
    try:
        survey = None if dataset is None else _surveyed(tokenizer, checkpoint, dataset, limit, options, columns)
    except CheckpointError as error:
        if mode == "raise":
            raise
        untried = str(error)
    found = Preflight(report, survey, repaired)
    if untried or _counts(found, mark):
        _told(plain_text(_told_lines(found, fix, untried)), mode)
    return found


def tags_of(tokenizer: Any) -> tuple[tuple[str, str], ...]:
    """Return the pairs of reasoning tags of a tokenizer in memory, by its template and its vocabulary."""
    with _saved(tokenizer) as (_, checkpoint):
        return row_check_of(checkpoint).tags


def plain_text(lines: Iterable[Line]) -> str:
    """Return lines as the text of an error or a warning."""
    rows = (row for each in lines for row in wrap(add_marks(each), WIDEST))
    return "\n".join("".join(piece.text for piece in row) for row in rows)


@contextmanager
def _saved(tokenizer: Any) -> Iterator[tuple[Path, Checkpoint]]:
    """Give what ``save_pretrained`` writes of a tokenizer or processor, in a directory that lasts as long."""
    if not (hasattr(tokenizer, "save_pretrained") and hasattr(tokenizer, "chat_template")):
        raise TypeError(f"preflight takes what AutoTokenizer or AutoProcessor returns, not {type(tokenizer).__name__}")
    with tempfile.TemporaryDirectory() as name:
        tokenizer.save_pretrained(name)
        yield Path(name), Checkpoint.read(name, getattr(_inner(tokenizer), "name_or_path", "") or "the tokenizer")


def _inner(tokenizer: Any) -> Any:
    """Return the tokenizer of a processor, or the tokenizer itself."""
    return getattr(tokenizer, "tokenizer", tokenizer)


def _repaired(tokenizer: Any, folder: Path, checkpoint: Checkpoint, options: Options) -> tuple[str, ...]:
    """Repair the object and return the codes of what was wrong."""
    result = patch(checkpoint, options)
    after = checkpoint.after(result.changed)
    codes = {code for repair in result.kept for code in repair.codes}
    codes |= {finding.code for finding in _dropped_here(tokenizer, result.before)}
    if any(code.startswith("TF3") for code in codes):
        for name, (_, text) in result.changed.items():
            (folder / name).write_bytes(text.encode())
        _set_tokens(_inner(tokenizer), folder, after)
    _set_templates(tokenizer, checkpoint, after)
    return tuple(sorted(codes))


def _set_templates(tokenizer: Any, before: Checkpoint, repaired: Checkpoint) -> None:
    """Put repaired templates in the place of those that they were made of, on a processor and on its tokenizer."""
    pairs = zip(before.templates, repaired.templates, strict=True)
    after = {_lf(old.source): _lf(new.source) for old, new in pairs if old.source != new.source}
    if after:
        keep_parsing(tokenizer, _inner(tokenizer))
    for owner in {id(each): each for each in (tokenizer, _inner(tokenizer))}.values():
        template = owner.chat_template
        if isinstance(template, dict):
            owner.chat_template = {name: after.get(_lf(text), text) for name, text in template.items()}
        elif isinstance(template, str):
            owner.chat_template = after.get(_lf(template), template)


def _lf(template: str) -> str:
    """Return a template as it is whether or not its file was written with this platform's ends of line."""
    return template.replace("\r\n", "\n")


def _set_tokens(tokenizer: Any, folder: Path, repaired: Checkpoint) -> None:
    """Give a tokenizer the added tokens of its repaired files, and nothing else: settings of the run stay.

    The backend keeps whatever was once special in a set that can't be taken back, so it is built anew, from its own
    text with the flags changed. The lists beside it are those that its class reads from the repaired files.
    """
    before = _encoded(tokenizer)
    kept = dict(tokenizer.__dict__)
    fresh = type(tokenizer).from_pretrained(folder)
    tokenizer.__dict__.update({name: vars(fresh)[name] for name in _TOKEN_STATE if name in vars(fresh)})
    tokenizer.init_kwargs = {
        **{name: value for name, value in kept.get("init_kwargs", {}).items() if not _is_of_tokens(name)},
        **{name: value for name, value in fresh.init_kwargs.items() if _is_of_tokens(name)},
    }
    if "_tokenizer" in kept:
        from tokenizers import Tokenizer

        tokenizer._tokenizer = Tokenizer.from_str(repaired.files["tokenizer.json"])
    if _encoded(tokenizer) != before:
        tokenizer.__dict__.update(kept)
        raise PreflightError(
            "the special flags of this tokenizer can't be changed in memory without changing how it encodes; "
            "repair its files with template-fix patch, and load it again"
        )


def _is_of_tokens(name: str) -> bool:
    return name.endswith(("_token", "special_tokens")) or name == "added_tokens_decoder"


def _encoded(tokenizer: Any) -> tuple[object, ...]:
    """Return how a tokenizer encodes a text with all of its added tokens, and how large it is."""
    text = " so it is:\n".join(sorted(tokenizer.get_added_vocab()))
    return len(tokenizer), tuple(tokenizer.encode(text, add_special_tokens=False)), tuple(tokenizer.encode("so it is"))


def _dropped_here(tokenizer: Any, report: Report) -> Iterator[Finding]:
    """Yield a finding for tags that this object skips in decoding although what it saves doesn't say so."""
    if any(finding.code == "TF301" for finding in report.findings):
        return
    inner = _inner(tokenizer)
    for opening, closing in dict.fromkeys(pair for template in report.templates for pair in template.tags):
        given = f"{opening}\n6 times 7\n{closing}\n\n42"
        printed = inner.decode(inner.encode(given, add_special_tokens=False), skip_special_tokens=True)
        lost = tuple(tag for tag in (opening, closing) if tag not in printed)
        if lost and set(lost) <= set(inner.get_added_vocab()):
            yield Finding(
                "TF301",
                Level.ERROR,
                f"decoding with skip_special_tokens=True drops {listed(lost)} in this process",
                evidence=(Evidence("decode(encode(…), skip_special_tokens=True)", given, printed, lost),),
                fix="make them ordinary added tokens, with the same ids",
            )


def _surveyed(
    tokenizer: Any,
    checkpoint: Checkpoint,
    dataset: Any,
    limit: int | None,
    options: Options,
    columns: Mapping[str, str] | None,
) -> Survey:
    now = row_check_of(checkpoint, options, columns)
    seen = checkpoint.seen[_PROCESSOR] if tokenizer is not _inner(tokenizer) else checkpoint.seen[TRANSFORMERS]
    templates = tuple((variant, copy.source) for variant, copy in seen.items()) or now.templates
    now = replace(now, templates=templates, release=_release(tokenizer))
    splits = dataset if isinstance(dataset, Mapping) else {"dataset": dataset}
    batches = (batch for name, rows in splits.items() for batch in _batches(name, rows, limit))
    return replace(surveyed(now, batches), names=tuple(map(str, splits)))


def _release(tokenizer: Any) -> int:
    """Return 5 where a message's reasoning is passed to templates under all of its names, as from 5.21 on, else 4."""
    told = _inner(tokenizer).apply_chat_template(
        [{"role": "user", "content": "", "reasoning": "passed"}],
        chat_template="{{ messages[0].reasoning_content }}",
        tokenize=False,
    )
    return 5 if told == "passed" else 4


def _batches(name: str, rows: Iterable[Any], limit: int | None) -> Iterator[Batch]:
    if hasattr(rows, "__next__"):
        raise TypeError("the rows can be read only once, and then training would find none; give a list or a Dataset")
    taken = islice(iter(rows), limit)
    start = 0
    while part := list(islice(taken, BATCH)):
        yield Batch(str(name), range(start, start + len(part)), part)
        start += len(part)


def _counts(found: Preflight, mark: bool) -> bool:
    errors = [finding for finding in found.report.findings if finding.level is Level.ERROR]
    if mark and any(finding.code in ("TF501", "TF502") for finding in found.report.findings):
        return True
    if found.survey is None:
        return bool(errors)
    return found.survey.before.harmed > 0 or any(finding.code.startswith("TF3") for finding in errors)


def _told_lines(found: Preflight, fix: bool, untried: str) -> Iterator[Line]:
    report = found.report
    yield line(short(report.model), ": ", *tally(report.findings))
    for finding in by_gravity(report.findings):
        yield from finding_lines(finding, brief=True)
    if found.survey is not None:
        yield line("")
        yield from survey_lines(found.survey)
    if untried:
        yield line("")
        yield line(untried)
    yield line("")
    if fix:
        yield line("Repaired: ", ", ".join(found.repaired) or "nothing", "; the rest can't be mended by an edit.")
    else:
        yield line("Next: preflight(tokenizer, fix=True) repairs it in memory, template-fix patch MODEL in its files.")


def _told(message: str, mode: Mode) -> None:
    if mode == "raise":
        raise PreflightError(message)
    warnings.warn(message, PreflightWarning, stacklevel=3)
