"""Texts in disguise: each is spelled in one letter of its own, so that what is printed of it can be found again.

No text or template has these letters by itself, and a text in disguise is as long as it was, line by line. So where a
conversation and the same in disguise are printed alike in all else, the letters that come out are what is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# Letters of a plane for private use.
_FIRST, _LAST = 0xF0000, 0xFFFFD
LETTERS = f"[{chr(_FIRST)}-{chr(_LAST)}]"
_RUN = re.compile(rf"({LETTERS})\1*")
_RUNS = re.compile(f"{LETTERS}+")


class Disguise:
    """Texts by their letters, in the order of asking; ``texts`` are those that were asked of before."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._texts = list(texts)

    def letter(self, text: str) -> str:
        """Return a letter for a text that nothing else has, "" where there are no more."""
        if len(self._texts) > _LAST - _FIRST:
            return ""
        self._texts.append(text)
        return chr(_FIRST + len(self._texts) - 1)

    def put_on(self, text: str) -> str:
        """Return a text spelled in a letter of its own; it stays as it is where there are no more."""
        return spell(text, self.letter(text))

    def take_off(self, text: str) -> str:
        """Return a text with what was there before in the place of the letters."""
        return _RUN.sub(lambda run: self._text(run[1])[: len(run[0])], text)

    def fits(self, disguised: str, printed: str) -> bool:
        """Whether a rendering in disguise is like the one without, but for the letters that stand for texts."""
        if len(disguised) != len(printed):
            return False
        done = 0
        for start, end in _each_run(disguised):
            text, part = self._text(disguised[start]), printed[start:end]
            if disguised[done:start] != printed[done:start] or not (part == text or part in text):
                return False
            done = end
        return disguised[done:] == printed[done:]

    def _text(self, letter: str) -> str:
        at = ord(letter) - _FIRST
        return self._texts[at] if at < len(self._texts) else ""


def _each_run(text: str) -> Iterator[tuple[int, int]]:
    """Yield where a letter stands, once for all of its repetitions."""
    for runs in _RUNS.finditer(text):
        start, end = runs.span()
        if text.count(text[start], start, end) == end - start:  # to follow repetitions takes three times as long
            yield start, end
        else:
            yield from (run.span() for run in _RUN.finditer(text, start, end))


def spell(text: str, letter: str) -> str:
    """Return a text in one letter, its lines as long as they were; without a letter, as it is."""
    if not letter:
        return text
    return "\n".join([letter * len(line) for line in text.split("\n")]) if "\n" in text else letter * len(text)
