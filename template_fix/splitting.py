"""Texts that a turn begins or ends in the middle of, printed as two: what comes in front of there, and the rest.

Where the prompt ends with an opening tag, content that brings it begins with what the model is prompted with.
"""

from __future__ import annotations

import re

from jinja2 import nodes

from template_fix.cells import Straddling, Traced
from template_fix.effects import purity
from template_fix.inlining import assemblies, spelled
from template_fix.jinja import Template
from template_fix.marked import Writer
from template_fix.pieces import Piece, Unit, surely_text
from template_fix.proposers.splice import literal
from template_fix.sameness import beginnings
from template_fix.text import Edit, Span, apply

# What makes an operand that is no text fail, as it did in its sum.
_TEXT = "'' + "


def split(traced: Traced) -> str | None:
    """Return the template with every such text printed as two, None where that can't be done for one of them.

    What a macro prints has a known front; any other text has it only if it begins with it.
    """
    writer = Writer(traced.template.source, traced.cuts)
    units = _units(traced)
    macros = beginnings(traced.template.tree)
    edits: list[Edit] = []
    for each in traced.straddling:
        edit = _edit(writer, units[each.piece.number], each, macros)
        if edit is None:
            return None
        edits.append(edit)
    return apply(traced.template.source, edits) if edits else None


def branched(traced: Traced) -> str | None:
    """Return the template with a block for every such expression that chooses one of two, None where none does."""
    writer = Writer(traced.template.source, traced.cuts)
    units = _units(traced)
    chosen = {
        traced.template.span(node): node for node in traced.template.all_nodes if isinstance(node, nodes.CondExpr)
    }
    edits: dict[int, Edit] = {}
    for each in traced.straddling:
        node, unit = chosen.get(each.piece.span), units[each.piece.number]
        if node and node.expr2:
            edits.setdefault(unit.span.start, _block(writer, traced.template, unit, each.piece, node))
    return apply(traced.template.source, edits.values()) if edits else None


def _block(writer: Writer, template: Template, unit: Unit, piece: Piece, node: nodes.CondExpr) -> Edit:
    """Return the edit that prints one operand of an output by a block, and the others in front of it and behind."""
    source, dash, at = writer.source, writer.dash(unit), unit.pieces.index(piece)
    gap = f"\n{writer.indent(unit.span.start)}" if dash else ""
    summed = len(unit.pieces) > 1 and "+" in {each.joint for each in unit.pieces[at : at + 2]}
    one, other = (
        f"{{{{{dash} {_TEXT if summed and not surely_text(each) else ''}{template.text(each)} }}}}"
        for each in (node.expr1, node.expr2)
        if each
    )
    asked = f"{{%{dash} if {template.text(node.test)} %}}"
    block = gap.join([asked, one, f"{{%{dash} else %}}", other, f"{{%{dash} endif %}}"])
    front = behind = ""
    if at:
        text = _TEXT if writer.must_be_text(unit, (0, 0), (at, 0)) else ""
        first = unit.pieces[0].span.start
        opening, printed = source[unit.span.start : first], source[first : writer.place(unit, (at, 0)).start]
        front = f"{opening}{text}{printed} }}}}{gap}"
    if at + 1 < len(unit.pieces):
        text = _TEXT if writer.must_be_text(unit, (at + 1, 0), None) else ""
        behind = f"{gap}{{{{{dash} {text}{source[writer.place(unit, (at + 1, 0)).end : unit.span.end]}"
    elif source.endswith("-}}", 0, unit.span.end):
        block = f"{block[:-2]}-%}}"
    return Edit(unit.span, front + block + behind)


def inlined(traced: Traced) -> str | None:
    """Return the template with texts that are put together in a variable printed part by part, None where none is."""
    template, marked = Template(traced.template.source), traced.pieces.template  # whose tree has marks in it
    pure = purity(template.tree)
    bare = {template.start(node): node for node in template.all_nodes if isinstance(node, nodes.Stmt)}
    edits: list[Edit] = []
    root = traced.pieces.root
    for body in (root, *(inner for unit in root.every_unit() for inner in unit.bodies)):
        statements = [
            nodes.Output([unit.node])
            if isinstance(unit.node, nodes.Expr)
            else bare.get(marked.start(unit.node), unit.node)
            for unit in body.units
        ]
        for at, found in assemblies(template.tree, statements, pure):
            first, last = body.units[at], body.units[at + found.count - 1]
            dash = "-" if template.source.startswith("{%-", first.span.start) else ""
            edits.append(Edit(Span(first.span.start, last.span.end), spelled(template, found, dash)))
    return apply(traced.template.source, edits) if edits else None


def _units(traced: Traced) -> dict[int, Unit]:
    """Return the output that each piece is of, by the piece's number."""
    return {piece.number: unit for unit in traced.pieces.root.every_unit() for piece in unit.pieces}


def _bare(text: str) -> str:
    """Return an expression of which something can be read: in parentheses, unless it is a name, a field or a call."""
    simple = re.fullmatch(r"[\w.\[\]'\"]+|\w+\s*\([^()]*(\([^()]*\)[^()]*)*\)|\([^()]*(\([^()]*\)[^()]*)*\)", text)
    return text if simple else f"({text})"


def _edit(writer: Writer, unit: Unit, found: Straddling, macros: dict[str, str]) -> Edit | None:
    fronts = [front for front in found.fronts if front]
    at = unit.pieces.index(found.piece)
    if len(fronts) != 1 or None in found.fronts or isinstance(unit.node, nodes.CallBlock | nodes.FilterBlock):
        return None
    front, text = fronts[0], found.piece.span.of(writer.source)
    summed = len(unit.pieces) > 1 and "+" in {piece.joint for piece in unit.pieces[at : at + 2]}
    called = re.match(r"(\w+)\s*\(", text)
    certain = bool(called) and macros.get(called[1] if called else "", "").startswith(front)
    if not certain and not summed and not found.piece.sure:
        text = f"{_bare(text)} | string"  # what is no text can't be asked what it begins with; printed it is one
    bare = _bare(text)
    shown = f"{{{{- {literal(front)} }}}}" if writer.dash(unit) else f"{{{{ {literal(front)} }}}}"
    gap = f"\n{writer.indent(unit.span.start)}" if writer.dash(unit) else ""
    dash = writer.dash(unit)
    asked = [] if certain else [f"{{%{dash} if {bare}.startswith({literal(front)}) %}}"]
    tags = [*asked, shown, *([f"{{%{dash} endif %}}"] if asked else [])]
    rest = f"{bare}.removeprefix({literal(front)})"
    if at == 0:
        inside = "".join(f"{tag}{gap}" for tag in tags)
        opening = writer.source[unit.span.start : found.piece.span.start]
        return Edit(Span(unit.span.start, found.piece.span.end), f"{inside}{opening}{rest}")
    place = writer.place(unit, (at, 0))
    inside = "".join(f"{gap}{tag}" for tag in tags)
    return Edit(Span(place.start, found.piece.span.end), f" }}}}{inside}{gap}{{{{{dash} {rest}")
