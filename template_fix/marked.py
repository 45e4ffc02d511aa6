"""Generation markers in a template's text: putting them in, and the proof that nothing else is changed by that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from template_fix.contract import common_prefix
from template_fix.fold import merged
from template_fix.inlining import assemblies
from template_fix.jinja import environment, is_marker, lex
from template_fix.marking import Cell, Unmarkable, Wrap
from template_fix.pieces import Piece, Unit, operands, surely_text
from template_fix.proposers.splice import literal
from template_fix.text import Edit, Span, apply

# One character of a string literal as it is spelled.
_SPELLED = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|[0-7]{1,3}|.)|\r\n|.", re.DOTALL
)
_TAG = re.compile(r"\{%[-+]?\s*(?:end)?generation\s*[-+]?%\}")
# Methods that give the same however often they are called.
_PURE = frozenset({"get", "startswith", "endswith", "strip", "lstrip", "rstrip", "split", "lower", "upper"})
Part = tuple[int, int]


class _Copy(str):
    """Text of the template that stands a second time, between tags."""


def marked(source: str, wraps: Sequence[Wrap], cuts: Mapping[int, set[int]]) -> str:
    """Return a template with markers round each wrap.

    ``cuts`` are the offsets at which the texts of pieces can be cut, by the piece's number. Raises Unmarkable where a
    place can't be spelled.
    """
    return apply(source, Writer(source, cuts).edits(wraps))


def same_but_for_markers(before: str, after: str) -> bool:
    """Whether two templates, given as source, are the same program but for generation markers.

    Proved on the syntax trees: markers taken out, sums of texts taken apart into outputs, and branches that print the
    same either way taken for one, equal trees are left. A set inside of markers stays inside, so its variables must not
    be read behind them: the plan sees to that.
    """
    return _plain(before) == _plain(after)


def unmarked(source: str) -> str:
    """Return a template without its generation markers; what they strip of the white space around them goes, too."""
    tokens = lex(source)
    edits = []
    for at, token in enumerate(tokens):
        tag = _TAG.match(source, token.start) if token.kind == "block_begin" else None
        if tag:
            start, end = tag.span()
            behind = next((each for each in tokens[at:] if each.start >= end), None)
            if tokens[at - 1].kind == "gap" and at:
                start = tokens[at - 1].start
            if behind and behind.kind == "gap" and not _strips(source, behind.end):
                end = behind.end
            line_end = re.match(r"\r?\n", source[end:])
            if line_end and source[:start].endswith("\n"):  # which stood on a line of its own
                end += line_end.end()
            edits.append(Edit(Span(start, end), ""))
    return apply(source, edits)


def _strips(source: str, at: int) -> bool:
    return source[at : at + 3] in ("{%-", "{{-", "{#-")


@dataclass
class _Points:
    """The tags that go in front of a unit, behind it, and in front of parts of it."""

    unit: Unit
    before: list[str] = field(default_factory=list)
    inner: dict[Part, list[str]] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)


class Writer:
    def __init__(self, source: str, cuts: Mapping[int, set[int]]) -> None:
        self.source, self.cuts = source, cuts
        self.tokens = lex(source)
        self.points: dict[tuple[int, int], _Points] = {}

    def edits(self, wraps: Sequence[Wrap]) -> list[Edit]:
        for wrap in wraps:
            opening, closing = ["generation"], ["endgeneration"]
            if wrap.test:
                opening.insert(0, f"if {wrap.test}")
                closing += ["else", self.copy(wrap), "endif"]
            elif wrap.optional and (shown := re.fullmatch(r"\{\{-?\s*(.*?)\s*-?\}\}", self.copy(wrap), re.DOTALL)):
                opening.insert(0, f"if {shown[1]}")
                closing.append("endif")
            self.put(wrap, wrap.first, wrap.first.part, opening)
            self.put(wrap, wrap.last, self.following(wrap.body.units[wrap.last.unit], wrap.last.part), closing)
        return [edit for points in self.points.values() for edit in self.written(points)]

    def put(self, wrap: Wrap, cell: Cell, part: Part | None, tags: list[str]) -> None:
        unit = wrap.body.units[cell.unit]
        points = self.points.setdefault((wrap.body.number, cell.unit), _Points(unit))
        if tags[0] == "endgeneration" and part is None:
            points.after += tags
        elif part in (None, (0, 0)):
            points.before += tags
        else:
            assert part is not None
            points.inner.setdefault(part, []).extend(tags)

    def following(self, unit: Unit, part: Part | None) -> Part | None:
        """Return the part behind another of the same unit, None behind the last."""
        if part is None:
            return None
        at, start = part
        later = [offset for offset in sorted(self.cuts.get(unit.pieces[at].number, ())) if offset > start]
        if later:
            return at, later[0]
        return (at + 1, 0) if at + 1 < len(unit.pieces) else None

    def copy(self, wrap: Wrap) -> _Copy:
        """Return the text of what a wrap holds, as it stands."""
        first, last = wrap.body.units[wrap.first.unit], wrap.body.units[wrap.last.unit]
        start, end, front, back = first.span.start, last.span.end, "", ""
        text = "'' + " if wrap.first.part is not None and self.asks_for_text(wrap) else ""
        if wrap.first.part not in (None, (0, 0)):
            start = self.place(first, wrap.first.part).end
            front = "" if first.data else f"{{{{{self.dash(first)} {text}{self.quote(first, wrap.first.part)}"
        elif text:
            start, front = first.pieces[0].span.start, f"{{{{{self.dash(first)} {text}"
        if after := self.following(last, wrap.last.part):
            end = self.place(last, after).start
            back = "" if last.data else f"{self.quote(last, after)} }}}}"
        return _Copy(front + self.source[start:end] + back)

    def asks_for_text(self, wrap: Wrap) -> bool:
        """Whether what stands first in a copy was an operand of a sum, and has to be a text as it was there."""
        first, part = wrap.body.units[wrap.first.unit], wrap.first.part
        assert part is not None
        end = self.following(first, wrap.last.part) if wrap.last.unit == wrap.first.unit else None
        return self.must_be_text(first, part, end)

    def dash(self, unit: Unit) -> str:
        """Return the dash that new tags in the middle of an output get: that of an output on a line of its own."""
        own_line = self.indent(unit.span.start) is not None
        return "-" if own_line and self.source.startswith("{{-", unit.span.start) else ""

    def quote(self, unit: Unit, part: Part | None) -> str:
        """Return the quotation mark that a literal needs which is cut there, "" between two operands."""
        if part is None or part[1] == 0:
            return ""
        return self.source[self.between_quotes(unit.pieces[part[0]]).start - 1]

    def between_quotes(self, piece: Piece) -> Span:
        """Return where the text between the quotation marks of a literal stands."""
        text = piece.span.of(self.source)
        bare = text.strip("( \n\t)")
        start = piece.span.start + text.index(bare)
        if not re.fullmatch(r"""(?s)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", bare):
            raise Unmarkable("a turn begins or ends inside of a literal that is made of several", piece.span)
        return Span(start + 1, start + len(bare) - 1)

    def place(self, unit: Unit, part: Part | None) -> Span:
        """Return the text that stands in front of a part of an output and may be replaced: an operator, or nothing."""
        assert part is not None
        piece = unit.pieces[part[0]]
        if unit.data:
            at = piece.span.start + _spelled_offset(piece.span.of(self.source), part[1], data=True)
            return Span(at, at)
        if part[1]:
            inside = self.between_quotes(piece)
            at = inside.start + _spelled_offset(inside.of(self.source), part[1])
            return Span(at, at)
        between = Span(unit.pieces[part[0] - 1].span.end, piece.span.start)
        if between.of(self.source).strip() not in ("+", "~"):
            raise Unmarkable("a turn begins or ends between parentheses", piece.span)
        return between

    def written(self, points: _Points) -> Iterator[Edit]:
        unit = points.unit
        if points.before:
            yield self.in_front(unit, points.before)
        if points.inner and unit.data:
            yield from self.in_data(points)
        elif points.inner:
            yield from self.in_output(points)
        if points.after:
            yield self.behind(unit, points.after)

    def indent(self, at: int) -> str | None:
        """Return the white space in front of a place, None where something else stands on its line."""
        line = self.source[self.source.rfind("\n", 0, at) + 1 : at]
        return line if not line.strip() and at > len(line) else None

    def in_front(self, unit: Unit, tags: list[str]) -> Edit:
        at, indent = unit.span.start, self.indent(unit.span.start)
        block = self.source.startswith("{%", at)
        if unit.data:
            return self.before_text(at, unit.span.end, _inline(tags))
        if _strips(self.source, at):
            if indent is not None:
                return Edit(Span(at, at), "".join(f"{_tag(tag, '-')}\n{indent}" for tag in tags))
            return Edit(Span(at, at), _tag(tags[0], "-") + _inline(tags[1:]))
        printed = any(token.kind == "data" and token.start < at <= token.end for token in self.tokens)
        if indent and not block and printed:  # a tag in its place would strip it
            return Edit(Span(at - len(indent), at), "{{ " + literal(indent) + " }}" + _inline(tags))
        if indent is not None and block:
            return Edit(Span(at, at), "".join(f"{_tag(tag)}\n{indent}" for tag in tags))
        return Edit(Span(at, at), _inline(tags))

    def before_text(self, at: int, end: int, tags: str) -> Edit:
        """Return the edit that puts tags in front of text of the template's own: a tag swallows a line's end."""
        text = self.source[at:end]
        lead = text[: len(text) - len(text.lstrip())]
        if not re.match(r"\r?\n", lead):
            return Edit(Span(at, at), tags)
        stop = at + len(lead)
        behind = next((token for token in self.tokens if token.start >= stop), None)
        # What a tag on a line of its own takes away in front of it, it doesn't take away behind an output.
        if len(lead) == len(text) and behind and behind.kind == "gap":
            stop = behind.end
        return Edit(Span(at, stop), tags + "{{ " + literal(lead) + " }}")

    def in_data(self, points: _Points) -> Iterator[Edit]:
        for part, tags in points.inner.items():
            at = self.place(points.unit, part).start
            text = _inline(tags)
            if re.search(r"\n[ \t]+$", self.source[:at]):
                text = "{%+" + text[2:]
            if re.search(r"end\w+ %}$", text):
                yield Edit(Span(at, at), text[:-2] + "+%}" if re.match(r"\r?\n", self.source[at:]) else text)
            else:
                yield self.before_text(at, points.unit.span.end, text)

    def in_output(self, points: _Points) -> Iterator[Edit]:
        unit = points.unit
        indent = self.indent(unit.span.start)
        dash = self.dash(unit)
        gap = f"\n{indent}" if dash else ""
        parts = sorted(points.inner)
        for start, end in zip([(0, 0), *parts], [*parts, None], strict=True):
            needs = self.must_be_text(unit, start, end)
            tags = points.inner.get(start)
            if tags is None:
                if needs:
                    at = unit.pieces[0].span.start
                    yield Edit(Span(at, at), "'' + ")
                continue
            quote = self.quote(unit, start)
            opening = f"{{{{{dash} {quote}" + ("'' + " if needs else "")
            yield Edit(self.place(unit, start), f"{quote} }}}}{_lines(tags, gap, dash)}{gap}{opening}")

    def must_be_text(self, unit: Unit, start: Part, end: Part | None) -> bool:
        """Whether operands that come to stand alone have to be asked to be texts, as they were in their sum."""
        last = len(unit.pieces) if end is None else end[0] + bool(end[1])
        alone = unit.pieces[start[0] : last]
        joints = {piece.joint for piece in unit.pieces[start[0] : last + 1]}
        return not any(piece.sure or piece.literal is not None for piece in alone) and "+" in joints

    def behind(self, unit: Unit, tags: list[str]) -> Edit:
        at = unit.span.end
        space = re.match(r"\s*", self.source[at:])
        assert space
        indent, line_end = self.indent(unit.span.start), re.match(r"\r?\n", space.group())
        text = _inline(tags)
        if unit.data:
            return self.behind_text(unit, text)
        if self.source[at - 3] == "-":
            return Edit(Span(at, at), text[:-2] + "-%}")
        if line_end and indent is not None and _strips(self.source, at + space.end()):
            return Edit(Span(at, at), _lines(tags, f"\n{indent}", "-"))
        printed = self.source.startswith("}}", at - 2)
        return Edit(Span(at, at), text[:-2] + "+%}" if line_end and printed else text)

    def behind_text(self, unit: Unit, tags: str) -> Edit:
        """Return the edit that puts tags behind text of the template's own, and keeps the end of that."""
        at = end = unit.span.end
        text = unit.span.of(self.source)
        if re.search(r"\n[ \t]+$", text):
            tags = "{%+" + tags[2:]
        behind = next((token for token in self.tokens if token.start >= at), None)
        # What a tag on a line of its own takes away in front of it, it doesn't take away behind another.
        if text.endswith("\n") and behind and behind.kind == "gap":
            end = behind.end
        return Edit(Span(at, end), tags)


def _tag(name: str, dash: str = "") -> str:
    return name if isinstance(name, _Copy) else f"{{%{dash} {name} %}}"


def _inline(tags: Sequence[str]) -> str:
    return _lines(tags, "", "")


def _lines(tags: Sequence[str], gap: str, dash: str) -> str:
    """Return tags on lines of their own, a copy only where its first tag takes the white space away."""
    found = ""
    for tag in tags:
        if isinstance(tag, _Copy) and re.match(r"\r?\n", tag):  # a tag in front of it would swallow the line's end
            found = found.removesuffix("%}") + "+%}"
        found += ("" if isinstance(tag, _Copy) and not _strips(tag, 0) else gap) + _tag(tag, dash)
    return found


def _spelled_offset(raw: str, offset: int, data: bool = False) -> int:
    """Return where the character at ``offset`` of a text begins in its spelling."""
    seen = 0
    for match in re.finditer(r"\r\n|.", raw, re.DOTALL) if data else _SPELLED.finditer(raw):
        if seen >= offset:
            return match.start()
        escaped = match.group().startswith("\\") and not data
        seen += len(match.group().encode().decode("unicode-escape")) if escaped else 1
    return len(raw)


def _plain(source: str) -> nodes.Template:
    tree = environment().parse(source)
    result = _Plain(tree).visit(tree)
    assert isinstance(result, nodes.Template)
    return result


class _Plain(NodeTransformer):
    """Takes markers out of a tree, and sums of texts apart. ``macros`` has what macros print first, by their names."""

    def __init__(self, tree: nodes.Template) -> None:
        self.tree, self.macros = tree, beginnings(tree)
        self.texts = frozenset(macro.name for macro in tree.find_all(nodes.Macro))

    def apart(self, body: list[nodes.Node]) -> list[nodes.Node]:
        """Return statements with texts that are put together in a variable printed part by part."""
        for at, found in reversed(list(assemblies(self.tree, body))):
            output = body[at + found.count - 1]
            assert isinstance(output, nodes.Output)
            fronts = [
                nodes.If(test, [nodes.Output([nodes.Add(nodes.Const(""), front)])], [], [])
                for test, front in reversed(found.fronts)
            ]
            printed = nodes.Output([found.text, *output.nodes[1:]])
            body = [*body[:at], *fronts, printed, *body[at + found.count :]]
        return body

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node | list[nodes.Node]:
        self.generic_visit(node)
        return node.body if is_marker(node) else node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:
        self.generic_visit(node)
        return nodes.Output([part for each in node.nodes for part in _shown(each)])

    def visit_If(self, node: nodes.If) -> nodes.Node | list[nodes.Node]:
        later, node.elif_ = node.elif_, []
        for branch in (node, *later):
            self.generic_visit(branch)
        node.elif_ = later
        if not later and node.body == node.else_ and _cannot_fail(node.test):
            return node.body
        if not later and not node.else_ and _prints_its_test(node, self.texts):
            return node.body
        bodies = [node.body, *(branch.body for branch in later), node.else_]
        shared = _shared([body[0].nodes if body and isinstance(body[0], nodes.Output) else [] for body in bodies])
        for body in bodies:
            body[:] = [each for each in body if not _empty(each)]
        return [nodes.Output(shared), node] if shared else node

    def generic_visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        for name in ("body", "else_"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                setattr(node, name, self.apart(body))
        super().generic_visit(node, *args, **kwargs)
        for name in ("body", "else_"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                setattr(node, name, _joined(_unsplit([each for each in merged(body) if not _empty(each)], self.macros)))
        return node


def _prints_its_test(node: nodes.If, macros: frozenset[str]) -> bool:
    """Whether a block prints just the text that it asks for: then it prints nothing where there is none."""
    called = node.test.node if isinstance(node.test, nodes.Call) else None
    macro = isinstance(called, nodes.Name) and called.name in macros
    assert isinstance(node.test, nodes.Expr)
    shown = list(_shown(node.test))
    texts = macro or all(isinstance(each, nodes.TemplateData | nodes.Add) or surely_text(each) for each in shown)
    return texts and merged(list(node.body)) == merged([nodes.Output(shown)])


def _joined(body: list[nodes.Node]) -> list[nodes.Node]:
    """Make one of two blocks with the same tests that stand side by side, where the first does nothing but print."""
    found: list[nodes.Node] = []
    for node in body:
        before = found[-1] if found else None
        if isinstance(before, nodes.If) and isinstance(node, nodes.If) and _continues(before, node):
            found[-1] = _both(before, node)
        else:
            found.append(node)
    return found


def _continues(one: nodes.If, other: nodes.If) -> bool:
    tests, later = ([each.test for each in (block, *block.elif_)] for block in (one, other))
    calls = (call for test in tests for call in test.find_all(nodes.Call))
    bodies = [one.body, *(branch.body for branch in one.elif_), one.else_]
    return (
        tests == later[: len(tests)]
        and (len(tests) == len(later) or not one.else_)
        and all(isinstance(call.node, nodes.Getattr) and call.node.attr in _PURE for call in calls)
        and all(isinstance(each, nodes.Output | nodes.If) for body in bodies for each in body)
    )


def _both(one: nodes.If, other: nodes.If) -> nodes.If:
    first = [each.body for each in (one, *one.elif_)] + [[] for _ in range(len(other.elif_) - len(one.elif_))]
    for branch, before in zip((other, *other.elif_), first, strict=True):
        branch.body = _joined([each for each in merged([*before, *branch.body]) if not _empty(each)])
    other.else_ = _joined(merged([*one.else_, *other.else_]))
    return other


def beginnings(tree: nodes.Template) -> dict[str, str]:
    """Return the text that each macro prints first of all, whatever it is given, by the macro's name."""
    found: dict[str, list[str]] = {}
    for macro in tree.find_all(nodes.Macro):
        first = macro.body[0] if macro.body else None
        part = next(operands(first.nodes[0], ""))[0] if isinstance(first, nodes.Output) and first.nodes else None
        text = (
            part.data if isinstance(part, nodes.TemplateData) else part.value if isinstance(part, nodes.Const) else ""
        )
        found.setdefault(macro.name, []).append(text if isinstance(text, str) else "")
    return {name: texts[0] for name, texts in found.items() if len(texts) == 1 and texts[0]}


def _unsplit(body: list[nodes.Node], macros: Mapping[str, str]) -> list[nodes.Node]:
    """Put texts together again of which the front is printed by itself, where they have it."""
    found: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.Output):
            node = nodes.Output(_whole_calls(node.nodes, macros))
            rest, before = node.nodes[0], found[-1] if found else None
            split = _split(rest)
            if split and isinstance(before, nodes.If) and _prints_front(before, *split):
                found.pop()
                node = nodes.Output([*_printed(split[0]), *node.nodes[1:]])
        found.append(node)
    return merged(found)


def _whole_calls(parts: list[nodes.Expr], macros: Mapping[str, str]) -> list[nodes.Expr]:
    """Put the front of what a macro prints back to the rest of it."""
    found: list[nodes.Expr] = []
    for part in parts:
        split, before = _split(part), found[-1] if found else None
        if split and isinstance(before, nodes.TemplateData) and before.data.endswith(split[1]):
            called = split[0].node if isinstance(split[0], nodes.Call) else None
            if isinstance(called, nodes.Name) and macros.get(called.name, "").startswith(split[1]):
                found[-1:] = [nodes.TemplateData(left)] if (left := before.data.removesuffix(split[1])) else []
                part = split[0]
        found.append(part)
    return found


def _printed(text: nodes.Expr) -> Iterator[nodes.Expr]:
    """Yield what a text is as an output: as it stands, or as an operand that has to be one."""
    yield from _shown(text if surely_text(text) else nodes.Add(nodes.Const(""), text))


def _split(node: nodes.Expr) -> tuple[nodes.Expr, str] | None:
    """Return the text and the front of it that ``text.removeprefix('front')`` takes away."""
    if isinstance(node, nodes.Add) and isinstance(node.left, nodes.Const) and node.left.value == "":
        node = node.right
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr == "removeprefix":
        front = node.args[0] if len(node.args) == 1 else None
        if isinstance(front, nodes.Const) and isinstance(front.value, str):
            return node.node.node, front.value
    return None


def _prints_front(block: nodes.If, text: nodes.Expr, front: str) -> bool:
    """Whether a block prints the front of a text where the text begins with it, and nothing else ever."""
    asked = nodes.Call(nodes.Getattr(text, "startswith", "load"), [nodes.Const(front)], [], None, None)
    printed = [nodes.Output([nodes.TemplateData(front)])]
    return block.test == asked and block.body == printed and not block.elif_ and not block.else_


def _empty(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Output) and not node.nodes


def _shared(outputs: list[list[nodes.Expr]]) -> list[nodes.Expr]:
    """Take from the front of outputs what all of them begin with, and return it."""
    found: list[nodes.Expr] = []
    while all(outputs):
        heads = [each[0] for each in outputs]
        texts = [each.data for each in heads if isinstance(each, nodes.TemplateData)]
        if len(texts) == len(heads):
            text = texts[0][: min(common_prefix(texts[0], each) for each in texts)]
            if not text:
                break
            found.append(nodes.TemplateData(text))
            for each, told in zip(outputs, texts, strict=True):
                each[:1] = [nodes.TemplateData(told[len(text) :])] if len(told) > len(text) else []
        elif all(each == heads[0] for each in heads):
            found.append(heads[0])
            for each in outputs:
                del each[0]
        else:
            break
    return found


def _cannot_fail(test: nodes.Node) -> bool:
    """Whether a test only looks at what may be looked at in any message: to leave it out changes nothing."""
    allowed = (nodes.Compare, nodes.Operand, nodes.Name, nodes.Const, nodes.And, nodes.Or, nodes.Not, nodes.Test)
    for each in [test, *test.find_all(nodes.Node)]:
        if isinstance(each, nodes.Getattr | nodes.Getitem):
            inner = each.node
            if not isinstance(inner, nodes.Name) and not (
                isinstance(inner, nodes.Getattr) and inner.attr == "previtem"
            ):
                return False
        elif isinstance(each, nodes.Call):
            if not (isinstance(each.node, nodes.Getattr) and each.node.attr == "get"):
                return False
        elif not isinstance(each, allowed):
            return False
    return True


def _shown(node: nodes.Expr) -> Iterator[nodes.Expr]:
    """Yield what an output prints, sums taken apart; an operand that has to be a text stays one to an empty text."""
    parts = list(operands(node, ""))
    if isinstance(node, nodes.Filter) and node.name == "string" and isinstance(node.node, nodes.Expr) and not node.args:
        yield from _shown(node.node)  # which printing does as well
        return
    for (each, joint), behind in zip(parts, [*(joint for _, joint in parts[1:]), ""], strict=True):
        if isinstance(each, nodes.Const) and isinstance(each.value, str):
            if each.value:
                yield nodes.TemplateData(each.value)
        elif isinstance(each, nodes.TemplateData) or surely_text(each) or "+" not in (joint, joint or behind):
            yield each
        else:
            yield nodes.Add(nodes.Const(""), each)
