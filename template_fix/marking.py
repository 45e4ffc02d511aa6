"""Where generation markers belong: the outputs that print what a model has to write, in the fewest and plainest pairs.

Each output of the template is looked at in every conversation: does it print inside of the wanted mask, outside of it,
or either, because it prints the messages of all roles? Runs of statements that print inside alone are wrapped; what
prints both is cut where the turn begins or ends, and what prints either gets a branch for the assistant's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, groupby
from typing import Any

from jinja2 import nodes

from template_fix.contract import Examination
from template_fix.jinja import Template, undeclared, walk
from template_fix.mask import Mask
from template_fix.pieces import Body, Execution, Piece, Pieces, Printed, Unit, stores
from template_fix.probes import Probe
from template_fix.text import Span

IN, OUT, EITHER, SPLIT, NONE = "in", "out", "either", "split", "none"
_ROLE = "assistant"
# How many tests around an output are tried whether they tell a turn's text from others.
_NEAR = 24
_KNOWN = frozenset(
    {
        *("role", "content", "tool_calls", "name", "tool_call_id", "reasoning_content", "reasoning", "thinking"),
        *("type", "text", "function", "arguments", "id", "get", "startswith", "endswith", "length"),
        *("first", "last", "index0", "index", "previtem", "nextitem"),
        *("messages", "tools", "documents", "add_generation_prompt"),
    }
)
# What templates call its role.
_NAMES = (_ROLE, "model", "ai", "gpt")


class Unmarkable(ValueError):
    """Why a template can't be marked, in one sentence; ``at`` is the place in the template that stands in the way.

    ``fields`` are what a message would have to have for conversations to get to that place.
    """

    def __init__(self, reason: str, at: Span | None = None, fields: frozenset[str] = frozenset()) -> None:
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
class Plan:
    """What the conversations of a battery say of a template's outputs. Use it inside `limits.bounded`.

    ``mask`` is the wanted one. Raises Unmarkable.
    """

    template: Template
    mask: Mask
    variables: Mapping[str, Any]
    cuts: dict[int, set[int]] = field(default_factory=dict)
    straddling: tuple[Straddling, ...] = ()
    _opened: set[tuple[int, int]] = field(default_factory=set)
    _ways: dict[int, list[dict[tuple[int, tuple[int, int] | None], set[bool]]]] = field(default_factory=dict)

    def wraps(self) -> list[Wrap]:
        """Return what is to be wrapped, in the order of the template."""
        self.look()
        if self.straddling:
            piece = self.straddling[0].piece
            raise Unmarkable(
                f"a turn begins or ends in the middle of what `{self._shown(piece.span)}` prints", piece.span
            )
        found = list(self._wrapped(self.pieces.root))
        if not found:
            raise Unmarkable("no output prints just what the model has to write")
        self._reached(self.pieces.root, in_loop=False)
        return [self._tested(wrap) if wrap.test else wrap for wrap in found]

    @cached_property
    def pieces(self) -> Pieces:
        """Return the traced template."""
        return Pieces(self.template.source, dict(self.variables))

    @cached_property
    def executions(self) -> list[tuple[Probe, Execution, tuple[Span, ...]]]:
        """Return how conversations are printed, and what of each the model has to write."""
        found = []
        examined: Examination = self.mask.examined
        for probe in examined.probes.values():
            wanted = self.mask.of(probe)
            if wanted:
                told = self.pieces(probe.messages, probe.tools, **{**dict(probe.flags), **examined.flags})
                traced = self.pieces.execution(told) if isinstance(told, str) else None
                if traced is None or traced[0] != examined.text(probe):
                    raise Unmarkable("what the template prints can't be traced to its outputs")
                found.append((probe, traced[1], wanted))
        if not found:
            raise Unmarkable("no turn of any conversation is printed")
        return found

    def look(self) -> None:
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

    def _shown(self, span: Span) -> str:
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
                    way = frozenset({_inside(span, wanted)} if span.start < span.end else ())
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

    def _wrapped(self, body: Body) -> Iterator[Wrap]:
        """Yield the runs of a body that are to be wrapped, and those inside of what prints more than turns."""
        cells = self.cells(body)
        at = 0
        while at < len(cells):
            cell = cells[at]
            unit = body.units[cell.unit]
            if cell.kind == SPLIT or (cell.kind == EITHER and unit.bodies and self._clean(unit)):
                yield from self._opened_up(body, cell)
                if not unit.bodies:
                    raise Unmarkable(
                        f"a turn begins or ends inside of what `{self._shown(unit.span)}` prints", unit.span
                    )
                at += 1
            elif cell.kind in (IN, EITHER):
                end = self._run(body, cells, at)
                run = cells[at:end]
                if cell.kind == EITHER:
                    yield Wrap(body, run[0], run[-1], _ROLE)
                elif self._may_be_empty(body, run):
                    yield from self._one_by_one(body, run)
                else:
                    yield Wrap(body, run[0], run[-1])
                at = end
            else:
                at += 1

    def _one_by_one(self, body: Body, run: Sequence[Cell]) -> Iterator[Wrap]:
        """Yield what is to be wrapped of a run that may print nothing: of each block what is in it, and each output."""
        for index, cells in groupby((cell for cell in run if cell.kind != NONE), key=lambda cell: cell.unit):
            first, *rest = cells
            if body.units[index].bodies:
                yield from self._opened_up(body, first)
            else:
                last = rest[-1] if rest else first
                yield Wrap(body, first, last, optional=self._may_be_empty(body, [first, last]))

    def _opened_up(self, body: Body, cell: Cell) -> Iterator[Wrap]:
        self._opened.add((body.number, cell.unit))
        for inner in body.units[cell.unit].bodies:
            yield from self._wrapped(inner)

    def _clean(self, unit: Unit) -> bool:
        """Whether what prints in a block is told apart by its own branches: then they need no other test."""
        return all(
            cell.kind in (IN, OUT, NONE) or (bool(body.units[cell.unit].bodies) and self._clean(body.units[cell.unit]))
            for body in unit.bodies
            for cell in self.cells(body)
        )

    def _run(self, body: Body, cells: Sequence[Cell], start: int) -> int:
        """Return the index behind the longest run of cells of one kind, from ``start`` on, that may be wrapped."""
        kind, end = cells[start].kind, start + 1
        # What may print nothing is no place for a marker by itself; with what follows it is.
        wide = kind == EITHER and self._may_be_empty(body, cells[start:end])
        for at in range(start + 1, len(cells)):
            unit = body.units[cells[at].unit]
            if cells[at].kind not in ((IN, EITHER, NONE) if wide else (kind, NONE)):
                break
            if kind == EITHER and not wide and unit.bodies and self._clean(unit):
                break
            if cells[at].kind == NONE and _leaves(unit.node):
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
        later: Iterable[nodes.Node] = (unit.node for unit in body.units[index + 1 :])
        for node in later:
            yield from (each.name for each in walk(node) if isinstance(each, nodes.Name) and each.ctx == "load")
        owner = self._owners.get(body.number)
        if owner and not isinstance(owner[0].units[owner[1]].node, nodes.For):
            yield from self._read_behind(*owner)

    @cached_property
    def _owners(self) -> dict[int, tuple[Body, int]]:
        found: dict[int, tuple[Body, int]] = {}
        todo = [self.pieces.root]
        while todo:
            body = todo.pop()
            for index, unit in enumerate(body.units):
                found.update((inner.number, (body, index)) for inner in unit.bodies)
                todo += unit.bodies
        return found

    def _may_be_empty(self, body: Body, run: Sequence[Cell]) -> bool:
        """Whether a run prints nothing in some run through its body."""
        wrap = Wrap(body, run[0], run[-1])
        units = range(run[0].unit, run[-1].unit + 1)
        return any(
            not any(
                span.start < span.end
                for index, what in each.done
                if index in units
                for printed in _printed(what)
                for _, span in self._own_parts(wrap, index, printed)
            )
            for _, execution, _ in self.executions
            for each in _runs(execution, body)
        )

    def _reached(self, body: Body, in_loop: bool) -> None:
        """Raise Unmarkable where an output in a turn's way was never reached, so that nobody knows what it prints."""
        for index in sorted(index for number, index in self._opened if number == body.number):
            unit = body.units[index]
            inside = in_loop or isinstance(unit.node, nodes.For)
            for inner, other, test in zip(unit.bodies, _of_others(unit.node), _tests(unit.node), strict=True):
                self._reached(inner, inside)
                output = _first_output(inner)
                if inside and not other and not self.entered(inner) and output:
                    raise Unmarkable(
                        f"no conversation reaches the output `{self._shown(output)}`, so nothing tells whether the "
                        "model writes it",
                        output,
                        _fields(test, undeclared(self.template.source)),
                    )

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

    def _tested(self, wrap: Wrap) -> Wrap:
        """Return a wrap with a test that tells a turn's text from others, in the template's own words."""
        wanted = self._wanted(wrap)
        writes, printed = (_bits(each is True for each in wanted), _bits(each is not None for each in wanted))
        told: dict[str, int] = {}
        for tests in (self._role_tests(wrap), self._own_tests(wrap)):
            for test, truth in self._truths(wrap, [each for each in dict.fromkeys(tests) if each not in told]):
                told |= {test: truth, _not(test): ~truth}
            # Best is a test that doesn't hold where nothing is printed, either: a marker round nothing does harm.
            if found := _telling(told, writes, _bits(True for _ in wanted)):
                return replace(wrap, test=found)
        if found := _telling(told, writes, printed):
            return replace(wrap, test=found)
        raise Unmarkable(
            f"`{self._shown(self._span(wrap))}` prints other messages, too, and no test tells them from a turn",
            self._span(wrap),
        )

    def _role_tests(self, wrap: Wrap) -> Iterator[str]:
        source, at = self.template.source, self._span(wrap)
        names = self._visible(wrap)
        compared = [node for node in self.template.all_nodes if isinstance(node, nodes.Compare)]
        seen = [node for node in compared if {each.name for each in node.find_all(nodes.Name)} <= names]
        known = [text for text in map(self.template.text, seen) if re.search(rf"==\s*['\"]{_ROLE}['\"]", text)]
        yield from (text for text in known if "(" not in text)
        for loop in reversed(list(_loops(self.template, at))):
            assert isinstance(loop.target, nodes.Name)
            access = re.search(rf"\b{loop.target.name}(\.role|\[(['\"])role\2\])", source)
            quote = access[2] if access and access[2] else '"' if source.count('"user"') else "'"
            read = access[1] if access else ".role"
            yield f"{loop.target.name}{read} == {quote}{_ROLE}{quote}"
            yield f"loop.previtem is defined and loop.previtem{read} == {quote}{_ROLE}{quote}"

    def _own_tests(self, wrap: Wrap) -> Iterator[str]:
        """Yield what is asked or printed nearby: the values in the same output, the tests around it, and its flags."""
        source, at = self.template.source, self._span(wrap)
        loops = list(_loops(self.template, at))
        if any(isinstance(loop.iter, nodes.Getattr | nodes.Getitem) for loop in loops):
            yield "loop.first"
        for index in range(wrap.first.unit, wrap.last.unit + 1):
            for piece in wrap.body.units[index].pieces:
                text = piece.span.of(source)
                if piece.literal is None and re.fullmatch(r"[\w.\[\]'\"]+", text):
                    yield text
                elif name := re.match(r"[a-z_]\w*(?=[.|\s])", text) if piece.literal is None else None:
                    yield name.group()
        known = self._visible(wrap)
        around = self.template.span(loops[0]) if loops else None
        near: list[tuple[int, str]] = []
        for node in self.template.all_nodes:
            asked: nodes.Node | None = node.test if isinstance(node, nodes.If) else None
            if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.NSRef):
                flag = isinstance(node.node, nodes.Const) and isinstance(node.node.value, bool)
                if flag and node.target.name in known:
                    near.append((abs(self.template.start(node) - at.start), f"{node.target.name}.{node.target.attr}"))
            span = self.template.span(asked) if asked else None
            if asked and span and (around is None or around.start <= span.start < around.end):
                names = {each.name for each in walk(asked) if isinstance(each, nodes.Name)}
                if names <= known:
                    near.append((abs(span.start - at.start), " ".join(span.of(source).split())))
        yield from (text for _, text in sorted(near)[:_NEAR])

    def _visible(self, wrap: Wrap) -> frozenset[str]:
        """Return the names that have a value at a wrap."""
        found = {"loop", *undeclared(self.template.source)}
        body, index = wrap.body, wrap.first.unit
        while True:
            found.update(name for unit in body.units[:index] for name in stores(unit.node))
            if body.number not in self._owners:
                return frozenset(found)
            body, index = self._owners[body.number]
            node = body.units[index].node
            if isinstance(node, nodes.For):
                found.update(each.name for each in walk(node.target) if isinstance(each, nodes.Name))

    def _wanted(self, wrap: Wrap) -> list[bool | None]:
        """Return whether the model writes what a wrap prints, for each run through its body; None for nothing."""
        units = range(wrap.first.unit, wrap.last.unit + 1)
        found: list[bool | None] = []
        for _, execution, wanted in self.executions:
            for run in _runs(execution, wrap.body):
                ways = {
                    _inside(span, wanted)
                    for index, what in run.done
                    if index in units
                    for printed in _printed(what)
                    for _, span in self._own_parts(wrap, index, printed)
                    if span.start < span.end
                }
                found.append(ways.pop() if len(ways) == 1 else None)
        return found

    def _truths(self, wrap: Wrap, tests: Sequence[str]) -> Iterator[tuple[str, int]]:
        """Yield what tests say at a wrap, a bit for each run through its body, where they can be asked."""
        answers = self._asked(wrap, tests)
        if answers is not None:
            yield from zip(tests, answers, strict=True)
        elif len(tests) > 1:
            middle = len(tests) // 2
            yield from self._truths(wrap, tests[:middle])
            yield from self._truths(wrap, tests[middle:])

    def _asked(self, wrap: Wrap, tests: Sequence[str]) -> list[int] | None:
        at = wrap.body.units[wrap.first.unit].span.start
        source = self.template.source
        dash = "-" if source[at + 2 : at + 3] == "-" else ""
        asked = f"{{{{{dash} [{', '.join(f'1 if {test} else 0' for test in tests)}] | join }}}}"
        found: list[str] = []
        try:
            probed = Pieces(source[:at] + asked + source[at:], dict(self.variables))
        except ValueError:
            return None
        for probe, execution, _ in self.executions:
            told = probed(probe.messages, probe.tools, **{**dict(probe.flags), **self.mask.examined.flags})
            traced = probed.execution(told) if isinstance(told, str) else None
            if traced is None:
                return None
            runs = list(_runs(traced[1], wrap.body))
            if len(runs) != len(list(_runs(execution, wrap.body))):
                return None
            for run in runs:
                first = next((what for index, what in run.done if index == wrap.first.unit), None)
                shown = first.span.of(traced[0]) if isinstance(first, Printed) else ""
                found.append(shown if len(shown) == len(tests) else "0" * len(tests))
        return [_bits(shown[number] == "1" for shown in found) for number in range(len(tests))]

    def _span(self, wrap: Wrap) -> Span:
        return Span(wrap.body.units[wrap.first.unit].span.start, wrap.body.units[wrap.last.unit].span.end)

    def _own_parts(self, wrap: Wrap, index: int, printed: Printed) -> Iterator[tuple[tuple[int, int], Span]]:
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


def _inside(span: Span, wanted: Sequence[Span]) -> bool:
    return any(each.start <= span.start and span.end <= each.end for each in wanted)


def _printed(what: Printed | Execution) -> Iterator[Printed]:
    return iter([what]) if isinstance(what, Printed) else what.printed()


def _runs(execution: Execution, body: Body) -> Iterator[Execution]:
    """Yield each run through a body."""
    if execution.body.number == body.number:
        yield execution
    for _, each in execution.done:
        if isinstance(each, Execution):
            yield from _runs(each, body)


def _body(body: Body, number: int) -> Body | None:
    if body.number == number:
        return body
    inner = (_body(each, number) for unit in body.units for each in unit.bodies)
    return next((each for each in inner if each is not None), None)


def _leaves(node: nodes.Node) -> bool:
    """Whether a statement leaves the loop around it, as none between markers may."""
    if isinstance(node, nodes.Break | nodes.Continue):
        return True
    return not isinstance(node, nodes.For | nodes.Macro) and any(map(_leaves, node.iter_child_nodes()))


def _loops(template: Template, at: Span) -> Iterator[nodes.For]:
    for node in template.all_nodes:
        span = template.span(node)
        inside = span is not None and span.start < at.start < span.end
        if inside and isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
            yield node


def _telling(told: Mapping[str, int], writes: int, matters: int) -> str:
    """Return the test, or the two, that hold just where something is written, "" for none; a bit for each case."""
    for test, truth in told.items():
        if not (truth ^ writes) & matters:
            return test
    for (one, first), (other, second) in combinations(told.items(), 2):
        if not ((first & second) ^ writes) & matters:
            return f"{_both(one)} and {_both(other)}"
        if not ((first | second) ^ writes) & matters:
            return f"{_either(one)} or {_either(other)}"
    return ""


def _bits(truths: Iterable[bool]) -> int:
    return sum(1 << at for at, truth in enumerate(truths) if truth)


def _of_others(node: nodes.Node) -> Iterator[bool]:
    """Yield, for each body of a block, whether it is there for other roles than the assistant's."""
    if not isinstance(node, nodes.If):
        yield from (False for _ in range(2 if getattr(node, "else_", None) else 1))
        return
    taken = False
    for branch in (node, *node.elif_):
        yield taken or _asks_for_another(branch.test)
        taken = taken or _holds_for_all_turns(branch.test)
    if node.else_:
        yield taken


def _tests(node: nodes.Node) -> Iterator[nodes.Node | None]:
    """Yield the test of each body of a block, None for one without."""
    yield node.iter if isinstance(node, nodes.For) else getattr(node, "test", None)
    yield from (branch.test for branch in getattr(node, "elif_", ()))
    if getattr(node, "else_", None):
        yield None


def _fields(test: nodes.Node | None, variables: frozenset[str]) -> frozenset[str]:
    """Return the names of the variables and fields that a test reads, but for those that are always there."""
    found: set[str] = set()
    for node in walk(test) if test else ():
        if isinstance(node, nodes.Getattr):
            found.add(node.attr)
        elif isinstance(node, nodes.Name) and node.name in variables:
            found.add(node.name)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            found.add(str(node.arg.value))
        elif isinstance(node, nodes.Call) and node.args and isinstance(node.args[0], nodes.Const):
            found.add(str(node.args[0].value))
    return frozenset(name for name in found - _KNOWN if name.isidentifier())


def _asks_for_another(test: nodes.Node) -> bool:
    """Whether a test holds for no message of the assistant's."""
    if isinstance(test, nodes.And):
        return _asks_for_another(test.left) or _asks_for_another(test.right)
    if isinstance(test, nodes.Or):
        return _asks_for_another(test.left) and _asks_for_another(test.right)
    roles = _roles(test)
    return bool(roles) and not any(each in _NAMES for each in roles)


def _holds_for_all_turns(test: nodes.Node) -> bool:
    """Whether a test holds for every message of the assistant's."""
    if isinstance(test, nodes.And):
        return _holds_for_all_turns(test.left) and _holds_for_all_turns(test.right)
    if isinstance(test, nodes.Or):
        return _holds_for_all_turns(test.left) or _holds_for_all_turns(test.right)
    return any(each in _NAMES for each in _roles(test))


def _roles(test: nodes.Node) -> list[object]:
    """Return the roles that a test compares one with."""
    if not isinstance(test, nodes.Compare) or test.ops[0].op not in ("eq", "in"):
        return []
    roles = [each.value for each in walk(test.ops[0].expr) if isinstance(each, nodes.Const)]
    return roles if all(isinstance(each, str) for each in roles) else []


def _not(test: str) -> str:
    return f"not {test}" if re.fullmatch(r"[\w.\[\]'\"]+", test) else f"not ({test})"


def _either(test: str) -> str:
    return f"({test})" if re.search(r"\bif\b", test) else test


def _both(test: str) -> str:
    return f"({test})" if re.search(r"\b(or|if)\b", test) else test


def _first_output(body: Body) -> Span | None:
    """Return the first output of a body that would print more than white space, if there is any."""
    for unit in body.units:
        if any(piece.literal is None or piece.literal.strip() for piece in unit.pieces) and not _raises(unit.node):
            return unit.span
        for inner in unit.bodies:
            if found := _first_output(inner):
                return found
    return None


def _raises(node: nodes.Node) -> bool:
    """Whether an output only makes the template fail."""
    return isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "raise_exception"
