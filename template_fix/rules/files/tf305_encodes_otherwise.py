"""Transformers 5 encodes text differently from tokenizer.json.

## What
The tokenizer class that tokenizer_config.json names, or that the model type stands for, builds the rules by which text
is split into words anew, and they aren't those of tokenizer.json. Texts are encoded with both.

## Why
The model meets ids that it was not trained on, in training and in use, and nothing fails. transformers 4.57, vLLM's
own reader and every other library that goes by tokenizer.json encode the text as before.

## Example
`tokenizer_class` is `Qwen2Tokenizer`, and tokenizer.json splits numbers into groups of three digits: transformers 5
splits `1999` into single digits.

## Fix
`PreTrainedTokenizerFast` goes by tokenizer.json in all releases that were tried: `template-fix patch` names it as
`tokenizer_class`, with what the former class had of its own (model_input_names, the padding side, names of tokens).
Where config.json decides, no edit of the tokenizer's files helps: load the tokenizer with
`PreTrainedTokenizerFast.from_pretrained`. What has changed since in transformers is a warning, and `patch` repairs it
with `--select TF305`. Where transformers is installed, it is tried, before and after.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import CONFIG
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.results import Evidence, Finding, Level, Place, Repair, Target
from template_fix.text.edits import Edit
from template_fix.tokens.class_splits import SAMPLES, Otherwise, first_difference, rename_class, splitting_class
from template_fix.tokens.installed import encode_installed
from template_fix.tokens.stub_tokenizer import within_limits
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF305"
LEVEL = Level.ERROR
SUMMARY = "transformers 5 encodes text differently from tokenizer.json"
NEEDS = (TOKENIZER,)
_TITLE = "name PreTrainedTokenizerFast as tokenizer_class"
_LOADED = "load it with PreTrainedTokenizerFast.from_pretrained, which goes by tokenizer.json"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where a class of transformers 5 doesn't go by tokenizer.json. Raises CheckpointError."""
    looked = _look(subject.checkpoint)
    if looked is None:
        return
    found, edit = looked
    here = encode_installed(subject.checkpoint, SAMPLES)
    trial = f"; {here.release}, which is installed, {'does not' if here.alike else 'does'}" if here else ""
    stored, built = (" | ".join(tokens) for tokens in (found.stored, found.built))
    yield Finding(
        CODE,
        LEVEL if found.today else Level.WARNING,
        f"{found.releases} encode text differently from tokenizer.json: {found.name} has rules of its own{trial}",
        _place(subject),
        (Evidence(f"encode({found.text!r})", stored, built, labels=(TOKENIZER, found.name)),),
        f"{_LOADED}; no edit of the tokenizer's files does: {edit}" if isinstance(edit, str) else _fix(found),
        None if isinstance(edit, str) else _way(found),
    )


def repairs(subject: Subject, named: bool) -> Iterator[Repair]:
    """Yield the edit that names the class that goes by tokenizer.json, unless the installed transformers doesn't then.

    What newer releases do right is repaired where the rule is ``named``.
    """
    found, edit = _look(subject.checkpoint) or (None, "")
    if found is None or isinstance(edit, str) or not (found.today or named):
        return
    here = encode_installed(subject.checkpoint.apply([(CONFIG, edit)]), SAMPLES)
    if here is None or here.alike:
        tried_here = f"; {here.release}, which is installed, was tried with these files" if here else ""
        why = f"Releases of transformers from 4.57.6 to 5.24.0 were seen to go by tokenizer.json then{tried_here}."
        yield Repair((CODE,), _TITLE, why, "tokenizer class", ((CONFIG, edit),), Target.FILES)


def _look(checkpoint: Checkpoint) -> tuple[Otherwise, Edit | str] | None:
    """Return a text that is encoded differently, and the edit that mends it, or why none does."""
    return within_limits(checkpoint, "try its rules", _looked, checkpoint) if splitting_class(checkpoint) else None


def _looked(checkpoint: Checkpoint) -> tuple[Otherwise, Edit | str] | None:
    found = first_difference(checkpoint)
    return (found, rename_class(checkpoint, found.name)) if found else None


def _place(subject: Subject) -> Place:
    document = subject.checkpoint.document(CONFIG)
    node = document.get("tokenizer_class") if document else None
    return subject.checkpoint.place(CONFIG, node.span) if node else Place(TOKENIZER)


def _way(found: Otherwise) -> str:
    """Return the options that ``patch`` needs: what newer releases do right has to be selected."""
    return "" if found.today else f"--select {CODE}"


def _fix(found: Otherwise) -> str:
    by = f"; patch {_way(found)} does it" if _way(found) else ""
    return f"{_TITLE}, with what {found.name} had of its own{by}"
