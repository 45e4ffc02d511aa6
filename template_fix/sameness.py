"""Proof that markers change nothing that is printed: both templates in one plain form, and that compared.

Rendering samples; this proves, as `fold` does for the switch: each step to the plain form leaves the program as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from template_fix.asking import cannot_fail, droppable
from template_fix.contract import common_prefix
from template_fix.effects import Purity, is_pure, only_prints, purity
from template_fix.fold import alike, merged
from template_fix.inlining import assemblies
from template_fix.jinja import environment, is_marker
from template_fix.pieces import operands, surely_text
from template_fix.scopes import Scope, at_the_top, known
from template_fix.scoping import means_something_else


def same_but_for_markers(before: str, after: str) -> bool:
    """Whether two templates, given as source, are the same program but for generation markers.

    Proved on the syntax trees: markers taken out, sums of texts taken apart into outputs, and branches that print the
    same either way taken for one, equal trees are left.
    """
    try:
        one, other = _plain(before), _plain(after)
    except TemplateSyntaxError:
        return False
    return one is not None and other is not None and alike(one, other)


def _plain(source: str) -> nodes.Template | None:
    """Return a template's plain form, None where its markers keep names to themselves."""
    tree = environment().parse(source)
    if means_something_else(tree):
        return None
    tree = _Unmarked().visit(tree)
    result = _Plain(tree).visit(tree)
    assert isinstance(result, nodes.Template)
    return result


class _Unmarked(NodeTransformer):
    """Takes markers out of a tree."""

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node | list[nodes.Node]:
        self.generic_visit(node)
        return node.body if is_marker(node) else node


class _Plain(NodeTransformer):
    """Takes sums of texts apart in a tree without markers. ``macros`` has what macros print first, by their names."""

    def __init__(self, tree: nodes.Template) -> None:
        self.tree, self.pure, self.known = tree, purity(tree), known(tree)
        self.droppable = droppable(tree, self.pure, self.known)
        self.scope = at_the_top(self.known)
        self.macros = {name: text for name, text in beginnings(tree).items() if name in self.pure.macros}

    def apart(self, body: list[nodes.Node]) -> list[nodes.Node]:
        """Return statements with texts that are put together in a variable printed part by part."""
        for at, found in reversed(list(assemblies(self.tree, body, self.pure))):
            output = body[at + found.count - 1]
            assert isinstance(output, nodes.Output)
            fronts = [
                nodes.If(test, [nodes.Output([nodes.Add(nodes.Const(""), front)])], [], [])
                for test, front in reversed(found.fronts)
            ]
            printed = nodes.Output([found.text, *output.nodes[1:]])
            body = [*body[:at], *fronts, printed, *body[at + found.count :]]
        return body

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:
        self.generic_visit(node)
        parts = (part for each in node.nodes for part in _shown(each, self.pure))
        return [made for part in parts for made in self.branched(part)]

    def branched(self, part: nodes.Expr) -> list[nodes.Node]:
        """Return what prints a part of an output: a block for an expression that chooses one of two, else an output."""
        asked = _asked(part)
        chosen = asked or part
        if not isinstance(chosen, nodes.CondExpr) or chosen.expr2 is None:
            return [nodes.Output([part])]
        one, other = (
            nodes.Output([nodes.Add(nodes.Const(""), each) if asked and not surely_text(each) else each])
            for each in (chosen.expr1, chosen.expr2)
        )
        made = self.visit_If(nodes.If(chosen.test, [one], [], [other]))
        return made if isinstance(made, list) else [made]

    def visit_For(self, node: nodes.For) -> nodes.Node:
        otherwise, node.else_ = nodes.Scope(node.else_), []
        self.generic_visit(otherwise)
        outside, self.scope = self.scope, self.scope.inside(node, self.known)
        self.generic_visit(node)
        self.scope = outside
        node.else_ = otherwise.body
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self.unknown(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self.unknown(node)

    def visit_With(self, node: nodes.With) -> nodes.Node:
        return self.unknown(node)

    def unknown(self, node: nodes.Node) -> nodes.Node:
        """Visit what has names of its own, of which nothing is known."""
        outside, self.scope = self.scope, Scope()
        self.generic_visit(node)
        self.scope = outside
        return node

    def visit_If(self, node: nodes.If) -> nodes.Node | list[nodes.Node]:
        later, node.elif_ = node.elif_, []
        for branch in (node, *later):
            self.generic_visit(branch)
        node.elif_ = later
        found = id(node) in self.droppable or cannot_fail(node.test, self.scope) or self.printed_anyway(node)
        if not later and alike(node.body, node.else_) and found:
            return node.body
        if not later and not node.else_ and _prints_its_test(node, self.pure):
            return node.body
        bodies = [node.body, *(branch.body for branch in later), node.else_]
        outputs = [body[0].nodes if body and isinstance(body[0], nodes.Output) else [] for body in bodies]
        pure = all(is_pure(branch.test, self.pure) for branch in (node, *later))
        shared = _shared(outputs, self.pure) if pure else []
        for body in bodies:
            body[:] = [each for each in body if not _empty(each)]
        return [nodes.Output(shared), node] if shared else node

    def printed_anyway(self, node: nodes.If) -> bool:
        """Whether a block asks, behind a test that can't fail, just for what it then prints first."""
        first = node.body[0] if node.body else None
        if not isinstance(node.test, nodes.And) or not isinstance(first, nodes.Output):
            return False
        shown = list(_shown(node.test.right, self.pure))
        pure = is_pure(node.test.right, self.pure) and cannot_fail(node.test.left, self.scope)
        return pure and alike(first.nodes[: len(shown)], shown)

    def generic_visit(self, node: nodes.Node, *args: object, **kwargs: object) -> nodes.Node:
        for name in ("body", "else_"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                setattr(node, name, self.apart(body))
        super().generic_visit(node, *args, **kwargs)
        for name in ("body", "else_"):
            body = getattr(node, name, None)
            if isinstance(body, list):
                body = [each for each in merged(body) if not _empty(each)]
                setattr(node, name, _joined(_unsplit(body, self.macros, self.pure), self.pure))
        return node


def _prints_its_test(node: nodes.If, pure: Purity) -> bool:
    """Whether a block prints just the text that it asks for: then it prints nothing where there is none."""
    called = node.test.node if isinstance(node.test, nodes.Call) else None
    macro = isinstance(called, nodes.Name) and called.name in pure.macros
    assert isinstance(node.test, nodes.Expr)
    shown = list(_shown(node.test, pure))
    made = isinstance(node.test, nodes.Filter) and _makes_text(node.test)
    texts = macro or made or all(isinstance(each, nodes.TemplateData) or _is_text(each) for each in shown)
    return texts and is_pure(node.test, pure) and alike(merged(list(node.body)), merged([nodes.Output(shown)]))


def _is_text(node: nodes.Expr) -> bool:
    """Whether an expression is a text, or one that has to be."""
    return _asked(node) is not None or surely_text(node)


def _asked(node: nodes.Expr) -> nodes.Expr | None:
    """Return the operand that ``'' + operand`` asks to be a text, None for another expression."""
    return node.right if isinstance(node, nodes.Add) and node.left == nodes.Const("") else None


def _joined(body: list[nodes.Node], pure: Purity) -> list[nodes.Node]:
    """Make one of two blocks with the same tests that stand side by side, where the first does nothing but print."""
    found: list[nodes.Node] = []
    for node in body:
        before = found[-1] if found else None
        if isinstance(before, nodes.If) and isinstance(node, nodes.If) and _continues(before, node, pure):
            found[-1] = _both(before, node, pure)
        else:
            found.append(node)
    return found


def _continues(one: nodes.If, other: nodes.If, pure: Purity) -> bool:
    tests, later = ([each.test for each in (block, *block.elif_)] for block in (one, other))
    bodies = [one.body, *(branch.body for branch in one.elif_), one.else_]
    return (
        alike(tests, later[: len(tests)])
        and (len(tests) == len(later) or not one.else_)
        and all(is_pure(test, pure) for test in tests)
        and all(only_prints(each, pure) for body in bodies for each in body)
    )


def _both(one: nodes.If, other: nodes.If, pure: Purity) -> nodes.If:
    first = [each.body for each in (one, *one.elif_)] + [[] for _ in range(len(other.elif_) - len(one.elif_))]
    for branch, before in zip((other, *other.elif_), first, strict=True):
        branch.body = _joined([each for each in merged([*before, *branch.body]) if not _empty(each)], pure)
    other.else_ = _joined(merged([*one.else_, *other.else_]), pure)
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


def _unsplit(body: list[nodes.Node], macros: Mapping[str, str], pure: Purity) -> list[nodes.Node]:
    """Put texts together again of which the front is printed by itself, where they have it."""
    found: list[nodes.Node] = []
    for node in body:
        if isinstance(node, nodes.Output):
            node = nodes.Output(_whole_calls(node.nodes, macros))
            rest, before = node.nodes[0], found[-1] if found else None
            split = _split(rest)
            if split and is_pure(split[0], pure) and isinstance(before, nodes.If) and _prints_front(before, *split):
                found.pop()
                node = nodes.Output([*_printed(split[0], pure), *node.nodes[1:]])
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


def _printed(text: nodes.Expr, pure: Purity) -> Iterator[nodes.Expr]:
    """Yield what a text is as an output: as it stands, or as an operand that has to be one."""
    yield from _shown(text if surely_text(text) else nodes.Add(nodes.Const(""), text), pure)


def _split(node: nodes.Expr) -> tuple[nodes.Expr, str] | None:
    """Return the text and the front of it that ``text.removeprefix('front')`` takes away."""
    node = _asked(node) or node
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr == "removeprefix":
        front = node.args[0] if len(node.args) == 1 else None
        if isinstance(front, nodes.Const) and isinstance(front.value, str):
            return node.node.node, front.value
    return None


def _prints_front(block: nodes.If, text: nodes.Expr, front: str) -> bool:
    """Whether a block prints the front of a text where the text begins with it, and nothing else ever."""
    asked = nodes.Call(nodes.Getattr(text, "startswith", "load"), [nodes.Const(front)], [], None, None)
    printed = [nodes.Output([nodes.TemplateData(front)])]
    return alike(block.test, asked) and block.body == printed and not block.elif_ and not block.else_


def _empty(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Output) and not node.nodes


def _shared(outputs: list[list[nodes.Expr]], pure: Purity) -> list[nodes.Expr]:
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
        elif is_pure(heads[0], pure) and all(alike(each, heads[0]) for each in heads):
            found.append(heads[0])
            for each in outputs:
                del each[0]
        else:
            break
    return found


def _shown(node: nodes.Expr, pure: Purity) -> Iterator[nodes.Expr]:
    """Yield what an output prints, sums taken apart; an operand that has to be a text stays one to an empty text."""
    parts = list(operands(node, ""))
    if len(parts) > 1 and not is_pure(node, pure):  # all of it is evaluated before any of it is made a text
        yield node
        return
    for (each, joint), behind in zip(parts, [*(joint for _, joint in parts[1:]), ""], strict=True):
        if isinstance(each, nodes.Filter) and _makes_text(each) and each.node:
            yield from _shown(each.node, pure)  # which printing does as well
        elif isinstance(each, nodes.Const) and isinstance(each.value, str):
            if each.value:
                yield nodes.TemplateData(each.value)
        elif isinstance(each, nodes.TemplateData) or surely_text(each) or "+" not in (joint, joint or behind):
            yield each
        else:
            yield nodes.Add(nodes.Const(""), each)


def _makes_text(node: nodes.Filter) -> bool:
    return node.name == "string" and not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
