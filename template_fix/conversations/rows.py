"""A row of training data as a conversation, in whichever columns and spellings it comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from template_fix.conversations.tags import pairs
from template_fix.jinja.renderer import REASONING_FIELDS
from template_fix.text.json_nodes import JsonError
from template_fix.text.json_spans import value_at

# What a column can be named as, in the order of looking, where the user doesn't name it.
MESSAGES = ("messages", "conversations", "conversation")
SIDES = ("chosen", "rejected")
BESIDE = ("reasoning", "tools", "chat_template_kwargs")
NAMEABLE = ("messages", "prompt", "completion", *SIDES, *BESIDE)
# The roles that chat templates know.
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
_NAMES_TOLD = 20
# By which names questions and answers go in columns of plain text.
_QUESTIONS = ("instruction", "question", "query", "problem", "prompt", "input")
_ANSWERS = ("output", "answer", "response", "completion", "solution")
_MEDIA = frozenset({"image", "image_url", "video", "video_url", "audio", "audio_url", "input_audio"})
# What is called like reasoning, and sets how much of it there is to be.
_SETTING = re.compile(r"effort|tokens|budget|signature|enable|format|mode|time|duration|_id$|_type$", re.IGNORECASE)
_CALLED = frozenset({*REASONING_FIELDS, "cot", "chain_of_thought"})
_TELLING, _TOLD = 16, 200
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


class UnknownLayout(BrokenRow):
    """A row whose columns are of another layout, as all rows of its file are; the message says what can be done."""


class Trouble(NamedTuple):
    """One trouble of a row: its kind, the number of the message, from 1 or 0 for none, and what shows it."""

    kind: str
    message: int = 0
    shown: str = ""


class Row(NamedTuple):
    """One conversation to train on.

    ``prompt`` is how many messages stand in front of what is to be learned: those before a completion, or before the
    last turn; 0 where there is nothing to learn, all of them where the row is a prompt alone. ``flags`` are template
    variables of this row's own, ``troubles`` what is wrong with it before any template sees it.
    """

    messages: list[dict[str, Any]]
    tools: list[Any] | None
    flags: dict[str, object]
    prompt: int
    troubles: tuple[Trouble, ...] = ()

    @property
    def is_prompt(self) -> bool:
        """Whether the row is a prompt alone."""
        return self.prompt == len(self.messages)

    @property
    def media(self) -> bool:
        """Whether any message has an image or another medium, so that a processor renders it."""
        contents = [message.get("content") for message in self.messages]
        blocks = (block for content in contents if isinstance(content, list) for block in content)
        return any(isinstance(block, Mapping) and block.get("type") in _MEDIA for block in blocks)


def row_of(value: object, columns: Mapping[str, str]) -> Row:
    """Return the first conversation of a row, of a pair the chosen one. Raises BrokenRow as `rows_of` does."""
    return rows_of(value, columns)[0]


def rows_of(value: object, columns: Mapping[str, str]) -> list[Row]:
    """Return the conversation of a row: a mapping of columns, or its JSON text; both sides of a preference pair.

    ``columns`` maps any of ``NAMEABLE`` to the column's name in this data. Raises BrokenRow, also one given, and
    UnknownLayout.
    """
    if isinstance(value, BrokenRow):
        raise value
    if isinstance(value, (bytes, str)):
        value = parsed(value)
    if not isinstance(value, Mapping):
        raise BrokenRow(f"not an object with columns, but {_kind(value)}")
    found = _conversations(value, columns)
    tools = _decoded(value.get(columns.get("tools", "tools")), "tools")
    if not isinstance(tools, (list, type(None))):
        raise BrokenRow(f"tools is not a list, but {_kind(tools)}")
    flags, troubles = _flags(value, columns), tuple(_troubles(value, columns))
    return [Row(messages, tools or None, flags, prompt, troubles) for messages, prompt in found]


def with_messages(
    value: Mapping[str, object], columns: Mapping[str, str], change: Callable[[dict[str, object]], dict[str, object]]
) -> dict[str, object]:
    """Return a row with ``change`` made to each message of its conversations, in whichever columns they stand."""
    made = dict(value)
    for name in _columns_of_messages(columns):
        if isinstance(messages := _decoded(value.get(name), name), (list, tuple)):
            made[name] = [change(message) for message in _checked(messages, name)]
    return made


def columns_of(columns: Mapping[str, str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the columns that are read, and those of them that messages aren't in: tools and template variables.

    Of others only those are looked at that are text.
    """
    beside = frozenset(columns.get(name, name) for name in ("tools", "chat_template_kwargs"))
    read = {columns.get(name, name) for name in NAMEABLE} | {*_columns_of_messages(columns)}
    return frozenset(read), beside - {*_columns_of_messages(columns)}


def _columns_of_messages(columns: Mapping[str, str]) -> list[str]:
    names = (columns["messages"],) if "messages" in columns else MESSAGES
    return [*names, *(columns.get(name, name) for name in ("prompt", "completion", *SIDES))]


def _troubles(row: Mapping[str, object], columns: Mapping[str, str]) -> Iterator[Trouble]:
    """Yield what is wrong with the columns of a row that holds a conversation."""
    texts = [(name, value) for name, value in row.items() if isinstance(value, str)]
    read = {columns.get(name, name) for name in NAMEABLE if name != "reasoning" or name in columns} if texts else set()
    for name, value in texts:
        if name in MESSAGES or name == columns.get("messages"):
            yield Trouble("messages_as_text", 0, f"{name} is text")
        elif name not in read and names_reasoning(name) and len(value) >= _TELLING:
            yield Trouble("column_unread", 0, f"{name}: {value[:_TOLD]}")


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


def _conversations(row: Mapping[str, object], columns: Mapping[str, str]) -> list[tuple[list[dict[str, object]], int]]:
    """Return the messages of each conversation of a row, with how many stand in front of what is to be learned."""
    names = (columns["messages"],) if "messages" in columns else MESSAGES
    name = next((name for name in names if row.get(name) is not None), None)
    if name is not None:
        messages = _checked(_decoded(row[name], name), name)
        if "reasoning" in columns and _last_turn(messages):
            messages = [*messages[:-1], _reasoned(messages[-1], row, columns)]
        return [(messages, _last_turn(messages))]
    prompt, completion = (columns.get(name, name) for name in ("prompt", "completion"))
    asked = _decoded_list(row.get(prompt))
    sides = [_decoded_list(row.get(columns.get(side, side))) for side in SIDES]
    if all(isinstance(side, list) for side in sides):
        return [_side(asked, side, name, prompt) for side, name in zip(sides, SIDES, strict=True)]
    said = _decoded_list(row.get(completion))
    if isinstance(asked, list) and isinstance(said, list):
        before = _checked(asked, prompt)
        return [([*before, *_checked(said, completion)], len(before))]
    if isinstance(asked, list) != isinstance(said, list) and isinstance(asked, str | list) and said is not None:
        raise BrokenRow(f"one of {prompt} and {completion} is text and the other messages, which trainers don't mix")
    if isinstance(asked, list) and said is None:
        messages = _checked(asked, prompt)
        return [(messages, len(messages))]
    if {"prompt", "completion"} <= columns.keys() and isinstance(asked, str) and isinstance(said, str):
        turn = _reasoned({"role": "assistant", "content": said}, row, columns)
        return [([{"role": "user", "content": asked}, turn], 1)]
    raise _layout(row, columns)


def _decoded_list(value: object) -> object:
    """Return a column's value, parsed where it is the JSON text of a list, which trainers don't parse.

    One message by itself is a list of one.
    """
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        with suppress(BrokenRow):
            return parsed(value)
    if isinstance(value, Mapping) and value.keys() & {"role", "from"}:
        return [value]
    return list(value) if isinstance(value, tuple) else value


def _reasoned(turn: dict[str, object], row: Mapping[str, object], columns: Mapping[str, str]) -> dict[str, object]:
    """Return a turn with the reasoning that a column of its own has, where one was named."""
    reasoning = row.get(columns.get("reasoning", ""))
    return {**turn, "reasoning_content": reasoning} if isinstance(reasoning, str) else turn


def _side(asked: object, said: object, name: str, prompt: str) -> tuple[list[dict[str, object]], int]:
    """Return one side of a preference pair, with the prompt in front of it where it isn't in it already."""
    messages = _checked(said, name)
    before = _checked(asked, prompt) if isinstance(asked, list) else []
    if before and messages[: len(before)] != before:
        return [*before, *messages], len(before)
    return messages, len(before) or _last_turn(messages)


def _layout(row: Mapping[str, object], columns: Mapping[str, str]) -> BrokenRow:
    """Return the error for a row without a conversation: of a layout that is known, with the way on."""
    texts = [str(name)[:100] for name, value in row.items() if isinstance(value, str)]
    question = next((name for name in _QUESTIONS if name in texts), None)
    answer = next((name for name in (*_ANSWERS, "chosen") if name in texts), None)
    thought = next((name for name in texts if names_reasoning(name)), None)
    if question and answer and not columns.keys() & {"prompt", "completion"}:
        way = f"--column prompt={question} --column completion={answer}"
        way += f" --column reasoning={thought}" if thought else ""
        return UnknownLayout(
            f"{' and '.join(filter(None, (question, thought, answer)))} are columns of plain text, to which trainers "
            f"apply no chat template; {way} reads them as a question and its answer"
        )
    if "text" in texts:
        return UnknownLayout(
            "text is plain text, which trainers take as it is: no chat template is applied, and nothing can be lost"
        )
    wanted = columns.get("messages") or "messages, conversations, or prompt and completion"
    there = [str(name)[:100] for name, each in row.items() if each is not None]
    more = ", …" if len(there) > _NAMES_TOLD else ""
    lists = [str(name)[:100] for name, value in row.items() if _holds_messages(_decoded_list(value), str(name))]
    way = f"; --column messages={lists[0]} reads that" if lists and "messages" not in columns else ""
    kind = UnknownLayout if way else BrokenRow
    return kind(f"no {wanted}; the row has {', '.join(there[:_NAMES_TOLD]) or 'nothing'}{more}{way}")


def _holds_messages(value: object, name: str) -> bool:
    with suppress(BrokenRow):
        return bool(_checked(value, name))
    return False


def _last_turn(messages: Sequence[Mapping[str, object]]) -> int:
    return max((number for number, message in enumerate(messages) if message["role"] == "assistant"), default=0)


def _checked(value: object, name: str) -> list[dict[str, object]]:
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


def _message(message: object) -> dict[str, object]:
    if not isinstance(message, Mapping):
        raise BrokenRow(f"is not an object, but {_kind(message)}")
    changed = dict(message)
    if changed.get("role") is None and isinstance(changed.get("from"), str):
        sender, said = changed.pop("from"), changed.pop("value", None)
        changed = {**changed, "role": _ROLES.get(sender, sender), "content": said}
    if not isinstance(changed.get("role"), str):
        raise BrokenRow("has no role")
    if not isinstance(changed.get("content"), (str, list, type(None))):
        raise BrokenRow(f"has content that is neither text nor a list, but {_kind(changed['content'])}")
    return changed


def _flags(row: Mapping[str, object], columns: Mapping[str, str]) -> dict[str, object]:
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


def _decoded(value: object, name: str) -> object:
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
    if field in _CALLED:
        return True
    return not _SETTING.search(field) and bool(pairs((f"<{field}>", f"</{field}>")))
