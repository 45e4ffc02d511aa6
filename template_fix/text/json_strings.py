"""Edits the decoded text of a JSON string literal without changing any other character of the file."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from template_fix.text.edits import Edit, Span

_PAIR = r"[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"\\(?:u{_PAIR}|u[0-9a-fA-F]{{4}}|.)")


@dataclass(frozen=True)
class Literal:
    """A string literal in a file: its decoded ``value``, and the offset of each decoded character in the file."""

    text: str = field(repr=False)
    span: Span

    @cached_property
    def value(self) -> str:
        """The decoded string."""
        return str(json.loads(self.span.of(self.text), strict=False))

    @cached_property
    def _shifts(self) -> tuple[list[int], list[int]]:
        """The decoded offset after each escape, and what to add from there on to get an offset in the file."""
        offsets, shifts, shift = [], [self.span.start + 1], self.span.start + 1
        for escape in _ESCAPE.finditer(self.text, self.span.start + 1, self.span.end - 1):
            offsets.append(escape.start() - shift + 1)
            shift += escape.end() - escape.start() - 1
            shifts.append(shift)
        return offsets, shifts

    def offset(self, decoded: int) -> int:
        """Return the offset in the file of the character at offset ``decoded`` of the value."""
        offsets, shifts = self._shifts
        return decoded + shifts[bisect_right(offsets, decoded)]

    def edits(self, edits: Iterable[Edit]) -> tuple[Edit, ...]:
        """Return the edits of the file that make ``edits`` in the value, with the same escapes as the literal."""
        return tuple(
            Edit(Span(self.offset(edit.span.start), self.offset(edit.span.end)), self.spell(edit.text))
            for edit in edits
        )

    @cached_property
    def _spellings(self) -> dict[str, str]:
        """The escape for each character that the literal escapes, such as ``\\u003c`` for ``<``."""
        raw = self.text[self.span.start + 1 : self.span.end - 1]
        return {str(json.loads(f'"{escape}"')): escape for escape in set(_ESCAPE.findall(raw))}

    @cached_property
    def _ascii(self) -> bool:
        return self.span.of(self.text).isascii() and any(not char.isascii() for char in self._spellings)

    def spell(self, text: str) -> str:
        """Return ``text`` as it is written between the quotes, with the same escapes as this literal."""
        return "".join(self._spellings.get(char) or json.dumps(char, ensure_ascii=self._ascii)[1:-1] for char in text)
