"""The text of a conversation gets a second BOS where it is tokenized.

## What
The template prints the token that begins a text, and the post-processor of tokenizer.json puts the same in front of
whatever is encoded.

## Why
`apply_chat_template(tokenize=True)` adds no special tokens: there the token stands once. What formats first and
tokenizes then, `tokenizer(text)`, has it twice, in every release from 4.57 to 5.24; so have trainers that are given
texts. `add_bos_token: false` prevents it in Llama's classes of 4.57 alone. Most models take it amiss
little, but training and use should have it alike.

## Example
A template that begins with `{{ bos_token }}`, and a `TemplateProcessing` with `<s> $A`.

## Fix
Let trainers have the conversations, and not their text; or encode the text with `add_special_tokens=False`.

`patch` has no repair: no edit of the files leaves the token once everywhere. A template that doesn't print it leaves
`apply_chat_template(tokenize=True)` and servers, which add no special tokens to a conversation, without any. A
post-processor that doesn't add it leaves all other text, such as prompts that are completed, without any. Each takes it
from a text that has it once now.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.results import Evidence, Finding, Level
from template_fix.tokens.stub_tokenizer import Vocabulary, within_limits
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF306"
LEVEL = Level.NOTE
SUMMARY = "the text of a conversation gets a second BOS where it is tokenized"
NEEDS = (TOKENIZER,)
_TEXT = "a"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where text that begins with a token is encoded with a second one. Raises CheckpointError."""
    for begin in subject.begins:
        if begin not in str(subject.checkpoint.value(TOKENIZER, "post_processor")):
            continue
        tokens = within_limits(subject.checkpoint, "encode a text", _tokens, subject.checkpoint, begin + _TEXT)
        if tokens[:2] == (begin, begin):
            document = subject.checkpoint.document(TOKENIZER)
            node = document.get("post_processor") if document else None
            yield Finding(
                CODE,
                LEVEL,
                f"the template prints {begin}, and tokenizer(text) puts another in front of it",
                subject.checkpoint.place(TOKENIZER, node.span) if node else None,
                (Evidence(f"encode({begin + _TEXT!r})", begin + _TEXT, " | ".join(tokens)),),
                "tokenize conversations with apply_chat_template, and their text with add_special_tokens=False",
            )


def _tokens(checkpoint: Checkpoint, text: str) -> tuple[str, ...]:
    """Return the tokens of a text, with those that the post-processor puts around it."""
    return Vocabulary(checkpoint).encoded(text, {}, special=True)
