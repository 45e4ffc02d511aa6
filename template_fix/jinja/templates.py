"""Chat templates as source text: the environment they run in, their tokens, and a syntax tree with exact spans.

The environment is that of transformers 5.23 (``utils/chat_template_utils.py``), rebuilt from jinja2 alone because
importing transformers costs seconds. A slow test holds both side by side over real templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from jinja2 import TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from template_fix.jinja.environment import (
    environment,
)
from template_fix.jinja.queries import walk
from template_fix.jinja.sandbox import Sandbox
from template_fix.text.edits import Span

NEWLINE = re.compile(r"\r\n|\r|\n")


class ParseError(ValueError):
    """A template that jinja2 can't read; ``offset`` is where it stumbled."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset

    def __reduce__(self) -> tuple[type[ParseError], tuple[str, int]]:
        return ParseError, (self.message, self.offset)


class Token(NamedTuple):
    """One token as jinja2's lexer names it (``block_begin``, ``name``, ``data``, …), where it stands in the source."""

    kind: str
    text: str
    start: int
    end: int


@lru_cache(maxsize=8)
def lex(source: str) -> tuple[Token, ...]:
    """Return the tokens of a template, whitespace, comments and the text that jinja2 strips included.

    The texts of the tokens, joined, are ``source``: what jinja2's lexer drops (whitespace before ``{%-``, carriage
    returns, the last newline) comes back as tokens of the kind ``gap``. Raises ParseError.
    """
    raw = _raw_offsets(source)
    at = ((kind, raw[start], raw[end]) for kind, start, end in _parts(source))
    return tuple(Token(kind, source[start:end], start, end) for kind, start, end in at)


class Template:
    """The syntax tree of a template, with the span of every expression and statement in the source.

    ``tree`` is jinja2's own; the span of a node is the widest text that parses to it alone, parentheses included.
    A statement's span runs from its first word to its last, without the ``{%`` and ``%}`` around them. Nodes that a
    tag synthesises (those of ``{% generation %}``) have none. Raises ParseError.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._raw = _raw_offsets(source)
        tokens = [token for token in _parts(source) if token[0] != "gap"]
        text = _normal(source)
        parser = _SpanParser(environment(), [(kind, text[start:end], start, end) for kind, start, end in tokens])
        try:
            self.tree = parser.parse()
        except TemplateSyntaxError as error:
            raise ParseError(error.message or "syntax error", self._raw[min(error.lineno, len(text))]) from None
        except RecursionError:
            raise ParseError("nested too deeply", 0) from None
        except ValueError as error:  # a number of thousands of digits
            raise ParseError(str(error), 0) from None
        _fill_spans(self.tree, parser.spans)
        self._spans = parser.spans

    @cached_property
    def all_nodes(self) -> tuple[nodes.Node, ...]:
        """Return every node of the tree, in the order of the source."""
        return tuple(walk(self.tree))

    def span(self, node: nodes.Node) -> Span | None:
        """Return where ``node`` stands in the source, or None for a node that no text stands for."""
        found = self._spans.get(node)
        return Span(self._raw[found.start], self._raw[found.end]) if found else None

    def start(self, node: nodes.Node) -> int:
        """Return where ``node`` begins in the source, text of the template's own included."""
        return self._raw[node.lineno]

    def text(self, node: nodes.Node) -> str:
        """Return the source text of ``node``, parentheses around it included."""
        span = self.span(node)
        return span.of(self.source) if span else ""


def _normal(source: str) -> str:
    """Return the text as jinja2's lexer sees it: every end of line a LF, the last one gone."""
    return NEWLINE.sub("\n", source).removesuffix("\n") if source else ""


def _raw_offsets(source: str) -> range | list[int]:
    """Return, for each offset in the normalised text, the offset in the source."""
    if "\r" not in source:
        return range(len(source) + 1)
    offsets = [i for i in range(len(source)) if not (source[i] == "\n" and i and source[i - 1] == "\r")]
    return [*offsets, len(source)]


@lru_cache(maxsize=8)
def _parts(source: str) -> tuple[tuple[str, int, int], ...]:
    return tuple(_lex(source))


def _lex(source: str) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) in the normalised text, gaps included."""
    text, position = _normal(source), 0
    try:
        for _, kind, value in environment().lexer.tokeniter(source, None):
            start = position
            while not text.startswith(value, start):
                start += 1
            if start > position:
                yield "gap", position, start
            position = start + len(value)
            yield kind, start, position
    except TemplateSyntaxError as error:
        lines = [0, *(match.end() for match in NEWLINE.finditer(source))]
        raise ParseError(error.message or "syntax error", lines[min(error.lineno, len(lines)) - 1]) from None
    end = len(text) + (NEWLINE.sub("\n", source) != text)
    if position < end:
        yield "gap", position, end


def _span_stream(parser: _SpanParser, tokens: list[tuple[str, str, int, int]]) -> Any:
    """Return the parser's token stream, which notes the offset of the token that was read last."""

    class Stream(TokenStream):
        def __next__(self) -> Any:
            token = super().__next__()
            parser.consumed = token.lineno
            return token

    # jinja2 copies the line number of a token to the nodes made of it: offsets in its place come through unharmed.
    lexed = environment().lexer.wrap(((start, kind, value) for kind, value, start, _ in tokens), None, None)
    return Stream(lexed, None, None)


def _recording(method: Callable[..., object]) -> Callable[..., object]:
    def parse(self: _SpanParser, *args: object, **kwargs: object) -> object:
        start = self.stream.current.lineno
        if args and isinstance(args[0], nodes.Node) and args[0] in self.spans:
            start = self.spans[args[0]].start
        made = method(self, *args, **kwargs)
        if isinstance(made, nodes.Node):
            self.record(made, start)
        return made

    return parse


class _SpanParser(Parser):
    """jinja2's parser, noting where each node begins and ends."""

    def __init__(self, env: Sandbox, tokens: list[tuple[str, str, int, int]]) -> None:
        super().__init__(env, "")
        self.spans: dict[nodes.Node, Span] = {}
        self.consumed = 0
        self.ends = {start: end for _, _, start, end in tokens if end > start}
        self.stream = _span_stream(self, tokens)

    def record(self, node: nodes.Node, start: int) -> None:
        end = self.ends.get(self.consumed, self.consumed)
        known = self.spans.get(node)
        if known:
            start, end = min(start, known.start), max(end, known.end)
        self.spans[node] = Span(start, end)

    def parse_filter(self, node: nodes.Expr | None, start_inline: bool = False) -> nodes.Expr | None:
        # jinja2 reads a chain of filters in one loop; one call per filter gives each link its span.
        while self.stream.current.type == "pipe" or start_inline:
            node = self._parse_one_filter(node, start_inline)
            start_inline = False
        return node

    def _parse_one_filter(self, node: nodes.Expr | None, start_inline: bool) -> nodes.Expr:
        start = self.spans[node].start if node in self.spans else self.stream.current.lineno
        if not start_inline:
            next(self.stream)
        token = self.stream.expect("name")
        name = token.value
        while self.stream.current.type == "dot":
            next(self.stream)
            name += "." + self.stream.expect("name").value
        args: tuple[object, ...] = ([], [], None, None)
        if self.stream.current.type == "lparen":
            args = self.parse_call_args()
        made = nodes.Filter(node, name, *args, lineno=token.lineno)
        self.record(made, start)
        return made


for _name in dir(Parser):
    if _name.startswith("parse_") and _name not in ("parse_filter", "parse_call_args", "parse_signature"):
        setattr(_SpanParser, _name, _recording(getattr(Parser, _name)))


def _fill_spans(node: nodes.Node, spans: dict[nodes.Node, Span]) -> Span | None:
    """Give the links of operator chains, which the parser builds in loops, the span of their operands."""
    inside = [span for child in node.iter_child_nodes() if (span := _fill_spans(child, spans))]
    # The test inside of "x is not defined" has no text of its own: its words lie around the "not".
    if (
        node not in spans
        and inside
        and isinstance(node, nodes.Expr | nodes.Helper)
        and not isinstance(node, nodes.Test)
    ):
        spans[node] = Span(min(s.start for s in inside), max(s.end for s in inside))
    return spans.get(node)
