"""Where each output of a template prints: inside of what a model has to write, outside of it, or either.

The smallest thing that can be wrapped is a cell. The outputs are traced, and cells are looked at in all conversations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from jinja2 import nodes

from template_fix.contract import Examination
from template_fix.jinja import Template
from template_fix.mask import Mask
from template_fix.pieces import Body, Execution, Piece, Pieces, Printed, Unit, operands
from template_fix.probes import Probe
from template_fix.render import RenderError
from template_fix.scopes import Known, known
from template_fix.text import Span

IN, OUT, EITHER, SPLIT, NONE = "in", "out", "either", "split", "none"


class Unmarkable(ValueError):
    """Why a template can't be marked, in one sentence; ``at`` is the place in the template that stands in the way.

    ``fields`` are the fields and variables that conversations would have to have to get to that place, each with its
    value, or None.
    """

    def __init__(self, reason: str, at: Span | None = None, fields: frozenset[tuple[str, Any]] = frozenset()) -> None:
        super().__init__(reason)
        self.reason, self.at, self.fields = reason, at, fields


@dataclass(frozen=True)
class Cell:
    """The smallest thing that can be wrapped: a unit of a body, or a part of an output that is cut.

    ``part`` is the part's place in the unit: the index of its piece, and the offset in that piece's text at which it
    begins; None for a unit that stays whole. ``kind`` is where it prints.
    """

    unit: int
    kind: str
    part: tuple[int, int] | None = None


@dataclass(frozen=True)
class Wrap:
    """A run of cells of one body, from ``first`` to ``last``, to stand between markers.

    Where there is a ``test``, the cells print the messages of other roles, too, and are marked only where it holds.
    Where they are ``optional``, they may print nothing, and then there must be no marker.
    """

    body: Body
    first: Cell
    last: Cell
    test: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Straddling:
    """An expression in whose text turns begin or end. ``fronts`` is what it prints up to there, None for several."""

    piece: Piece
    fronts: set[str | None]


@dataclass
class Traced:
    """What the conversations of a battery say of a template's outputs. Use it inside `limits.bounded`.

    ``mask`` is the wanted one. ``cuts`` are the offsets, by a piece's number, at which turns begin or end in its text.
    Raises Unmarkable.
    """

    template: Template
    mask: Mask
    variables: Mapping[str, Any]
    cuts: dict[int, set[int]] = field(default_factory=dict)
    straddling: tuple[Straddling, ...] = ()
    _ways: dict[int, list[dict[tuple[int, tuple[int, int] | None], set[bool]]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._look()

    @cached_property
    def pieces(self) -> Pieces:
        """Return the traced template."""
        try:
            return Pieces(self.template.source, dict(self.variables))
        except RenderError as error:
            raise Unmarkable(str(error)) from None

    @cached_property
    def executions(self) -> list[tuple[Probe, Execution, tuple[Span, ...]]]:
        """Return how conversations are printed, and what of each the model has to write."""
        found = []
        examined: Examination = self.mask.examined
        for probe in examined.probes.values():
            wanted = self.mask.of(probe)
            if wanted:
                told = self.pieces(probe.messages, probe.tools, **examined.set_for(probe))
                traced = self.pieces.execution(told) if isinstance(told, str) else None
                if traced is None or traced[0] != examined.text(probe):
                    raise Unmarkable("what the template prints can't be traced to its outputs")
                found.append((probe, traced[1], wanted))
        if not found:
            raise Unmarkable("no turn of any conversation is printed")
        return found

    def _look(self) -> None:
        """Note where a turn begins or ends inside of what one piece prints."""
        straddling: dict[int, Straddling] = {}
        for probe, execution, wanted in self.executions:
            edges = sorted({edge for span in wanted for edge in span})
            text = str(self.mask.examined.text(probe))
            for printed in execution.printed():
                piece, start = printed.piece, printed.span.start
                inside = [edge for edge in edges if start < edge < printed.span.end]
                if inside and printed.span.of(text) != piece.literal:
                    found = straddling.setdefault(piece.number, Straddling(piece, set()))
                    found.fronts.add(text[start : inside[0]] if len(inside) == 1 else None)
                else:
                    self.cuts.setdefault(piece.number, set()).update(edge - start for edge in inside)
        self.straddling = tuple(straddling.values())

    def shown(self, span: Span) -> str:
        text = " ".join(span.of(self.template.source).split())
        return text if len(text) <= 60 else text[:57] + "…"

    @cached_property
    def _kinds(self) -> dict[tuple[int, int, tuple[int, int] | None], str]:
        """Return where each cell prints, by the number of its body, the index of its unit, and its part."""
        seen: dict[tuple[int, int, tuple[int, int] | None], set[frozenset[bool]]] = {}
        for _, execution, wanted in self.executions:
            self._note(execution, wanted, seen)
        return {cell: _kind(found) for cell, found in seen.items()}

    def _note(
        self,
        execution: Execution,
        wanted: Sequence[Span],
        seen: dict[tuple[int, int, tuple[int, int] | None], set[frozenset[bool]]],
    ) -> frozenset[bool]:
        """Note where everything in one run through a body prints; return that of all of it."""
        by_unit: dict[int, set[bool]] = {}
        by_cell: dict[tuple[int, tuple[int, int] | None], set[bool]] = {}
        self._ways.setdefault(execution.body.number, []).append(by_cell)
        for index, each in execution.done:
            if isinstance(each, Execution):
                ways = self._note(each, wanted, seen)
            else:
                ways = frozenset()
                for part, span in self._parts(execution.body.units[index], each):
                    way = frozenset({inside(span, wanted)} if span.start < span.end else ())
                    seen.setdefault((execution.body.number, index, part), set()).add(way)
                    by_cell.setdefault((index, part), set()).update(way)
                    ways |= way
            by_unit.setdefault(index, set()).update(ways)
        for index, ways_of_unit in by_unit.items():
            seen.setdefault((execution.body.number, index, None), set()).add(frozenset(ways_of_unit))
            by_cell[index, None] = ways_of_unit
        return frozenset(way for some in by_unit.values() for way in some)

    def _parts(self, unit: Unit, printed: Printed) -> Iterator[tuple[tuple[int, int], Span]]:
        """Yield the parts into which one piece's text is cut, and where they stand in the rendering."""
        at = unit.pieces.index(printed.piece)
        offsets = [0, *sorted(self.cuts.get(printed.piece.number, ()))]
        if printed.span.start == printed.span.end:
            offsets = offsets[:1]
        ends = [*offsets[1:], printed.span.end - printed.span.start]
        for start, end in zip(offsets, ends, strict=True):
            yield (at, start), Span(printed.span.start + start, printed.span.start + end)

    def cells(self, body: Body) -> list[Cell]:
        """Return the cells of a body, outputs cut wherever their parts print in different places."""
        found: list[Cell] = []
        for index, unit in enumerate(body.units):
            kind = self._kinds.get((body.number, index, None), NONE)
            if unit.pieces and kind == SPLIT:
                for at, piece in enumerate(unit.pieces):
                    for start in (0, *sorted(self.cuts.get(piece.number, ()))):
                        part = (at, start)
                        found.append(Cell(index, self._kinds.get((body.number, index, part), NONE), part))
            else:
                found.append(Cell(index, kind))
        for at in range(len(found) - 2, -1, -1):
            if found[at].kind == IN and found[at + 1].kind == EITHER and self._goes_with(body, *found[at : at + 2]):
                found[at] = replace(found[at], kind=EITHER)
        return found

    def _goes_with(self, body: Body, one: Cell, other: Cell) -> bool:
        """Whether a cell prints nothing wherever the one behind it prints what is no turn's."""
        return all(
            ways.get((other.unit, other.part)) == {True}
            for ways in self._ways[body.number]
            if ways.get((one.unit, one.part))
        )

    def uniform(self, body: Body, cells: Sequence[Cell]) -> bool:
        """Whether cells print in the same place, in each run through their body: then one test does for all of them."""
        return all(
            len({way for cell in cells for way in ways.get((cell.unit, cell.part), ())}) <= 1
            for ways in self._ways.get(body.number, ())
        )

    @cached_property
    def owners(self) -> dict[int, tuple[Body, int]]:
        found: dict[int, tuple[Body, int]] = {}
        todo = [self.pieces.root]
        while todo:
            body = todo.pop()
            for index, unit in enumerate(body.units):
                found.update((inner.number, (body, index)) for inner in unit.bodies)
                todo += unit.bodies
        return found

    def may_be_empty(self, body: Body, run: Sequence[Cell]) -> bool:
        """Whether nothing in a run keeps it from printing nothing: what is a text in one message is "" in another."""
        return not any(self._always_prints(body.units[cell.unit], cell) for cell in run)

    def _always_prints(self, unit: Unit, cell: Cell | None = None) -> bool:
        """Whether a unit, or the part of it in a cell, prints text of its own in each run."""
        if unit.bodies:
            chosen = isinstance(unit.node, nodes.If) and bool(unit.node.else_)
            return chosen and all(any(map(self._always_prints, body.units)) for body in unit.bodies)
        pieces = unit.pieces if cell is None or cell.part is None else unit.pieces[cell.part[0] : cell.part[0] + 1]
        tokens = self.variables.keys() - self.names.stored
        named = (piece.span.of(self.template.source) for piece in pieces)
        return any(piece.literal for piece in pieces) or bool(tokens & {*named}) or self._prints_by_macro(unit.node)

    def _prints_by_macro(self, node: nodes.Node) -> bool:
        """Whether an output is the call of a macro that prints text of its own, without its front at that."""
        front = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr)
        called = node.node.node if front else node  # type: ignore[attr-defined]
        name = called.node.name if isinstance(called, nodes.Call) and isinstance(called.node, nodes.Name) else ""
        return self._literals.get(name, 0) > front

    @cached_property
    def _literals(self) -> dict[str, int]:
        """Return how many texts of its own each macro prints whenever it is called."""
        outputs = {
            macro.name: [part for each in macro.body if isinstance(each, nodes.Output) for part in each.nodes]
            for macro in self.template.tree.find_all(nodes.Macro)
        }
        return {
            name: sum(
                bool(getattr(each, "data", getattr(each, "value", ""))) for part in parts for each, _ in operands(part)
            )
            for name, parts in outputs.items()
        }

    @cached_property
    def names(self) -> Known:
        """Return what the template does with its names."""
        return known(self.template.tree)

    def entered(self, body: Body) -> bool:
        """Whether any conversation runs through a body."""
        return body.number in self._entered

    @cached_property
    def _entered(self) -> frozenset[int]:
        found: set[int] = set()
        for _, execution, _ in self.executions:
            todo = [execution]
            while todo:
                each = todo.pop()
                found.add(each.body.number)
                todo += [what for _, what in each.done if isinstance(what, Execution)]
        return frozenset(found)

    def place(self, wrap: Wrap) -> Span:
        return Span(wrap.body.units[wrap.first.unit].span.start, wrap.body.units[wrap.last.unit].span.end)

    def own_parts(self, wrap: Wrap, index: int, printed: Printed) -> Iterator[tuple[tuple[int, int], Span]]:
        """Yield those parts of what a unit printed that lie in a wrap."""
        unit = wrap.body.units[index]
        if unit.bodies or printed.piece not in unit.pieces:
            yield (0, 0), printed.span
            return
        for part, span in self._parts(unit, printed):
            before = index == wrap.first.unit and wrap.first.part is not None and part < wrap.first.part
            behind = index == wrap.last.unit and wrap.last.part is not None and part > wrap.last.part
            if not before and not behind:
                yield part, span


def _kind(found: set[frozenset[bool]]) -> str:
    if any(len(ways) == 2 for ways in found):
        return SPLIT
    ways = frozenset(way for some in found for way in some)
    return EITHER if len(ways) == 2 else IN if True in ways else OUT if False in ways else NONE


def inside(span: Span, wanted: Sequence[Span]) -> bool:
    return any(each.start <= span.start and span.end <= each.end for each in wanted)


def printed_in(what: Printed | Execution) -> Iterator[Printed]:
    return iter([what]) if isinstance(what, Printed) else what.printed()


def runs(execution: Execution, body: Body) -> Iterator[Execution]:
    """Yield each run through a body."""
    if execution.body.number == body.number:
        yield execution
    for _, each in execution.done:
        if isinstance(each, Execution):
            yield from runs(each, body)
