"""Gates: tests which, forced the other way, mend something.

The proposal makes the test hold, or not hold, while the switch is on: for every turn, or only for those that need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import product

from jinja2 import nodes

from template_fix.contract.examination import SAMPLE, Held, Observation
from template_fix.jinja.queries import names_stored, walk
from template_fix.jinja.templates import Template
from template_fix.repair.message_reads import access, enclosing_loops
from template_fix.repair.proposers import Basis, Proposal, short
from template_fix.repair.splice import in_front, put_expression
from template_fix.repair.trials import find_flips, gains, harms
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Trace


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the gates whose opening or closing mends a conversation that is printed badly.

    What a switch of the template's own decides is left to callers who set it.
    """
    asked = _asked_of_callers(basis)
    for proposal in _gates(basis):
        yield proposal
        for name in asked.get(proposal.at, ()):
            yield _unless_set(basis, proposal, name)


def _asked_of_callers(basis: Basis) -> Mapping[Span, frozenset[str]]:
    """Return the tests that go another way where callers set a switch so that reasoning is kept, with its names."""
    found: dict[Span, frozenset[str]] = {}
    trace, probes = basis.trace, basis.examined.probes
    for probe in probes.values():
        (name, value), *_ = probe.flags or (("", None),)
        kept = probes.get((probe.shape, probe.key._replace(flags=((name, not value),)))) if probe.fixed else None
        if kept:
            here, there = trace.record(probe).outcomes, trace.record(kept).outcomes
            for number in (each for each in here.keys() & there.keys() if here[each] != there[each]):
                span = trace.tests[number].span
                found[span] = found.get(span, frozenset()) | {name}
    return found


def _unless_set(basis: Basis, gate: Proposal, name: str) -> Proposal:
    """Return a gate that a caller's own value of a variable decides; what the template binds is noted first of all."""
    bound = name in names_stored(basis.template.tree)
    test = f"{name}_unset" if bound else f"{name} is not defined"
    tag = f"{{%- if {basis.switch} %}}\n    {{%- set {test} = {name} is not defined %}}\n{{%- endif %}}"
    edits = [Edit(each.span, each.text.replace(basis.switch, f"({basis.switch} and {test})")) for each in gate.edits]
    return gate._replace(edits=(*([in_front(basis.template.source, tag)] if bound else []), *edits))


def _gates(basis: Basis) -> Iterator[Proposal]:
    trace, examined, switch = basis
    mended: dict[tuple[int, bool], str] = {}
    tried = {(number, outcome) for number in _bookkeeping(trace) for outcome in (True, False)}
    for seen in examined.failing[:SAMPLE]:
        for number, outcome in find_flips(trace, seen.probe):
            mends = [] if (number, outcome) in tried else gains(trace, {number: outcome}, seen, examined)
            if mends:
                tried.add((number, outcome))
                changes, worsens = harms(trace, {number: outcome}, examined)
                if outcome and (changes or worsens):
                    yield from _guarded(trace, number, seen, switch)
                    yield from _restricted(trace, number, _code(seen, mends), switch)
                if not changes:
                    mended[number, outcome] = _code(seen, mends)
    for (number, outcome), code in mended.items():
        yield _gate(trace, number, outcome, code, switch if outcome else f"not {switch}")
        yield from _as_prompt(trace, number, outcome, code, switch)
    yield from _repeated(basis, mended.keys())


def _repeated(basis: Basis, mended: Set[tuple[int, bool]]) -> Iterator[Proposal]:
    """Yield the gates that open or close wherever the same is asked, where none does it alone."""
    trace, examined, switch = basis
    remembered, asked = set(_bookkeeping(trace)), dict[str, list[int]]()
    for number, site in trace.tests.items():
        if number not in remembered:
            asked.setdefault(site.span.of(trace.template.source), []).append(number)
    several = [numbers for numbers in asked.values() if len(numbers) > 1]
    for numbers, outcome in product(several, (True, False)):
        tests = dict.fromkeys(numbers, outcome)
        if mended & tests.items():
            continue
        tried = ((seen, gains(trace, tests, seen, examined)) for seen in examined.failing[:SAMPLE])
        seen, mends = next((each for each in tried if each[1]), (None, []))
        if seen and not harms(trace, tests, examined)[0]:
            code, test = _code(seen, mends), switch if outcome else f"not {switch}"
            gates = [_gate(trace, number, outcome, code, test) for number in numbers]
            yield gates[0]._replace(edits=tuple(edit for gate in gates for edit in gate.edits))


def _as_prompt(trace: Trace, number: int, outcome: bool, code: str, switch: str) -> Iterator[Proposal]:
    """Yield the gate that opens only where a generation prompt is asked for, behind all messages."""
    if not outcome and not any(enclosing_loops(trace.template, trace.tests[number].span)):
        gate = _gate(trace, number, False, code, f"(not {switch} or add_generation_prompt)")
        title = "print the generation prompt only where it is asked for"
        yield gate._replace(title=title, why="What begins the next turn is printed behind every conversation.")


def _guarded(trace: Trace, number: int, seen: Observation, switch: str) -> Iterator[Proposal]:
    """Yield a gate that opens only for a turn with reasoning, where opening it for every turn would harm others."""
    part = next((part for part in seen.lost if part.kind == "reasoning"), None)
    if part is None:
        return
    template = trace.template
    recorded = trace.record(seen.probe, wanted=part.text, tests={number: True})
    site, holders = trace.tests[number], [trace.values[each] for each in sorted(recorded.holders)]
    read = (nodes.Name, nodes.Getattr, nodes.Getitem)
    inside = [each for each in holders if isinstance(each.node, read) and _controls(template, site.span, each.span)]
    if inside and isinstance(recorded.text, str) and part.text in recorded.text:
        text, value = site.span.of(template.source), inside[0].span.of(template.source)
        for once in ("", " and loop.first") if len(list(enclosing_loops(template, site.span))) > 1 else ("",):
            yield Proposal(
                "TF202",
                "experiment",
                f"print {short(value)} wherever there is some",
                f"Where {short(text)} fails, {short(value)} isn't printed.",
                site.span,
                (put_expression(site.span, f"{switch} and {value}{once} or {text}"),),
            )


def _restricted(trace: Trace, number: int, code: str, switch: str) -> Iterator[Proposal]:
    """Yield gates that open only for turns of the assistant, or for contents that are texts."""
    template, site = trace.template, trace.tests[number]
    loops = list(enclosing_loops(template, site.span))
    if loops and isinstance(loops[0].target, nodes.Name) and "role" not in site.span.of(template.source):
        role, content = (access(template, loops[0].target.name, key) for key in ("role", "content"))
        for guard in (f"{role} == 'assistant'", f"{content} is string"):
            yield _gate(trace, number, True, code, f"{switch} and {guard}")


def _controls(template: Template, test: Span, place: Span) -> bool:
    """Whether a place lies in the branch that opens when a test holds."""
    for node in template.all_nodes:
        span = template.span(node)
        if isinstance(node, nodes.If) and span and span.start <= test.start < test.end <= place.start <= span.end:
            head = template.span(node.test)
            first = template.span(node.elif_[0]) if node.elif_ else None
            if head and head.start <= test.start and test.end <= head.end:
                return first is None or place.end <= first.start
    return False


def _code(seen: Observation, gained: Sequence[Held]) -> str:
    kinds = {seen.kind(held) for held in gained}
    return "TF202" if "reasoning" in kinds else "TF206" if kinds - {""} else "TF204"


def _gate(trace: Trace, number: int, outcome: bool, code: str, switch: str) -> Proposal:
    """Return the gate that opens by a test besides its own, or closes but for one."""
    site = trace.tests[number]
    text = site.span.of(trace.template.source)
    if outcome:
        inner = f"({text})" if isinstance(site.node, nodes.CondExpr) else text
        edited, happens = f"{switch} or {inner}", "fails"
    else:
        inner = f"({text})" if isinstance(site.node, nodes.CondExpr | nodes.Or) else text
        edited, happens = f"{inner} and {switch}", "holds"
    return Proposal(
        code,
        "experiment",
        f"don't let {short(text)} decide what is printed of a turn",
        f"Where {short(text)} {happens}, a turn isn't printed as it should be.",
        site.span,
        (put_expression(site.span, edited),),
    )


def _bookkeeping(trace: Trace) -> Iterator[int]:
    """Yield the tests that only decide what is remembered: an edit there changes every later turn, or none that counts.

    A test of this kind may pass for a cause in a few conversations; the place to repair is where the text is printed.
    """
    template = trace.template
    spans = {site.span: number for number, site in trace.tests.items()}
    for node in template.all_nodes:
        if isinstance(node, nodes.If) and not any(_prints(each) for each in (*node.body, *node.else_, *node.elif_)):
            for each in walk(node.test):
                span = template.span(each)
                if span in spans and _remembers(node):
                    yield spans[span]


def _prints(node: nodes.Node) -> bool:
    return any(
        isinstance(each, nodes.Output)
        and any(not isinstance(part, nodes.TemplateData) or part.data.strip() for part in each.nodes)
        for each in walk(node)
    )


def _remembers(node: nodes.If) -> bool:
    """Whether values are noted in a namespace, and nowhere else: to take messages apart is more than to remember."""
    targets = [each.target for each in walk(node) if isinstance(each, nodes.Assign)]
    return bool(targets) and all(isinstance(target, nodes.NSRef) for target in targets)
