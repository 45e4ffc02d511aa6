"""One JSON file of a checkpoint, and the error that names a place in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from template_fix.text.display import UserError
from template_fix.text.edits import Span, position
from template_fix.text.json_nodes import Array, Bulk, JsonError, Leaf, Member, Node, Object, python_value
from template_fix.text.json_spans import parse, parse_at, read_entries

# What can be long and is read only where it is needed.
BULK = (("model", "vocab"), ("model", "merges"), ("added_tokens",), ("added_tokens_decoder",), ("token_type",))


class CheckpointError(UserError, ValueError):
    """The tokenizer files can't be worked on; the message is one line that names the file, the place and what to do."""


@dataclass(frozen=True)
class Document:
    """A JSON file: its text and its members with their spans; ``name`` is the model's, ``file`` the file's in it."""

    name: str
    file: str
    text: str = field(repr=False)
    root: Object = field(repr=False)
    _opened: dict[str, Node] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, name: str, file: str, text: str) -> Document:
        """Return the document that ``text`` holds. Raises CheckpointError where it isn't a JSON object."""
        try:
            root = parse(text, BULK)
        except JsonError as error:
            raise _malformed(name, file, text, error) from None
        if not isinstance(root, Object):
            raise CheckpointError(f"{place(name, file, text, root.span.start)}: an object in braces should stand here")
        return cls(name, file, text, root)

    def error(self, at: Span, message: str) -> CheckpointError:
        """Return an error that names the place of ``at`` in the file."""
        return CheckpointError(f"{place(self.name, self.file, self.text, at.start)}: {message}")

    def get(self, key: str, inside: Object | None = None) -> Node | None:
        """Return the value of ``key`` in the file or ``inside`` an object of it, or None where it is absent or null.

        A long list of tokens comes with its entries unread. Raises CheckpointError where the key stands twice, or where
        the list is no JSON.
        """
        try:
            node = (inside or self.root).get(key)
            if isinstance(node, Bulk) and inside is None:
                if key not in self._opened:
                    self._opened[key] = read_entries(self.text, node)
                return self._opened[key]
        except JsonError as error:
            raise _malformed(self.name, self.file, self.text, error) from None
        return None if isinstance(node, Leaf) and node.value is None else node

    def member(self, key: str) -> Member | None:
        """Return the member of the file with a key, null or not."""
        return next((member for member in self.root.members if member.key == key), None)

    def read_at(self, at: Span) -> Node:
        """Return the value that begins where ``at`` does, read to the bottom. Raises CheckpointError."""
        try:
            return parse_at(self.text, at.start)
        except JsonError as error:
            raise _malformed(self.name, self.file, self.text, error) from None

    def plain(self) -> dict[str, object]:
        """Return the file's content as ``json.loads`` would; parts that were skipped come out as None."""
        return {member.key: python_value(member.value) for member in self.root.members}

    def members(self, inside: Object | None = None) -> tuple[Member, ...]:
        """Return the members of the file or of an object of it. Raises CheckpointError where a key stands twice."""
        try:
            return (inside or self.root).unique()
        except JsonError as error:
            raise _malformed(self.name, self.file, self.text, error) from None

    def string(self, node: Node | None, at: Span, what: str) -> str:
        """Return the string that ``node`` holds; raise CheckpointError where it holds anything else."""
        if isinstance(node, Leaf) and isinstance(node.value, str):
            return node.value
        raise self.error(node.span if node else at, f"{what} should be a string, not {kind(node)}")


def _malformed(name: str, file: str, text: str, error: JsonError) -> CheckpointError:
    advice = "download or save the file again" if "cut off" in error.message else error.advice
    return CheckpointError(f"{place(name, file, text, error.offset)}: {error.message}; {advice}")


def place(name: str, file: str, text: str, offset: int) -> str:
    """Return ``name/file:line:column``."""
    line, column = position(text, offset)
    return f"{name}/{file}:{line}:{column}"


def kind(node: Node | None) -> str:
    """Return what a value is, in the words of an error message."""
    if node is None:
        return "nothing"
    if isinstance(node, Leaf):
        number = isinstance(node.value, (int, float)) and not isinstance(node.value, bool)
        return f"the number {node.value}"[:40] if number else json.dumps(node.value, ensure_ascii=False)[:40]
    return "a list" if isinstance(node, Array) else "an object"


def value_of(document: Document | None, key: str) -> object:
    """Return the plain value of a top-level ``key``, None where the file or the key is absent."""
    return python_value(document.get(key)) if document else None
