"""Which output of a template printed which characters of a conversation.

The template is compiled once more from a tree in which every output that stands in the template itself, and every
operand of one, prints a mark in front of its text. What macros, ``set`` and ``filter`` blocks print belongs to the
output that calls them.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from jinja2 import nodes

from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Renderer, Variables
from template_fix.jinja.templates import Template, lex
from template_fix.text.edits import Span

_MARK = re.compile("\ue000([ab])([0-9]+)\ue001")
_BLOCKS = (nodes.If, nodes.For, nodes.With)
_TEXT_FILTERS = frozenset({"trim", "tojson", "string", "join", "upper", "lower", "replace", "indent", "capitalize"})
_TEXT_METHODS = frozenset(
    {"strip", "lstrip", "rstrip", "replace", "join", "upper", "lower", "removeprefix", "removesuffix"}
)
# What transformers passes as text.
_TOKENS = frozenset(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
# What makes a text that escapes all that is added to it: where one is used, no sum is taken apart.
_ESCAPING = frozenset({"safe", "escape", "e", "forceescape", "urlize", "xmlattr"})
_OPAQUE = (nodes.CallBlock, nodes.FilterBlock)


@dataclass(frozen=True)
class Piece:
    """A part of an output that prints text of its own: template text, or an operand of a chain of texts.

    ``literal`` is what it prints where that is always the same; ``sure`` tells that it can only be a text. ``joint`` is
    the operator in front of it, "" at the beginning of an output.
    """

    number: int
    span: Span
    literal: str | None
    joint: str = ""
    sure: bool = True


@dataclass
class Unit:
    """What stands in a body: an output (``pieces``), a block with ``bodies`` of its own, or what prints nothing.

    ``span`` covers the delimiters, too; ``node`` is of the template's tree.
    """

    node: nodes.Node
    span: Span
    pieces: tuple[Piece, ...] = ()
    bodies: tuple[Body, ...] = ()
    data: bool = False


@dataclass
class Body:
    """A list of statements that are run one after the other."""

    number: int
    units: list[Unit] = field(default_factory=list)

    def every_unit(self) -> Iterator[Unit]:
        """Yield the units of this body and of all bodies in it, in order."""
        for unit in self.units:
            yield unit
            for inner in unit.bodies:
                yield from inner.every_unit()


@dataclass
class Printed:
    """What one piece printed in one place of a rendering."""

    piece: Piece
    span: Span


@dataclass
class Execution:
    """One run through a body: for each unit that did something, its index with what it printed or ran through.

    ``span`` is what the run printed in all.
    """

    body: Body
    span: Span
    done: list[tuple[int, Printed | Execution]] = field(default_factory=list)

    def runs(self) -> Iterator[Execution]:
        """Yield this run and all runs in it."""
        yield self
        for _, each in self.done:
            if isinstance(each, Execution):
                yield from each.runs()

    def entered(self) -> set[int]:
        """Return the numbers of the bodies that were run through."""
        return {run.body.number for run in self.runs()}


class OutputTrace:
    """A template whose printing is traced. Use it inside `limits.run_bounded`.

    ``root`` is the body of the template. Raises RenderError where it is nested so deeply that it compiles by itself
    alone.
    """

    def __init__(self, source: str, variables: Variables) -> None:
        layout = _Layout(Template(source))  # whose tree gets the marks
        self.template, self.root, self._owner = layout.template, layout.root, layout.owner
        self._renderer = Renderer(layout.template.tree, variables)

    def run(self, probe: Probe, flags: Variables) -> tuple[str, Execution] | None:
        """Return what is printed of a conversation, and what printed it; None where it fails, or can't be traced."""
        text = self._renderer(probe.messages, probe.tools, **flags)
        return self.execution(text) if isinstance(text, str) else None

    def execution(self, marked: str) -> tuple[str, Execution] | None:
        """Return the text of a rendering without its marks, and what printed it; None where the marks don't add up."""
        first, *rest = _MARK.split(marked)
        top = Execution(self.root, Span(0, len(first)))
        stack, text = [top], first
        for kind, number, printed in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            owner = self._owner.get((kind, int(number)))
            if owner is None:
                return None
            body, index, what = owner
            while stack and stack[-1].body is not body:
                stack.pop()
            if not stack:
                return None
            span = Span(len(text), len(text) + len(printed))
            if isinstance(what, Body):
                inner = Execution(what, span)
                stack[-1].done.append((index, inner))
                stack.append(inner)
            else:
                stack[-1].done.append((index, Printed(what, span)))
            text += printed
            for each in stack:
                each.span = Span(each.span.start, len(text))
        return text, top


class _Layout:
    """Lays a template out in units, and puts marks into its tree on the way."""

    def __init__(self, template: Template) -> None:
        self.template = template
        tokens = lex(template.source)
        self.begins = {kind: [t for t in tokens if t.kind == f"{kind}_begin"] for kind in ("variable", "block")}
        self.ends = {kind: [t for t in tokens if t.kind == f"{kind}_end"] for kind in ("variable", "block")}
        self.texts = {token.start: token for token in tokens if token.kind == "data"}
        self.whole = escapes_sums(template.tree)
        self.owner: dict[tuple[str, int], tuple[Body, int, Piece | Body]] = {}
        self.root = Body(0)
        self.pieces, self.bodies = 0, 1
        template.tree.body = self.body(self.root, template.tree.body)

    def body(self, body: Body, statements: list[nodes.Node]) -> list[nodes.Node]:
        made: list[nodes.Node] = []
        for node in statements:
            made += self.output(body, node) if isinstance(node, nodes.Output) else self.statement(body, node)
        return made

    def output(self, body: Body, output: nodes.Output) -> Iterator[nodes.Node]:
        for child in output.nodes:
            if isinstance(child, nodes.TemplateData):
                token = self.texts[self.template.start(child)]
                unit = Unit(child, Span(token.start, token.end), data=True)
            else:
                unit = Unit(child, self.around(child, "variable"))
            index = len(body.units)
            body.units.append(unit)
            unit.pieces = tuple(self.piece(body, index, *part) for part in split_operands(child, self.whole))
            marks = (_mark("a", piece.number) for piece in unit.pieces)
            shown: list[nodes.Expr] = [
                each for pair in zip(marks, take_apart(child, self.whole), strict=True) for each in pair
            ]
            yield nodes.Output(shown, lineno=child.lineno)

    def piece(self, body: Body, index: int, node: nodes.Expr, joint: str) -> Piece:
        literal = None
        if isinstance(node, nodes.TemplateData):
            span, literal = body.units[index].span, node.data
        else:
            span = self.template.span(node) or body.units[index].span
            if isinstance(node, nodes.Const) and isinstance(node.value, str):
                literal = node.value
        piece = Piece(self.pieces, span, literal, joint, literal is not None or surely_text(node))
        self.owner["a", piece.number] = (body, index, piece)
        self.pieces += 1
        return piece

    def statement(self, body: Body, node: nodes.Node) -> Iterator[nodes.Node]:
        index = len(body.units)
        unit = Unit(node, self.around(node, "block"))
        body.units.append(unit)
        if isinstance(node, _OPAQUE) or (isinstance(node, nodes.For) and node.recursive):
            unit.pieces = (self.piece(body, index, node, ""),)  # type: ignore[arg-type]
            yield nodes.Output([_mark("a", unit.pieces[0].number)], lineno=node.lineno)
        elif isinstance(node, _BLOCKS):
            unit.bodies = tuple(self.inside(body, index, node))
        yield node

    def inside(self, body: Body, index: int, node: nodes.Node) -> Iterator[Body]:
        for owner, name in _bodies(node):
            inner = Body(self.bodies)
            self.bodies += 1
            self.owner["b", inner.number] = (body, index, inner)
            made = self.body(inner, getattr(owner, name))
            setattr(owner, name, [nodes.Output([_mark("b", inner.number)], lineno=node.lineno), *made])
            yield inner

    def around(self, node: nodes.Node, kind: str) -> Span:
        """Return where a statement or an output stands, with the delimiters around it."""
        span = self.template.span(node) or Span(0, 0)
        begins, ends = self.begins[kind], self.ends[kind]
        first = begins[max(bisect_right(begins, span.start, key=lambda token: token.start) - 1, 0)]
        last = ends[min(bisect_left(ends, span.end, key=lambda token: token.start), len(ends) - 1)]
        # A lexer's end of a tag has the white space that it takes along.
        return Span(first.start, last.start + len(last.text.rstrip()))


def _bodies(node: nodes.Node) -> Iterator[tuple[nodes.Node, str]]:
    """Yield where the bodies of a block are kept, those that can be left out only where they are there."""
    yield node, "body"
    for branch in getattr(node, "elif_", ()):
        yield branch, "body"
    if getattr(node, "else_", None):
        yield node, "else_"


def _mark(kind: str, number: int) -> nodes.TemplateData:
    return nodes.TemplateData(f"\ue000{kind}{number}\ue001")


def escapes_sums(tree: nodes.Template) -> bool:
    """Whether a template makes texts that escape what is added to them."""
    return any(node.name in _ESCAPING for node in tree.find_all(nodes.Filter))


def split_operands(node: nodes.Expr, whole: bool) -> list[tuple[nodes.Expr, str]]:
    """Return the operands of a chain of texts, each with the operator in front of it; other expressions are one.

    A chain is one of ``+`` or one of ``~``: what is an operand of the one is none of the other. Of a ``~`` all is
    evaluated before any of it is made a text: one with a macro, which may change what stands in front of it, is none.
    A ``whole`` expression is not taken apart.
    """
    if isinstance(node, nodes.Add) and surely_text(node) and not whole:
        return list(_summands(node, ""))
    if isinstance(node, nodes.Concat) and not whole and not any(map(_is_macro, node.find_all(nodes.Call))):
        return [(each, "~" if at else "") for at, each in enumerate(node.nodes)]
    return [(node, "")]


def _summands(node: nodes.Expr, joint: str) -> Iterator[tuple[nodes.Expr, str]]:
    if isinstance(node, nodes.Add) and surely_text(node):
        yield from _summands(node.left, joint) if isinstance(node.left, nodes.Add) else [(node.left, joint)]
        yield from _summands(node.right, "+") if isinstance(node.right, nodes.Add) else [(node.right, "+")]
    else:
        yield node, joint


def take_apart(node: nodes.Expr, whole: bool) -> list[nodes.Expr]:
    """Return what an output prints one after the other; an operand that has to be a text is added to an empty one."""
    found = split_operands(node, whole)
    summed = any(joint == "+" for _, joint in found)
    return [nodes.Add(nodes.Const(""), each) if summed and not surely_text(each) else each for each, _ in found]


def _is_macro(call: nodes.Call) -> bool:
    return isinstance(call.node, nodes.Name)


def surely_text(node: nodes.Expr) -> bool:
    """Whether an expression gives a text whatever it is made of."""
    if isinstance(node, nodes.CondExpr):
        return node.expr2 is not None and surely_text(node.expr1) and surely_text(node.expr2)
    if isinstance(node, nodes.Filter):
        return node.name in _TEXT_FILTERS
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Getattr) and node.node.attr in _TEXT_METHODS
    if isinstance(node, nodes.Add):
        return any(surely_text(each) or getattr(each, "name", "") in _TOKENS for each in (node.left, node.right))
    return isinstance(node, nodes.Concat | nodes.TemplateData) or (
        isinstance(node, nodes.Const) and isinstance(node.value, str)
    )
