"""What can be wrong with the reasoning of a row that is printed: each detector looks at the one rendering."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from template_fix.conversations.rows import ROLES, names_reasoning
from template_fix.conversations.tags import closings, pairs
from template_fix.data.texts import Pairs, Text, fields_of, marks_of
from template_fix.data.troubles.kinds import Trouble
from template_fix.data.troubles.view import View

_SHOWN = 200
# What someone may have meant to close a block with: a backslash, a blank, another word, a second opening tag.
_NEAR = re.compile(
    r"<\s*[\\/]?\s*\|?\s*(?:think\w*|thought\w*|reason\w*|analysis|cot)\s*\|?\s*[\\/]?\s*>", re.IGNORECASE
)


def troubles_of_reasoning(view: View, printed: str, texts: Sequence[Text]) -> Iterator[Trouble]:
    """Yield what is wrong with reasoning that is printed. ``texts`` are those of the row's turns."""
    reasoning = [each for each in texts if each.part == "reasoning"]
    if reasoning and _ordinary(view, printed, reasoning):
        return
    if reasoning:
        yield from _as_text(view, printed, reasoning)
        yield from _twice(view, printed, reasoning)
        yield from _unclosed(view, printed, reasoning)
        yield from _opened_otherwise(view, printed, reasoning)
    yield from _blocks(view, printed, texts)
    yield from _roles(view, printed)


def _ordinary(view: View, printed: str, reasoning: Sequence[Text]) -> bool:
    """Whether every turn has one block, in the model's own tags or in one field, and as many blocks are printed."""
    if (
        not view.own
        or len(reasoning) != len(view.turns)
        or any(each["role"] not in ROLES for each in view.row.messages)
    ):
        return False
    opening, closing = view.own[0]
    for fields in view.fields.values():
        in_fields = [text for text, field in fields if field]
        inline = [text for text, field in fields if not field and ("<" in text or "[" in text)]
        if len(in_fields) + len(inline) != 1 or any("<" in text or "[" in text for text in in_fields):
            return False
        if inline and not (inline[0].startswith(opening) and inline[0].count(opening) == inline[0].count(closing) == 1):
            return False
    if any(each.text.startswith(("<", "[")) for each in reasoning):
        return False
    return printed.count(opening) == printed.count(closing) == len(view.turns)


def _as_text(view: View, printed: str, reasoning: Iterable[Text]) -> Iterator[Trouble]:
    """Find reasoning that the row has between other tags than the model's, and that is printed with them."""
    if not view.own:
        return
    opening = {pair[0] for pair in view.own}
    for number in dict.fromkeys(each.message for each in reasoning):
        for text, field in view.fields[number]:
            if field or any(end in text for _, end in view.own):
                continue
            said = [each.text for each in reasoning if each.message == number]
            for start, end in pairs_in(text, view.tags):
                there = start if start in text else ""
                if start not in opening and any(between(there, each, end, printed) for each in said):
                    mine = " and ".join(view.own[0])
                    shown = f"between {start} and {end}; the model's tags are {mine}"
                    yield Trouble("reasoning_as_text", number + 1, shown)
                    break


def _roles(view: View, printed: str) -> Iterator[Trouble]:
    """Find messages whose role is called as reasoning is, printed as turns of their own."""
    for number, message in enumerate(view.row.messages):
        role, content = message["role"], message.get("content")
        if role not in ROLES and names_reasoning(role) and isinstance(content, str) and content.strip() in printed:
            inside = any(between(start, content.strip(), end, printed) for start, end in view.own)
            if not inside:
                shown = f"the role {role}, printed as a turn; put it into a field of the turn that it belongs to"
                yield Trouble("reasoning_as_text", number + 1, shown)


def pairs_in(text: str, tags: Pairs) -> list[tuple[str, str]]:
    """Return the pairs of tags that stand in a text, of some only the closing one."""
    return list(_pairs_of(tuple(dict.fromkeys(mark for mark, _, _ in marks_of(text))), tuple(tags), text))


def _pairs_of(marks: tuple[str, ...], tags: Pairs, text: str) -> Iterator[tuple[str, str]]:
    yield from _named(marks)
    yield from (pair for pair in tags if pair[1] in text and pair not in _named(marks))


@lru_cache(maxsize=1024)
def _named(marks: tuple[str, ...]) -> list[tuple[str, str]]:
    return pairs(marks)


def between(start: str, text: str, end: str, printed: str) -> bool:
    """Whether a text is printed between two tags, with nothing but white space beside it."""
    at = printed.find(text)
    while at >= 0:
        behind = printed[at + len(text) : at + len(text) + len(end) + 20].lstrip()
        if behind.startswith(end) and printed[max(0, at - len(start) - 20) : at].rstrip().endswith(start):
            return True
        at = printed.find(text, at + 1)
    return False


def _twice(view: View, printed: str, reasoning: Sequence[Text]) -> Iterator[Trouble]:
    """Find reasoning that the row has in two places, and of which both are printed."""
    for number in dict.fromkeys(each.message for each in reasoning):
        fields = [text.strip() for text, field in view.fields[number] if field and text.strip()]
        if not fields:
            continue
        inline = [text for text, field in view.fields[number] if not field]
        for text in dict.fromkeys(fields):
            there_too = fields.count(text) > 1 or any(text in each for each in inline)
            if there_too and printed.count(text) > _says(view, text):
                yield Trouble("reasoning_twice", number + 1, text[:_SHOWN])
                break


def _says(view: View, text: str) -> int:
    """Return in how many messages a text stands."""
    return sum(any(text in said for said, _ in fields_of(message)) for message in view.row.messages)


def _unclosed(view: View, printed: str, reasoning: Iterable[Text]) -> Iterator[Trouble]:
    """Find blocks that a row opens at the beginning of a line, and doesn't close by the tag that belongs to it."""
    for number in dict.fromkeys(each.message for each in reasoning):
        for text, _ in view.fields[number]:
            for opening, closing in dict.fromkeys((*view.own, *view.tags)):
                at = text.rfind(opening)
                if at < 0 or closing in text[at:] or text[:at].rpartition("\n")[2].strip():
                    continue
                near = next((mark.group() for mark in _NEAR.finditer(text, at + len(opening))), "")
                if opening in printed and printed.find(text[at:].strip()) >= 0:
                    what = f"{opening} is closed by {near}" if near else f"{opening} is never closed"
                    yield Trouble("unclosed", number + 1, f"{what}: {text[at : at + _SHOWN]}")


def _opened_otherwise(view: View, printed: str, reasoning: Iterable[Text]) -> Iterator[Trouble]:
    """Find turns that begin with a tag like those of reasoning, which is no tag of the model's and is never closed."""
    known = {tag for pair in (*view.own, *view.tags) for tag in pair}
    for number in dict.fromkeys(each.message for each in reasoning):
        for text, field in view.fields[number]:
            mark = None if field else _NEAR.match(text.lstrip())
            if mark is None or mark.group() in known or mark.group() not in printed:
                continue
            if not any(end in text for end in closings(mark.group())):
                shown = f"{mark.group()} has no closing tag: {text.strip()[:_SHOWN]}"
                yield Trouble("unclosed", number + 1, shown)


def closed_otherwise(text: str, tags: Pairs) -> Iterator[tuple[str, str]]:
    """Yield the opening tags in a text that aren't closed by their own tag, each with what may have been meant to."""
    for opening, closing in tags:
        at = text.rfind(opening)
        if at >= 0 and closing not in text[at:]:
            near = next((mark.group() for mark in _NEAR.finditer(text, at + len(opening))), "")
            if near and near != opening:
                yield opening, near


def _blocks(view: View, printed: str, texts: Sequence[Text]) -> Iterator[Trouble]:
    """Find empty blocks that stand in front of reasoning, and blocks that only the template has put in."""
    for opening, closing in view.own[:1]:
        own = closing in closings(opening)
        if (closing if own else opening) not in printed:
            return
        for empty in _empty(opening, closing).finditer(printed):
            behind = printed[empty.end() :].lstrip()
            if behind.startswith(opening):
                number = _number(behind[len(opening) :].lstrip(), texts)
                yield Trouble("empty_first", number, printed[empty.start() : empty.end() + _SHOWN])
        if own:
            yield from _added(view, printed, texts, opening, closing)


def _number(behind: str, texts: Sequence[Text]) -> int:
    """Return the number of the message, from 1, that has the text which something printed goes on with, else 0."""
    return next((each.message + 1 for each in texts if behind.startswith(each.text)), 0)


@lru_cache(maxsize=64)
def _empty(opening: str, closing: str) -> re.Pattern[str]:
    return re.compile(rf"{re.escape(opening)}\s*{re.escape(closing)}")


def _added(view: View, printed: str, texts: Sequence[Text], opening: str, closing: str) -> Iterator[Trouble]:
    """Find a closing tag in front of the answer of a turn that neither reasons nor has that tag."""
    reasons = {each.message for each in texts if each.part == "reasoning"}
    if len(reasons) == len(view.turns):
        return
    bare = [
        each
        for each in texts
        if each.message not in reasons and not any(closing in text for text, _ in view.fields[each.message])
    ]
    if not bare:
        return
    for tag in re.finditer(re.escape(closing), printed):
        number = _number(printed[tag.end() :].lstrip(), bare)
        before = printed[: tag.start()].rstrip()
        if number and not any(before.endswith(each.text) for each in texts if each.part == "reasoning"):
            trained = not (isinstance(view.prompt, str) and not view.prompt_differs and tag.end() <= len(view.prompt))
            earlier = number <= view.row.prompt
            where = "in an earlier turn" if earlier else "trained on" if trained else "in the prompt, so not trained on"
            yield Trouble("block_added", number, f"{where}: {printed[max(0, tag.start() - 40) : tag.end() + 40]}")
            return
