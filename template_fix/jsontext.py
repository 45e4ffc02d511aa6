"""JSON in place: knows where each member and item lies in a file's text.

Reading follows Python's own ``json`` (so ``NaN`` and ``Infinity`` are numbers), but every value keeps its span.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import NamedTuple, TypeAlias

from template_fix.text import Edit, Span

Scalar: TypeAlias = "str | int | float | bool | None"
Node: TypeAlias = "Leaf | Array | Object | Bulk"
BOM = "\ufeff"
DEEPEST = 200

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*')
_SCALAR = re.compile(r"(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity)(?![\w.+-])")
_CUT_ESCAPE = re.compile(r"\\?(?:u[0-9a-fA-F]{0,3})?\Z")
_FLAT_OBJECT = r'\{[^{}\[\]"]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^{}\[\]"]*)*\}'
_FLAT_ENTRY = re.compile(rf'[ \t\r\n,]*(?:("[^"\\]*(?:\\.[^"\\]*)*")\s*:\s*)?({_FLAT_OBJECT})')
_VOCAB_BEFORE = re.compile(r"\d\s*\}\s*,\s*\Z")
_MERGES_AT_END = re.compile(r'["\]]\s*(\])\s*\}\s*\}\s*\Z')
_VOCAB_AT_END = re.compile(r"\d\s*(\})\s*\}\s*\}\s*\Z")
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None}


class JsonError(ValueError):
    """A text is not JSON, or not the JSON that was expected; ``offset`` is where in the text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class Leaf(NamedTuple):
    """A string, number, boolean or null."""

    span: Span
    value: Scalar


class Array(NamedTuple):
    """A list; ``span`` includes its brackets."""

    span: Span
    items: tuple[Node, ...]


class Bulk(NamedTuple):
    """An object or array that was skipped unread, such as a vocabulary."""

    span: Span


class Member(NamedTuple):
    """A key and its value."""

    key: str
    key_span: Span
    value: Node

    @property
    def span(self) -> Span:
        """The characters from the key's opening quote to the end of the value."""
        return Span(self.key_span.start, self.value.span.end)


class Object(NamedTuple):
    """A mapping with its members as they stand, equal keys included; ``span`` includes its braces."""

    span: Span
    members: tuple[Member, ...]

    def member(self, key: str) -> Member | None:
        """Return the member of that name, or None. Raises JsonError where the key stands twice."""
        found = [member for member in self.members if member.key == key]
        if len(found) > 1:
            raise JsonError(f'the key "{key}" stands twice', found[1].key_span.start)
        return found[0] if found else None

    def get(self, key: str) -> Node | None:
        """Return the value of ``key``, or None where it is absent. Raises JsonError where the key stands twice."""
        found = self.member(key)
        return found.value if found else None

    def unique(self) -> tuple[Member, ...]:
        """Return all members. Raises JsonError where any key stands twice."""
        if len({member.key for member in self.members}) < len(self.members):
            for member in self.members:
                self.member(member.key)
        return self.members


def parse(text: str, bulk: Collection[tuple[str, ...]] = ()) -> Node:
    """Return the value that ``text`` holds, a leading BOM aside. Raises JsonError where it isn't JSON.

    ``bulk`` names paths of keys whose objects or arrays are skipped unread. Of ``vocab`` and ``merges``, which make up
    nearly all of a tokenizer.json, what is wrong inside goes unnoticed.
    """
    reader = _Reader(text, frozenset(bulk))
    start = reader.skip_space(len(BOM) if text.startswith(BOM) else 0)
    node = reader.value(start, (), 0)
    end = reader.skip_space(node.span.end)
    if end != len(text):
        raise JsonError("there is more text after the end of the JSON value", end)
    return node


def parse_at(text: str, start: int) -> Node:
    """Return the value that begins at ``start``, which is known to be one."""
    return _Reader(text, frozenset()).value(start, (), 0)


def opened(text: str, bulk: Bulk) -> Node:
    """Return what was skipped, read one level deep: its items or members, which are skipped unread in their turn.

    That is for long lists of small objects; anything else is read to the bottom.
    """
    entries: list[tuple[str | None, Span, Bulk]] = []
    at, end = bulk.span.start + 1, bulk.span.end - 1
    while entry := _FLAT_ENTRY.match(text, at, end):
        entries.append((entry.group(1), Span(*entry.span(1)), Bulk(Span(*entry.span(2)))))
        at = entry.end()
    if text[at:end].strip(" \t\r\n"):
        return parse_at(text, bulk.span.start)
    if text[bulk.span.start] == "[":
        return Array(bulk.span, tuple(value for _, _, value in entries))
    return Object(bulk.span, tuple(Member(_decoded(key or '""'), span, value) for key, span, value in entries))


def _decoded(literal: str) -> str:
    return str(json.loads(literal)) if "\\" in literal else literal[1:-1]


def plain(node: Node | None) -> object:
    """Return the Python value of ``node``, as ``json.loads`` would; a skipped part comes out as None."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, Array):
        return [plain(item) for item in node.items]
    if isinstance(node, Object):
        return {member.key: plain(member.value) for member in node.members}
    return None


def without(container: Array | Object, unwanted: Collection[int]) -> tuple[Edit, ...]:
    """Return the edits that take out the items or members at the given indexes, each with one comma beside it.

    What stays keeps its formatting; a container that loses all becomes ``[]`` or ``{}``.
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

    def skip_space(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def value(self, at: int, path: tuple[str, ...], depth: int) -> Node:
        opener = self.text[at : at + 1]
        if opener == '"':
            value, end = self.string(at)
            return Leaf(Span(at, end), value)
        if opener not in ("{", "["):
            return self.scalar(at)
        if path in self.bulk:
            huge = path[-1] in ("vocab", "merges")
            return Bulk(Span(at, self.huge_end(at, opener) if huge else self.scanned_end(at)))
        if depth >= DEEPEST:
            raise JsonError(f"values are nested more than {DEEPEST} deep", at)
        return self.object(at, path, depth) if opener == "{" else self.array(at, depth)

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
        match = _STRING.match(self.text, at)
        end = match.end() if match else at + 1
        if not self.text.startswith('"', end):
            raise self.broken_string(at, end)
        return _decoded(self.text[at : end + 1]), end + 1

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

    def broken_string(self, start: int, at: int) -> JsonError:
        if _CUT_ESCAPE.match(self.text, at):
            return JsonError("the text is cut off inside a string", start)
        what = "an escape that JSON doesn't know" if self.text[at] == "\\" else "a raw control character"
        return JsonError(f"a string holds {what}", at)

    def huge_end(self, start: int, opener: str) -> int:
        """Return the end of a vocabulary or its merges, in the layouts of the tokenizers library without reading it."""
        end = self.before_merges(start) if opener == "{" else None
        if end is not None:
            return end
        at_end = _VOCAB_AT_END if opener == "{" else _MERGES_AT_END
        closing = at_end.search(self.text, max(start, len(self.text) - 200))
        return closing.end(1) if closing else self.scanned_end(start)

    def before_merges(self, start: int) -> int | None:
        """Return the end of a vocabulary that is followed by the merges, or None.

        A quote before a letter always opens a string in JSON, since after a closing one comes a comma, a colon or a
        bracket. So what is found here is a key, even where the vocabulary has an entry of that name.
        """
        at = self.text.find('"merges"', start)
        while at >= 0:
            closing = _VOCAB_BEFORE.search(self.text, max(start, at - 80), at)
            if closing:
                return self.text.index("}", closing.start()) + 1
            at = self.text.find('"merges"', at + 1)
        return None

    def scanned_end(self, start: int) -> int:
        try:
            return json.JSONDecoder().raw_decode(self.text, start)[1]
        except json.JSONDecodeError as error:
            raise JsonError(_told(error, self.text), error.pos) from None
        except RecursionError:
            raise JsonError("values are nested too deep", start) from None
        except ValueError:
            raise JsonError("a number in here has too many digits", start) from None


def _told(error: json.JSONDecodeError, text: str) -> str:
    cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
    return "the text is cut off" if cut else f"this isn't JSON: {error.msg}"
