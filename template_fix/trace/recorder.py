"""What happens inside of a template while it renders: the values of its expressions, the outcomes of its tests.

The template is compiled once from a tree in which every expression and every test passes its value through a recorder,
which each rendering gets among its variables. It may force tests the other way, and put the value of one expression in
the place of another's. What is printed stays the same as long as it does neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jinja2 import Undefined, nodes, pass_context
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from template_fix.conversations.probe import Probe
from template_fix.jinja.environment import environment
from template_fix.jinja.queries import conditions, copy_tree, walk
from template_fix.jinja.renderer import Failure, Renderer, RenderError, Variables
from template_fix.jinja.templates import Template
from template_fix.text.edits import Span

_RECORDER = "template_fix_recorder"
# Names that jinja2 itself gives a meaning; a call in their place would change it.
_RESERVED = frozenset({"loop", "caller", "varargs", "kwargs", "self", "super"})
_VALUES = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Call, nodes.Filter, nodes.CondExpr)


class Site(NamedTuple):
    """An expression or test of a template, by its number among all nodes, with the numbers of what is inside of it."""

    number: int
    node: nodes.Node
    span: Span
    inside: range


@dataclass
class Recording:
    """What happened while a template rendered: all values are by the numbers of their sites.

    ``text`` is what came out, ``parts`` the same in the pieces that it was printed in. ``outcomes`` are those that
    tests had, ``reached`` the expressions that were asked for a value, ``empty`` those that had none, ``outputs`` those
    that were printed, with what they gave. ``holders`` are the expressions whose value held the text ``wanted``,
    ``drops`` those out of which it didn't come, each with one inside by which it went in.

    ``tests`` maps tests to the outcome that they shall have instead, ``operands`` expressions to the one inside whose
    value they shall have.
    """

    values: Mapping[int, Site]
    wanted: str = ""
    tests: Mapping[int, bool] = field(default_factory=dict)
    operands: Mapping[int, int] = field(default_factory=dict)
    text: str | Failure = ""
    parts: list[str] = field(default_factory=list)
    outcomes: dict[int, set[bool]] = field(default_factory=dict)
    reached: set[int] = field(default_factory=set)
    empty: set[int] = field(default_factory=set)
    outputs: list[tuple[int, str]] = field(default_factory=list)
    holders: set[int] = field(default_factory=set)
    drops: set[tuple[int, int]] = field(default_factory=set)
    _kept: dict[int, object] = field(default_factory=dict)
    _holding: dict[int, tuple[int, bool]] = field(default_factory=dict)
    _last: dict[int, int] = field(default_factory=dict)
    _asked: dict[int, tuple[bool, object]] = field(default_factory=dict)
    _clock: int = 0

    def exchange(self, number: int, value: object) -> object:
        """Keep the value of an operand, and return what shall be in the place of a value."""
        if number in self.operands:
            value = self._kept.get(self.operands[number], value)
        if number in self.operands.values():
            self._kept[number] = value
        return value

    def follow(self, number: int, value: object) -> None:
        """Note where the wanted text goes into an expression and comes out of it no more.

        What goes in and what comes out must be both texts, or both lists: a field of a message is not a drop.
        """
        self._clock += 1
        since = self._last.get(number, 0)
        self._last[number] = self._clock
        text = isinstance(value, str)
        if self.holds(value):
            self.holders.add(number)
            self._holding[number] = (self._clock, text)
        elif isinstance(value, (str, list, tuple)):
            held = ((each, *self._holding.get(each, (-1, text))) for each in self.values[number].inside)
            self.drops.update((number, each) for each, at, kind in held if at > since and kind is text)

    def holds(self, value: object) -> bool:
        """Whether a text, or a text in a list or mapping, holds the wanted one.

        It is asked once of a mapping, such as a message: no template can change it.
        """
        if isinstance(value, str):
            return self.wanted in value
        if isinstance(value, (list, tuple)):
            return any(map(self.holds, value))
        if not isinstance(value, Mapping):
            return False
        known = self._asked.get(id(value))
        if known is None:
            held = any(map(self.holds, value.values()))
            known = self._asked[id(value)] = held, value  # that it stays lets nothing else have its identity
        return known[0]


class Trace:
    """A template compiled with its values recorded.

    ``tests``, ``values`` and ``outputs`` are its sites, by number. Raises RenderError where the template is nested so
    deeply that it compiles by itself alone, and not with its expressions recorded.
    """

    def __init__(self, template: Template, variables: Variables) -> None:
        self.template, self.variables = template, dict(variables)
        instrument = _Instrument(template)
        compiler = environment().overlay(optimized=False)  # its constants are folded in what it is compared with
        # A filter that takes the context is called as it is, and never while jinja2 compiles.
        compiler.filters = {**compiler.filters, **_NOTES}
        try:
            tree = instrument.visit(instrument.tree)
            self._renderer = Renderer(tree, variables, compiler)
        except (RecursionError, RenderError):
            raise RenderError("the template is nested too deeply to be traced") from None
        self.tests, self.values, self.outputs = instrument.tests, instrument.values, instrument.outputs

    def record(
        self,
        probe: Probe,
        upto: int | None = None,
        *,
        prompt: bool = False,
        wanted: str = "",
        tests: Mapping[int, bool] | None = None,
        flags: Variables | None = None,
    ) -> Recording:
        """Return what happens while the first ``upto`` messages of a conversation are printed.

        ``flags`` are variables besides the conversation's own; see `Recording` for ``wanted`` and ``tests``.
        """
        seen = Recording(self.values, wanted, tests or {})
        given = {**dict(probe.flags), **(flags or {}), _RECORDER: seen}
        printed = self._renderer.parts(probe.messages[:upto], probe.tools, prompt, given, seen.parts)
        seen.text = printed if isinstance(printed, Failure) else "".join(printed)
        return seen

    def forced(self, *, tests: Mapping[int, bool] | None = None, operands: Mapping[int, int] | None = None) -> Renderer:
        """Return what renders the template with tests forced to an outcome, or with the values of operands."""
        return self._renderer.with_variables(
            {_RECORDER: Recording(self.values, tests=tests or {}, operands=operands or {})}
        )


def trace_template(template: Template, variables: Variables) -> Trace | None:
    """Return a template with its values recorded, None where it is nested too deeply for that."""
    try:
        return Trace(template, variables)
    except RenderError:
        return None


@pass_context
def _note_value(context: Context, value: object, number: int) -> object:
    """Note a value on its way, and return it, or what shall be in its place."""
    seen: Recording = context.parent[_RECORDER]
    seen.reached.add(number)
    if isinstance(value, Undefined):
        seen.empty.add(number)
    elif seen.operands:
        return seen.exchange(number, value)
    elif seen.wanted:
        seen.follow(number, value)
    return value


@pass_context
def _note_test(context: Context, value: object, number: int) -> object:
    """Note the outcome of a test, and return its value, or the outcome that it shall have."""
    seen: Recording = context.parent[_RECORDER]
    seen.reached.add(number)
    if number in seen.tests:
        return seen.tests[number]
    seen.outcomes.setdefault(number, set()).add(bool(value))
    return value


@pass_context
def _note_output(context: Context, value: object, number: int) -> object:
    """Note what is printed."""
    seen: Recording = context.parent[_RECORDER]
    seen.reached.add(number)
    seen.outputs.append((number, str(value)))
    return value


_VALUE, _TEST, _OUTPUT = (f"{_RECORDER}_{kind}" for kind in ("value", "test", "output"))
_NOTES = {_VALUE: _note_value, _TEST: _note_test, _OUTPUT: _note_output}


class _Instrument(NodeTransformer):
    """Puts recorders into a copy of a template's tree, which has the same nodes in the same order."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.tree = copy_tree(template.tree)
        self.tests: dict[int, Site] = {}
        self.values: dict[int, Site] = {}
        self.outputs: dict[int, Site] = {}
        every = tuple(walk(self.tree))
        self.conditions = frozenset(map(id, conditions(self.tree)))
        self.printed = frozenset(id(each) for node in every if isinstance(node, nodes.Output) for each in node.nodes)
        self.kept = frozenset(_kept(every))
        self.numbers = {id(node): number for number, node in enumerate(every)}
        self.ends = _ends(template.tree)

    def visit(self, node: nodes.Node, *args: object, **kwargs: object) -> Any:
        number = self.numbers.get(id(node))
        original = self.template.all_nodes[number] if number is not None else node
        span = self.template.span(original)
        if number is None or span is None or not isinstance(node, nodes.Expr) or id(node) in self.kept:
            return super().visit(node, *args, **kwargs)
        value = isinstance(node, _VALUES) and getattr(node, "ctx", "load") == "load"
        inside = range(number + 1, self.ends[number])  # numbered in the order of the walk
        site = Site(number, original, span, inside)
        made = super().visit(node, *args, **kwargs)
        if value:
            self.values[number] = site
            made = _recorded(made, number, _VALUE)
        if id(node) in self.conditions:
            self.tests[number] = site
            made = _recorded(made, number, _TEST)
        if id(node) in self.printed and not isinstance(node, nodes.TemplateData):
            self.outputs[number] = site
            made = _recorded(made, number, _OUTPUT)
        return made


def _recorded(node: nodes.Expr, number: int, note: str) -> nodes.Expr:
    return nodes.Filter(node, note, [nodes.Const(number)], [], None, None)


def _ends(tree: nodes.Template) -> list[int]:
    """Return, for each node by its number, the number behind all that is inside of it."""
    ends: list[int] = []

    def count(node: nodes.Node) -> None:
        number = len(ends)
        ends.append(0)
        for child in node.iter_child_nodes():
            count(child)
        ends[number] = len(ends)

    count(tree)
    return ends


def _kept(every: Iterable[nodes.Node]) -> Iterator[int]:
    """Yield the identity of each expression that has to stay what it is: names with a meaning, and called methods."""
    for node in every:
        if isinstance(node, nodes.Name) and node.name in _RESERVED:
            yield id(node)
        elif isinstance(node, nodes.Call):
            yield id(node.node)
        elif isinstance(node, nodes.CallBlock | nodes.FilterBlock):
            yield id(node.call if isinstance(node, nodes.CallBlock) else node.filter)
