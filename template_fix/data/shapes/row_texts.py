"""Rows as JSON text, of which long values that come again and again, such as tools, are parsed once."""

from __future__ import annotations

import re
from collections.abc import Collection
from json import JSONDecoder

from template_fix.conversations.rows import parsed

_START = re.compile(r"[ \t\r\n]*\{[ \t\r\n]*")
_KEY = re.compile(r'"([^"\\\x00-\x1f]*)"[ \t\r\n]*:[ \t\r\n]*')
_NEXT, _END = re.compile(r"[ \t\r\n]*,[ \t\r\n]*"), re.compile(r"[ \t\r\n]*\}[ \t\r\n]*\Z")
_DECODER = JSONDecoder()
# Shorter texts are parsed as fast as they are found, and longer ones would take much memory; so many are known at once,
# and after so many more that came but once none are looked for.
_SHORTEST, _LONGEST, _MOST, _PATIENCE = 256, 1 << 16, 32, 200


class RowParser:
    """Parses rows one after the other; ``columns`` are those whose values may come again. Nobody may change these."""

    def __init__(self, columns: Collection[str]) -> None:
        self._columns = columns
        self._known: dict[str, list[tuple[str, object]]] = {}
        self._patience = _PATIENCE

    def parse(self, text: bytes | str) -> object:
        """Return the value of a row. Raises BrokenRow."""
        if self._known and self._patience:
            try:
                decoded = text.decode("utf-8", "surrogatepass") if isinstance(text, bytes) else text
                if (row := self._members(decoded)) is not None:
                    return row
            except (ValueError, RecursionError):
                pass  # what is wrong is told by the parser of all else
        row = parsed(text)
        if not self._known and isinstance(row, dict):
            self._known = {name: [] for name in self._columns if isinstance(row.get(name), (list, dict))}
        return row

    def _members(self, text: str) -> dict[str, object] | None:
        """Return a row's members, None where it is no object with some, or has names with escapes."""
        row: dict[str, object] = {}
        more = _START.match(text)
        while more and (key := _KEY.match(text, more.end())):
            name, at = key.group(1), key.end()
            value, end = self._value(name, text, at) if name in self._known else _DECODER.raw_decode(text, at)
            row[name] = value
            more = _NEXT.match(text, end)
            if not more and _END.match(text, end):
                return row
        return None

    def _value(self, name: str, text: str, at: int) -> tuple[object, int]:
        """Return a value and where it ends: a list or object that begins like a whole one is that one."""
        known = self._known[name]
        for raw, value in known:
            if text.startswith(raw, at):
                self._patience = _PATIENCE
                return value, at + len(raw)
        value, end = _DECODER.raw_decode(text, at)
        if _SHORTEST <= end - at <= _LONGEST and isinstance(value, (list, dict)):
            self._patience -= 1
            known.insert(0, (text[at:end], value))
            del known[_MOST:]
        return value, end
