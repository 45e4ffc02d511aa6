"""Text and edits of it. All changes of files and templates are made here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

_CONTEXT = 3


class Span(NamedTuple):
    """A half-open range of character offsets, ``text[start:end]``."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the part of ``text`` that this span covers."""
        return text[self.start : self.end]


class Position(NamedTuple):
    """A place in a text as people count it: both numbers start at 1, columns count characters."""

    line: int
    column: int


class Edit(NamedTuple):
    """Replaces ``span`` with ``text``; an empty span inserts."""

    span: Span
    text: str


class OverlapError(ValueError):
    """Two edits claim the same characters."""


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return ``text`` with all edits made; everything outside of their spans is unchanged.

    Edits may come in any order. Raises OverlapError if two of them change the same character or insert at the same
    offset, and IndexError if a span lies outside of the text.
    """
    parts: list[str] = []
    done = -1
    position = 0
    for edit in sorted(set(edits)):
        start, end = edit.span
        if not 0 <= start <= end <= len(text):
            raise IndexError(f"edit {edit.span} lies outside a text of {len(text)} characters")
        if start < position or start == done:
            raise OverlapError(f"two edits claim the text at offset {start}")
        parts += text[position:start], edit.text
        position, done = end, start
    if 2 * position > len(text):
        return "".join([*parts, text[position:]])
    return text.replace(text[:position], "".join(parts), 1)  # holds the rest, which may be long, no third time


def edits_between(before: str, after: str) -> tuple[Edit, ...]:
    """Return the edits that turn template ``before`` into ``after``, each limited to the lines and tags that change."""
    found = []
    for lines in _diff_parts(_split_lines(before), _split_lines(after)):
        gone = lines.span.of(before)
        for tags in _diff_parts(_split_tags(gone), _split_tags(lines.text)):
            old, new = tags.span.of(gone), tags.text
            head = common_prefix(old, new)
            tail = common_prefix(old[head:][::-1], new[head:][::-1])
            start = lines.span.start + tags.span.start
            span = Span(start + head, start + len(old) - tail)
            found.append(Edit(span, new[head : len(new) - tail]))
    return tuple(found)


def _diff_parts(old: Sequence[str], new: Sequence[str]) -> Iterator[Edit]:
    """Yield the edits that turn one text into another; both come in parts, and a part is replaced as a whole."""
    import difflib

    starts = [0, *accumulate(map(len, old))]
    for kind, first, last, begin, end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            yield Edit(Span(starts[first], starts[last]), "".join(new[begin:end]))


def _split_tags(text: str) -> list[str]:
    """Split a template into its tags and the text between them."""
    return [part for part in re.split(r"(\{[%{#].*?[%}#]\})", text, flags=re.DOTALL) if part]


def written(edits: Iterable[Edit]) -> Iterator[tuple[Edit, Span]]:
    """Yield each edit, the first in the text first, with where its own text stands in the edited text."""
    shift = 0
    for edit in sorted(set(edits)):
        start = edit.span.start + shift
        yield edit, Span(start, start + len(edit.text))
        shift += len(edit.text) - (edit.span.end - edit.span.start)


def trace_back(span: Span, edits: Iterable[Edit]) -> Span | None:
    """Return where ``span`` of the edited text stood in the original, or None if an edit wrote part of it."""
    shift = 0
    for edit, at in written(edits):
        if span.end <= at.start:
            break
        if span.start < at.end:
            return None
        shift = at.end - edit.span.end
    return Span(span.start - shift, span.end - shift)


def position(text: str, offset: int) -> Position:
    """Return the line and column of ``offset``; a line ends at LF, and CR LF counts as one end of line."""
    line = text.count("\n", 0, offset)
    start = text.rfind("\n", 0, offset) + 1
    return Position(line + 1, offset - start + 1)


def line_at(text: str, offset: int) -> str:
    """Return the line that holds ``offset``, without its end of line."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return text[start : len(text) if end < 0 else end].rstrip("\r")


def unified_diff(before: str, after: str, name: str) -> str:
    """Return a unified diff of one file as ``git apply`` and ``patch -p1`` read it, empty where nothing changed."""
    if before == after:
        return ""
    # difflib takes minutes for a tokenizer.json of a real size, so equal lines at both ends are left out.
    alike = common_prefix(before, after)
    start = _find_context_before(before, alike)
    behind = _count_behind_context(before, after, _common_suffix(before, after, alike))
    old, new = (_split_lines(text[start : len(text) - behind]) for text in (before, after))
    head = before.count("\n", 0, start)
    lines = [f"--- a/{name}\n", f"+++ b/{name}\n"]
    for hunk in _hunks(old, new):
        lines += _hunk_lines(old, new, hunk, head)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _hunks(old: Sequence[str], new: Sequence[str]) -> Iterator[list[tuple[Span, Span]]]:
    """Yield the changed lines, as numbers from 0 in both texts; those of a hunk have no more between than contexts.

    Lines that both texts begin or end with are never changed ones. difflib could match them with others that are equal,
    and leave a hunk at their end without a context, which git takes for the end of the file.
    """
    import difflib

    head = common_prefix(old, new)
    tail = min(common_prefix(old[::-1], new[::-1]), len(old) - head, len(new) - head)
    inner = difflib.SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    hunk: list[tuple[Span, Span]] = []
    for kind, *numbers in inner.get_opcodes():
        first, last, begin, end = (number + head for number in numbers)
        if kind == "equal":
            continue
        if hunk and first - hunk[-1][0].end > 2 * _CONTEXT:
            yield hunk
            hunk = []
        hunk.append((Span(first, last), Span(begin, end)))
    yield hunk


def _hunk_lines(old: Sequence[str], new: Sequence[str], hunk: Sequence[tuple[Span, Span]], head: int) -> Iterator[str]:
    """Yield the lines of a hunk with its contexts; the texts are those behind ``head`` lines of the whole file."""
    (first, begin), (last, end) = hunk[0], hunk[-1]
    before, behind = min(first.start, _CONTEXT), min(len(old) - last.end, _CONTEXT)
    ranges = Span(first.start - before, last.end + behind), Span(begin.start - before, end.end + behind)
    yield "@@ -{} +{} @@\n".format(*(_format_range(each, head) for each in ranges))
    at = ranges[0].start
    for gone, come in hunk:
        yield from (f" {line}" for line in old[at : gone.start])
        yield from (f"-{line}" for line in old[gone.start : gone.end])
        yield from (f"+{line}" for line in new[come.start : come.end])
        at = gone.end
    yield from (f" {line}" for line in old[at : ranges[0].end])


def _format_range(lines: Span, head: int) -> str:
    """Return a range of lines as a diff names it: the number of the first, or of the one in front of none."""
    count = lines.end - lines.start
    number = head + lines.start + (count > 0)
    return str(number) if count == 1 else f"{number},{count}"


def _find_context_before(text: str, offset: int) -> int:
    """Return the offset at which the context of a change at ``offset`` begins."""
    start = text.rfind("\n", 0, offset) + 1
    for _ in range(_CONTEXT):
        start = text.rfind("\n", 0, max(start - 1, 0)) + 1
    return start


def _count_behind_context(one: str, other: str, alike: int) -> int:
    """Return how many characters follow the context of a change, for texts that end with ``alike`` equal characters."""
    whole = all(text[len(text) - alike - 1 : len(text) - alike] in ("\n", "") for text in (one, other))
    offset = len(one) - alike
    for _ in range(_CONTEXT + (not whole)):
        offset = one.find("\n", offset) + 1 or len(one)
    return len(one) - offset


def common_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the number of items (characters, or lines) with which both sequences begin."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # comparing slices is much faster than comparing one by one
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _common_suffix(one: str, other: str, start: int) -> int:
    """Return the number of characters with which both texts end, behind ``start``; no text is copied whole."""
    known, size, most = 0, 4096, min(len(one), len(other)) - start
    while known < most:
        size = min(size, most - known)
        a, b = (text[len(text) - known - size : len(text) - known] for text in (one, other))
        if a != b:
            return known + common_prefix(a[::-1], b[::-1])
        known, size = known + size, 2 * size
    return known


def differing_spans(one: str, other: str) -> tuple[Span, Span]:
    """Return the part of each text in which they differ: without their common beginning and their common end."""
    head = common_prefix(one, other)
    tail = common_prefix(one[head:][::-1], other[head:][::-1])
    return Span(head, len(one) - tail), Span(head, len(other) - tail)


def _split_lines(text: str) -> list[str]:
    """Split at LF alone, as diff tools do; str.splitlines would also split at form feeds and U+2028."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
