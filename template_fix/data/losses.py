"""What a chat template loses of one row: rendered, and where that leaves doubt, rendered once more in disguise.

A text that is found in the output may have come from elsewhere, and one that isn't found may have been changed rather
than lost. So wherever a text isn't printed as it stands, as often as the row has it, the row is rendered again with
each of its texts spelled in one letter of its own, which no template prints by itself: the letters that come out are
what is kept. That holds where both renderings are alike in all else; where they aren't, only words that come out
nowhere count as lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from template_fix.conversations.rows import Row, names_reasoning
from template_fix.conversations.tags import pairs
from template_fix.jinja.renderer import Failure, Message, Renderer

Pairs = Sequence[tuple[str, str]]
# Shorter texts are found in others by chance.
_TELLING = 16
# After so many places that begin like a text and go on otherwise, it is looked for by a search that none can slow down.
_PATIENCE = 16
# Two patterns, each with a first character that can be looked for fast: texts are long, and marks are few.
_ANGULAR, _SQUARE = re.compile(r"<[^\s<>]{1,60}>"), re.compile(r"\[/?[A-Z_]{2,30}\]")
# Letters of a plane for private use, which no text or template has by itself.
_FIRST, _LAST = 0xF0000, 0xFFFFD
_LETTERS = re.compile(f"([{chr(_FIRST)}-{chr(_LAST)}])\\1*")
_WORD = re.compile(r"\w+")


class Verdict(NamedTuple):
    """What becomes of one row: the columns that a row check adds.

    ``reasoning`` and ``answer`` are the characters that its turns have of each, without tags and the white space
    around; ``reasoning_lost`` and ``answer_lost`` those that aren't printed. ``cut`` is the longest lost text and
    ``cut_from`` the number of its message, from 1. ``prompt_differs`` tells that the row doesn't begin with its own
    generation prompt. ``failure`` is why the template doesn't render it, ``broken`` why it is no conversation;
    otherwise they are "".
    """

    reasoning: int = 0
    reasoning_lost: int = 0
    answer: int = 0
    answer_lost: int = 0
    prompt_differs: bool = False
    cut: str = ""
    cut_from: int = 0
    failure: str = ""
    broken: str = ""

    @property
    def lossless(self) -> bool:
        """Whether the row is rendered with all of its reasoning and answers."""
        return not (self.reasoning_lost or self.answer_lost or self.failure or self.broken)


class _Text(NamedTuple):
    """A stretch of reasoning or of an answer, and the message that it is of."""

    reasoning: bool
    text: str
    message: int


def verdict(row: Row, renderer: Renderer, source: str, tags: Pairs, prepare: Callable[[Any], list[Any]]) -> Verdict:
    """Return what a template makes of a row. ``source`` is its text, ``prepare`` what is done to messages before.

    Use it inside `limits.bounded`; raises LimitExceeded.
    """
    messages = prepare(row.messages)
    printed = renderer(messages, row.tools, **row.flags)
    if isinstance(printed, Failure):
        return Verdict(failure=printed.reason)
    fields = [(number, _fields(row.messages[number])) for number in turns(row)]
    texts = [text for number, each in fields for text in _texts(each, number, tags)]
    whole = [text for _, each in fields for text in _whole(each)]
    plain = _plain(whole, row, printed, source)
    losses = [0] * len(texts) if plain else _losses(row, texts, printed, renderer, tags, prepare)
    gone = [(lost, each) for lost, each in zip(losses, texts, strict=True) if lost]
    longest = max(gone, key=lambda pair: pair[0])[1] if gone else None
    return Verdict(
        reasoning=sum(len(each.text) for each in texts if each.reasoning),
        reasoning_lost=sum(lost for lost, each in gone if each.reasoning),
        answer=sum(len(each.text) for each in texts if not each.reasoning),
        answer_lost=sum(lost for lost, each in gone if not each.reasoning),
        prompt_differs=_prompt_differs(row, messages, printed, renderer),
        cut=longest.text if longest else "",
        cut_from=longest.message + 1 if longest else 0,
    )


def turns(row: Row) -> list[int]:
    """Return the numbers of the messages that a model is to learn to write, from 0."""
    return [number for number, message in enumerate(row.messages) if message["role"] == "assistant"]


def reasoning_of(message: Message, tags: Pairs) -> list[str]:
    """Return the reasoning of one turn, from its fields and from between tags."""
    return [each.text for each in _texts(_fields(message), 0, tags) if each.reasoning]


def answers_of(message: Message, tags: Pairs) -> list[str]:
    """Return the texts of one turn that are no reasoning."""
    return [each.text for each in _texts(_fields(message), 0, tags) if not each.reasoning]


def _prompt_differs(row: Row, messages: list[Any], printed: str, renderer: Renderer) -> bool:
    if not row.prompt:
        return False
    prompt = renderer(messages[: row.prompt], row.tools, True, **row.flags)
    return isinstance(prompt, str) and not printed.startswith(prompt)


def _plain(whole: Sequence[str], row: Row, printed: str, source: str) -> bool:
    """Whether every text of the turns is printed as it stands, as often as the row has it, and by chance of none."""
    if any(len(text) < _TELLING or text in source for text in whole):
        return False
    strings: list[str] = []
    _gather(row.messages, strings)
    _gather(row.tools, strings)
    said = "\0".join(strings)
    return all(_count(printed, text) >= _count(said, text) for text in whole)


def _count(where: str, text: str) -> int:
    """Return ``where.count(text)``, which looks at each letter of a text before it searches: long ones fit but once."""
    if 2 * len(text) <= len(where):
        return where.count(text)
    at = where.find(head := text[:_TELLING])
    for _ in range(_PATIENCE):
        if at < 0 or where.startswith(text, at):
            return int(at >= 0)
        at = where.find(head, at + 1)
    return where.count(text)


def _gather(value: object, strings: list[str]) -> None:
    """Add all texts within a value to those found before."""
    if isinstance(value, str):
        strings.append(value)
    elif isinstance(value, dict):
        for each in value.values():
            _gather(each, strings)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _gather(each, strings)


def _fields(message: Message) -> list[tuple[str, bool]]:
    """Return the texts of a turn as they stand, and whether they are reasoning by the name of their field."""
    found: list[tuple[str, bool]] = []

    def note(text: str, reasoning: bool) -> str:
        found.append((text, reasoning))
        return text

    _mapped(message, note)
    return found


def _whole(fields: Iterable[tuple[str, bool]]) -> Iterable[str]:
    """Return the texts of a turn uncut: those of its reasoning fields, each once, and of its content."""
    return filter(None, dict.fromkeys(text.strip() for text, _ in fields))


def _texts(fields: Iterable[tuple[str, bool]], number: int, tags: Pairs) -> Iterable[_Text]:
    """Return the stretches of a turn's texts, each once."""
    return dict.fromkeys(
        _Text(field or inner, text[start:end], number)
        for text, field in fields
        for inner, start, end in spans(text, tags)
    )


def _mapped(message: Message, change: Callable[[str, bool], str]) -> dict[str, Any]:
    """Return a message with ``change`` made to each text of its reasoning (True) and of its content (False)."""
    changed = dict(message)
    for field, value in message.items():
        if field == "content":
            changed[field] = _content(value, change)
        elif field != "role" and isinstance(value, str) and names_reasoning(field):
            changed[field] = change(value, True)
    return changed


def _content(value: object, change: Callable[[str, bool], str]) -> Any:
    if isinstance(value, str):
        return change(value, False)
    if not isinstance(value, list):
        return value
    return [_block(each, change) if isinstance(each, Mapping) else each for each in value]


def _block(block: Mapping[str, Any], change: Callable[[str, bool], str]) -> dict[str, Any]:
    """Return a typed block of content with its text changed."""
    kind = str(block.get("type"))
    reasoning = names_reasoning(kind)
    return {
        key: change(value, reasoning) if isinstance(value, str) and key in ("text", "content", kind) else value
        for key, value in block.items()
    }


def spans(text: str, tags: Pairs) -> list[tuple[bool, int, int]]:
    """Return the stretches of a text between its tags and other markup, whether they are reasoning, and where they are.

    What stands in front of a first lone closing tag is reasoning whose opening tag was in the prompt. Surrounding
    white space belongs to no stretch.
    """
    marks = _marks(text)
    known = _known(tuple(dict.fromkeys(mark for mark, _, _ in marks)), tuple(tags))
    if known.odd:
        marks = _in_order([*marks, *_placed(text, known.odd)])
    reasoning = next((mark in known.closing for mark, _, _ in marks if mark in known.either), False)
    start = 0
    found: list[tuple[bool, int, int]] = []
    for mark, begin, end in (*marks, ("", len(text), len(text))):
        if begin >= start:
            if part := text[start:begin].lstrip():
                first = begin - len(part)
                found.append((reasoning, first, first + len(part.rstrip())))
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
    odd = tuple(sorted(tag for tag in opening | closing if not (_ANGULAR.fullmatch(tag) or _SQUARE.fullmatch(tag))))
    return _Known(opening, closing, opening | closing, odd)


def _marks(text: str) -> list[tuple[str, int, int]]:
    """Return what looks like markup in a text, and where it stands; what one holds is none of its own."""
    angular = [(mark.group(), mark.start(), mark.end()) for mark in _ANGULAR.finditer(text)]
    square = [(mark.group(), mark.start(), mark.end()) for mark in _SQUARE.finditer(text)] if "[" in text else []
    if not angular or not square:
        return angular or square
    found: list[tuple[str, int, int]] = []
    for mark in _in_order([*angular, *square]):
        if not found or mark[1] >= found[-1][2]:
            found.append(mark)
    return found


def _in_order(marks: Iterable[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    return sorted(marks, key=lambda mark: (mark[1], -mark[2]))


def _placed(text: str, tags: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    for tag in tags:
        yield from ((tag, mark.start(), mark.end()) for mark in re.finditer(re.escape(tag), text))


def _losses(
    row: Row,
    texts: Sequence[_Text],
    printed: str,
    renderer: Renderer,
    tags: Pairs,
    prepare: Callable[[Any], list[Any]],
) -> list[int]:
    """Return how many characters of each text aren't printed."""
    if len(texts) <= _LAST - _FIRST:
        letters = {each: chr(_FIRST + number) for number, each in enumerate(texts)}
        told = renderer(prepare(_disguised(row, letters, tags)), row.tools, **row.flags)
        if isinstance(told, str) and _alike(told, printed, {letter: each.text for each, letter in letters.items()}):
            return [_missing(each.text, told.count(letter)) for each, letter in letters.items()]
    words = set(_WORD.findall(printed.casefold()))
    return [sum(len(word) for word in _WORD.findall(each.text.casefold()) if word not in words) for each in texts]


def _disguised(row: Row, letters: Mapping[_Text, str], tags: Pairs) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = list(row.messages)
    for number in turns(row):

        def put_on(text: str, field: bool, number: int = number) -> str:
            parts, done = [], 0
            for inner, start, end in spans(text, tags):
                letter = letters[_Text(field or inner, text[start:end], number)]
                parts += [text[done:start], _spelled(text[start:end], letter)]
                done = end
            return "".join([*parts, text[done:]])

        messages[number] = _mapped(messages[number], put_on)
    return messages


def _spelled(text: str, letter: str) -> str:
    """Return a text in one letter, its lines as long as they were."""
    return "\n".join(letter * len(line) for line in text.split("\n"))


def _alike(told: str, printed: str, texts: Mapping[str, str]) -> bool:
    """Whether two renderings are the same but for the letters that stand for texts."""
    if len(told) != len(printed):
        return False
    done = 0
    for run in _LETTERS.finditer(told):
        start, end = run.span()
        if told[done:start] != printed[done:start] or printed[start:end] not in texts.get(run.group(1), ""):
            return False
        done = end
    return told[done:] == printed[done:]


def _missing(text: str, kept: int) -> int:
    """Return how many characters of a text are lost where ``kept`` of those came out that are no line's end."""
    return max(len(text) - text.count("\n") - kept, 0) if kept else len(text)
