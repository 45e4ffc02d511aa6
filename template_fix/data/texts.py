"""The texts of a conversation: stretches of reasoning and of answers, each with the message that it is of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from template_fix.conversations.rows import Row, names_reasoning
from template_fix.conversations.tags import pairs
from template_fix.data.shapes.operations import drop_repeats, is_known, length, parts_of, recorded, require
from template_fix.jinja.renderer import Message

Pairs = Sequence[tuple[str, str]]
# A text of a turn as it stands, and whether it is reasoning by the name of its field.
Field = tuple[str, bool]
# Two patterns, each with a first character that can be looked for fast: texts are long, and marks are few.
_ANGULAR, _OTHER = re.compile(r"<[^\s<>]{1,60}>"), re.compile(r"\[/?[A-Z_]{2,30}\]|◁/?\w{1,30}▷")
# So many are looked at one by one: a pattern goes through all letters between them.
_FEW = 16
# By so many letters a text is looked for; after so many places that begin like it and go on otherwise, by a search that
# none can slow down.
_HEAD, _PATIENCE = 16, 16
# Where text stands within what is called as reasoning is, in a list of details or an object.
_TEXT_KEYS = frozenset({"text", "content", "summary", "thinking", "reasoning"})
# These are no fields of reasoning, whatever lies in them.
_OTHER_FIELDS = frozenset({"role", "content", "tool_calls"})


class Text(NamedTuple):
    """A stretch of reasoning or of an answer, or all that another message says, with the number of the message."""

    part: Literal["reasoning", "answer", "message"]
    message: int
    text: str


def turns(row: Row) -> list[int]:
    """Return the numbers of the messages that a model is to learn to write, from 0."""
    return [number for number, message in enumerate(row.messages) if message["role"] == "assistant"]


def reasoning_of(message: Message, tags: Pairs) -> list[str]:
    """Return the reasoning of one turn, from its fields and from between tags."""
    return [each.text for each in texts_of(fields_of(message), 0, tags) if each.part == "reasoning"]


def answers_of(message: Message, tags: Pairs) -> list[str]:
    """Return the texts of one turn that are no reasoning."""
    return [each.text for each in texts_of(fields_of(message), 0, tags) if each.part == "answer"]


def fields_of(message: Message) -> list[Field]:
    """Return the texts of a turn's reasoning and content."""
    found: list[Field] = []
    for field, value in message.items():
        if isinstance(value, str):
            if field == "content":
                found.append((value, False))
            elif value and field not in _OTHER_FIELDS and names_reasoning(field):
                found.append((value, True))
        elif value and field != "tool_calls":
            break
    else:
        return found
    found = []

    def note(text: str, reasoning: bool) -> str:
        found.append((text, reasoning))
        return text

    mapped(message, note)
    return found


def texts_of(fields: Iterable[Field], number: int, tags: Pairs) -> list[Text]:
    """Return the stretches of a turn's texts, each once."""
    return drop_repeats(
        Text("reasoning" if field or each.reasoning else "answer", number, each.text)
        for text, field in fields
        for each in spans(text, tags)
    )


def mapped(message: Message, change: Callable[[str, bool], str]) -> dict[str, object]:
    """Return a message with ``change`` made to each text of its reasoning (True) and of its content (False)."""
    changed = dict(message)
    for field, value in message.items():
        if field == "content":
            changed[field] = _content(value, change)
        elif value and field not in _OTHER_FIELDS:
            changed[field] = _within(value, names_reasoning(field), change)
    return changed


def _within(value: object, reasoning: bool, change: Callable[[str, bool], str]) -> object:
    """Return a field's value with ``change`` made to each text of reasoning in it, however deep it lies."""
    if isinstance(value, str):
        return change(value, True) if reasoning else value
    if isinstance(value, dict):
        return {
            key: _within(each, names_reasoning(key) or (reasoning and key in _TEXT_KEYS), change)
            if isinstance(key, str)
            else each
            for key, each in value.items()
        }
    return [_within(each, reasoning, change) for each in value] if isinstance(value, list) else value


def _content(value: object, change: Callable[[str, bool], str]) -> object:
    if isinstance(value, str):
        return change(value, False)
    if not isinstance(value, list):
        return value
    return [_block(each, change) if isinstance(each, Mapping) else each for each in value]


def _block(block: Mapping[str, object], change: Callable[[str, bool], str]) -> dict[str, object]:
    """Return a typed block of content with its text changed; that of reasoning may lie deeper, in blocks of its own."""
    kind = str(block.get("type"))
    reasoning = names_reasoning(kind)
    if reasoning:
        return {key: _within(value, key == kind or key in _TEXT_KEYS, change) for key, value in block.items()}
    return {
        key: change(value, False) if isinstance(value, str) and key in ("text", "content", kind) else value
        for key, value in block.items()
    }


def reasoning_blocks(message: Message) -> list[str]:
    """Return the types of those blocks of a message's content that are called as reasoning is."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return list(filter(names_reasoning, (str(each.get("type")) for each in blocks if isinstance(each, Mapping))))


class Stretch(NamedTuple):
    """A stretch of a text, whether it is reasoning, and where it begins and ends."""

    reasoning: bool
    start: int
    end: int
    text: str


def spans(text: str, tags: Pairs) -> list[Stretch]:
    """Return the stretches of a text between its tags and other markup.

    What stands in front of a first lone closing tag is reasoning whose opening tag was in the prompt. Surrounding
    white space belongs to no stretch.
    """
    marks = marks_of(text)
    known = _known(tuple(dict.fromkeys([mark for mark, _, _ in marks])), tuple(tags))
    if known.odd and (odd := _placed(text, known.odd)):
        marks = _in_order([*marks, *[(require(mark), start, end) for mark, start, end in odd]])
    reasoning = next((mark in known.closing for mark, _, _ in marks if mark in known.either), False)
    start = 0
    found: list[Stretch] = []
    whole = length(text)
    for mark, begin, end in (*marks, ("", whole, whole)):
        if begin >= start:
            if part := text[start:begin].lstrip():
                first, said = begin - length(part), part.rstrip()
                found.append(Stretch(reasoning, first, first + length(said), said))
            reasoning = mark in known.opening or (reasoning and mark not in known.closing)
            start = end
    return found


class _Known(NamedTuple):
    """The tags that delimit reasoning in one text; the ``odd`` ones don't look like markup, or hold several marks."""

    opening: frozenset[str]
    closing: frozenset[str]
    either: frozenset[str]
    odd: tuple[str, ...]


@lru_cache(maxsize=1024)
def _known(marks: tuple[str, ...], tags: tuple[tuple[str, str], ...]) -> _Known:
    found = (*tags, *pairs(marks))
    opening, closing = (frozenset(pair[side] for pair in found) for side in (0, 1))
    odd = tuple(sorted(tag for tag in opening | closing if not (_ANGULAR.fullmatch(tag) or _OTHER.fullmatch(tag))))
    return _Known(opening, closing, opening | closing, odd)


def marks_of(text: str) -> list[tuple[str, int, int]]:
    """Return what looks like markup in a text, and where it stands; no mark lies inside of another."""
    return [(require(mark), start, end) for mark, start, end in _marks_of(text)]


@recorded
def _marks_of(text: str) -> list[tuple[str, int, int]]:
    angular = _angular(text)
    if "[" not in text and "◁" not in text:
        return angular
    other = [(mark.group(), mark.start(), mark.end()) for mark in _OTHER.finditer(text)]
    if not angular or not other:
        return angular or other
    found: list[tuple[str, int, int]] = []
    for mark in _in_order([*angular, *other]):
        if not found or mark[1] >= found[-1][2]:
            found.append(mark)
    return found


def _angular(text: str) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    at = text.find("<")
    for _ in range(_FEW):
        if at < 0:
            return found
        if mark := _ANGULAR.match(text, at):
            end = mark.end()
            found.append((mark.group(), at, end))
            at = text.find("<", end)
        else:
            at = text.find("<", at + 1)
    rest = _ANGULAR.finditer(text, at) if at >= 0 else ()
    return [*found, *((mark.group(), mark.start(), mark.end()) for mark in rest)]


def find(where: str, text: str, start: int = 0) -> int:
    """Return ``where.find(text, start)``, which looks at each letter of a text before it searches."""
    at = where.find(head := text[:_HEAD], start)
    for _ in range(_PATIENCE):
        if at < 0 or where.startswith(text, at):
            return at
        at = where.find(head, at + 1)
    return where.find(text, at) if at >= 0 else at


def count_mark(text: str, mark: str) -> int:
    """Return ``text.count(mark)``, by what is known of the text's markup, or of the texts of which it is joined."""
    if is_mark(mark) and is_known(_marks_of, text):
        return sum(each == mark for each, _, _ in marks_of(text))
    parts = parts_of(text, mark)
    return text.count(mark) if len(parts) == 1 else sum(count_mark(each, mark) for each in parts)


def is_mark(text: str) -> bool:
    """Whether a text is found by `marks_of` wherever it stands in another."""
    return bool(_ANGULAR.fullmatch(text))


def _in_order(marks: Iterable[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    return sorted(marks, key=lambda mark: (mark[1], -mark[2]))


@recorded
def _placed(text: str, tags: Sequence[str]) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    for tag in tags:
        at = text.find(tag) if tag[0] in text else -1
        while at >= 0:
            found.append((tag, at, at + len(tag)))
            at = text.find(tag, at + len(tag))
    return found
