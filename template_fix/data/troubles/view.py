"""One row and its renderings: what all that judges a row looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from template_fix.conversations.rows import Row
from template_fix.data.texts import Pairs, fields_of, turns
from template_fix.jinja.renderer import Failure, Renderer


class View:
    """A row and how it is rendered; what takes another rendering is made when it is asked for."""

    def __init__(
        self,
        row: Row,
        renderer: Renderer,
        source: str,
        tags: Pairs,
        own: Pairs,
        prepare: Callable[[Any], list[Any]],
        other: Callable[[Any], list[Any]] | None,
    ) -> None:
        self.row, self.renderer, self.source, self.tags, self.own = row, renderer, source, tags, own
        self.prepare, self.other = prepare, other
        self.messages = prepare(row.messages)
        # A prompt alone is printed with what the model goes on from.
        self.asks = row.prompt == len(row.messages)
        self.turns = turns(row)
        self.fields = {number: fields_of(row.messages[number]) for number in self.turns}
        self.printed = renderer(self.messages, row.tools, self.asks, **row.flags)

    def render(self, messages: Sequence[Any], tools: Any = ...) -> str | Failure:
        """Return what is printed of other messages, or with other tools, in the place of the row's own."""
        given = self.row.tools if tools is ... else tools
        return self.renderer(self.prepare(messages), given, self.asks, **self.row.flags)

    @cached_property
    def prompt(self) -> str | Failure:
        """What is printed of the messages in front of what is to be learned."""
        return self.renderer(self.messages[: self.row.prompt], self.row.tools, True, **self.row.flags)

    @property
    def prompt_differs(self) -> bool:
        """Whether the row doesn't begin with its own generation prompt."""
        if not self.row.prompt or self.asks or not isinstance(self.prompt, str):
            return False
        return isinstance(self.printed, str) and not self.printed.startswith(self.prompt)
