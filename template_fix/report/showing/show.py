"""The results of ``show``: conversations rendered with a model's template, their tokens, and the tokens of its tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError, TemplateCopy
from template_fix.checkpoint.template_copies import TRANSFORMERS
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.conversations.builtin import Conversation, built_in
from template_fix.conversations.tags import USUAL
from template_fix.engine.patch import special_tokens
from template_fix.jinja.renderer import RenderError
from template_fix.report.showing.engines import Engine, render_in_engine
from template_fix.report.showing.mask import Masked, mask_all
from template_fix.report.showing.rendering import SECONDS, Shown, render_all
from template_fix.tokens.reasoning_tokens import listed, recorded_tags
from template_fix.tokens.stub_tokenizer import tokenizers_errors

# The memory that the largest tokenizers take, in megabytes.
_WHOLE_TOKENIZER = 1024


class TagTokens(NamedTuple):
    """How a tag is encoded: its tokens with their ids, and whether decoding drops any of them as special."""

    tag: str
    tokens: tuple[tuple[int, str], ...]
    special: bool


@dataclass(frozen=True)
class Showing:
    """Conversations rendered with a model's template.

    ``template`` is the template's file, ``variant`` its name. ``tags`` are its reasoning tags as tokens; ``note`` says
    why there are none. ``engine`` is the engine that rendered ``shown``, with its version, "" for transformers;
    ``otherwise`` has the titles of conversations that it prints differently from transformers. ``masks`` are the tokens
    of each conversation, if they were requested, and ``mask_note`` says what decides which of them are trained on.
    """

    model: str
    template: str
    shown: tuple[Shown, ...]
    tags: tuple[TagTokens, ...] = ()
    note: str | None = None
    variant: str = "default"
    engine: str = ""
    otherwise: tuple[str, ...] = ()
    masks: tuple[Masked, ...] = ()
    mask_note: str = ""


def show(
    checkpoint: Checkpoint,
    conversations: Sequence[Conversation] = (),
    tags: tuple[str, str] | None = None,
    variant: str | None = None,
    flags: Mapping[str, object] | None = None,
    *,
    engine: Engine | None = None,
    mask: bool = False,
) -> Showing:
    """Return conversations, by default the built-in ones, rendered with a checkpoint's template.

    ``flags`` are template variables. ``variant`` names the template, by default ``default`` or else the first one.
    ``engine`` renders in place of transformers. With ``mask`` the result has the tokens, and which of them are trained
    on. Raises CheckpointError if there is no such template, RenderError as `render_all` does, with the file's name, and
    EngineError.
    """
    copy, variables = _find_copy(checkpoint, variant), {**special_tokens(checkpoint), **(flags or {})}
    recorded = recorded_tags(checkpoint, (tags,) if tags else ())
    try:
        found, shown = render_all(copy.source, variables, conversations, tags, (*recorded, USUAL))
        made = Showing(checkpoint.name, copy.file, tuple(shown), variant=copy.variant)
        rows = conversations or built_in(found or (*recorded, USUAL)[0])
        if engine is not None:
            made = _show_in_engine(made, engine, copy.source, variables, rows)
        if mask:
            tokenizer = checkpoint.files.get(TOKENIZER)
            masks, why = mask_all(copy.source, variables, rows, tags, tokenizer, megabytes=_WHOLE_TOKENIZER)
            made = replace(made, masks=masks, mask_note=why)
    except RenderError as error:
        raise RenderError(f"{checkpoint.name}/{copy.file}: {error}") from None
    pairs = dict.fromkeys(([found] if found else []) + list(recorded))
    tokens, note = _tokens_of(checkpoint, [tag for pair in pairs for tag in pair])
    return replace(made, tags=tokens, note=note)


def _show_in_engine(
    made: Showing, engine: Engine, source: str, variables: Mapping[str, object], rows: Sequence[Conversation]
) -> Showing:
    """Return the same conversations rendered in another engine."""
    version, shown = render_in_engine(engine, source, variables, rows)
    pairs = zip(made.shown, shown, strict=True)
    otherwise = tuple(other.title for one, other in pairs if (one.text, one.failure) != (other.text, other.failure))
    return replace(made, shown=tuple(shown), engine=version, otherwise=otherwise)


def _find_copy(checkpoint: Checkpoint, variant: str | None) -> TemplateCopy:
    copies = checkpoint.templates
    if not copies:
        raise CheckpointError(f"{checkpoint.name}: no chat template here; see template-fix explain TF101")
    seen = checkpoint.copy_for(TRANSFORMERS, variant or "default")
    named = [copy for copy in copies if variant in (None, copy.variant)]
    if not (seen or named):
        names = listed(dict.fromkeys(copy.variant for copy in copies))
        raise CheckpointError(f"{checkpoint.name}: no chat template is named {variant}; the templates are {names}")
    return seen or named[0]


def _tokens_of(checkpoint: Checkpoint, tags: Sequence[str]) -> tuple[tuple[TagTokens, ...], str | None]:
    if not tags:
        return (), "no reasoning tags were found in the template or the vocabulary; name them with --tag OPEN CLOSE"
    if TOKENIZER not in checkpoint.files:
        return (), f"without {TOKENIZER}, the tokens of the reasoning tags can't be shown"
    try:
        tokens = run_bounded(
            find_tag_tokens, checkpoint.files[TOKENIZER], tags, computing=SECONDS, megabytes=_WHOLE_TOKENIZER
        )
        return tuple(tokens), None
    except CheckpointError as error:
        return (), str(error)
    except LimitExceeded as error:
        return (), f"{TOKENIZER}: loading it {error}, so it was stopped"


def find_tag_tokens(tokenizer: str, tags: Sequence[str]) -> list[TagTokens]:
    """Return how the tokenizer in a tokenizer.json's text encodes each tag. Use it inside of `limits.run_bounded`.

    Raises CheckpointError if the tokenizers library can't read it.
    """
    from tokenizers import Tokenizer

    with tokenizers_errors(TOKENIZER):
        loaded = Tokenizer.from_str(tokenizer)
        return [_tag_tokens(loaded, tag) for tag in tags]


def _tag_tokens(tokenizer: Any, tag: str) -> TagTokens:
    encoding = tokenizer.encode(tag, add_special_tokens=False)
    skipped, whole = (tokenizer.decode(encoding.ids, skip_special_tokens=skip) for skip in (True, False))
    return TagTokens(tag, tuple(zip(encoding.ids, encoding.tokens, strict=True)), skipped != whole)
