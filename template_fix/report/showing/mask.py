"""The tokens of conversations, and which of them are trained on with assistant_only_loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.conversations.builtin import Conversation
from template_fix.engine.marker_repair import markers
from template_fix.engine.studies import PATCH_SECONDS
from template_fix.jinja.renderer import Failure, Renderer, RenderError, prepare_messages
from template_fix.repair.study import Setting
from template_fix.text.edits import Span, apply
from template_fix.tokens.stub_tokenizer import tokenizers_errors

SECONDS = 8.0
_OWN = "With assistant_only_loss, the text inside of the template's own generation markers is trained on."
_MADE = (
    "The template has no correct generation markers, which assistant_only_loss needs; shown is the text that "
    "patch --mark would mark."
)


class Token(NamedTuple):
    """A token's text in the rendering, and whether it is trained on."""

    text: str
    trained: bool


class Masked(NamedTuple):
    """The tokens of one rendering, empty if it was refused; without a tokenizer, pieces of its text."""

    tokens: tuple[Token, ...]
    tokenized: bool


def mask_all(
    source: str,
    variables: Mapping[str, object],
    conversations: Sequence[Conversation],
    tags: tuple[str, str] | None,
    tokenizer: str | None,
    megabytes: int,
) -> tuple[tuple[Masked, ...], str]:
    """Return the tokens of rendered conversations, and a sentence on what decides which of them are trained on.

    ``tokenizer`` is the text of a tokenizer.json. Raises RenderError, and CheckpointError if the tokenizer fails.
    """
    marked, note = _add_markers(source, variables, tags)
    if marked is None:
        return (), note
    try:
        masks = run_bounded(
            _mask_here, marked, variables, conversations, tokenizer, computing=SECONDS, megabytes=megabytes
        )
    except LimitExceeded as error:
        raise RenderError(f"the template was stopped while its tokens were made: it {error}") from None
    return tuple(masks), note


def _add_markers(source: str, variables: Mapping[str, object], tags: tuple[str, str] | None) -> tuple[str | None, str]:
    """Return a template with generation markers, and a sentence on them; or None and why there are none."""
    try:
        made = run_bounded(markers, source, Setting(tuple(variables.items()), tags), computing=PATCH_SECONDS)
    except LimitExceeded as error:
        return None, f"Which tokens are trained on is unknown: marking the template {error}."
    if made is None:
        return source, _OWN
    proposal, refused = made
    if refused:
        return None, f"Which tokens are trained on is unknown: {refused}."
    return apply(source, proposal.edits), _MADE


def _mask_here(
    source: str, variables: Mapping[str, object], conversations: Sequence[Conversation], tokenizer: str | None
) -> list[Masked]:
    renderer = Renderer(source, variables)
    printed = [renderer.generated(prepare_messages(each.messages), each.tools, **each.flags) for each in conversations]
    if tokenizer is None:
        return [Masked(() if isinstance(each, Failure) else tuple(_pieces(*each)), False) for each in printed]
    from tokenizers import Tokenizer

    with tokenizers_errors(TOKENIZER):
        loaded = Tokenizer.from_str(tokenizer)
        return [Masked(() if isinstance(each, Failure) else tuple(_tokens(loaded, *each)), True) for each in printed]


def _pieces(text: str, spans: Sequence[Span]) -> Iterator[Token]:
    at = 0
    for span in (*spans, Span(len(text), len(text))):
        both = Token(text[at : span.start], False), Token(span.of(text), True)
        yield from (token for token in both if token.text)
        at = span.end


def _tokens(tokenizer: object, text: str, spans: Sequence[Span]) -> Iterator[Token]:
    """Yield the tokens of a text; as in transformers, a token with any marked character is trained on."""
    encoding = tokenizer.encode(text, add_special_tokens=False)  # type: ignore[attr-defined]
    at = 0
    for start, end in encoding.offsets:
        trained = any(span.start < end and start < span.end for span in spans)
        yield Token(text[at : max(end, at)], trained)
        at = max(end, at)
