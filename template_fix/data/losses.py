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
from typing import NamedTuple

from template_fix.conversations.disguise import Disguise, spell
from template_fix.conversations.rows import ROLES, Row
from template_fix.data.shapes.operations import always_holds, drop_repeats, join, length, make_finder, recorded
from template_fix.data.texts import Pairs, Text, find, mapped, spans
from template_fix.data.troubles.blocks import troubles_of_blocks
from template_fix.data.troubles.calls import troubles_of_calls
from template_fix.data.troubles.kinds import KINDS, Trouble
from template_fix.data.troubles.reasoning import troubles_of_reasoning
from template_fix.data.troubles.view import View
from template_fix.jinja.renderer import Message

# Shorter texts are found in others by chance.
_TELLING = 16
# After so many places that hold a word within another, all words are looked at.
_PATIENCE = 16
_WORD = re.compile(r"\w+")
# So many words are looked for one by one.
_FEW = 32


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
    def all_troubles(self) -> tuple[Trouble, ...]:
        """All that is wrong with the row, as troubles: what loses, fails or is broken as well."""
        if self.lossless:
            return self.troubles
        found = [*self.troubles]
        if self.failure:
            found.append(Trouble("failed", 0, self.failure))
        if self.broken and not any(each.kind == "layout" for each in found):
            found.append(Trouble("broken", 0, self.broken))
        if self.reasoning_lost or self.answer_lost:
            found.append(Trouble("lost", self.cut_from, self.cut))
        return tuple(found)

    @property
    def harmed(self) -> bool:
        """Whether the row isn't trained on as it is."""
        return any(KINDS[each.kind].level == "error" for each in self.all_troubles)

    @property
    def mendable(self) -> bool:
        """Whether a repaired template may make more of the row."""
        return not self.broken and (self.prompt_differs or not self.lossless)

    def joined(self, other: Verdict) -> Verdict:
        """Return the verdict on both sides of a pair of rows."""
        first = max(self, other, key=lambda each: length(each.cut))
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
            tuple(drop_repeats((*self.troubles, *other.troubles))),
        )


def verdict(view: View) -> Verdict:
    """Return what a template makes of a row. Works inside of `limits.run_bounded` alone; raises LimitExceeded."""
    row, printed = view.row, view.printed
    others = _doubtful(row, printed)
    texts = [*view.texts, *others]
    losses = [0] * len(texts) if not others and _plain(view, printed) else _losses(view, texts, printed)
    sizes, gone = {"reasoning": 0, "answer": 0}, {"reasoning": 0, "answer": 0}
    troubles, worst, cut = [*row.troubles], 0, None
    for each, lost in zip(texts, losses, strict=True):
        if each.part == "message":
            if 2 * lost > length(each.text) - each.text.count("\n"):
                said = join("", [row.messages[each.message]["role"], ": ", each.text])
                troubles.append(Trouble("message_lost", each.message + 1, said))
            continue
        sizes[each.part] += length(each.text)
        gone[each.part] += lost
        if lost > worst:
            worst, cut = lost, each
    if not view.turns:
        troubles.append(Trouble("no_turn", 0, "a prompt alone" if row.is_prompt else "no message of the assistant"))
    troubles += troubles_of_reasoning(view, printed)
    troubles += troubles_of_blocks(view, printed)
    troubles += troubles_of_calls(view, printed)
    return Verdict(
        sizes["reasoning"],
        gone["reasoning"],
        sizes["answer"],
        gone["answer"],
        view.prompt_differs,
        cut.text if cut else "",
        cut.message + 1 if cut else 0,
        troubles=tuple(troubles),
    )


def _doubtful(row: Row, printed: str) -> list[Text]:
    """Return what messages of others than the model say, where it isn't sure that it is printed."""
    found: list[Text] = []
    for number, message in enumerate(row.messages):
        role, content = message["role"], message.get("content")
        if role != "assistant" and content:
            for text in [content.strip()] if isinstance(content, str) else _blocks(content):
                if text and (text not in printed or role not in ROLES):
                    found.append(Text("message", number, text))
    return drop_repeats(found)


def _blocks(content: list[object]) -> Iterator[str]:
    for block in content:
        if isinstance(block, Mapping) and isinstance(block.get("text"), str):
            yield block["text"].strip()


def _plain(view: View, printed: str) -> bool:
    """Whether every text of the turns, or every stretch of them, is printed as it stands."""
    stripped = (text.strip() for fields in view.fields.values() for text, _ in fields)
    ways = [each.text for each in view.texts], drop_repeats(text for text in stripped if text)
    if all(always_holds(printed, text) for text in ways[1]):
        ways = ways[::-1]
    return next((found for texts in ways if (found := _all_printed(view, printed, texts)) is not None), False)


def _all_printed(view: View, printed: str, texts: Sequence[str]) -> bool | None:
    """Whether texts are all printed as often as the row has them, and none of them by chance.

    None where that isn't sure; where it is not so, nothing that holds them is printed.
    """
    if any(length(text) < _TELLING or view.template.has(text) for text in texts):
        return None
    for text in texts:
        said = _count_held(view.said, text) if always_holds(view.said, text) else _count(view.said, text)
        if not (always_holds(printed, text) and said == 1) and (found := _count(printed, text)) < said:
            return None if found else False
    return True


@recorded
def _count_held(where: str, text: str) -> int:
    """Return ``where.count(text)`` of a text that is there."""
    return where.count(text) if 2 * len(text) <= len(where) else 1


@recorded
def _count(where: str, text: str) -> int:
    """Return ``where.count(text)``: long texts fit but once."""
    if len(text) > len(where):
        return 0
    return where.count(text) if 2 * len(text) <= len(where) else int(find(where, text) >= 0)


def _losses(view: View, texts: Sequence[Text], printed: str) -> list[int]:
    """Return how many characters of each text aren't printed."""
    disguise = Disguise()
    letters = [(each, disguise.letter(each.text)) for each in texts]
    if all(letter for _, letter in letters):
        find, tags = make_finder(letters), view.template.tags
        text = view.render([_disguised(number, each, find, tags) for number, each in enumerate(view.row.messages)])
        worn = [(each.text, letter, _spelled(each.text, letter)) for each, letter in letters]
        if isinstance(text, str) and _fits(text, printed, worn):
            return [_missing(each.text, text.count(letter)) for each, letter in letters]
    return _missing_words([each.text for each in texts], printed)


def _disguised(
    number: int, message: Message, letter_of: Callable[[Text], str | None], tags: Pairs
) -> dict[str, object]:
    """Return a message with each text that has a letter spelled in it."""

    def put_on(text: str, field: bool) -> str:
        parts, done = [], 0
        for each in spans(text, tags):
            letter = letter_of(Text("reasoning" if field or each.reasoning else "answer", number, each.text))
            parts += [text[done : each.start], _spelled(each.text, letter or "")]
            done = each.end
        return join("", [*parts, text[done:]])

    def put_on_all(text: str, _: bool) -> str:
        whole = text.strip()
        letter = letter_of(Text("message", number, whole))
        return text.replace(whole, _spelled(whole, letter)) if letter else text

    return mapped(message, put_on if message["role"] == "assistant" else put_on_all)


@recorded
def _spelled(text: str, letter: str) -> str:
    return spell(text, letter)


@recorded
def _fits(told: str, printed: str, worn: Sequence[tuple[str, str, str]]) -> bool:
    """Whether a rendering of texts in disguise is like the one without in all else.

    ``worn`` are texts, their letters, and the texts spelled in these. Most are printed whole, once, or not at all.
    """
    bare = told
    for text, _, spelled in worn:
        bare = bare.replace(spelled, text, 1)
    if bare == printed and not any(letter in bare for _, letter, _ in worn):
        return True
    return Disguise(text for text, _, _ in worn).fits(told, printed)


def _missing(text: str, kept: int) -> int:
    """Return how many characters of a text are lost where ``kept`` of those came out that are no line's end."""
    return max(length(text) - text.count("\n") - kept, 0) if kept else length(text)


@recorded
def _missing_words(texts: Sequence[str], printed: str) -> list[int]:
    """Return how many characters of each text are in words that come out nowhere."""
    folded = printed.casefold()
    words: set[str] = set()
    missing = []
    for text in texts:
        own = _WORD.findall(text.casefold())
        if len(own) <= _FEW and all(_stands_alone(word, folded) for word in own):
            missing.append(0)
            continue
        words = words or set(_WORD.findall(folded))
        missing.append(sum(len(word) for word in own if word not in words))
    return missing


def _stands_alone(word: str, text: str) -> bool:
    """Whether a word is found as one in a text, at one of the first places that hold it."""
    at = text.find(word)
    for _ in range(_PATIENCE):
        end = at + len(word)
        if at < 0 or not (_WORD.match(text[at - 1 : at]) or _WORD.match(text[end : end + 1])):
            return at >= 0
        at = text.find(word, at + 1)
    return False
