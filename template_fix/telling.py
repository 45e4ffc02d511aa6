"""What tells a turn's text from what the same output prints of other messages: a test, in the template's own words.

Tests are tried where the output stands, in all conversations at once: those for the role first, then those of the
template's own nearby, and two of them together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from jinja2 import TemplateSyntaxError, nodes

from template_fix.asking import cannot_fail
from template_fix.cells import Traced, Unmarkable, Wrap, inside, printed_in, runs
from template_fix.jinja import Template, environment, names_in, undeclared
from template_fix.pieces import FAILS, NO, YES, Pieces, stores
from template_fix.roles import ROLE
from template_fix.scopes import at_the_top
from template_fix.text import Span

# How many tests around an output are tried.
_NEAR = 24


def told_apart(traced: Traced, wrap: Wrap) -> Wrap:
    """Return a wrap with a test that tells a turn's text from others, in the template's own words."""
    wanted = _wanted(traced, wrap)
    writes, printed = (_bits(each is True for each in wanted), _bits(each is not None for each in wanted))
    roles, own = _role_tests(traced, wrap), _own_tests(traced, wrap)
    told = dict(_truths(traced, wrap, dict.fromkeys((*roles, *own))))
    safe = _safe_ones(traced, wrap, told)
    everywhere = _bits(True for _ in wanted)
    for tests, matters in (
        # Best is a test that doesn't hold where nothing is printed, either: a marker round nothing does harm.
        ({test: truth for test, truth in safe.items() if test in roles}, everywhere),
        (safe, everywhere),
        (told, everywhere),
        (safe, printed),
        (told, printed),
    ):
        both = {each: bits for test, truth in tests.items() for each, bits in ((test, truth), (_not(test), ~truth))}
        if writes and (found := _telling(both, writes, matters)):
            return replace(wrap, test=found)
    raise Unmarkable(
        f"`{traced.shown(traced.place(wrap))}` prints other messages, too, and no test tells them from a turn",
        traced.place(wrap),
    )


def _safe_ones(traced: Traced, wrap: Wrap, told: Mapping[str, int]) -> dict[str, int]:
    """Return the tests that can't fail at a wrap, with what they say: no others are sure to be proved."""
    scope = at_the_top(traced.names)
    for loop in _loops(traced.template, traced.place(wrap)):
        scope = scope.inside(loop, traced.names)
    return {test: truth for test, truth in told.items() if (asked := _parsed(test)) and cannot_fail(asked, scope)}


def _role_tests(traced: Traced, wrap: Wrap) -> list[str]:
    """Return what asks for the assistant's role: in the template's words first, then as they would be there."""
    source, at = traced.template.source, traced.place(wrap)
    names = _visible(traced, wrap)
    compared = [node for node in traced.template.all_nodes if isinstance(node, nodes.Compare)]
    seen = [node for node in compared if names_in(node) <= names]
    known = [text for text in map(traced.template.text, seen) if re.search(rf"==\s*['\"]{ROLE}['\"]", text)]
    found = [text for text in known if "(" not in text]
    loops = list(_loops(traced.template, at))
    for loop in reversed(loops):
        assert isinstance(loop.target, nodes.Name)
        asked = _role(source, loop.target.name)
        found += [f"{loop.target.name}{asked}", f"loop.previtem is defined and loop.previtem{asked}"]
    last = _role(source, "[a-z_]+")
    return found if loops else [*found, f"messages and messages[-1]{last}"]


def _role(source: str, name: str) -> str:
    """Return what asks a message for the assistant's role, as the template asks those of some name."""
    access = re.search(rf"\b{name}(\.role|\[(['\"])role\2\])", source)
    quote = access[2] if access and access[2] else '"' if source.count('"user"') else "'"
    return f"{access[1] if access else '.role'} == {quote}{ROLE}{quote}"


def _own_tests(traced: Traced, wrap: Wrap) -> Iterator[str]:
    """Yield what is asked or printed nearby: the values in the same output, the tests around it, and its flags."""
    source, at = traced.template.source, traced.place(wrap)
    loops = list(_loops(traced.template, at))
    if any(isinstance(loop.iter, nodes.Getattr | nodes.Getitem) for loop in loops):
        yield "loop.first"
    if loops:
        yield "loop.last"
    for index in range(wrap.first.unit, wrap.last.unit + 1):
        for piece in wrap.body.units[index].pieces:
            text = piece.span.of(source)
            if piece.literal is None and re.fullmatch(r"[\w.\[\]'\"]+", text):
                yield text
            elif name := re.match(r"[a-z_]\w*(?=[.|\s])", text) if piece.literal is None else None:
                yield name.group()
    known = _visible(traced, wrap)
    around = traced.template.span(loops[0]) if loops else None
    near: list[tuple[int, str]] = []
    for node in traced.template.all_nodes:
        asked: nodes.Node | None = node.test if isinstance(node, nodes.If) else None
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.NSRef):
            flag = isinstance(node.node, nodes.Const) and isinstance(node.node.value, bool)
            if flag and node.target.name in known:
                near.append((abs(traced.template.start(node) - at.start), f"{node.target.name}.{node.target.attr}"))
        span = traced.template.span(asked) if asked else None
        within = span is not None and (around is None or around.start <= span.start < around.end)
        if asked and span and within and names_in(asked) <= known:
            near.append((abs(span.start - at.start), " ".join(span.of(source).split())))
    yield from (text for _, text in sorted(near)[:_NEAR])


def _visible(traced: Traced, wrap: Wrap) -> frozenset[str]:
    """Return the names that have a value at a wrap."""
    found = {"loop", *undeclared(traced.template.source)}
    body, index = wrap.body, wrap.first.unit
    while True:
        found.update(name for unit in body.units[:index] for name in stores(unit.node))
        if body.number not in traced.owners:
            return frozenset(found)
        body, index = traced.owners[body.number]
        node = body.units[index].node
        if isinstance(node, nodes.For):
            found |= names_in(node.target)


def _wanted(traced: Traced, wrap: Wrap) -> list[bool | None]:
    """Return whether the model writes what a wrap prints, for each run through its body; None for nothing."""
    units = range(wrap.first.unit, wrap.last.unit + 1)
    found: list[bool | None] = []
    for _, execution, wanted in traced.executions:
        for run in runs(execution, wrap.body):
            ways = {
                inside(span, wanted)
                for index, what in run.done
                if index in units
                for printed in printed_in(what)
                for _, span in traced.own_parts(wrap, index, printed)
                if span.start < span.end
            }
            found.append(ways.pop() if len(ways) == 1 else None)
    return found


def _truths(traced: Traced, wrap: Wrap, tests: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield what tests say at a wrap, a bit for each run through its body, but for those that fail in one."""
    asked = [(test, parsed) for test in tests if (parsed := _parsed(test))]
    question = (wrap.body.number, wrap.first.unit, [parsed for _, parsed in asked])
    asking = Pieces(traced.template.source, dict(traced.variables), question)
    said: list[str] = []
    for probe, _, _ in traced.executions:
        told = asking(probe.messages, probe.tools, **traced.mask.examined.set_for(probe))
        run_through = asking.execution(told) if isinstance(told, str) else None
        if run_through is None:
            return
        answers = (run.answer for run in runs(run_through[1], wrap.body))
        said += (NO * len(asked) if each is None else each for each in answers)  # a run may end before it gets there
    for number, (test, _) in enumerate(asked):
        answers_to_it = [each[number] for each in said]
        if FAILS not in answers_to_it:
            yield test, _bits(each == YES for each in answers_to_it)


def _parsed(test: str) -> nodes.Expr | None:
    try:
        output = next(environment().parse(f"{{{{ {test} }}}}").find_all(nodes.Output))
    except TemplateSyntaxError:
        return None
    found = output.nodes[0]
    return found if isinstance(found, nodes.Expr) else None


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
            return f"{conjunct(one)} and {conjunct(other)}"
        if not ((first | second) ^ writes) & matters:
            return f"{_either(one)} or {_either(other)}"
    return ""


def _bits(truths: Iterable[bool]) -> int:
    return sum(1 << at for at, truth in enumerate(truths) if truth)


def _not(test: str) -> str:
    return f"not {test}" if re.fullmatch(r"[\w.\[\]'\"]+", test) else f"not ({test})"


def _either(test: str) -> str:
    return f"({test})" if re.search(r"\bif\b", test) else test


def conjunct(test: str) -> str:
    """Return a test as it is written beside an ``and``."""
    return f"({test})" if re.search(r"\b(or|if)\b", test) else test
