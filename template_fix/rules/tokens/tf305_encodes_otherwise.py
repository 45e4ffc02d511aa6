"""Transformers 5 encodes text otherwise than tokenizer.json says.

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
`PreTrainedTokenizerFast` goes by tokenizer.json in every release: where config.json doesn't decide, name it as
`tokenizer_class`; otherwise load the tokenizer with `PreTrainedTokenizerFast.from_pretrained`. What has changed since
in transformers is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.checkpoint.template_copies import CONFIG
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.results import Evidence, Finding, Level, Place
from template_fix.tokens.class_splits import Otherwise, otherwise, takes_file_as_it_is
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF305"
LEVEL = Level.ERROR
SUMMARY = "transformers 5 encodes text otherwise than tokenizer.json says"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where a class of transformers 5 doesn't go by tokenizer.json. Raises CheckpointError."""
    found = otherwise(subject.checkpoint)
    if found is not None:
        message = f"{found.releases} encode text otherwise than tokenizer.json says: {found.name} has rules of its own"
        evidence = Evidence(
            f"encode({found.text!r})",
            " | ".join(found.stored),
            " | ".join(found.built),
            labels=(TOKENIZER, found.name),
        )
        level = LEVEL if found.today else Level.WARNING
        yield Finding(CODE, level, message, _place(subject), (evidence,), _fix(subject, found))


def _place(subject: Subject) -> Place:
    document = subject.checkpoint.document(CONFIG)
    node = document.get("tokenizer_class") if document else None
    return subject.checkpoint.place(CONFIG, node.span) if node else Place(TOKENIZER)


def _fix(subject: Subject, found: Otherwise) -> str:
    loaded = "load it with PreTrainedTokenizerFast.from_pretrained, which goes by tokenizer.json"
    if not takes_file_as_it_is(subject.checkpoint):
        kind = subject.checkpoint.value("config.json", "model_type")
        return f"{loaded}; no edit of the tokenizer's files does, since the model type {kind} stands for {found.name}"
    return (
        "name PreTrainedTokenizerFast as tokenizer_class, with model_input_names "
        f'["input_ids", "attention_mask"]; or {loaded}'
    )
