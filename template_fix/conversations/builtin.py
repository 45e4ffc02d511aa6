"""Conversations to show: read from a user's file, or the built-in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from template_fix.conversations.rows import BrokenRow, row_of
from template_fix.jinja.renderer import Message, Tool, Variables
from template_fix.text.display import UserError
from template_fix.text.edits import position
from template_fix.text.json_nodes import JsonError
from template_fix.text.json_spans import value_at

# As values, JSON can take 25 times as much memory as its text.
_LARGEST = 16 << 20


class ConversationError(UserError, ValueError):
    """A file that holds no conversation; the message is one line that names the file and the place."""


@dataclass(frozen=True)
class Conversation:
    """Messages and tools as ``apply_chat_template`` takes them; ``title`` says where they come from.

    ``flags`` are template variables of its own.
    """

    title: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] | None = None
    flags: Variables = field(default_factory=dict)


def built_in(tags: tuple[str, str]) -> tuple[Conversation, ...]:
    """Return a conversation with two reasoned turns, its reasoning inline between ``tags`` and then in a field."""
    opening, closing = tags
    inline = [
        {"role": "assistant", "content": f"{opening}\n{reasoning}\n{closing}\n\n{answer}"}
        for reasoning, answer in _TURNS
    ]
    fields = [{"role": "assistant", "reasoning_content": reasoning, "content": answer} for reasoning, answer in _TURNS]
    return (
        Conversation(f"reasoning inline, between {opening} and {closing}", _asked(inline)),
        Conversation("reasoning in the field reasoning_content", _asked(fields)),
    )


def unusual(tags: tuple[str, str]) -> tuple[Conversation, ...]:
    """Return conversations that templates take apart in other ways than the built-in ones."""
    opening, closing = tags
    (question, other), ((reasoning, answer), (second, correction)) = _QUESTIONS, _TURNS
    blocks = (f"{opening}\n{text}\n{closing}\n\n{said}" for text, said in ((reasoning, answer), (second, correction)))
    call = {"type": "function", "function": {"name": "multiply", "arguments": {"legs": 8, "spiders": 3}}}
    mention = f"I write {closing} where my reasoning ends."
    asked, reply = {"role": "user", "content": question}, {"role": "assistant", "content": answer}
    calls = {"role": "assistant", "content": f"{opening}\n{reasoning}\n{closing}\n\n", "tool_calls": [call]}
    turns = (
        ("a message with two blocks of reasoning", (asked, {"role": "assistant", "content": "\n\n".join(blocks)})),
        ("an answer that mentions the closing tag", (asked, {"role": "assistant", "content": mention})),
        ("a call between reasoning and answer", (asked, calls, {"role": "tool", "content": "24"}, reply)),
    )
    more = ({"role": "user", "content": other}, {"role": "assistant", "content": correction})
    return tuple(Conversation(title, (*messages, *more)) for title, messages in turns)


_QUESTIONS = ("How many legs do three spiders have?", "And if one of them loses two?")
_TURNS = (
    ("Each spider has eight legs, so three times eight.", "They have 24 legs."),
    ("There were 24 before, minus two.", "Then 22 legs are left."),
)


def _asked(answers: Sequence[Message]) -> tuple[Message, ...]:
    questions = [{"role": "user", "content": question} for question in _QUESTIONS]
    return tuple(message for pair in zip(questions, answers, strict=True) for message in pair)


def read_conversation(path: Path) -> Conversation:
    """Return the conversation of a file: a list of messages, or a row as `rows.rows_of` reads it.

    Of JSON lines it is the first, of a preference pair the chosen one. Raises ConversationError.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read(_LARGEST + 1)
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConversationError(f"{path}: not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise ConversationError(f"{path}: {error.strerror or error}") from None
    if len(raw) > _LARGEST:
        raise ConversationError(f"{path}: more than {_LARGEST >> 20} MB are no conversation to show")
    value = _parsed(path, text)
    try:
        row = row_of(value if isinstance(value, dict) else {"messages": value}, {})
    except BrokenRow as error:
        raise ConversationError(f"{path}: {error}") from None
    return Conversation(str(path), tuple(row.messages), tuple(row.tools) if row.tools else None, row.flags)


def flag(given: str) -> tuple[str, object]:
    """Return a template variable that is given as ``name=value``; a value that is no JSON is a text."""
    name, _, text = given.partition("=")
    try:
        return name, value_at(text, 0)[0]
    except JsonError:
        return name, text


def _parsed(path: Path, text: str) -> object:
    try:
        value, end = value_at(text)
    except JsonError as error:
        line, column = position(text, error.offset)
        raise ConversationError(f"{path}:{line}:{column}: {error.message}") from None
    rest = text[end:].lstrip(" \t\r")
    if rest and not rest.startswith("\n"):
        raise ConversationError(f"{path}:{text.count(chr(10), 0, end) + 1}: something follows the JSON value")
    return value
