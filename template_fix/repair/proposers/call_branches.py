"""The text and reasoning of a turn that calls tools, where only turns without calls have any printed.

They are printed in front of the calls as they are in other turns: behind the test whose other branch prints them, or
behind the header of the turn. In families whose turn is made of pieces with a header each, the other branch is repeated
as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.examination import Observation, generation_header
from template_fix.conversations.probe import CALLS, Part
from template_fix.jinja.queries import key_read, walk
from template_fix.jinja.templates import Template, Token, lex
from template_fix.repair.message_reads import (
    KNOWN,
    access,
    content_reader,
    enclosing_loops,
    first_output,
    message_name,
)
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.splice import are_alike, behind_tag, put_expression, step_of, tag_behind, tag_in_front
from template_fix.repair.trials import prints
from template_fix.repair.turn_form import behind_header, learn
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Site, Trace

# How many outputs of a turn may stand in front of its calls.
_OUTPUTS = 4
_FIELD = "reasoning_content"
# How conversations begin in which the first turn calls tools.
_CALLING = ("uc", "uv", "uk", "uw")


class _Branch(NamedTuple):
    """The source between two tags, and where it is, with the marks that end the one in front and begin the other."""

    opening: str
    at: Span
    text: str
    closing: str


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that print a turn's text, or its reasoning, beside its tool calls, too."""
    yield from _in_own_field(basis)
    lost: dict[str, tuple[Observation, Part]] = {}
    for seen in basis.examined.failing:
        for part in () if seen.probe.text_lists else seen.lost:
            if part.kind in ("answer", "reasoning") and seen.probe.shape[part.message] in CALLS:
                lost.setdefault(part.kind, (seen, part))
    for seen, part in lost.values():
        found = (
            *_at_tests(basis, seen, part),
            *_at_header(basis, seen, part),
            *_at_calls(basis, seen, part),
        )
        for said, at, edit in found:
            yield Proposal(
                "TF206",
                "branch",
                f"print {said} in front of tool calls, too",
                "What a turn says is printed only where the turn calls no tools.",
                at,
                (edit,),
            )


def _in_own_field(basis: Basis) -> Iterator[Proposal]:
    """Yield edits that print reasoning where the template prints a field of its own between the tags of reasoning."""
    template, tags = basis.template, basis.tags
    failing = (seen for seen in basis.examined.failing if seen.probe.form == _FIELD and not seen.probe.text_lists)
    seen = next((seen for seen in failing if any(seen.probe.shape[part.message] in CALLS for part in seen.lost)), None)
    for number, text in basis.trace.record(seen.probe).outputs if seen else ():
        site = basis.trace.outputs[number]
        name = message_name(template, site.span) if tags.open in text and tags.close in text else ""
        for node in walk(site.node) if name else ():
            of, own = key_read(node) or ("", "")
            at = template.span(node)
            if of == name and own not in KNOWN and at:
                given, read = access(template, name, _FIELD), at.of(template.source)
                edit = put_expression(at, f"{read} or {given} if {basis.switch} else {read}")
                why = f"In front of tool calls, {read} alone is printed as reasoning."
                yield Proposal("TF201", "branch", f"print {given} where {read} is printed", why, at, (edit,))


def opened(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that print calls in forms in which they vanish, such as beside text, by tests.

    They go as in a form in which calls are printed, wherever there are calls, or only beside no text.
    """
    # Calls that a variable of the caller's leaves out are left out by its wish.
    asked = (seen for seen in basis.examined if not seen.probe.varied and seen.text is not None)
    called = [seen for seen in asked if seen.probe.shape[:2] in _CALLING]
    printed = {part.feature: seen for seen in called for part, _ in seen.placed if _first_call(part)}
    lost = {part.feature: (seen, part) for seen in reversed(called) for part in seen.lost if _first_call(part)}
    found: dict[tuple[tuple[int, bool], ...], None] = {}
    for seen, part in lost.values():
        for other in printed.values():
            forced = _told_apart(basis.trace, seen, other)
            if forced and prints(basis.trace.forced(tests=forced), seen.probe, part):
                found[tuple(sorted(forced.items()))] = None
                break
    for tests in found:
        yield from _opened(basis, tests)


def _first_call(part: Part) -> bool:
    return part.kind == "call" and part.message == 1


def _told_apart(trace: Trace, seen: Observation, other: Observation) -> dict[int, bool]:
    """Return the tests that go another way in another conversation, with that way; none that is part of one."""
    here, there = (trace.record(each.probe, 2).outcomes for each in (seen, other))
    found = {
        number: True in there[number]
        for number in here.keys() & there.keys()
        if here[number] != there[number] and len(here[number]) == len(there[number]) == 1
    }
    parts = {inner for number in found for inner in trace.tests[number].inside}
    return {number: way for number, way in found.items() if number not in parts}


def _opened(basis: Basis, forced: Sequence[tuple[int, bool]]) -> Iterator[Proposal]:
    template, tests = basis.template, basis.trace.tests
    name = message_name(template, tests[forced[0][0]].span)
    calls, content = (access(template, name, key) for key in ("tool_calls", "content"))
    # Arguments that come as text may be no form that the calls are printed in, nor are calls without `function`.
    mapped = f"{calls} and {calls}[0].function and {calls}[0].function.arguments is not string"
    for guard in (calls, f"{calls} and not {content}", mapped) if name else ():
        test = f"{basis.switch} and {guard}"
        edits = tuple(_going(template, tests[number], way, test) for number, way in forced)
        why = "Calls are printed in one form of their message, and vanish in another."
        yield Proposal("TF206", "branch", "print tool calls beside any content", why, edits[0].span, edits)


def _going(template: Template, site: Site, way: bool, test: str) -> Edit:
    """Return the edit that has a test hold where another does, or fail there."""
    text = site.span.of(template.source)
    if way:
        return put_expression(
            site.span, f"({text}) or {test}" if isinstance(site.node, nodes.CondExpr) else f"{text} or {test}"
        )
    inner = f"({text})" if isinstance(site.node, nodes.CondExpr | nodes.Or) else text
    return put_expression(site.span, f"{inner} and not ({test})")


def _at_tests(basis: Basis, seen: Observation, part: Part) -> Iterator[tuple[str, Span, Edit]]:
    """Yield edits behind the tags of tests whose other branch prints a lost text."""
    template, trace = basis.template, basis.trace
    statements = (node for node in template.all_nodes if isinstance(node, nodes.If))
    asked = {template.span(node.test) for node in statements if node.else_ or node.elif_}
    for number, site in trace.tests.items():
        forced = trace.record(seen.probe, tests={number: False}).text if site.span in asked else ""
        if isinstance(forced, str) and part.text in forced:
            branch = _printed_otherwise(trace, number, seen, part)
            if branch and part.kind == "answer" and (read := _content_read(template, branch.at)):
                yield read, site.span, _said_first(template, site.span, branch, f"{basis.switch} and {read}")
            for said, guarded in _as_elsewhere(basis, seen, part, site.span):
                yield said, site.span, tag_behind(template, site.span.end, *guarded)


def _at_header(basis: Basis, seen: Observation, part: Part) -> Iterator[tuple[str, Span, Edit]]:
    """Yield edits behind the header of the turn."""
    read = next((site.span for site in basis.trace.values.values() if content_reader(site.node)), None)
    found = list(_as_elsewhere(basis, seen, part, read)) if read else []
    if read and not isinstance(seen.probe.messages[part.message].get("content"), str):
        # Beside a text it may be printed already.
        content = access(basis.template, message_name(basis.template, read), "content")
        found += [(said, [(f"{test} and {content} is not string", tag)]) for said, (test, tag) in _alone(found)]
    for said, guarded in found:
        for edit in behind_header(basis, seen, part.message, guarded):
            yield said, edit.span, edit
    for said, (test, tag) in _alone(found):
        if inside := _in_constant(basis, seen, part.message, test, tag):
            yield said, inside.span, inside


def _in_constant(basis: Basis, seen: Observation, message: int, test: str, tag: str) -> Edit | None:
    """Return the edit that prints a text behind the header of a turn in a constant that goes on to its calls."""
    header = generation_header(basis.examined, seen.probe, message)
    site = first_output(basis.trace, seen.probe, message) if header else None
    text = site.span.of(basis.template.source) if site and isinstance(site.node, nodes.Const) else ""
    if site is None or text.count(header) != 1 or not text[1:].startswith(header) or text[1:-1] == header:
        return None
    quote, end = text[0], 1 + len(header)
    whole = f"{text[:end]}{quote} ~ {tag[4:-3]} ~ {quote}{text[end:]}"
    return put_expression(site.span, f"{whole} if {test} else {text}")


def _at_calls(basis: Basis, seen: Observation, part: Part) -> Iterator[tuple[str, Span, Edit]]:
    """Yield edits in front of the loop that prints the calls of the turn, or of what is printed behind its header."""
    template, trace = basis.template, basis.trace
    sites = list(_printed_first(trace, seen, part.message))
    loops = [loop for site in sites for loop in enclosing_loops(template, site.span) if _over_calls(loop)]
    sites = sites if loops else sites[:2]
    around, head = (template.span(loops[0]), template.span(loops[0].iter)) if loops else (None, None)
    found = list(_as_elsewhere(basis, seen, part, around or sites[-1].span)) if sites else []
    outputs = [site for site in sites if around is None or site.span.end <= around.start]
    for said, guarded in found if outputs else ():  # such as a mark and a bracket that begin all calls
        at = outputs[-1].span
        yield said, at, tag_in_front(template, at.start, *guarded, kind="variable_begin")
    if around and head:
        content = access(template, message_name(template, around), "content")
        for said, (test, tag) in _alone(found):
            yield said, around, tag_in_front(template, around.start + 1, (test, tag))
            yield said, around, tag_behind(template, head.end, (f"{test} and loop.first", tag))
            if not seen.probe.messages[part.message].get("content"):
                # Beside a text it may be printed already, be that empty.
                empty = f"{test} and not {content} and {content} is not string"
                yield said, around, tag_in_front(template, around.start + 1, (empty, tag))


def _printed_first(trace: Trace, seen: Observation, message: int) -> Iterator[Site]:
    """Yield what is printed of a message, as far as to its calls."""
    behind = 0
    for _ in range(_OUTPUTS):
        site = first_output(trace, seen.probe, message, behind=behind)
        if site is None:
            return
        yield site
        if any(_over_calls(loop) for loop in enclosing_loops(trace.template, site.span)):
            return
        behind = site.span.end


def _alone(found: Iterable[tuple[str, list[tuple[str, str]]]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what prints one text, with its test."""
    return ((said, guarded[0]) for said, guarded in found if len(guarded) == 1)


def _over_calls(loop: nodes.For) -> bool:
    keys = (key_read(each) for each in walk(loop.iter))
    return any(key and key[1] == "tool_calls" for key in keys)


def _as_elsewhere(
    basis: Basis, seen: Observation, part: Part, inside: Span
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield what reads the texts of a turn, and the tags that print them as in turns without calls, with their tests.

    ``inside`` is a place in the loop over messages. All texts together come first, then those of the lost one's kind.
    """
    name = message_name(basis.template, inside)
    forms = learn(basis, seen, part.message) if name else {}
    listed = (lost for each in basis.examined if each.text and each.probe.text_lists for lost in each.lost)
    lists = any(lost.kind == "answer" for lost in listed)
    content = access(basis.template, name, "content")
    made = _made_of_content(basis, name, lists) if forms else ""
    kinds = dict.fromkeys((tuple(forms), tuple(kind for kind in forms if kind == part.kind)))
    for chosen, text in product(kinds, filter(None, (made, "" if made and lists else content))):
        shown = {text if kind == "answer" else access(basis.template, name, forms[kind].key): kind for kind in chosen}
        if shown:
            string = {content: f"{content} is string and {content}"} if lists else {}
            tests = {read: string.get(read, content if content in read else read) for read in shown}
            guarded = [(f"{basis.switch} and {tests[read]}", forms[kind].output(read)) for read, kind in shown.items()]
            yield " and ".join(shown), guarded


def _made_of_content(basis: Basis, name: str, lists: bool) -> str:
    """Return the variable or call by which a turn without calls prints its content, "" where it prints that itself."""
    found = (seen for seen in basis.examined if seen.text and not seen.lost and seen.probe.text_lists == lists)
    probes = (seen.probe for seen in found if seen.probe.form == "plain" and seen.probe.parts[-1].kind == "answer")
    if (plain := next(probes, None)) is None:
        return ""
    template, record = basis.template, basis.trace.record(plain, wanted=plain.parts[-1].text)
    printed = (basis.trace.outputs[number] for number, _ in record.outputs)
    for number in (each for site in printed for each in (site.number, *site.inside) if each in record.holders):
        node, span = basis.trace.values[number].node, basis.trace.values[number].span
        text = span.of(template.source)
        called = isinstance(node, nodes.Call) and any(map(content_reader, walk(node)))
        if (called or isinstance(node, nodes.Name)) and text != name == message_name(template, span):
            return text
    return ""


def _printed_otherwise(trace: Trace, number: int, seen: Observation, part: Part) -> _Branch | None:
    """Return the branch that prints a text once a test fails, if it does nothing else."""
    outputs = trace.record(seen.probe, tests={number: False}).outputs
    sites = [trace.outputs[each] for each, text in outputs if part.text in text]
    branches = [_branch(trace.template, site.span) for site in sites]
    return branches[0] if len(branches) == 1 else None


def _branch(template: Template, output: Span) -> _Branch | None:
    """Return the branch that an output stands in, where it holds outputs alone."""
    tags = [token for token in lex(template.source) if token.kind in ("block_begin", "block_end")]
    head = next((tag for tag in reversed(tags) if tag.end <= output.start), None)
    foot = next((tag for tag in tags if tag.start >= output.end), None)
    if head is None or foot is None or head.kind != "block_end":
        return None
    inside = (template.source[at:].lstrip(" -+\r\n\t") for at in (_begin(tags, head), foot.end))
    opened, closed = (re.match(r"\w+", text) for text in inside)
    whole = opened and closed and opened.group() in ("else", "elif") and closed.group() in ("elif", "else", "endif")
    mark = "-%}" if head.text.startswith("-") else "%}"
    at = Span(head.start + len(mark), foot.start)
    return _Branch(mark, at, at.of(template.source), foot.text) if whole else None


def _content_read(template: Template, at: Span) -> str:
    """Return the expression that reads the content of a message in a part of a template, "" where none does."""
    for node in template.all_nodes:
        span = template.span(node)
        if span and at.start <= span.start < at.end and content_reader(node):
            return span.of(template.source)
    return ""


def _begin(tags: list[Token], end: Token) -> int:
    """Return where the text inside of a tag begins."""
    return tags[tags.index(end) - 1].end


def _said_first(template: Template, test: Span, printed: _Branch, condition: str) -> Edit:
    """Return the edit that repeats a branch behind the tag of a test, laid out as what follows that tag is.

    Where that changes what is printed, its whitespace stays as it was.
    """
    at, mark, line = behind_tag(template, test.end)
    own = re.match(r"\r?\n[ \t]*", printed.text)
    inside = (
        printed.text.replace(own.group(), f"{line}{step_of(template.source)}").rstrip() + line
        if own and line
        else printed.text
    )
    laid_out, as_it_was = (
        Edit(Span(at, at), f"{line}{{%- if {condition} {printed.opening}{text}{printed.closing} endif {mark}")
        for text in (inside, printed.text)
    )
    return laid_out if are_alike(template, laid_out, as_it_was) else as_it_was
