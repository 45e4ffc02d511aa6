"""Where generation markers belong: the outputs that print what a model has to write, in the fewest and plainest pairs.

Each output of the template is looked at in every conversation: does it print inside of the wanted mask, outside of it,
or either, because it prints the messages of all roles? Runs of statements that print inside alone are wrapped; what
prints both is cut where the turn begins or ends, and what prints either gets a branch for the assistant's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from jinja2 import nodes

from template_fix.cells import EITHER, IN, NONE, OUT, SPLIT, Cell, Traced, Unmarkable, Wrap
from template_fix.jinja import names_read
from template_fix.pieces import Body, Unit, stores
from template_fix.roles import ROLE


@dataclass
class Plan:
    """The runs of cells to wrap. ``opened`` are the blocks that print more than turns: body number and unit index."""

    traced: Traced
    opened: set[tuple[int, int]] = field(default_factory=set)

    def wraps(self) -> list[Wrap]:
        """Return what is to be wrapped, in the order of the template.

        Where a wrap has a test, that is only the sign that it needs one. Raises Unmarkable.
        """
        if self.traced.straddling:
            piece = self.traced.straddling[0].piece
            shown = self.traced.shown(piece.span)
            raise Unmarkable(f"a turn begins or ends in the middle of what `{shown}` prints", piece.span)
        found = list(self._wrapped(self.traced.pieces.root))
        if not found:
            raise Unmarkable("no output prints just what the model has to write")
        return found

    def _wrapped(self, body: Body) -> Iterator[Wrap]:
        """Yield the runs of a body that are to be wrapped, and those inside of what prints more than turns."""
        cells = self.traced.cells(body)
        at = 0
        while at < len(cells):
            cell = cells[at]
            unit = body.units[cell.unit]
            apart = cell.kind == EITHER and unit.bodies and self._clean(unit)
            if cell.kind == SPLIT or apart or (cell.kind in (IN, EITHER) and unit.bodies and _leaves(unit.node)):
                yield from self._opened_up(body, cell)
                if not unit.bodies:
                    raise Unmarkable(
                        f"a turn begins or ends inside of what `{self.traced.shown(unit.span)}` prints", unit.span
                    )
                at += 1
            elif cell.kind in (IN, EITHER):
                end = self._run(body, cells, at)
                run = cells[at:end]
                if self.traced.may_be_empty(body, run):
                    yield from self._one_by_one(body, run)
                else:
                    yield Wrap(body, run[0], run[-1], ROLE if cell.kind == EITHER else "")
                at = end
            else:
                at += 1

    def leaks(self, wrap: Wrap) -> bool:
        """Whether a variable that is set in a wrap is read behind it."""
        units = range(wrap.first.unit, wrap.last.unit + 1)
        return self._leaks(wrap.body, [Cell(unit, IN) for unit in units])

    def hides(self, wrap: Wrap) -> bool:
        """Whether a caller's variable is read in a wrap alone and set behind it: there it would be undefined at first.

        jinja2 looks for a variable where it is read first, and doesn't look into markers for that.
        """
        units = wrap.body.units[wrap.first.unit : wrap.last.unit + 1]
        read = {name for unit in units for name in names_read(unit.node)}
        read -= set(self._known_before(wrap.body, wrap.first.unit))
        return bool(read) and any(name in read for name in self._set_behind(wrap.body, wrap.last.unit))

    def _set_behind(self, body: Body, index: int) -> Iterator[str]:
        """Yield the names that are set behind a unit, up to the end of the loop that it is in."""
        for unit in body.units[index + 1 :]:
            yield from stores(unit.node)
        owner = self._owner_in_loop(body)
        if owner:
            yield from self._set_behind(*owner)

    def _known_before(self, body: Body, index: int) -> Iterator[str]:
        """Yield the names that are read or set in front of a unit, and not in a loop or macro of their own."""
        for unit in body.units[:index]:
            yield from _names(unit.node)
        owner = self._owner_in_loop(body)
        if owner:
            node = owner[0].units[owner[1]].node
            yield from (name for branch in (node, *getattr(node, "elif_", ())) for name in _names(branch.test))
            yield from self._known_before(*owner)

    def _owner_in_loop(self, body: Body) -> tuple[Body, int] | None:
        owner = self.traced.owners.get(body.number)
        return owner if owner and isinstance(owner[0].units[owner[1]].node, nodes.If) else None

    def _one_by_one(self, body: Body, run: Sequence[Cell]) -> Iterator[Wrap]:
        """Yield what is to be wrapped of a run that may print nothing: of each block what is in it, and each output."""
        for index, cells in groupby((cell for cell in run if cell.kind != NONE), key=lambda cell: cell.unit):
            first, *rest = cells
            if body.units[index].bodies:
                yield from self._opened_up(body, first)
            else:
                last = rest[-1] if rest else first
                test = ROLE if first.kind == EITHER else ""
                yield Wrap(body, first, last, test, optional=self.traced.may_be_empty(body, [first, last]))

    def _opened_up(self, body: Body, cell: Cell) -> Iterator[Wrap]:
        self.opened.add((body.number, cell.unit))
        for inner in body.units[cell.unit].bodies:
            yield from self._wrapped(inner)

    def _clean(self, unit: Unit) -> bool:
        """Whether what prints in a block is told apart by its own branches: then they need no other test."""
        return all(
            cell.kind in (IN, OUT, NONE) or (bool(body.units[cell.unit].bodies) and self._clean(body.units[cell.unit]))
            for body in unit.bodies
            for cell in self.traced.cells(body)
        )

    def _run(self, body: Body, cells: Sequence[Cell], start: int) -> int:
        """Return the index behind the longest run of cells of one kind, from ``start`` on, that may be wrapped."""
        kind, end = cells[start].kind, start + 1
        # What may print nothing is no place for a marker by itself; with what follows it is.
        wide = kind == EITHER and self.traced.may_be_empty(body, cells[start:end])
        for at in range(start + 1, len(cells)):
            unit = body.units[cells[at].unit]
            if cells[at].kind not in ((IN, EITHER, NONE) if wide else (kind, NONE)):
                break
            if kind == EITHER and not wide and unit.bodies and self._clean(unit):
                break
            if kind == EITHER and not self.traced.uniform(body, cells[start : at + 1]):
                break
            if _leaves(unit.node):
                break
            if cells[at].kind != NONE:
                end = at + 1
        while end > start + 1 and self._leaks(body, cells[start:end]):
            end = self._shorter(cells, start, end)
        return end

    def _shorter(self, cells: Sequence[Cell], start: int, end: int) -> int:
        end -= 1
        while end > start + 1 and cells[end - 1].kind == NONE:
            end -= 1
        return end

    def _leaks(self, body: Body, run: Sequence[Cell]) -> bool:
        """Whether a variable that is set in a run is read behind it: a ``set`` inside of markers stays inside."""
        units = {cell.unit for cell in run}
        names = {name for index in units for name in stores(body.units[index].node)}
        return bool(names) and any(name in names for name in self._read_behind(body, max(units)))

    def _read_behind(self, body: Body, index: int) -> Iterator[str]:
        """Yield the names that are read behind a unit, those of macros among them: they may be called there."""
        for macro in self.traced.template.tree.find_all(nodes.Macro):
            yield from names_read(macro)
        for unit in body.units[index + 1 :]:
            yield from names_read(unit.node)
        owner = self.traced.owners.get(body.number)
        if owner and not isinstance(owner[0].units[owner[1]].node, nodes.For):
            yield from self._read_behind(*owner)


def _names(node: nodes.Node) -> Iterator[str]:
    """Yield the names in a statement, but for those in a loop or a macro in it."""
    if isinstance(node, nodes.Name):
        yield node.name
    elif not isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock | nodes.FilterBlock):
        for each in node.iter_child_nodes():
            yield from _names(each)


def _leaves(node: nodes.Node) -> bool:
    """Whether a statement leaves the loop around it, as none between markers may."""
    if isinstance(node, nodes.Break | nodes.Continue):
        return True
    return not isinstance(node, nodes.For | nodes.Macro) and any(map(_leaves, node.iter_child_nodes()))
