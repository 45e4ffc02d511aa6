"""A row of training data as a conversation, in whichever columns and spellings it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from template_fix.conversations.tags import pairs
from template_fix.jinja.renderer import REASONING_FIELDS
from template_fix.text.json_nodes import JsonError
from template_fix.text.json_spans import value_at

# What a column can be named as, in the order of looking, where the user doesn't name it.
MESSAGES = ("messages", "conversations", "conversation")
NAMEABLE = ("messages", "prompt", "completion", "tools", "chat_template_kwargs")
_NAMES_TOLD = 20
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "observation": "tool",
    "function_response": "tool",
}
_TAKEN = frozenset({"messages", "tools", "add_generation_prompt", "self"})


class BrokenRow(ValueError):
    """A row that holds no conversation; the message says why, in one line."""


class Row(NamedTuple):
    """One conversation to train on.

    ``prompt`` is how many messages stand in front of what is to be learned: those before a completion, or before the
    last turn; 0 where there is nothing to learn. ``flags`` are template variables of this row's own.
    """

    messages: list[dict[str, Any]]
    tools: list[Any] | None
    flags: dict[str, Any]
    prompt: int


def row_of(value: object, columns: Mapping[str, str]) -> Row:
    """Return the conversation of a row: a mapping of columns, or its JSON text. Raises BrokenRow, also one given.

    ``columns`` maps any of ``NAMEABLE`` to the column's name in this data.
    """
    if isinstance(value, BrokenRow):
        raise value
    if isinstance(value, (bytes, str)):
        value = parsed(value)
    if not isinstance(value, Mapping):
        raise BrokenRow(f"not an object with columns, but {_kind(value)}")
    messages, prompt = _messages(value, columns)
    tools = _decoded(value.get(columns.get("tools", "tools")), "tools")
    if not isinstance(tools, (list, type(None))):
        raise BrokenRow(f"tools is not a list, but {_kind(tools)}")
    return Row(messages, tools or None, _flags(value, columns), prompt)


def parsed(text: bytes | str) -> Any:
    """Return the value of a JSON text. Raises BrokenRow."""
    try:
        decoded = text.decode("utf-8", "surrogatepass") if isinstance(text, bytes) else text
        value, end = value_at(decoded)
    except UnicodeDecodeError as error:
        raise BrokenRow(f"not UTF-8 (byte {error.start})") from None
    except JsonError as error:
        raise BrokenRow(f"{error.message} (character {error.offset + 1})") from None
    if decoded[end:].strip(" \t\r\n"):
        raise BrokenRow(f"not JSON: Extra data (character {end + 1})")
    return value


def _messages(row: Mapping[str, Any], columns: Mapping[str, str]) -> tuple[list[dict[str, Any]], int]:
    names = (columns["messages"],) if "messages" in columns else MESSAGES
    name = next((name for name in names if row.get(name) is not None), None)
    prompt, completion = (columns.get(name, name) for name in ("prompt", "completion"))
    if name is not None:
        messages = _checked(row[name], name)
        return messages, _last_turn(messages)
    if row.get(prompt) is None or row.get(completion) is None:
        wanted = columns.get("messages") or "messages, conversations, or prompt and completion"
        there = [str(name)[:100] for name, each in row.items() if each is not None]
        more = ", …" if len(there) > _NAMES_TOLD else ""
        raise BrokenRow(f"no {wanted}; the row has {', '.join(there[:_NAMES_TOLD]) or 'nothing'}{more}")
    if isinstance(row[prompt], str) or isinstance(row[completion], str):
        raise BrokenRow(f"{prompt} and {completion} are plain text, which no chat template renders")
    asked, said = _checked(row[prompt], prompt), _checked(row[completion], completion)
    return [*asked, *said], len(asked)


def _last_turn(messages: Sequence[Mapping[str, Any]]) -> int:
    return max((number for number, message in enumerate(messages) if message["role"] == "assistant"), default=0)


def _checked(value: object, name: str) -> list[dict[str, Any]]:
    if not isinstance(value, (list, tuple)):
        raise BrokenRow(f"{name} is not a list of messages, but {_kind(value)}")
    if not value:
        raise BrokenRow(f"{name} is an empty list")
    messages = []
    for number, message in enumerate(value, 1):
        try:
            messages.append(_message(message))
        except BrokenRow as error:
            raise BrokenRow(f"message {number} of {name} {error}") from None
    return messages


def _message(message: object) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise BrokenRow(f"is not an object, but {_kind(message)}")
    told = dict(message)
    if told.get("role") is None and isinstance(told.get("from"), str):
        sender, said = told.pop("from"), told.pop("value", None)
        told = {**told, "role": _ROLES.get(sender, sender), "content": said}
    if not isinstance(told.get("role"), str):
        raise BrokenRow("has no role")
    if not isinstance(told.get("content"), (str, list, type(None))):
        raise BrokenRow(f"has content that is neither text nor a list, but {_kind(told['content'])}")
    return told


def _flags(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    name = columns.get("chat_template_kwargs", "chat_template_kwargs")
    value = _decoded(row.get(name), name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BrokenRow(f"{name} is not an object, but {_kind(value)}")
    flags = {str(key): each for key, each in value.items() if each is not None}
    if taken := _TAKEN & flags.keys():
        raise BrokenRow(f"{name} sets {min(taken)}")
    return flags


def _decoded(value: object, name: str) -> Any:
    """Return a column's value; trainers take some of them as JSON text too."""
    if not isinstance(value, str):
        return value
    try:
        return parsed(value) if value.strip() else None
    except BrokenRow as error:
        raise BrokenRow(f"{name} is {error}") from None


def _kind(value: object) -> str:
    names = {type(None): "null", str: "text", list: "a list", dict: "an object", bool: "a truth value"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


@lru_cache(maxsize=1024)
def names_reasoning(field: str) -> bool:
    """Whether a message's field, or a block's type, is called as reasoning is: like a tag that would delimit it."""
    return field in REASONING_FIELDS or bool(pairs((f"<{field}>", f"</{field}>")))
