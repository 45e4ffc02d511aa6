"""Aligns the texts of a conversation with a rendering: what was kept, what was dropped, what the template added.

Ordinary words occur several times, so aligning them is guessing. If each word is replaced by a unique disguise, the
output shows where each one came from.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, takewhile
from typing import Literal, NamedTuple

from template_fix.conversations.disguise import LETTERS, Disguise

_TOKEN = re.compile(rf"({LETTERS})\1*|\s+|<[^\s<>]*>|\[/?[A-Z_]+\]|\w+|.")
_SPACE_OR_TAG = re.compile(r"\s|[<\[].")
_TAG_OR_WORD = re.compile(rf"{LETTERS}|\w|[<\[].")
# Above this product of two lengths, exact matching of texts without unique words would take seconds.
_EXACT = 4_000_000


class Run(NamedTuple):
    """A piece of text, ``kept`` in conversation and output, ``dropped`` from the one, or the ``template``'s own."""

    kind: Literal["kept", "dropped", "template"]
    text: str


def disguise_words(text: str, disguise: Disguise) -> str:
    """Return a text with each word and sign in disguise; spaces and tags are left as they are."""
    return "".join(token if _SPACE_OR_TAG.match(token) else disguise.put_on(token) for token in _tokens(text))


def align(
    said: Sequence[str], printed: str, endings: Sequence[str], reveal: Callable[[str], str] = str
) -> list[list[Run]]:
    """Return for each text of ``said`` the runs that were printed for it, and the dropped ones at their places.

    All kept and template runs together are ``printed``. The kept and dropped runs of a text are that text, apart from
    white space. ``endings`` has for each text what is printed if the conversation ends with it; this shows how much of
    the output between two texts belongs to the first. ``reveal`` turns the text of a run into the text to show.
    """
    left = [(number, token) for number, text in enumerate(said) for token in _tokens(text)]
    right = _tokens(printed)
    pairs = _drop_chance_matches(_matches([token for _, token in left], right), left)
    bounds = _region_bounds(left, right, pairs, endings)
    regions: list[list[Run]] = []
    for number in range(len(said)):
        own = [(i, j) for i, j in pairs if left[i][0] == number]
        start = sum(owner < number for owner, _ in left)
        words = [token for owner, token in left if owner == number]
        runs = _runs(words, right, [(i - start, j) for i, j in own], bounds[number], bounds[number + 1])
        regions.append(list(_merge_runs(runs, reveal)))
    return regions


def _tokens(text: str) -> list[str]:
    return [token[0] for token in _TOKEN.finditer(text)]


def _runs(
    words: Sequence[str], right: Sequence[str], pairs: Sequence[tuple[int, int]], start: int, end: int
) -> list[Run]:
    """Return the runs of one text, token by token; text dropped at its end comes before the template's closing text."""
    runs: list[Run] = []
    i, j = 0, start
    for m, n in pairs:
        runs += _template_runs(right[j:n]) + _dropped_runs(words[i:m]) + [Run("kept", words[m])]
        i, j = m + 1, n + 1
    rest = _dropped_runs(words[i:]), _template_runs(right[j:end])
    return runs + (rest[0] + rest[1] if pairs else rest[1] + rest[0])


def _template_runs(tokens: Sequence[str]) -> list[Run]:
    return [Run("template", token) for token in tokens]


def _dropped_runs(tokens: Sequence[str]) -> list[Run]:
    return [Run("dropped", token) for token in tokens] if "".join(tokens).strip() else []


def _merge_runs(runs: Sequence[Run], reveal: Callable[[str], str]) -> Iterator[Run]:
    for kind, group in groupby(runs, key=lambda run: run.kind):
        yield Run(kind, reveal("".join(run.text for run in group)))


def _region_bounds(
    left: Sequence[tuple[int, str]], right: Sequence[str], pairs: Sequence[tuple[int, int]], endings: Sequence[str]
) -> list[int]:
    """Return the index in ``right`` where each text's region starts, and where the last one ends."""
    last = {left[i][0]: (i, j) for i, j in pairs}
    first = {left[i][0]: j for i, j in reversed(pairs)}
    bounds = [0]
    for number in range(len(endings) - 1):
        if number in last:
            i, j = last[number]
            following = min((place for owner, place in first.items() if owner > number), default=len(right))
            bounds.append(j + 1 + _common_length(right[j + 1 : following], _tokens_after(left[i][1], endings[number])))
        else:
            bounds.append(bounds[-1])
    return [*bounds, len(right)]


def _tokens_after(token: str, text: str) -> list[str]:
    """Return the tokens of ``text`` that follow the last ``token`` in it."""
    _, found, after = text.rpartition(token)
    return _tokens(after) if found else []


def _common_length(left: Sequence[str], right: Sequence[str]) -> int:
    """Return with how many equal tokens the two begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(left, right, strict=False)))


def _matches(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of equal tokens, in ascending order: unique ones first, then matches between those."""
    pairs: list[tuple[int, int]] = []
    i = j = 0
    for m, n in [*_anchors(left, right), (len(left), len(right))]:
        exact = (m - i) * (n - j) <= _EXACT
        matcher = SequenceMatcher(None, left[i:m], right[j:n], autojunk=not exact)
        for block in matcher.get_matching_blocks():
            pairs += [(i + block.a + k, j + block.b + k) for k in range(block.size)]
        if m < len(left):
            pairs.append((m, n))
        i, j = m + 1, n + 1
    return pairs


def _anchors(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """Return the longest ascending chain of tokens that occur exactly once on each side."""
    places = _unique_places(right)
    return _longest_ascending([(i, places[token]) for token, i in _unique_places(left).items() if token in places])


def _unique_places(tokens: Sequence[str]) -> dict[str, int]:
    counts = Counter(tokens)
    return {token: index for index, token in enumerate(tokens) if counts[token] == 1}


def _longest_ascending(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest chain of pairs with ascending second numbers; the first numbers ascend already."""
    ends: list[int] = []
    tips: list[int] = []
    before: list[int] = []
    for index, (_, place) in enumerate(pairs):
        at = bisect_left(ends, place)
        before.append(tips[at - 1] if at else -1)
        ends[at : at + 1], tips[at : at + 1] = [place], [index]
    chain = []
    index = tips[-1] if tips else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _drop_chance_matches(pairs: list[tuple[int, int]], left: Sequence[tuple[int, str]]) -> list[tuple[int, int]]:
    """Remove matches of spaces and punctuation without a matched word or tag beside them: these match by chance."""
    kept: list[tuple[int, int]] = []
    for _, group in groupby(pairs, key=lambda pair: (pair[1] - pair[0], left[pair[0]][0])):
        run = list(group)
        if any(_TAG_OR_WORD.match(left[i][1]) for i, _ in run):
            kept += run
    return kept
