"""Compares the labels in a trainer's batches with the raw conversations: how much of the reasoning reaches them.

Everything is compared as text without white space, after encoding and decoding. So nothing has to be known about the
template, the mask, packing or truncation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from template_fix.conversations.rows import Row
from template_fix.data.texts import Pairs, answers_of, reasoning_of, turns
from template_fix.report.terminal import Line, Piece, line

IGNORED = -100
# Reasoning with fewer characters is searched for only together with its tags.
_TELLING = 16
Decode = Callable[[list[int]], str]


class Trained(NamedTuple):
    """One row of a collated batch: token ids, and labels of the same length, IGNORED where nothing is learned."""

    ids: list[int]
    labels: list[int]


class Labels(NamedTuple):
    """The result of a check of collated batches.

    Of ``rows`` checked rows, ``ignored`` have no label at all and ``unended`` have no end of turn in their labels. The
    turns with reasoning whose question is in the batches are counted by where the reasoning is: ``reached`` in the
    labels, ``masked`` in the input only, ``cut`` in neither although the answer is in the input, and ``truncated`` if
    the answer is missing, too.
    """

    rows: int = 0
    ignored: int = 0
    unended: int = 0
    reached: int = 0
    masked: int = 0
    cut: int = 0
    truncated: int = 0

    @property
    def turns(self) -> int:
        """How many turns with reasoning were found in the batches."""
        return self.reached + self.masked + self.cut + self.truncated

    @property
    def wrong(self) -> bool:
        """Whether reasoning is missing in the labels, no end of turn is learned, or a row has no labels."""
        unended = self.unended > 0 and self.unended + self.ignored == self.rows
        return bool(self.ignored or self.cut or unended or (self.masked and not self.reached))


def compare_labels(
    trained: Sequence[Trained],
    raw: Iterable[Row],
    tags: Pairs,
    ends: Collection[int],
    decode: Decode,
    through: Callable[[str], str],
) -> Labels:
    """Return how much of the raw rows' reasoning reaches the labels of the rows that are trained on.

    ``ends`` are the ids of tokens that end a turn. ``decode`` returns the text of ids, with special tokens; ``through``
    returns a text after encoding and decoding.
    """
    learned = [[label for label in each.labels if label != IGNORED] for each in trained]
    texts = [
        (_strip_space(decode(each.ids)), _strip_space(decode(some)))
        for each, some in zip(trained, learned, strict=True)
    ]
    fates = [
        fate
        for row in raw
        for turn in turns(row)
        for fate in _fates(row, turn, texts, tags, lambda text: _strip_space(through(text)))
    ]
    return Labels(
        rows=len(trained),
        ignored=sum(not some for some in learned),
        unended=sum(bool(some) and not set(ends).intersection(some) for some in learned),
        **{fate: fates.count(fate) for fate in ("reached", "masked", "cut", "truncated")},
    )


def _strip_space(text: str) -> str:
    return "".join(text.split())


def _fates(
    row: Row, turn: int, texts: Sequence[tuple[str, str]], tags: Pairs, bare: Callable[[str], str]
) -> Iterator[str]:
    """Yield for each reasoning of a turn where it is, if any batch has the turn's question."""
    asked = [message["content"] for message in row.messages[:turn] if isinstance(message.get("content"), str)]
    question = bare(asked[-1]) if asked else ""
    there = [pair for pair in texts if question and question in pair[0]]
    for reasoning in reasoning_of(row.messages[turn], tags) if there else ():
        forms = _search_forms(reasoning, tags, bare)
        answers = [bare(answer) for answer in answers_of(row.messages[turn], tags)]
        if _contains_any(forms, (learned for _, learned in there)):
            yield "reached"
        elif _contains_any(forms, (given for given, _ in there)):
            yield "masked"
        else:
            yield "cut" if not answers or _contains_any(answers, (given for given, _ in there)) else "truncated"


def _search_forms(reasoning: str, tags: Pairs, bare: Callable[[str], str]) -> list[str]:
    text = bare(reasoning)
    return [text] if len(text) >= _TELLING else [bare(f"{start}{reasoning}{end}") for start, end in tags]


def _contains_any(parts: Sequence[str], texts: Iterable[str]) -> bool:
    return any(part in text for text in texts for part in parts)


def label_lines(labels: Labels) -> Iterator[Line]:
    """Yield the report on the batches."""
    yield line(Piece("What is trained on", "title"), f": {labels.rows} rows checked before the first step")
    if labels.turns:
        counts = ((labels.cut, "cut out of the text"), (labels.masked, "in the input, but masked"))
        rest = [
            f"{number} {what}" for number, what in (*counts, (labels.truncated, "beyond the maximum length")) if number
        ]
        text = f"{labels.reached} of {labels.turns} turns with reasoning have it in the labels"
        yield line("reasoning: ", "; ".join([text, *rest]), indent=2, hang=2)
    else:
        yield line("reasoning: no raw row with reasoning was found in the batches", indent=2)
    yield line(f"end of turn: in the labels of {labels.rows - labels.unended - labels.ignored} rows", indent=2)
    if labels.ignored:
        yield line(f"{labels.ignored} rows are not trained on: all of their labels are ignored", indent=2)
