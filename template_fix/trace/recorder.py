"""What happens inside of a template while it renders: the values of its expressions, the outcomes of its tests.

The template is compiled once from a tree in which every expression and every test passes its value through a recorder;
tables then force tests the other way, and put the value of one expression in the place of another's, without compiling
again. What is printed stays the same as long as nothing is forced or put in another's place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Template as Compiled
from jinja2 import Undefined, nodes, pass_context
from jinja2.visitor import NodeTransformer

from template_fix.jinja.environment import environment
from template_fix.jinja.queries import conditions, walk
from template_fix.jinja.renderer import Renderer, RenderError
from template_fix.jinja.templates import Template
from template_fix.text.edits import Span

_RECORDER = "template_fix_recorder"
# Names that jinja2 itself gives a meaning; a call in their place would change it.
_RESERVED = frozenset({"loop", "caller", "varargs", "kwargs", "self", "super"})
_VALUES = (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Call, nodes.Filter, nodes.CondExpr)


@dataclass(frozen=True)
class Site:
    """An expression or test of a template, by its number in the trace, with the sites inside of it.

    ``node`` is of the rewritten tree: its kind tells, its children are recorders.
    """

    number: int
    node: nodes.Expr
    span: Span
    inside: tuple[int, ...]


@dataclass
class Recorder:
    """Sees every value on its way.

    ``forced`` maps the numbers of tests to the outcome that they shall have, ``outcomes`` to those that they had.
    ``kept`` maps the numbers of expressions to that of the operand whose value they shall have, ``unset`` are those
    that had no value, ``reached`` all that were asked for one.
    ``holders`` are the numbers of expressions whose value held the text ``wanted``, ``drops`` those of expressions out
    of which it didn't come, each with one that went in. ``outputs`` are the expressions printed, with what they gave.
    """

    forced: dict[int, bool] = field(default_factory=dict)
    outcomes: dict[int, set[bool]] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    unset: set[int] = field(default_factory=set)
    reached: set[int] = field(default_factory=set)
    wanted: str = ""
    drops: set[tuple[int, int]] = field(default_factory=set)
    holders: set[int] = field(default_factory=set)
    outputs: list[tuple[int, str]] = field(default_factory=list)
    inside: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    _operands: dict[int, Any] = field(default_factory=dict)
    _holding: dict[int, tuple[int, bool]] = field(default_factory=dict)
    _last: dict[int, int] = field(default_factory=dict)
    _clock: int = 0

    def __call__(self, value: Any, number: int, kind: str) -> Any:
        self.reached.add(number)
        if kind == "test":
            if number in self.forced:
                return self.forced[number]
            self.outcomes.setdefault(number, set()).add(bool(value))
        elif kind == "output":
            self.outputs.append((number, str(value)))
        elif isinstance(value, Undefined):
            self.unset.add(number)
        elif self.kept:
            value = self._kept(number, value)
        elif self.wanted:
            self._follow(number, value)
        return value

    def _kept(self, number: int, value: Any) -> Any:
        if number in self.kept:
            value = self._operands.get(self.kept[number], value)
        if number in self.kept.values():
            self._operands[number] = value
        return value

    def _follow(self, number: int, value: Any) -> None:
        """Note where the wanted text goes into an expression and comes out of it no more.

        What goes in and what comes out must be both texts, or both lists: a field of a message is not a drop.
        """
        self._clock += 1
        since = self._last.get(number, 0)
        self._last[number] = self._clock
        text = isinstance(value, str)
        if holds(value, self.wanted):
            self.holders.add(number)
            self._holding[number] = (self._clock, text)
        elif isinstance(value, (str, list, tuple)):
            held = ((each, *self._holding.get(each, (-1, text))) for each in self.inside[number])
            self.drops.update((number, each) for each, at, kind in held if at > since and kind is text)


def holds(value: Any, wanted: str) -> bool:
    """Whether a text, or a text in a list or mapping, holds ``wanted``."""
    if isinstance(value, str):
        return wanted in value
    if isinstance(value, (list, tuple)):
        return any(holds(each, wanted) for each in value)
    return isinstance(value, Mapping) and any(holds(each, wanted) for each in value.values())


class Trace(Renderer):
    """A renderer that records and forces; use it inside `limits.bounded`.

    ``template`` is what it renders; ``tests``, ``values`` and ``outputs`` are its sites, by number. Raises RenderError
    where the template is nested so deeply that it compiles by itself alone, and not with its expressions recorded.
    """

    def __init__(self, template: Template, variables: Mapping[str, Any]) -> None:
        self.template, self.variables = template, dict(variables)
        instrument = _Instrument(Template(template.source))  # the tree is rewritten in place
        self.recorder = Recorder()
        try:
            self._compiled = instrument.compiled(self.recorder)
        except (RecursionError, SyntaxError):
            raise RenderError("the template is nested too deeply to be traced") from None
        self.tests, self.values, self.outputs = instrument.tests, instrument.values, instrument.outputs
        self.recorder.inside = {number: site.inside for number, site in self.values.items()}

    def follow(self, wanted: str) -> None:
        """Look out for another text from now on, or for none."""
        self.recorder.wanted = wanted
        self.recorder.drops.clear()
        self.recorder.holders.clear()
        self.recorder.outputs.clear()

    @contextmanager
    def changed(
        self, tests: Mapping[int, bool] | None = None, operands: Mapping[int, int] | None = None
    ) -> Iterator[None]:
        """Force tests to an outcome for a while, and give expressions the value of an operand; note outcomes anew."""
        self.recorder.outcomes.clear()
        self.recorder.forced, self.recorder.kept = dict(tests or {}), dict(operands or {})
        try:
            yield
        finally:
            self.recorder.forced, self.recorder.kept = {}, {}


class _Instrument(NodeTransformer):
    def __init__(self, template: Template) -> None:
        self.template = template
        self.tests: dict[int, Site] = {}
        self.values: dict[int, Site] = {}
        self.truths = frozenset(map(id, conditions(template.tree)))
        self.printed = frozenset(
            id(each) for node in template.all_nodes if isinstance(node, nodes.Output) for each in node.nodes
        )
        self.outputs: dict[int, Site] = {}
        self.kept = frozenset(_kept(template.tree))
        self.numbers = {id(node): number for number, node in enumerate(template.all_nodes)}

    def compiled(self, recorder: Recorder) -> Compiled:
        env = environment().overlay()
        # A filter that takes the context is called as it is, and never while jinja2 compiles.
        env.filters = {**env.filters, _RECORDER: pass_context(lambda _, *given: recorder(*given))}
        return Compiled.from_code(env, env.compile(self.visit(self.template.tree)), env.make_globals(None))

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        number, span = self.numbers.get(id(node)), self.template.span(node)
        if number is None or span is None or not isinstance(node, nodes.Expr) or id(node) in self.kept:
            return super().visit(node, *args, **kwargs)
        test, value = id(node) in self.truths, isinstance(node, _VALUES) and getattr(node, "ctx", "load") == "load"
        inside = tuple(range(number + 1, number + sum(1 for _ in walk(node))))  # numbered in the order of the walk
        made = super().visit(node, *args, **kwargs)
        if value:
            self.values[number] = Site(number, node, span, inside)
            made = _recorded(made, number, "value")
        if test:
            self.tests[number] = Site(number, node, span, inside)
            made = _recorded(made, number, "test")
        if id(node) in self.printed and not isinstance(node, nodes.TemplateData):
            self.outputs[number] = Site(number, node, span, inside)
            made = _recorded(made, number, "output")
        return made


def _recorded(node: nodes.Expr, number: int, kind: str) -> nodes.Expr:
    return nodes.Filter(node, _RECORDER, [nodes.Const(number), nodes.Const(kind)], [], None, None)


def _kept(tree: nodes.Template) -> Iterator[int]:
    """Yield the identity of each expression that has to stay what it is: names with a meaning, and called methods."""
    for node in walk(tree):
        if isinstance(node, nodes.Name) and node.name in _RESERVED:
            yield id(node)
        elif isinstance(node, nodes.Call):
            yield id(node.node)
        elif isinstance(node, nodes.CallBlock | nodes.FilterBlock):
            yield id(node.call if isinstance(node, nodes.CallBlock) else node.filter)
