"""JSON values with their places in a file's text."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from template_fix.text.edits import Span

Scalar: TypeAlias = "str | int | float | bool | None"


Node: TypeAlias = "Leaf | Array | Object | Bulk"


# An object as Python's own ``json`` reads and writes it.
JsonObject = dict[str, object]


class JsonError(ValueError):
    """A text is not JSON, or not the expected JSON; ``offset`` is the place in the text, ``advice`` what to do."""

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
    """An object or array whose content was not read, such as a vocabulary."""

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
    """A mapping with its members in the order of the file, duplicate keys included; ``span`` includes its braces."""

    span: Span
    members: tuple[Member, ...]

    def member(self, key: str) -> Member | None:
        """Return the member with this key, or None. Raises JsonError if the key is there twice."""
        found = [member for member in self.members if member.key == key]
        if len(found) > 1:
            raise duplicate_key_error(found[1])
        return found[0] if found else None

    def get(self, key: str) -> Node | None:
        """Return the value of ``key``, or None if it is absent. Raises JsonError if the key is there twice."""
        found = self.member(key)
        return found.value if found else None

    def unique(self) -> tuple[Member, ...]:
        """Return all members. Raises JsonError if any key is there twice."""
        seen: set[str] = set()
        for member in self.members:
            if member.key in seen:
                raise duplicate_key_error(member)
            seen.add(member.key)
        return self.members


def duplicate_key_error(second: Member) -> JsonError:
    message = f'the key "{second.key[:40]}" stands twice, so readers may take either'
    return JsonError(message, second.key_span.start, "delete one")


def python_value(node: Node | None) -> object:
    """Return the Python value of ``node``, as ``json.loads`` would; None stands for a part that was not read."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, Array):
        return [python_value(item) for item in node.items]
    if isinstance(node, Object):
        return {member.key: python_value(member.value) for member in node.members}
    return None
