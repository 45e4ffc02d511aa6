"""Renders a conversation and finds, message by message, what was printed, dropped, or added by the template."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.conversations.builtin import Conversation, built_in
from template_fix.conversations.discovery import discover
from template_fix.conversations.disguise import Disguise
from template_fix.conversations.tags import USUAL
from template_fix.jinja.renderer import REASONING_FIELDS, Failure, Message, Renderer, RenderError, prepare_messages
from template_fix.jinja.templates import Template
from template_fix.report.alignment import Run, align, disguise_words

# Computing time for a conversation.
SECONDS = 8.0


# Renders a conversation: it gets messages and tools, then template variables as keywords.
Render = Callable[..., "str | Failure"]


class Turn(NamedTuple):
    """One message: its role, and the runs that were printed or dropped."""

    role: str
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Shown:
    """One rendered conversation; ``failure`` is the template's reason for refusing it."""

    title: str
    turns: tuple[Turn, ...] = ()
    failure: str | None = None

    @property
    def text(self) -> str:
        """The whole rendering."""
        return "".join(run.text for turn in self.turns for run in turn.runs if run.kind != "dropped")


class _Printed(NamedTuple):
    """A rendering, and what is printed if the conversation ends after each message."""

    text: str
    endings: list[str]


def render_all(
    source: str,
    variables: Mapping[str, object],
    conversations: Sequence[Conversation] = (),
    tags: tuple[str, str] | None = None,
    others: Sequence[tuple[str, str]] = (USUAL,),
) -> tuple[tuple[str, str] | None, list[Shown]]:
    """Return the reasoning tags, and the renderings of conversations, by default the built-in ones.

    ``tags`` replaces the tags that are found in the template. If none are found, the built-in conversations have the
    first of ``others``. Raises RenderError for a template that can't be compiled or exceeds its limits.
    """
    try:
        return run_bounded(_render_here, source, variables, conversations, tags, others[0], computing=SECONDS)
    except LimitExceeded as error:
        raise RenderError(f"the template was stopped: {error}") from None


def _render_here(
    source: str,
    variables: Mapping[str, object],
    conversations: Sequence[Conversation],
    tags: tuple[str, str] | None,
    other: tuple[str, str],
) -> tuple[tuple[str, str] | None, list[Shown]]:
    renderer = Renderer(source, variables)
    found = discover(renderer, Template(source).tree, tags)
    own = (found.open, found.close) if found else None
    return own, [show_rendering(renderer, each) for each in conversations or built_in(own or other)]


def show_rendering(render: Render, conversation: Conversation) -> Shown:
    """Return a conversation rendered by ``render``, aligned with its messages; see `list_renderings` for the calls."""
    first, second, disguise = _with_disguise(conversation)
    plain = _render_with_endings(render, first, conversation)
    if isinstance(plain, Failure):
        return Shown(conversation.title, failure=plain.reason)
    named = _render_with_endings(render, second, conversation)
    # If the template treats some words specially, the disguise changes the output: then align the words themselves.
    if isinstance(named, _Printed) and disguise.fits(named.text, plain.text):
        said = [_text_of(message) for message in second]
        regions = align(said, named.text, named.endings, disguise.take_off)
    else:
        regions = align([_text_of(message) for message in conversation.messages], plain.text, plain.endings)
    roles = [str(message["role"]) for message in conversation.messages]
    return Shown(conversation.title, tuple(Turn(role, tuple(runs)) for role, runs in zip(roles, regions, strict=True)))


def list_renderings(conversation: Conversation) -> list[list[dict[str, object]]]:
    """Return the messages of each rendering that `show_rendering` makes, in its order.

    It renders the conversation and its beginnings, and then the same with all words in disguise, unless the first
    rendering is refused.
    """
    return [ready for messages in _with_disguise(conversation)[:2] for ready in _renderings(messages)]


def _with_disguise(conversation: Conversation) -> tuple[Sequence[Message], Sequence[Message], Disguise]:
    """Return the messages of a conversation, and the same with their words in disguise."""
    disguise = Disguise()
    disguised = [_with_texts(each, lambda text: disguise_words(text, disguise)) for each in conversation.messages]
    return conversation.messages, disguised, disguise


def _renderings(messages: Sequence[Message]) -> list[list[dict[str, object]]]:
    ready = prepare_messages(messages)
    return [ready, *(ready[: number + 1] for number in range(len(ready)))]


def _render_with_endings(render: Render, messages: Sequence[Message], conversation: Conversation) -> _Printed | Failure:
    whole, *beginnings = _renderings(messages)
    text = render(whole, conversation.tools, **conversation.flags)
    if isinstance(text, Failure):
        return text
    endings = [render(each, conversation.tools, **conversation.flags) for each in beginnings]
    return _Printed(text, [ending if isinstance(ending, str) else "" for ending in endings])


def _text_of(message: Message) -> str:
    """Return all texts of a message, in the order in which templates print them: reasoning, content, tool calls."""
    texts: list[str] = []

    def collect(text: str) -> str:
        texts.append(text)
        return text

    _with_texts(message, collect)
    return "\n".join(texts)


def _with_texts(message: Message, change: Callable[[str], str]) -> dict[str, object]:
    """Return the message with each text replaced by ``change(text)``, in the order in which templates print them."""
    fields = [name for name in REASONING_FIELDS if message.get(name) is not None][:1]
    changed = {
        name: _map_texts(message[name], change) for name in (*fields, "content", "tool_calls") if name in message
    }
    rest = {name: value for name, value in message.items() if name not in REASONING_FIELDS}
    return {**rest, **changed}


def _map_texts(value: object, change: Callable[[str], str], key: str = "") -> object:
    if isinstance(value, str):
        # The type of a block or call and the id of a call are structure, not text.
        return value if key in ("type", "id") else change(value)
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {name: _map_texts(item, change, name) for name, item in value.items()}
    return value
