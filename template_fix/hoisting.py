"""A turn's header in front of a branch, where every branch prints it: then one pair of markers does for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jinja2 import nodes

from template_fix.cells import IN, NONE, OUT, SPLIT, Traced
from template_fix.marked import Writer
from template_fix.pieces import Body, Unit
from template_fix.proposers.splice import literal
from template_fix.text import Edit, Span, apply


class _Symbol(NamedTuple):
    """One character of a literal, or one expression, that is printed in front of a turn; and where it stands."""

    text: str
    expression: bool
    unit: int
    piece: int
    offset: int


def hoisted(traced: Traced, *, apart: bool = False) -> str | None:
    """Return the template with headers that all branches of a block print in front of it, None where there are none.

    With ``apart``, what only some of the branches print in front of a turn goes into a block of its own, with the same
    tests, in front of it.
    """
    writer = Writer(traced.template.source, traced.cuts)
    moved = (
        edit for unit in _blocks(traced, traced.pieces.root, apart) for edit in _moved(traced, writer, unit, apart)
    )
    edits = list(moved)
    return apply(traced.template.source, edits) if edits else None


def _blocks(traced: Traced, body: Body, apart: bool) -> Iterator[Unit]:
    """Yield the blocks whose branches begin with a header, the outermost ones alone."""
    for cell in traced.cells(body):
        unit = body.units[cell.unit]
        if cell.kind == SPLIT and unit.bodies:
            if _lead(traced, unit) or (apart and _some_lead(traced, unit)):
                yield unit
            else:
                for inner in unit.bodies:
                    yield from _blocks(traced, inner, apart)


def _lead(traced: Traced, unit: Unit) -> list[_Symbol]:
    """Return what all branches of a block print first, as far as it is no part of a turn."""
    if not isinstance(unit.node, nodes.If) or not unit.node.else_:
        return []
    leads = [_symbols(traced, body) for body in unit.bodies]
    shared = 0
    while all(len(lead) > shared for lead in leads) and len({lead[shared][:2] for lead in leads}) == 1:
        shared += 1
    return leads[0][:shared]


def _some_lead(traced: Traced, unit: Unit) -> bool:
    """Whether every branch is told apart by nothing but its own beginning: then the rest of it is a turn's."""
    if not isinstance(unit.node, nodes.If):
        return False
    return any(_own(traced, body) for body in unit.bodies) and all(_rest_is_turn(traced, body) for body in unit.bodies)


def _own(traced: Traced, body: Body) -> bool:
    first = body.units[0] if body.units else None
    if first and isinstance(first.node, nodes.If):
        return _some_lead(traced, first)
    return bool(_symbols(traced, body))


def _rest_is_turn(traced: Traced, body: Body) -> bool:
    if not traced.entered(body):  # nobody knows what it prints
        return False
    first = body.units[0] if body.units else None
    if first and isinstance(first.node, nodes.If):
        inner = all(_rest_is_turn(traced, each) for each in first.bodies)
        return inner and all(cell.kind in (IN, NONE) for cell in traced.cells(body) if cell.unit)
    kinds = [cell.kind for cell in traced.cells(body)]
    behind = next((at for at, kind in enumerate(kinds) if kind != OUT), len(kinds))
    return all(kind in (IN, NONE) for kind in kinds[behind:])


def _symbols(traced: Traced, body: Body) -> list[_Symbol]:
    found: list[_Symbol] = []
    for cell in traced.cells(body):
        unit = body.units[cell.unit]
        if unit.bodies and not found:
            return _lead(traced, unit)
        if cell.kind != OUT or not unit.pieces:
            break
        pieces = range(len(unit.pieces)) if cell.part is None else (cell.part[0],)
        for at in pieces:
            piece = unit.pieces[at]
            if piece.literal is None:
                text = " ".join(piece.span.of(traced.template.source).split())
                found.append(_Symbol(text, True, cell.unit, at, 0))
            else:
                start = cell.part[1] if cell.part else 0
                later = [cut for cut in sorted(traced.cuts.get(piece.number, ())) if cut > start] if cell.part else []
                end = later[0] if later else len(piece.literal)
                found += (_Symbol(piece.literal[i], False, cell.unit, at, i) for i in range(start, end))
    return found


def _moved(traced: Traced, writer: Writer, unit: Unit, apart: bool) -> Iterator[Edit]:
    source, at = traced.template.source, unit.span.start
    lead, indent = _lead(traced, unit), writer.indent(at)
    dash = source.startswith("{%-", at)
    if indent is not None and not dash:  # what stands in front of the tag would be printed in front of an output
        return
    gap = "" if indent is None else f"\n{indent}"
    mark = "-" if dash else ""
    text = [f"{{{{{mark} {_expression(lead)} }}}}"] if lead else []
    rest = _block(traced, unit, len(lead), gap, mark) if apart and _some_lead(traced, unit) else ""
    yield Edit(Span(at, at), "".join(each + gap for each in [*text, rest] if each))
    yield from _removed(traced, writer, unit, None if rest else len(lead))


def _block(traced: Traced, unit: Unit, skip: int, gap: str, mark: str) -> str:
    """Return a block with the tests of another that prints what that one's branches begin with."""
    inner = gap and gap + "    "
    tags = list(_tags(traced, unit))
    shown = [_begun(traced, body, skip, inner, mark) for body in unit.bodies]
    last = max((at for at, each in enumerate(shown) if each), default=None)
    if last is None:
        return ""
    parts = [f"{{%{mark} {tag} %}}{inner if each else ''}{each}{gap}" for tag, each in zip(tags, shown, strict=True)]
    return "".join(parts[: last + 1]) + f"{{%{mark} endif %}}"


def _begun(traced: Traced, body: Body, skip: int, gap: str, mark: str) -> str:
    first = body.units[0] if body.units else None
    if first and isinstance(first.node, nodes.If):
        return _block(traced, first, skip, gap, mark) if _own(traced, body) else ""
    lead = _symbols(traced, body)[skip:]
    return f"{{{{{mark} {_expression(lead)} }}}}" if lead else ""


def _tags(traced: Traced, unit: Unit) -> Iterator[str]:
    assert isinstance(unit.node, nodes.If)
    yield f"if {traced.pieces.template.text(unit.node.test)}"
    yield from (f"elif {traced.pieces.template.text(branch.test)}" for branch in unit.node.elif_)
    if unit.node.else_:
        yield "else"


def _removed(traced: Traced, writer: Writer, unit: Unit, count: int | None) -> Iterator[Edit]:
    """Yield the edits that take so many symbols, or all that is no turn's, from the beginning of each branch."""
    for body in unit.bodies:
        first = body.units[0] if body.units else None
        if first and isinstance(first.node, nodes.If):
            yield from _removed(traced, writer, first, count)
            continue
        symbols = _symbols(traced, body)[:count]
        if symbols:
            last = symbols[-1]
            for index in range(last.unit):
                yield _without(traced, body.units[index])
            yield _shortened(traced, writer, body.units[last.unit], last)


def _without(traced: Traced, unit: Unit) -> Edit:
    """Return the edit that takes an output out, with the white space in front of it where its dash strips that."""
    source, start = traced.template.source, unit.span.start
    if source.startswith("{{-", start):
        start = len(source[:start].rstrip())
    return Edit(Span(start, unit.span.end), "")


def _shortened(traced: Traced, writer: Writer, unit: Unit, last: _Symbol) -> Edit:
    """Return the edit that takes an output's beginning away, through one symbol."""
    piece = unit.pieces[last.piece]
    whole = piece.literal is None or last.offset + 1 == len(piece.literal)
    if whole and last.piece + 1 == len(unit.pieces):
        return _without(traced, unit)
    part = (last.piece + 1, 0) if whole else (last.piece, last.offset + 1)
    place = writer.place(unit, part)
    text = "'' + " if writer.must_be_text(unit, part, None) else ""
    return Edit(Span(unit.pieces[0].span.start, place.end), "" if unit.data else text + writer.quote(unit, part))


def _expression(lead: Sequence[_Symbol]) -> str:
    """Return the expression that prints some symbols."""
    found: list[str] = []
    text = ""
    for symbol in lead:
        if symbol.expression:
            found += [literal(text), symbol.text] if text else [symbol.text]
            text = ""
        else:
            text += symbol.text
    return " + ".join([*found, literal(text)] if text else found)
