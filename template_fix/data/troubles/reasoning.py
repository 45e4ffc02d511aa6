"""What can be wrong with the reasoning of a row that is printed: each detector looks at the one rendering."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import cast

from template_fix.conversations.rows import ROLES, names_reasoning
from template_fix.conversations.tags import closings, pairs
from template_fix.data.shapes.operations import drop_repeats, join, recorded, require
from template_fix.data.texts import Pairs, Text, count_mark, fields_of, find, is_mark, marks_of
from template_fix.data.troubles.kinds import Trouble
from template_fix.data.troubles.view import View

_SHOWN = 200
# So much of what stands around a tag tells what it is.
_BESIDE = 64
# What someone may have meant to close a block with: a backslash, a blank, another word, a second opening tag.
_NEAR = re.compile(
    r"<\s*[\\/]?\s*\|?\s*(?:think\w*|thought\w*|reason\w*|analysis|cot)\s*\|?\s*[\\/]?\s*>", re.IGNORECASE
)
_SPACE = re.compile(r"\s*")


def troubles_of_reasoning(view: View, printed: str) -> Iterator[Trouble]:
    """Yield what is wrong with reasoning that is printed."""
    reasoning = [each for each in view.texts if each.part == "reasoning"]
    odd_roles = not all(message["role"] in ROLES for message in view.row.messages)
    if reasoning and not odd_roles and _ordinary(view, printed, reasoning):
        return
    for number in dict.fromkeys(each.message for each in reasoning):
        said = [each.text for each in reasoning if each.message == number]
        yield from _as_text(view, printed, number, said)
        yield from _twice(view, printed, number)
        yield from _unclosed(view, printed, number)
    yield from _blocks(view, printed)
    if odd_roles:
        yield from _roles(view, printed)


def _ordinary(view: View, printed: str, reasoning: Sequence[Text]) -> bool:
    """Whether every turn has one block, in the model's own tags or in one field, and as many blocks are printed."""
    if not view.template.own or len(reasoning) != len(view.turns):
        return False
    opening, closing = view.template.own[0]
    for fields in view.fields.values():
        blocks = 0
        for text, field in fields:
            if field:
                blocks += 1
                if "<" in text or "[" in text:
                    return False
            elif "<" in text or "[" in text:
                blocks += 1
                if not (text.startswith(opening) and count_mark(text, opening) == count_mark(text, closing) == 1):
                    return False
        if blocks != 1:
            return False
    if any(each.text.startswith(("<", "[")) for each in reasoning):
        return False
    return count_mark(printed, opening) == count_mark(printed, closing) == len(view.turns)


def _as_text(view: View, printed: str, number: int, said: Sequence[str]) -> Iterator[Trouble]:
    """Find reasoning that a turn has between other tags than the model's, and that is printed with them."""
    own = view.template.own
    openings = {pair[0] for pair in own}
    for text, field in view.fields[number] if own else ():
        if field or any(end in text for _, end in own):
            continue
        for start, end in pairs_in(text, view.template.tags):
            there = start if start in text else ""
            if start not in openings and any(between(there, each, end, printed) for each in said):
                mine = " and ".join(own[0])
                shown = f"between {start} and {end}; the model's tags are {mine}"
                yield Trouble("reasoning_as_text", number + 1, shown)
                break


def _roles(view: View, printed: str) -> Iterator[Trouble]:
    """Find messages whose role is called as reasoning is, printed as turns of their own."""
    for number, message in enumerate(view.row.messages):
        role, content = message["role"], message.get("content")
        if role not in ROLES and names_reasoning(role) and isinstance(content, str) and content.strip() in printed:
            inside = any(between(start, content.strip(), end, printed) for start, end in view.template.own)
            if not inside:
                shown = f"the role {role}, printed as a turn; put it into a field of the turn that it belongs to"
                yield Trouble("reasoning_as_text", number + 1, shown)


def pairs_in(text: str, tags: Pairs) -> list[tuple[str, str]]:
    """Return the pairs of tags that stand in a text, of some only the closing one."""
    named = _named(tuple(dict.fromkeys(mark for mark, _, _ in marks_of(text))))
    return [*named, *(pair for pair in tags if pair[1] in text and pair not in named)]


@lru_cache(maxsize=1024)
def _named(marks: tuple[str, ...]) -> list[tuple[str, str]]:
    return pairs(marks)


@recorded
def between(start: str, text: str, end: str, printed: str) -> bool:
    """Whether a text is printed between two tags, with nothing but white space beside it."""
    at = find(printed, text)
    while at >= 0:
        behind = printed[at + len(text) : at + len(text) + len(end) + 20].lstrip()
        if behind.startswith(end) and printed[max(0, at - len(start) - 20) : at].rstrip().endswith(start):
            return True
        at = find(printed, text, at + 1)
    return False


def _twice(view: View, printed: str, number: int) -> Iterator[Trouble]:
    """Find reasoning that a turn has in two places, and of which both are printed."""
    fields = [text.strip() for text, field in view.fields[number] if field]
    inline = [text for text, field in view.fields[number] if not field]
    for text in filter(None, drop_repeats(fields)):
        there_too = fields.count(text) > 1 or any(text in each for each in inline)
        if there_too and printed.count(text) > _says(view, text):
            yield Trouble("reasoning_twice", number + 1, text[:_SHOWN])
            return


def _says(view: View, text: str) -> int:
    """Return in how many messages a text stands."""
    return sum(any(text in said for said, _ in fields_of(message)) for message in view.row.messages)


def _unclosed(view: View, printed: str, number: int) -> Iterator[Trouble]:
    """Find blocks that a turn opens and doesn't close by the tag that belongs to it."""
    for text, _ in view.fields[number]:
        if _is_one_block(text, (*view.template.own, *view.template.tags)):
            continue
        for opening, at, near in open_blocks(text, (*view.template.own, *view.template.tags)):
            if text[at:].strip() in printed:
                what = {"": "is never closed", opening: "is opened again"}.get(near, f"is closed by {near}")
                yield Trouble("unclosed", number + 1, join("", [f"{opening} {what}: ", text[at : at + _SHOWN]]))


def _is_one_block(text: str, tags: Pairs) -> bool:
    """Whether a text has one block, with which it begins, and no other markup."""
    marks = tuple(mark for mark, _, _ in marks_of(text))
    if marks not in tags or not text.startswith(marks[0]):
        return False
    others = [pair[0] for pair in tags if pair != marks]
    return not any(each in marks or (not is_mark(each) and each in text) for each in others)


def open_blocks(text: str, tags: Pairs) -> list[tuple[str, int, str]]:
    """Return the opening tags in a text that aren't closed, where they stand, and what may have been meant to do so.

    They stand at the beginning of a line: of ``tags``, or at the text's own beginning one that is like those.
    """
    if not any(first in text for first in dict.fromkeys(("<", *(opening[:1] for opening, _ in tags)))):
        return []
    return [(require(opening), at, require(near)) for opening, at, near in _open_blocks(text, tuple(tags))]


@recorded
def _open_blocks(text: str, tags: Pairs) -> list[tuple[str, int, str]]:
    return list(_each_open_block(text, tags))


def _each_open_block(text: str, tags: Pairs) -> Iterator[tuple[str, int, str]]:
    first = _NEAR.match(text, len(text) - len(text.lstrip()))
    known = dict.fromkeys(tags)
    odd = first.group() if first and not any(first.group() in pair for pair in known) else ""
    pairs_known = [(opening, [closing]) for opening, closing in known]
    for opening, ends in [*pairs_known, *([(odd, list(closings(odd)))] if odd else [])]:
        at = _at_line(text, opening, 0)
        while at >= 0:
            behind = at + len(opening)
            closed = min((end for each in ends if (end := text.find(each, behind)) >= 0), default=-1)
            again = _at_line(text, opening, behind)
            if closed < 0 or 0 <= again < closed:
                yield opening, at, next((mark.group() for mark in _NEAR.finditer(text, behind)), "")
                break
            at = again


def _at_line(text: str, tag: str, start: int) -> int:
    """Return where a tag stands next at the beginning of a line, or -1."""
    at = text.find(tag, start)
    while at >= 0 and text[:at].rpartition("\n")[2].strip():
        at = text.find(tag, at + 1)
    return at


def _blocks(view: View, printed: str) -> Iterator[Trouble]:
    """Find empty blocks in front of reasoning, and blocks that only the template has put in front of an answer."""
    if not view.template.own:
        return
    opening, closing = view.template.own[0]
    bare = _bare(view, opening, closing)
    if not bare and count_mark(printed, opening) < 2:
        return
    at = printed.find(closing)
    while at >= 0:
        end = _behind_space(printed, at + len(closing))
        before = printed[max(0, at - len(opening) - _BESIDE) : at].rstrip()
        empty = before.endswith(opening)
        if empty and printed.startswith(opening, end):
            number = _number(view.texts, printed, end + len(opening))
            yield Trouble("empty_first", number, join("", [opening, " ", printed[at : end + _SHOWN]]))
        elif (number := _number(bare, printed, end)) and not _ends_reasoning(view, before):
            where = "in an earlier turn: " if number <= view.row.prompt else ""
            block = printed[printed.rfind(opening, 0, at) if empty else at : at + len(closing)]
            yield Trouble(_kind_of(block, view, opening), number, join("", [where, block]))
            bare = []
        at = printed.find(closing, at + len(closing))


def _bare(view: View, opening: str, closing: str) -> list[Text]:
    """Return the answers of turns that neither reason nor have a closing tag, unless the prompt has one for them."""
    if closing not in closings(opening) or not isinstance(view.prompt, str) or view.prompt.rstrip().endswith(closing):
        return []
    reasons = {each.message for each in view.texts if each.part == "reasoning"}
    closes = {number for number, fields in view.fields.items() if any(closing in text for text, _ in fields)}
    return [each for each in view.texts if each.message not in reasons | closes]


def _ends_reasoning(view: View, before: str) -> bool:
    return any(before.endswith(each.text[-_BESIDE:]) for each in view.texts if each.part == "reasoning")


@recorded
def _behind_space(printed: str, at: int) -> int:
    space = _SPACE.match(printed, at)
    return space.end() if space else at


def _number(texts: Sequence[Text], printed: str, at: int) -> int:
    """Return the number of the message, from 1, whose text is printed from a place on, or behind space; else 0."""
    start = _behind_space(printed, at) if texts else at
    return next((each.message + 1 for each in texts if printed.startswith(each.text, start)), 0)


def _kind_of(block: str, view: View, opening: str) -> str:
    """Return the kind of trouble that a block is which only the template has."""
    if _ends_alike(view.template.unasked, block):
        return "block_unasked"
    return "closed_at_once" if cast(str, view.prompt).rstrip().endswith(opening) else "block_added"


@recorded
def _ends_alike(text: str, end: str) -> bool:
    """Whether a text without white space ends with another, white space aside."""
    return text.endswith("".join(end.split()))
