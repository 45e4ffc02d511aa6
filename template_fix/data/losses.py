"""What a chat template loses of one row: rendered, and where that leaves doubt, rendered once more in disguise.

A text that is found in the output may have come from elsewhere, and one that isn't found may have been changed rather
than lost. So wherever a text isn't printed as it stands, as often as the row has it, the row is rendered again with
each of its texts spelled in one letter of its own, which no template prints by itself: the letters that come out are
what is kept. That holds where both renderings are alike in all else; where they aren't, only words that come out
nowhere count as lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from template_fix.conversations.rows import ROLES, Row
from template_fix.data.texts import Pairs, Text, mapped, spans, texts_of, whole_of
from template_fix.data.troubles.calls import troubles_of_calls
from template_fix.data.troubles.failures import explained
from template_fix.data.troubles.kinds import KINDS, Trouble
from template_fix.data.troubles.reasoning import troubles_of_reasoning
from template_fix.data.troubles.view import View
from template_fix.jinja.renderer import Failure, Message, Renderer

# Shorter texts are found in others by chance.
_TELLING = 16
# After so many places that begin like a text and go on otherwise, it is looked for by a search that none can slow down.
_PATIENCE = 16
# Letters of a plane for private use, which no text or template has by itself.
_FIRST, _LAST = 0xF0000, 0xFFFFD
_LETTERS = re.compile(f"([{chr(_FIRST)}-{chr(_LAST)}])\\1*")
_WORD = re.compile(r"\w+")


class Verdict(NamedTuple):
    """What becomes of one row: the columns that a row check adds, `troubles` as their names.

    ``reasoning`` and ``answer`` are the characters that its turns have of each, without tags and the white space
    around; ``reasoning_lost`` and ``answer_lost`` those that aren't printed. ``cut`` is the longest lost text and
    ``cut_from`` the number of its message, from 1. ``prompt_differs`` tells that the row doesn't begin with its own
    generation prompt. ``failure`` is why the template doesn't render it, ``broken`` why it is no conversation;
    otherwise they are "". ``troubles`` are what else is wrong with it.
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
    troubles: tuple[Trouble, ...] = ()

    @property
    def lossless(self) -> bool:
        """Whether the row is rendered with all of its reasoning and answers."""
        return not (self.reasoning_lost or self.answer_lost or self.failure or self.broken)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of all kinds of trouble that the row has, each once."""
        own = (
            ("failed", self.failure),
            ("broken", self.broken),
            ("lost", self.reasoning_lost or self.answer_lost),
        )
        found = dict.fromkeys(each.kind for each in self.troubles)
        return (*found, *(kind for kind, there in own if there and not (kind == "broken" and "layout" in found)))

    @property
    def harmed(self) -> bool:
        """Whether the row isn't trained on as it is."""
        return bool(self.troubles or not self.lossless) and any(KINDS[kind].level == "error" for kind in self.kinds)

    def __add__(self, other: Any) -> Verdict:
        """Return the verdict on both sides of a pair of rows."""
        assert isinstance(other, Verdict)
        first = max(self, other, key=lambda each: len(each.cut))
        return Verdict(
            self.reasoning + other.reasoning,
            self.reasoning_lost + other.reasoning_lost,
            self.answer + other.answer,
            self.answer_lost + other.answer_lost,
            self.prompt_differs or other.prompt_differs,
            first.cut,
            first.cut_from,
            self.failure or other.failure,
            self.broken or other.broken,
            tuple(dict.fromkeys((*self.troubles, *other.troubles))),
        )


def verdict(
    row: Row,
    renderer: Renderer,
    source: str,
    tags: Pairs,
    prepare: Callable[[Any], list[Any]],
    own: Pairs = (),
    other: Callable[[Any], list[Any]] | None = None,
) -> Verdict:
    """Return what a template makes of a row. ``source`` is its text, ``prepare`` what is done to messages before.

    ``own`` are the tags that this model's reasoning stands between, ``tags`` all that delimit reasoning in rows.
    ``other`` is what another version of transformers does to messages. A `Renderer` runs within limits alone, and so
    does this; raises LimitExceeded.
    """
    view = View(row, renderer, source, tags, own, prepare, other)
    if isinstance(view.printed, Failure):
        return Verdict(failure=explained(view, view.printed), troubles=row.troubles)
    fields = list(view.fields.items())
    texts = [text for number, each in fields for text in texts_of(each, number, tags)]
    whole = [text for _, each in fields for text in whole_of(each)]
    others = list(_doubtful(row, view.printed))
    plain = not others and _plain(whole, row, view.printed, source)
    said = [*texts, *others]
    losses = [0] * len(said) if plain else _losses(view, said, view.printed)
    gone = [(lost, each) for lost, each in zip(losses, said, strict=True) if lost and each.part != "message"]
    longest = max(gone, key=lambda pair: pair[0])[1] if gone else None
    missing = [
        each for lost, each in zip(losses, said, strict=True) if each.part == "message" and 2 * lost > _size(each)
    ]
    return Verdict(
        reasoning=sum(len(each.text) for each in texts if each.part == "reasoning"),
        reasoning_lost=sum(lost for lost, each in gone if each.part == "reasoning"),
        answer=sum(len(each.text) for each in texts if each.part == "answer"),
        answer_lost=sum(lost for lost, each in gone if each.part == "answer"),
        prompt_differs=view.prompt_differs,
        cut=longest.text if longest else "",
        cut_from=longest.message + 1 if longest else 0,
        troubles=(
            *row.troubles,
            *(Trouble("message_lost", each.message + 1, f"{_role(row, each)}: {each.text}") for each in missing),
            *troubles_of_reasoning(view, view.printed, texts),
            *troubles_of_calls(view, view.printed),
        ),
    )


def _role(row: Row, text: Text) -> str:
    return str(row.messages[text.message]["role"])


def _size(text: Text) -> int:
    return len(text.text) - text.text.count("\n")


def _doubtful(row: Row, printed: str) -> Iterator[Text]:
    """Yield what messages of others than the model say, where it isn't sure that it is printed."""
    for number, message in enumerate(row.messages):
        role, content = message["role"], message.get("content")
        if role != "assistant" and content:
            for text in _said(content):
                if text and (text not in printed or role not in ROLES):
                    yield Text("message", text, number)


def _said(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content.strip()
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, Mapping) and isinstance(block.get("text"), str):
                yield block["text"].strip()


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


def _losses(view: View, texts: Sequence[Text], printed: str) -> list[int]:
    """Return how many characters of each text aren't printed."""
    if len(texts) <= _LAST - _FIRST:
        letters = {each: chr(_FIRST + number) for number, each in enumerate(texts)}
        told = view.render(_disguised(view.row, letters, view.tags))
        if isinstance(told, str) and _alike(told, printed, {letter: each.text for each, letter in letters.items()}):
            return [_missing(each.text, told.count(letter)) for each, letter in letters.items()]
    words = set(_WORD.findall(printed.casefold()))
    return [sum(len(word) for word in _WORD.findall(each.text.casefold()) if word not in words) for each in texts]


def _disguised(row: Row, letters: Mapping[Text, str], tags: Pairs) -> list[dict[str, Any]]:
    """Return the messages with each text that has a letter spelled in it."""
    return [_one_disguised(number, message, letters, tags) for number, message in enumerate(row.messages)]


def _one_disguised(number: int, message: Message, letters: Mapping[Text, str], tags: Pairs) -> dict[str, Any]:
    def put_on(text: str, field: bool) -> str:
        parts, done = [], 0
        for inner, start, end in spans(text, tags):
            letter = letters[Text("reasoning" if field or inner else "answer", text[start:end], number)]
            parts += [text[done:start], _spelled(text[start:end], letter)]
            done = end
        return "".join([*parts, text[done:]])

    def put_on_all(text: str, _: bool) -> str:
        letter = letters.get(Text("message", text.strip(), number))
        return text.replace(text.strip(), _spelled(text.strip(), letter)) if letter else text

    return mapped(message, put_on if message["role"] == "assistant" else put_on_all)


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
