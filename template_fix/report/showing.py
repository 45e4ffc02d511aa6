"""What a template makes of one conversation, message by message: printed, dropped, or the template's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError, TemplateCopy
from template_fix.checkpoint.template_copies import TRANSFORMERS
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.conversations.builtin import Conversation, built_in
from template_fix.conversations.discovery import discover
from template_fix.conversations.disguise import Disguise
from template_fix.conversations.tags import USUAL
from template_fix.engine.patch import special_tokens
from template_fix.jinja.renderer import REASONING_FIELDS, Failure, Renderer, RenderError, prepare_messages
from template_fix.jinja.templates import Template
from template_fix.report.alignment import Run, align, put_on_words
from template_fix.report.terminal import Line, Piece, Style, line
from template_fix.text.display import cut, short
from template_fix.tokens.reasoning_tokens import listed, recorded_tags
from template_fix.tokens.stub_tokenizer import tokenizers_errors

# Computing time for a conversation, and for loading a tokenizer, and the memory that the largest of these take.
SECONDS, _WHOLE_TOKENIZER = 8.0, 1024
_STYLES: dict[str, Style] = {"kept": "", "dropped": "lost", "template": "dim"}


class Turn(NamedTuple):
    """One message: its role and what was printed for it, with what was dropped in its place."""

    role: str
    runs: tuple[Run, ...]


class TagTokens(NamedTuple):
    """How the tokenizer reads a tag: its tokens with their ids, and whether decoding drops any of them as special."""

    tag: str
    tokens: tuple[tuple[int, str], ...]
    special: bool


@dataclass(frozen=True)
class Shown:
    """One conversation as a template prints it; ``failure`` tells why it doesn't."""

    title: str
    turns: tuple[Turn, ...] = ()
    failure: str | None = None


@dataclass(frozen=True)
class Showing:
    """A model's template at work.

    ``template`` is the file it is in, ``tags`` its reasoning tags as tokens; ``note`` says why there are no tokens;
    ``variant`` is the template's name.
    """

    model: str
    template: str
    shown: tuple[Shown, ...]
    tags: tuple[TagTokens, ...] = ()
    note: str | None = None
    variant: str = "default"


class _Printed(NamedTuple):
    """A rendering, and what is printed where the conversation ends after each message."""

    text: str
    endings: list[str]


def show(
    checkpoint: Checkpoint,
    conversation: Conversation | None,
    tags: tuple[str, str] | None,
    variant: str | None = None,
    flags: Mapping[str, object] | None = None,
) -> Showing:
    """Return what a checkpoint's template makes of a conversation, and its tags' tokens; ``flags`` are its variables.

    ``variant`` names the template; without it, it is the default one or else the first. Raises CheckpointError where
    there is no such template, and RenderError as `render_all` does, with the file's name.
    """
    copy, variables = _copy(checkpoint, variant), {**special_tokens(checkpoint), **(flags or {})}
    recorded = recorded_tags(checkpoint, (tags,) if tags else ())
    try:
        found, conversations = render_all(copy.source, variables, conversation, tags, (*recorded, USUAL))
    except RenderError as error:
        raise RenderError(f"{checkpoint.name}/{copy.file}: {error}") from None
    pairs = dict.fromkeys(([found] if found else []) + list(recorded))
    tokens, note = _tokens_of(checkpoint, [tag for pair in pairs for tag in pair])
    return Showing(checkpoint.name, copy.file, tuple(conversations), tokens, note, copy.variant)


def _copy(checkpoint: Checkpoint, variant: str | None) -> TemplateCopy:
    copies = checkpoint.templates
    if not copies:
        raise CheckpointError(f"{checkpoint.name}: no chat template here; template-fix explain TF101 says more")
    seen = checkpoint.copy_for(TRANSFORMERS, variant or "default")
    named = [copy for copy in copies if variant in (None, copy.variant)]
    if not (seen or named):
        names = listed(dict.fromkeys(copy.variant for copy in copies))
        raise CheckpointError(f"{checkpoint.name}: no chat template is named {variant}; here are: {names}")
    return seen or named[0]


def _tokens_of(checkpoint: Checkpoint, tags: Sequence[str]) -> tuple[tuple[TagTokens, ...], str | None]:
    if not tags:
        return (), "neither the template nor the vocabulary names reasoning tags; --tag OPEN CLOSE sets them"
    if TOKENIZER not in checkpoint.files:
        return (), f"there is no {TOKENIZER} here, so how the tags become tokens can't be shown"
    try:
        tokens = run_bounded(
            tag_tokens, checkpoint.files[TOKENIZER], tags, computing=SECONDS, megabytes=_WHOLE_TOKENIZER
        )
        return tuple(tokens), None
    except CheckpointError as error:
        return (), str(error)
    except LimitExceeded as error:
        return (), f"{TOKENIZER}: was stopped: to load it {error}"


def render_all(
    source: str,
    variables: Mapping[str, object],
    conversation: Conversation | None = None,
    tags: tuple[str, str] | None = None,
    others: Sequence[tuple[str, str]] = (USUAL,),
) -> tuple[tuple[str, str] | None, list[Shown]]:
    """Return the reasoning tags and what the template prints of ``conversation``, or of the built-in ones.

    ``tags`` overrides what the template tells of itself; where it tells nothing, the built-in conversations have the
    first of ``others``. Raises RenderError for a template that can't be compiled or
    exceeds its limits.
    """
    try:
        return run_bounded(_render_here, source, variables, conversation, tags, others[0], computing=SECONDS)
    except LimitExceeded as error:
        raise RenderError(f"the template was stopped: {error}") from None


def _render_here(
    source: str,
    variables: Mapping[str, object],
    conversation: Conversation | None,
    tags: tuple[str, str] | None,
    other: tuple[str, str],
) -> tuple[tuple[str, str] | None, list[Shown]]:
    renderer = Renderer(source, variables)
    found = discover(renderer, Template(source).tree, tags)
    own = (found.open, found.close) if found else None
    conversations = [conversation] if conversation else built_in(own or other)
    return own, [_align(renderer, each) for each in conversations]


def _align(renderer: Renderer, conversation: Conversation) -> Shown:
    plain = _print(renderer, conversation.messages, conversation)
    if isinstance(plain, Failure):
        return Shown(conversation.title, failure=plain.reason)
    disguise = Disguise()
    disguised = [_with_texts(each, lambda text: put_on_words(text, disguise)) for each in conversation.messages]
    named = _print(renderer, disguised, conversation)
    # A template that treats some words differently prints another text: then the words themselves must do.
    if isinstance(named, _Printed) and disguise.fits(named.text, plain.text):
        said = [_text_of(message) for message in disguised]
        regions = align(said, named.text, named.endings, disguise.take_off)
    else:
        regions = align([_text_of(message) for message in conversation.messages], plain.text, plain.endings)
    roles = [str(message["role"]) for message in conversation.messages]
    return Shown(conversation.title, tuple(Turn(role, tuple(runs)) for role, runs in zip(roles, regions, strict=True)))


def _print(
    renderer: Renderer, messages: Sequence[Mapping[str, object]], conversation: Conversation
) -> _Printed | Failure:
    ready = prepare_messages(messages)
    text = renderer(ready, conversation.tools, **conversation.flags)
    if isinstance(text, Failure):
        return text
    endings = [renderer(ready[: number + 1], conversation.tools, **conversation.flags) for number in range(len(ready))]
    return _Printed(text, [ending if isinstance(ending, str) else "" for ending in endings])


def _text_of(message: Mapping[str, object]) -> str:
    """Return all that a message says, in the order in which templates print it: reasoning, content, tool calls."""
    texts: list[str] = []

    def collect(text: str) -> str:
        texts.append(text)
        return text

    _with_texts(message, collect)
    return "\n".join(texts)


def _with_texts(message: Mapping[str, object], change: Callable[[str], str]) -> dict[str, object]:
    """Return the message with ``change`` made to each text in it, called in the order in which templates print them."""
    fields = [name for name in REASONING_FIELDS if message.get(name) is not None][:1]
    changed = {name: _change(message[name], change) for name in (*fields, "content", "tool_calls") if name in message}
    rest = {name: value for name, value in message.items() if name not in REASONING_FIELDS}
    return {**rest, **changed}


def _change(value: Any, change: Callable[[str], str], key: str = "") -> Any:
    if isinstance(value, str):
        # What kind of block or call it is, and which call an answer belongs to, is structure and not text.
        return value if key in ("type", "id") else change(value)
    if isinstance(value, list):
        return [_change(item, change) for item in value]
    if isinstance(value, dict):
        return {name: _change(item, change, name) for name, item in value.items()}
    return value


def tag_tokens(tokenizer: str, tags: Sequence[str]) -> list[TagTokens]:
    """Return how the text of a tokenizer.json reads each tag. Use it inside `limits.run_bounded`.

    Raises CheckpointError where the tokenizers library can't read it.
    """
    from tokenizers import Tokenizer

    with tokenizers_errors(TOKENIZER):
        loaded = Tokenizer.from_str(tokenizer)
        return [_tag_tokens(loaded, tag) for tag in tags]


def _tag_tokens(tokenizer: Any, tag: str) -> TagTokens:
    encoding = tokenizer.encode(tag, add_special_tokens=False)
    skipped, whole = (tokenizer.decode(encoding.ids, skip_special_tokens=skip) for skip in (True, False))
    return TagTokens(tag, tuple(zip(encoding.ids, encoding.tokens, strict=True)), skipped != whole)


def showing_lines(showing: Showing) -> Iterator[Line]:
    """Yield what ``show`` says of one model."""
    named = "" if showing.variant == "default" else f" {short(showing.variant)}"
    yield line(Piece(short(showing.model), "title"), f", template{named} in {short(showing.template)}")
    for shown in showing.shown:
        yield line("")
        yield from shown_lines(shown)
    yield line("")
    if showing.note:
        yield line(cut(showing.note))
    else:
        yield from token_lines(showing.tags)


def shown_lines(shown: Shown) -> Iterator[Line]:
    """Yield one conversation, role by role."""
    yield line(Piece(short(shown.title), "title"))
    if shown.failure is not None:
        yield line(Piece("the template refuses it: ", "warning"), cut(shown.failure), indent=2)
    for turn in shown.turns:
        yield line(Piece(short(turn.role), "code"), indent=2)
        yield from _run_lines(turn.runs)


def _run_lines(runs: Sequence[Run]) -> Iterator[Line]:
    """Yield the runs with their own line breaks."""
    pieces: list[Piece] = []
    for run in runs:
        first, *more = run.text.split("\n")
        pieces.append(Piece(first, _STYLES[run.kind]))
        for part in more:
            yield _run_line(pieces)
            pieces = [Piece(part, _STYLES[run.kind])]
    if any(piece.text for piece in pieces):
        yield _run_line(pieces)


def _run_line(pieces: Sequence[Piece]) -> Line:
    return line(*(piece for piece in pieces if piece.text), indent=4)


def token_lines(tags: Sequence[TagTokens]) -> Iterator[Line]:
    """Yield how each tag becomes tokens."""
    yield line(Piece("tags as tokens", "title"))
    for tag in tags:
        tokens = " ".join(f"{number}={short(token)}" for number, token in tag.tokens)
        fate = (
            Piece("decode(skip_special_tokens=True) drops it", "error") if tag.special else Piece("survives decoding")
        )
        many = "1 token" if len(tag.tokens) == 1 else f"{len(tag.tokens)} tokens"
        yield line(short(tag.tag), f": {many}, {tokens}; ", fate, indent=2, hang=2)
