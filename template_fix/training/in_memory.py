"""Saves a tokenizer or processor temporarily to check it, and repairs the object in memory."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.data.row_check import plain
from template_fix.engine.patch import patch
from template_fix.options import Options
from template_fix.results import Evidence, Finding, Report, Target
from template_fix.rules.tokens import tf301_special_tag
from template_fix.tokens.reasoning_tokens import listed
from template_fix.training.answer_parsing import Tokenizer, keep_parsing

_log = logging.getLogger(__name__)
# The attributes beside the backend in which transformers 4.57 and 5 keep token data.
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


class PreflightError(ValueError):
    """The training would lose reasoning or answers of its rows; the message lists what is lost, and what to do."""


@contextmanager
def save_temporarily(tokenizer: Tokenizer) -> Iterator[tuple[Path, Checkpoint]]:
    """Save a tokenizer or processor with ``save_pretrained`` and yield the temporary directory and its checkpoint.

    Raises TypeError for any other object.
    """
    if not (hasattr(tokenizer, "save_pretrained") and hasattr(tokenizer, "chat_template")):
        raise TypeError(f"preflight takes what AutoTokenizer or AutoProcessor returns, not {type(tokenizer).__name__}")
    with tempfile.TemporaryDirectory() as name:
        tokenizer.save_pretrained(name)
        yield Path(name), Checkpoint.read(name, getattr(tokenizer_of(tokenizer), "name_or_path", "") or "the tokenizer")


def tokenizer_of(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer of a processor, or the tokenizer itself."""
    return getattr(tokenizer, "tokenizer", tokenizer)


def repair_tokenizer(tokenizer: Tokenizer, folder: Path, checkpoint: Checkpoint, options: Options) -> tuple[str, ...]:
    """Repair the object, and return the codes of the findings that are repaired."""
    result = patch(checkpoint, options)
    after = checkpoint.after(result.changed)
    dropped = {finding.code for finding in find_dropped_tags(tokenizer, result.before)}
    if dropped or result.changes(Target.TOKENS):
        for name, (_, text) in result.changed.items():
            (folder / name).write_bytes(text.encode())
        _set_tokens(tokenizer_of(tokenizer), folder, after)
    _set_templates(tokenizer, checkpoint, after)
    for repair in result.kept if first_rank() else ():
        _log.warning("preflight repaired %s: %s", ", ".join(repair.codes), repair.title)
    return tuple(sorted(dropped.union(*(repair.codes for repair in result.kept))))


def _set_templates(tokenizer: Tokenizer, before: Checkpoint, repaired: Checkpoint) -> None:
    """Replace the templates of a processor and of its tokenizer by the repaired ones."""
    pairs = zip(before.templates, repaired.templates, strict=True)
    after = {
        _normalise_newlines(old.source): _normalise_newlines(new.source)
        for old, new in pairs
        if old.source != new.source
    }
    if after:
        keep_parsing(tokenizer, tokenizer_of(tokenizer))
    for owner in {id(each): each for each in (tokenizer, tokenizer_of(tokenizer))}.values():
        template = owner.chat_template
        if isinstance(template, dict):
            owner.chat_template = {name: after.get(_normalise_newlines(text), text) for name, text in template.items()}
        elif isinstance(template, str):
            owner.chat_template = after.get(_normalise_newlines(template), template)


def _normalise_newlines(template: str) -> str:
    """Return a template with LF line ends: its file may have been written with those of the platform."""
    return template.replace("\r\n", "\n")


def _set_tokens(tokenizer: Tokenizer, folder: Path, repaired: Checkpoint) -> None:
    """Give a tokenizer the added tokens of its repaired files; all other settings of the object stay.

    The backend never forgets a token that was once special, so a new backend is built from the repaired tokenizer.json.
    The lists beside it are those that the tokenizer's class reads from the repaired files.
    """
    before = _encode_sample(tokenizer)
    kept = dict(tokenizer.__dict__)
    fresh = type(tokenizer).from_pretrained(folder)
    tokenizer.__dict__.update({name: vars(fresh)[name] for name in _TOKEN_STATE if name in vars(fresh)})
    tokenizer.init_kwargs = {
        **{name: value for name, value in kept.get("init_kwargs", {}).items() if not _is_token_setting(name)},
        **{name: value for name, value in fresh.init_kwargs.items() if _is_token_setting(name)},
    }
    if "_tokenizer" in kept:
        from tokenizers import Tokenizer

        tokenizer._tokenizer = Tokenizer.from_str(repaired.files["tokenizer.json"])
    if _encode_sample(tokenizer) != before:
        tokenizer.__dict__.update(kept)
        raise PreflightError(
            "the special flags of this tokenizer can't be changed in memory without changing how it encodes; "
            "repair its files with template-fix patch, and load it again"
        )


def _is_token_setting(name: str) -> bool:
    return name.endswith(("_token", "special_tokens")) or name == "added_tokens_decoder"


def _encode_sample(tokenizer: Tokenizer) -> tuple[object, ...]:
    """Return the size of a tokenizer, and how it encodes a text with all of its added tokens and one without."""
    text = " so it is:\n".join(sorted(tokenizer.get_added_vocab()))
    return len(tokenizer), tuple(tokenizer.encode(text, add_special_tokens=False)), tuple(tokenizer.encode("so it is"))


def find_dropped_tags(tokenizer: Tokenizer, report: Report) -> Iterator[Finding]:
    """Yield a finding for tags that this object drops in decoding although its saved files don't mark them special."""
    if any(finding.code == tf301_special_tag.CODE for finding in report.findings):
        return
    tokenizer = tokenizer_of(tokenizer)
    for opening, closing in dict.fromkeys(pair for template in report.templates for pair in template.tags):
        given = f"{opening}\n6 times 7\n{closing}\n\n42"
        printed = tokenizer.decode(tokenizer.encode(given, add_special_tokens=False), skip_special_tokens=True)
        lost = tuple(tag for tag in (opening, closing) if tag not in printed)
        if lost and set(lost) <= set(tokenizer.get_added_vocab()):
            yield Finding(
                tf301_special_tag.CODE,
                tf301_special_tag.LEVEL,
                f"decoding with skip_special_tokens=True drops {listed(lost)} in this process",
                evidence=(Evidence("decode(encode(…), skip_special_tokens=True)", given, printed, lost),),
                fix="make them ordinary added tokens, with the same ids",
            )


def keeps_ends(tokenizer: Tokenizer, collator: Any) -> bool:
    """Whether a collator keeps the label of a padding token in the middle of a row."""
    end = tokenizer_of(tokenizer).pad_token_id
    ids = [*_sample_ids(tokenizer), end, *_sample_ids(tokenizer)]
    row = {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": list(ids)}
    for names in (("input_ids", "attention_mask", "labels"), ("input_ids", "attention_mask")):
        try:
            labels = plain(collator([{name: row[name] for name in names}])["labels"])
        except Exception:  # the collator may need other columns; then nothing is shown
            continue
        return end in list(labels[0])
    return False


def _sample_ids(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of a short text, without special tokens."""
    ids: list[int] = tokenizer_of(tokenizer).encode("so it is", add_special_tokens=False)
    return ids


def first_rank() -> bool:
    """Whether this is the first process of a distributed training, or the only one."""
    distributed = _distributed()
    return distributed.get_rank() == 0 if distributed else os.environ.get("RANK", "0") == "0"


def first_message(message: str) -> str:
    """Return the first message that isn't empty, of all processes of a distributed training.

    Every process must call it, since it waits for all.
    """
    distributed = _distributed()
    messages = [message]
    if distributed:
        messages = [""] * distributed.get_world_size()
        distributed.all_gather_object(messages, message)
    return next(filter(None, messages), "")


def _distributed() -> Any:
    """Return torch.distributed, or None if there is only one process, or the group isn't initialised."""
    found = getattr(sys.modules.get("torch"), "distributed", None)
    return found if found and found.is_available() and found.is_initialized() else None
