"""JSON values with their places in a file's text."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from template_fix.text.edits import Span

Scalar: TypeAlias = "str | int | float | bool | None"


Node: TypeAlias = "Leaf | Array | Object | Bulk"


# An object as Python's own ``json`` reads and writes it.
JsonObject = dict[str, object]


class JsonError(ValueError):
    """A text is not JSON, or not the JSON that was expected; ``offset`` is where in the text, ``advice`` what to do."""

    def __init__(self, message: str, offset: int, advice: str = "correct it there") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.advice = advice


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
            raise twice(found[1])
        return found[0] if found else None

    def get(self, key: str) -> Node | None:
        """Return the value of ``key``, or None where it is absent. Raises JsonError where the key stands twice."""
        found = self.member(key)
        return found.value if found else None

    def unique(self) -> tuple[Member, ...]:
        """Return all members. Raises JsonError where any key stands twice."""
        seen: set[str] = set()
        for member in self.members:
            if member.key in seen:
                raise twice(member)
            seen.add(member.key)
        return self.members


def twice(second: Member) -> JsonError:
    message = f'the key "{second.key[:40]}" stands twice, so readers may take either'
    return JsonError(message, second.key_span.start, "delete one")


def plain(node: Node | None) -> object:
    """Return the Python value of ``node``, as ``json.loads`` would; a skipped part comes out as None."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, Array):
        return [plain(item) for item in node.items]
    if isinstance(node, Object):
        return {member.key: plain(member.value) for member in node.members}
    return None
