"""Reads JSON and keeps the place of each member and item in the file's text.

Reading follows Python's own ``json`` (so ``NaN`` and ``Infinity`` are numbers), but every value keeps its span.
Time and memory grow linearly with the text, whatever a stranger wrote: no pattern here backtracks, and none repeats a
group without a limit, since each repetition takes memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from template_fix.text.edits import Edit, Span
from template_fix.text.json_nodes import Array, Bulk, JsonError, Leaf, Member, Node, Object, Scalar

BOM = "\ufeff"
DEEPEST = 200
# A value and its span take about 400 bytes, and the largest lists of tokens have 130,000 entries.
MOST_VALUES = 250_000

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity)(?![\w.+-])")
_CUT_ESCAPE = re.compile(r"\\?(?:u[0-9a-fA-F]{0,3})?\Z")
_OUTSIDE = r'[^"\[\]{}]*'
_QUOTED = r'"[^"\\]*(?:\\.[^"\\]*){0,200}"'
# Text without brackets, or with pairs of brackets that have none inside, repeated.
_FLAT = re.compile(
    rf"{_OUTSIDE}(?:(?:{_QUOTED}|[\[{{](?:{_OUTSIDE}{_QUOTED}){{0,16}}{_OUTSIDE}[\]}}]){_OUTSIDE}){{0,1000}}"
)
_FLAT_OBJECT = rf"(\{{(?:{_OUTSIDE}{_QUOTED}){{0,64}}{_OUTSIDE}\}})[ \t\r\n]*(,?)"
_KEY = r'("[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*){0,200}")'
_ITEM = re.compile(rf"[ \t\r\n]*(){_FLAT_OBJECT}")
_MEMBER = re.compile(rf"[ \t\r\n]*{_KEY}[ \t\r\n]*:[ \t\r\n]*{_FLAT_OBJECT}")
_VOCAB_BEFORE = re.compile(r"\d\s*\}\s*,\s*\Z")
_MERGES_AT_END = re.compile(r'["\]]\s*(\])\s*\}\s*\}\s*\Z')
_VOCAB_AT_END = re.compile(r"\d\s*(\})\s*\}\s*\}\s*\Z")
_DECODER = json.JSONDecoder()
# How many occurrences of "merges" are tried; a vocabulary has at most one entry of that name.
_MERGES_TRIED = 10
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}


def value_at(text: str, start: int = 0) -> tuple[object, int]:
    """Return the Python value at ``start`` (white space is skipped), as ``json`` decodes it, and its end.

    Raises JsonError if there is none, or none that Python accepts.
    """
    space = _SPACE.match(text, start)
    start = space.end() if space else start
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error.msg}", error.pos) from None
    except RecursionError:
        raise JsonError("nested too deeply", start) from None
    except ValueError:  # Python converts no more than 4,300 digits
        raise JsonError("a number in it has too many digits", start) from None


def parse(text: str, bulk: Collection[tuple[str, ...]] = ()) -> Node:
    """Return the value that ``text`` holds; a leading BOM is skipped.

    Raises JsonError if it isn't JSON, or holds more than 250,000 values.

    ``bulk`` are paths of keys whose objects or arrays are not read: errors inside of them go unnoticed.
    """
    reader = _Reader(text, frozenset(bulk))
    start = reader.skip_space(len(BOM) if text.startswith(BOM) else 0)
    node = reader.value(start, (), 0)
    end = reader.skip_space(node.span.end)
    if end != len(text):
        raise JsonError("there is more text after the end of the JSON value", end)
    return node


def parse_at(text: str, start: int) -> Node:
    """Return the value that begins at ``start``. Raises JsonError as ``parse`` does."""
    return _Reader(text, frozenset()).value(start, (), 0)


def read_entries(text: str, bulk: Bulk) -> Node:
    """Return the items or members of a skipped value; their own content is not read.

    This is for long lists of small objects; any other value is read completely. Raises JsonError as `parse` does.
    """
    entries: list[tuple[str, Span, Bulk]] = []
    at, end, more = bulk.span.start + 1, bulk.span.end - 1, True
    mapping = text[bulk.span.start] == "{"
    entry = _MEMBER if mapping else _ITEM
    while more and (found := entry.match(text, at, end)):
        if len(entries) == MOST_VALUES:
            raise _too_many_error(at)
        entries.append((found.group(1), Span(*found.span(1)), Bulk(Span(*found.span(2)))))
        at, more = found.end(), bool(found.group(3))
    if more or not text.startswith("}" if mapping else "]", at):
        return parse_at(text, bulk.span.start)
    if mapping:
        return Object(bulk.span, tuple(Member(_decode(key), span, value) for key, span, value in entries))
    return Array(bulk.span, tuple(value for _, _, value in entries))


def _too_many_error(at: int) -> JsonError:
    return JsonError(f"more than {MOST_VALUES:,} values are too many", at, "no tokenizer needs as many")


def _decode(literal: str) -> str:
    return str(json.loads(literal)) if "\\" in literal else literal[1:-1]


def remove_entries(container: Array | Object, unwanted: Collection[int]) -> tuple[Edit, ...]:
    """Return the edits that remove the items or members at the indexes ``unwanted``, each with one comma.

    The others keep their formatting; a container that loses all becomes ``[]`` or ``{}``.
    """
    parts: tuple[Node | Member, ...] = container.items if isinstance(container, Array) else container.members
    kept = [index for index in range(len(parts)) if index not in unwanted]
    if not kept and parts:
        return (Edit(Span(container.span.start + 1, container.span.end - 1), ""),)
    edits = []
    for index, part in enumerate(parts):
        if index in unwanted and index < kept[0]:
            edits.append(Edit(Span(part.span.start, parts[index + 1].span.start), ""))
        elif index in unwanted:
            edits.append(Edit(Span(parts[index - 1].span.end, part.span.end), ""))
    return tuple(edits)


class _Reader:
    """A recursive-descent parser over one text."""

    def __init__(self, text: str, bulk: frozenset[tuple[str, ...]]) -> None:
        self.text = text
        self.bulk = bulk
        self.longest = max(map(len, bulk), default=0)
        self.left = MOST_VALUES

    def skip_space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def value(self, at: int, path: tuple[str, ...], depth: int) -> Node:
        self.count(at)
        opener = self.text[at : at + 1]
        if opener == '"':
            value, end = self.string(at)
            return Leaf(Span(at, end), value)
        if opener not in ("{", "["):
            return self.scalar(at)
        if path in self.bulk:
            known = self.huge_end(at, opener) if path[-1] in ("vocab", "merges") else None
            return Bulk(Span(at, known or self.skipped_end(at)))
        if depth >= DEEPEST:
            raise self.too_deep(at)
        return self.object(at, path, depth) if opener == "{" else self.array(at, depth)

    def count(self, at: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise _too_many_error(at)

    def object(self, at: int, path: tuple[str, ...], depth: int) -> Object:
        members: list[Member] = []
        end = self.skip_space(at + 1)
        while not self.text.startswith("}", end):
            if members:
                end = self.skip_space(self.expect(",", end, "}"))
            if not self.text.startswith('"', end):
                raise self.unexpected(end, "a key in double quotes")
            key, key_end = self.string(end)
            colon = self.expect(":", self.skip_space(key_end))
            inner = (*path, key) if len(path) == depth < self.longest else ()
            value = self.value(self.skip_space(colon), inner, depth + 1)
            members.append(Member(key, Span(end, key_end), value))
            end = self.skip_space(value.span.end)
        return Object(Span(at, end + 1), tuple(members))

    def array(self, at: int, depth: int) -> Array:
        items: list[Node] = []
        end = self.skip_space(at + 1)
        while not self.text.startswith("]", end):
            if items:
                end = self.skip_space(self.expect(",", end, "]"))
            items.append(self.value(end, (), depth + 1))
            end = self.skip_space(items[-1].span.end)
        return Array(Span(at, end + 1), tuple(items))

    def string(self, at: int) -> tuple[str, int]:
        try:
            return _DECODER.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            raise self.broken_string(at, error) from None

    def scalar(self, at: int) -> Leaf:
        match = _SCALAR.match(self.text, at)
        if match is None:
            raise self.unexpected(at, "a value")
        word = match.group()
        try:
            return Leaf(Span(at, match.end()), _WORDS[word] if word in _WORDS else json.loads(word))
        except ValueError:  # Python converts no more than 4,300 digits
            raise JsonError("this number has too many digits", at) from None

    def expect(self, char: str, at: int, closer: str = "") -> int:
        if not self.text.startswith(char, at):
            raise self.unexpected(at, f"'{char}' or '{closer}'" if closer else f"'{char}'")
        return at + 1

    def unexpected(self, at: int, wanted: str) -> JsonError:
        if at >= len(self.text):
            return JsonError(f"the text is cut off where {wanted} should follow", len(self.text))
        return JsonError(f"{wanted} should stand here, not {self.text[at]!r}", at)

    def broken_string(self, start: int, error: json.JSONDecodeError) -> JsonError:
        at = error.pos if "control" in error.msg else self.text.rfind("\\", start, error.pos + 1)
        if error.msg.startswith("Unterminated") or _CUT_ESCAPE.match(self.text, at):
            return JsonError("the text is cut off inside a string", start)
        what = "a raw control character" if "control" in error.msg else "an escape that JSON doesn't know"
        return JsonError(f"a string holds {what}", at)

    def too_deep(self, at: int) -> JsonError:
        return JsonError(f"values are nested more than {DEEPEST} deep", at)

    def huge_end(self, start: int, opener: str) -> int | None:
        """Return the end of a vocabulary or its merges in the layouts of the tokenizers library, None in others."""
        end = self.before_merges(start) if opener == "{" else None
        if end is not None:
            return end
        at_end = _VOCAB_AT_END if opener == "{" else _MERGES_AT_END
        closing = at_end.search(self.text, max(start, len(self.text) - 200))
        return closing.end(1) if closing else None

    def before_merges(self, start: int) -> int | None:
        """Return the end of a vocabulary that is followed by the merges, or None.

        In JSON, a quote before a letter always opens a string: a closing quote is followed by a comma, a colon or a
        bracket. So each occurrence found here is a whole string, even if the vocabulary has an entry of that name.
        """
        at = start
        for _ in range(_MERGES_TRIED):
            at = self.text.find('"merges"', at + 1)
            closing = _VOCAB_BEFORE.search(self.text, max(start, at - 80), at) if at >= 0 else None
            if at < 0 or closing:
                return self.text.index("}", closing.start()) + 1 if closing else None
        return None

    def skipped_end(self, start: int) -> int:
        """Return the end of the brackets that open at ``start``; each step counts as a value."""
        at, depth = start + 1, 1
        while True:
            self.count(at)
            flat = _FLAT.match(self.text, at)
            at = flat.end() if flat else at
            char = self.text[at : at + 1]
            if char == '"':  # after a thousand strings, or before one that the pattern doesn't match
                at = self.string(at)[1]
                continue
            if not char:
                raise JsonError("the text is cut off", at)
            depth += 1 if char in "[{" else -1
            at += 1
            if depth == 0:
                return at
            if depth > DEEPEST:
                raise self.too_deep(at - 1)
