"""Reasoning of earlier turns, printed in front of their answers as it is when the turn stands last.

Some families print the last turn in a branch of its own, with an end of text that no earlier turn may have: then no
gate can be opened, and the branch for earlier turns has to learn what the other one prints. Others cut the last turn
off the messages and print it as if the model went on writing behind its prompt; then it is left to the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jinja2 import nodes

from template_fix.contract.examination import Examination, Observation, generation_header
from template_fix.conversations.probe import Part
from template_fix.jinja.queries import walk
from template_fix.repair.message_reads import access, enclosing_loops, first_output, leftmost, message_name
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.splice import literal, put_expression
from template_fix.repair.turn_form import Form, behind_header, in_header, learn
from template_fix.text.edits import Edit, Span, common_prefix


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that print earlier turns like the last one, and those that print the last one like them."""
    yield from _like_the_last(basis)
    yield from _like_the_others(basis)


def _like_the_last(basis: Basis) -> Iterator[Proposal]:
    """Yield the edit that prints a turn's reasoning field in front of what is printed first of an earlier turn."""
    fields = basis.fields
    lost = [
        (seen, part)
        for seen in basis.examined
        if seen.probe.form == "reasoning_content" and not seen.probe.varied and seen.text is not None
        for part in seen.lost
        if part.kind == "reasoning" and seen.probe.shape[part.message] == "r"
    ]
    if not fields or not lost:
        return
    for edit in dict.fromkeys(edit for seen, part in lost for edit in _led(basis, seen, part, fields[0])):
        yield Proposal(
            "TF202",
            "experiment",
            f"print {fields[0]} of earlier turns as of the last one",
            "The branch for earlier turns prints no reasoning; the one for the last turn ends the text, too.",
            edit.span,
            (edit,),
        )


def _led(basis: Basis, seen: Observation, part: Part, field: str) -> Iterator[Edit]:
    """Yield edits of what is printed first of the turn: in front of it, or behind the header that it begins with."""
    template, count = basis.template, len(seen.probe.messages)
    site = first_output(basis.trace, seen.probe, part.message, count)
    loops = list(enclosing_loops(template, site.span)) if site else []
    if site and loops and isinstance(loops[0].target, nodes.Name):
        read = access(template, loops[0].target.name, field)
        test, around = f"{basis.switch} and {read}", _around(basis.examined, seen, part)
        if around:
            yield in_header(template, site, "", Form(field, *around), read, test)
        elif form := learn(basis, seen, part.message, count).get("reasoning"):
            header = generation_header(basis.examined, seen.probe, part.message)
            yield in_header(template, site, header, form, read, test)
            yield from behind_header(basis, seen, part.message, [(test, form.output(read))], count)


def _around(examined: Examination, seen: Observation, part: Part) -> tuple[str, str] | None:
    """Return what has to stand before and behind the reasoning, in front of what the earlier turn begins with.

    Found by holding the turn as it is printed last against the same turn as it is printed earlier: behind the reasoning
    comes, at last, what the earlier turn begins with.
    """
    last, shorter = examined.text(seen.probe, part.message + 1), examined.text(seen.probe, part.message)
    answer = next(each for each in seen.probe.parts if each.message == part.message and each.kind == "answer")
    if not isinstance(last, str) or not isinstance(shorter, str) or seen.text is None or part.text not in last:
        return None
    begin, at = common_prefix(shorter, seen.text), last.index(part.text)
    header = seen.text[begin : seen.text.find(answer.text)]
    behind = last[at + len(part.text) : last.find(answer.text, at)]
    if begin > at or not behind.endswith(header):
        return None
    return last[begin:at], behind[: len(behind) - len(header)]


def _like_the_others(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that leave a last turn among the messages where a template would cut it off.

    There content may have a closing tag alone, whose opening tag has been in the prompt: that is printed by the loop.
    """
    template, switch = basis.template, basis.switch
    cut = [node for node in template.all_nodes if isinstance(node, nodes.If) and any(map(_cuts_last_off, node.body))]
    lone = next((seen for seen in basis.examined if seen.probe.shape == "ulua" and seen.text is not None), None)
    for node in cut if lone else ():
        at = template.span(node.test)
        if at and lone:
            text, other = at.of(template.source), _prints_no_block(basis, at)
            inner = f"({text})" if isinstance(node.test, nodes.Or | nodes.CondExpr) else text
            gate = put_expression(at, f"{inner} and {f'(not {switch} or {other})' if other else f'not {switch}'}")
            for edits in ((gate,), *((gate, edit) for edit in _opened(basis, lone))):
                title = "print the last turn as turns are printed that others follow"
                why = "The last turn is cut off the messages, and printed behind the opening tag of a prompt."
                yield Proposal("TF204", "experiment", title, why, at, edits)


def _cuts_last_off(node: nodes.Node) -> bool:
    """Whether a statement sets a variable to all messages but the last one."""
    value = node.node if isinstance(node, nodes.Assign) else None
    end = value.arg.stop if isinstance(value, nodes.Getitem) and isinstance(value.arg, nodes.Slice) else None
    return isinstance(end, nodes.Neg) and isinstance(end.node, nodes.Const) and end.node.value == 1


def _prints_no_block(basis: Basis, behind: Span) -> str:
    """Return the test behind a place that chooses between an empty block and an opening tag, "" where none does."""
    template, tags = basis.template, basis.tags
    for node in template.all_nodes:
        span = template.span(node.test) if isinstance(node, nodes.If) else None
        if isinstance(node, nodes.If) and span and span.start > behind.end and not node.elif_:
            ways = ["".join(_constants(part)) for part in (node.body, node.else_)]
            if tags.open in ways[0] and tags.open in ways[1] and sum(tags.close in way for way in ways) == 1:
                text = span.of(template.source)
                return f"({text})" if tags.close in ways[0] else f"not ({text})"
    return ""


def _constants(statements: Iterable[nodes.Node]) -> Iterator[str]:
    found = (each for node in statements for each in walk(node) if isinstance(each, nodes.Const | nodes.TemplateData))
    return (str(each.value if isinstance(each, nodes.Const) else each.data) for each in found)


def _opened(basis: Basis, seen: Observation) -> Iterator[Edit]:
    """Yield edits that print the opening tag behind the header of an earlier turn whose content has the closing one."""
    template, tags, count = basis.template, basis.tags, len(seen.probe.messages)
    site = first_output(basis.trace, seen.probe, 1, count)
    name = message_name(template, site.span) if site else ""
    if site and name:
        content, opening, closing = access(template, name, "content"), literal(tags.open), literal(tags.close)
        test = f"{basis.switch} and {closing} in ({content} or '') and {opening} not in {content}"
        span = leftmost(template, site)
        text = span.of(template.source)
        if text[0] in "'\"":
            with_tag = f"{text[:-1]}{literal(tags.open + tags.lead)[1:-1]}{text[-1]}"
            yield put_expression(span, f"{with_tag} if {test} else {text}")
        tag = f"{{{{- {literal(tags.open + tags.lead)} }}}}"
        yield from behind_header(basis, seen, 1, [(test, tag)], count)
