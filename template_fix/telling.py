"""What tells a turn's text from what the same output prints of other messages: a test, in the template's own words.

Tests are tried where the output stands, in all conversations at once: those for the role first, then those of the
template's own nearby, and two of them together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from jinja2 import TemplateSyntaxError, nodes

from template_fix.jinja import Template, environment, undeclared, walk
from template_fix.marking import ROLE, Plan, Unmarkable, Wrap, inside, printed_in, runs
from template_fix.pieces import Pieces, stores
from template_fix.text import Span

# How many tests around an output are tried.
_NEAR = 24


def told_apart(plan: Plan, wrap: Wrap) -> Wrap:
    """Return a wrap with a test that tells a turn's text from others, in the template's own words."""
    wanted = _wanted(plan, wrap)
    writes, printed = (_bits(each is True for each in wanted), _bits(each is not None for each in wanted))
    told: dict[str, int] = {}
    assert writes and writes != printed  # or it would need no test
    for tests in (_role_tests(plan, wrap), _own_tests(plan, wrap)):
        for test, truth in _truths(plan, wrap, [each for each in dict.fromkeys(tests) if each not in told]):
            told |= {test: truth, _not(test): ~truth}
        # Best is a test that doesn't hold where nothing is printed, either: a marker round nothing does harm.
        if found := _telling(told, writes, _bits(True for _ in wanted)):
            return replace(wrap, test=found)
    if found := _telling(told, writes, printed):
        return replace(wrap, test=found)
    raise Unmarkable(
        f"`{plan.shown(plan.place(wrap))}` prints other messages, too, and no test tells them from a turn",
        plan.place(wrap),
    )


def _role_tests(plan: Plan, wrap: Wrap) -> Iterator[str]:
    source, at = plan.template.source, plan.place(wrap)
    names = _visible(plan, wrap)
    compared = [node for node in plan.template.all_nodes if isinstance(node, nodes.Compare)]
    seen = [node for node in compared if {each.name for each in node.find_all(nodes.Name)} <= names]
    known = [text for text in map(plan.template.text, seen) if re.search(rf"==\s*['\"]{ROLE}['\"]", text)]
    yield from (text for text in known if "(" not in text)
    loops = list(_loops(plan.template, at))
    for loop in reversed(loops):
        assert isinstance(loop.target, nodes.Name)
        asked = _role(source, loop.target.name)
        yield f"{loop.target.name}{asked}"
        yield f"loop.previtem is defined and loop.previtem{asked}"
    if not loops:
        last = _role(source, "[a-z_]+")
        yield f"messages and messages[-1]{last}"


def _role(source: str, name: str) -> str:
    """Return what asks a message for the assistant's role, as the template asks those of some name."""
    access = re.search(rf"\b{name}(\.role|\[(['\"])role\2\])", source)
    quote = access[2] if access and access[2] else '"' if source.count('"user"') else "'"
    return f"{access[1] if access else '.role'} == {quote}{ROLE}{quote}"


def _own_tests(plan: Plan, wrap: Wrap) -> Iterator[str]:
    """Yield what is asked or printed nearby: the values in the same output, the tests around it, and its flags."""
    source, at = plan.template.source, plan.place(wrap)
    loops = list(_loops(plan.template, at))
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
    known = _visible(plan, wrap)
    around = plan.template.span(loops[0]) if loops else None
    near: list[tuple[int, str]] = []
    for node in plan.template.all_nodes:
        asked: nodes.Node | None = node.test if isinstance(node, nodes.If) else None
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.NSRef):
            flag = isinstance(node.node, nodes.Const) and isinstance(node.node.value, bool)
            if flag and node.target.name in known:
                near.append((abs(plan.template.start(node) - at.start), f"{node.target.name}.{node.target.attr}"))
        span = plan.template.span(asked) if asked else None
        if asked and span and (around is None or around.start <= span.start < around.end):
            names = {each.name for each in walk(asked) if isinstance(each, nodes.Name)}
            if names <= known:
                near.append((abs(span.start - at.start), " ".join(span.of(source).split())))
    yield from (text for _, text in sorted(near)[:_NEAR])


def _visible(plan: Plan, wrap: Wrap) -> frozenset[str]:
    """Return the names that have a value at a wrap."""
    found = {"loop", *undeclared(plan.template.source)}
    body, index = wrap.body, wrap.first.unit
    while True:
        found.update(name for unit in body.units[:index] for name in stores(unit.node))
        if body.number not in plan.owners:
            return frozenset(found)
        body, index = plan.owners[body.number]
        node = body.units[index].node
        if isinstance(node, nodes.For):
            found.update(each.name for each in walk(node.target) if isinstance(each, nodes.Name))


def _wanted(plan: Plan, wrap: Wrap) -> list[bool | None]:
    """Return whether the model writes what a wrap prints, for each run through its body; None for nothing."""
    units = range(wrap.first.unit, wrap.last.unit + 1)
    found: list[bool | None] = []
    for _, execution, wanted in plan.executions:
        for run in runs(execution, wrap.body):
            ways = {
                inside(span, wanted)
                for index, what in run.done
                if index in units
                for printed in printed_in(what)
                for _, span in plan.own_parts(wrap, index, printed)
                if span.start < span.end
            }
            found.append(ways.pop() if len(ways) == 1 else None)
    return found


def _truths(plan: Plan, wrap: Wrap, tests: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield what tests say at a wrap, a bit for each run through its body, where they can be asked."""
    answers = _asked(plan, wrap, tests)
    if answers is not None:
        yield from zip(tests, answers, strict=True)
    elif len(tests) > 1:
        middle = len(tests) // 2
        yield from _truths(plan, wrap, tests[:middle])
        yield from _truths(plan, wrap, tests[middle:])


def _asked(plan: Plan, wrap: Wrap, tests: Sequence[str]) -> list[int] | None:
    """Return what tests say where a wrap begins, None where one of them can't be asked in every conversation."""
    said: list[str] = []
    try:
        listed = environment().parse(f"{{{{ [{', '.join(f'1 if {test} else 0' for test in tests)}] | join }}}}")
        question = (wrap.body.number, wrap.first.unit, next(listed.find_all(nodes.Output)).nodes[0])
        asking = Pieces(plan.template.source, dict(plan.variables), question)
    except (ValueError, TemplateSyntaxError):
        return None
    for probe, execution, _ in plan.executions:
        told = asking(probe.messages, probe.tools, **{**dict(probe.flags), **plan.mask.examined.flags})
        traced = asking.execution(told) if isinstance(told, str) else None
        if traced is None:
            return None
        answers = [run.answer for run in runs(traced[1], wrap.body)]
        assert len(answers) == len(list(runs(execution, wrap.body)))
        said += (each or "0" * len(tests) for each in answers)  # a run may end before it gets there
    return [_bits(shown[number] == "1" for shown in said) for number in range(len(tests))]


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


def _not(test: str) -> str:
    return f"not {test}" if re.fullmatch(r"[\w.\[\]'\"]+", test) else f"not ({test})"


def _either(test: str) -> str:
    return f"({test})" if re.search(r"\bif\b", test) else test


def _both(test: str) -> str:
    return f"({test})" if re.search(r"\b(or|if)\b", test) else test
