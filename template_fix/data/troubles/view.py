"""One row and its renderings: what all that judges a row looks at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from functools import cached_property, lru_cache
from typing import Any

from template_fix.conversations.rows import Row
from template_fix.data.shapes.operations import join, recorded
from template_fix.data.shapes.rendering import RecordingRenderer
from template_fix.data.texts import Pairs, Text, fields_of, texts_of, turns
from template_fix.jinja.renderer import Failure, Message, Renderer, prepare_messages

_PIECE, _LONGEST_SOURCE = 16, 1 << 16
# By which variable templates are asked not to reason.
_SWITCH = "enable_thinking"


class RowTemplate:
    """A chat template that rows are rendered with. It runs inside of `limits.run_bounded` alone.

    ``tags`` are all pairs that delimit reasoning in rows, ``own`` those that stand for this model's. ``release`` is
    that of transformers, 5 or 4 for 4.57. Raises RenderError for a template that can't be compiled.
    """

    def __init__(
        self,
        source: str,
        variables: Sequence[tuple[str, object]] = (),
        tags: Pairs = (),
        own: Pairs = (),
        release: int = 5,
    ) -> None:
        self.source, self.tags, self.own = source, tuple(tags), tuple(own)
        self.renderer = Renderer(source, dict(variables))
        self._drops_nulls = release >= 5
        self.words = frozenset(re.findall(r"\w+", source))

    def prepare(self, messages: Sequence[Message], *, otherwise: bool = False) -> Sequence[Message]:
        """Return messages as transformers gives them to templates, or as the other version would."""
        return messages if self._drops_nulls is otherwise else prepare_messages(messages)

    def has(self, text: str) -> bool:
        """Whether a text stands in the source."""
        return _stands_in(self.source, text)

    @cached_property
    def recording(self) -> RowTemplate:
        """The same for rows with placeholders."""
        made = copy(self)
        made.renderer = RecordingRenderer(self.renderer)  # type: ignore[assignment]
        return made

    @cached_property
    def unasked(self) -> str:
        """The prompt without white space where the template is asked not to reason, "" where that changes nothing."""
        asked: list[Message] = [{"role": "user", "content": "Hello"}]
        on, off = (self.renderer(asked, None, True, **flags) for flags in ({}, {_SWITCH: False}))
        return "".join(off.split()) if isinstance(off, str) and off != on else ""

    def print(self, row: Row, *, otherwise: bool = False) -> str | Failure:
        """Return what is printed of a row; a prompt alone with what the model goes on from."""
        messages = self.prepare(row.messages, otherwise=otherwise)
        return self.renderer(messages, row.tools, row.is_prompt, **row.flags)

    def print_prompt(self, row: Row) -> str | Failure | None:
        """Return what is printed of the messages in front of what is to be learned, None where there are none."""
        if not row.prompt or row.is_prompt:
            return None
        return self.renderer(self.prepare(row.messages[: row.prompt]), row.tools, True, **row.flags)


@recorded
def _stands_in(source: str, text: str) -> bool:
    if len(text) < _PIECE:
        return _holds(source, text)
    pieces = pieces_of(source)
    return (not pieces or text[:_PIECE] in pieces) and text in source


@lru_cache(maxsize=8)
def pieces_of(source: str) -> frozenset[str]:
    """Return all pieces of a source of one length, by which most texts are known not to stand in it.

    There are none of a long one. To look for a text begins by looking at each of its letters, and goes through all of
    the source.
    """
    ends = range(_PIECE, len(source) + 1) if len(source) <= _LONGEST_SOURCE else ()
    return frozenset(source[end - _PIECE : end] for end in ends)


@lru_cache(maxsize=1024)
def _holds(source: str, text: str) -> bool:
    """Whether a source holds a text that is short, such as the name of a tool, and comes often."""
    return text in source


class View:
    """A row, how its template prints it and its prompt, and its texts."""

    def __init__(self, row: Row, template: RowTemplate, printed: str, prompt: str | Failure | None) -> None:
        self.row, self.template, self.printed, self.prompt = row, template, printed, prompt
        self.turns = turns(row)
        self.fields = {number: fields_of(row.messages[number]) for number in self.turns}
        self.texts: list[Text] = [
            text for number, fields in self.fields.items() for text in texts_of(fields, number, template.tags)
        ]
        strings: list[str] = []
        _gather(row.messages, strings)
        # All texts of the row's messages and tools, whatever they are.
        self.said = join("\0", [*strings, *map(_texts_in, row.tools or ())])

    def render(self, messages: Sequence[Message], tools: Any = ...) -> str | Failure:
        """Return what is printed of other messages, or with other tools, in the place of the row's own."""
        return self.template.print(
            self.row._replace(messages=[*map(dict, messages)], tools=self.row.tools if tools is ... else tools)
        )

    @property
    def prompt_differs(self) -> bool:
        """Whether the row doesn't begin with its own generation prompt."""
        return isinstance(self.prompt, str) and not self.printed.startswith(self.prompt)


@recorded
def _texts_in(value: object) -> str:
    strings: list[str] = []
    _gather(value, strings)
    return "\0".join(strings)


def _gather(value: object, strings: list[str]) -> None:
    """Add all texts within a value to those found before."""
    if isinstance(value, str):
        strings.append(value)
    elif isinstance(value, dict):
        for each in value.values():
            _gather(each, strings)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _gather(each, strings)
