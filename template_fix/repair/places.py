"""Where in a template something lies that is found in what it prints."""

from __future__ import annotations

from collections.abc import Callable

from template_fix.contract.examination import Observation
from template_fix.contract.placing import locate
from template_fix.conversations.probe import Probe
from template_fix.jinja.templates import NEWLINE
from template_fix.repair.study import Study
from template_fix.repair.trials import find_flips
from template_fix.text.edits import Span


def line(study: Study, number: int) -> Span | None:
    """Return the text of a line of the template, by its number, None for 0."""
    starts = [0, *(match.end() for match in NEWLINE.finditer(study.source))]
    if not 0 < number <= len(starts):
        return None
    start = starts[number - 1]
    text = NEWLINE.split(study.source[start:], maxsplit=1)[0]
    return Span(start + len(text) - len(text.lstrip()), start + len(text.rstrip()))


def output(study: Study, asked: Probe, text: str) -> Span | None:
    """Return the output that prints a text of a conversation, the one that prints least beside it, None for none."""
    trace = study.trace if study.blames else None
    if trace is None:
        return None
    recorded = trace.record(asked, flags=study.examined.flags).outputs
    printed = [(len(given), number) for number, given in recorded if text in given]
    return trace.outputs[min(printed)[1]].span if printed else None


def test(study: Study, asked: Probe, right: Callable[[str], bool]) -> Span | None:
    """Return the test with whose other outcome a conversation would be printed right, None where there is none."""
    trace = study.trace if study.blames else None
    if trace is None:
        return None
    for number, outcome in find_flips(trace, asked):
        text = trace.forced(tests={number: outcome})(asked.messages, asked.tools, **study.examined.set_for(asked))
        if isinstance(text, str) and None not in locate(asked.parts, text) and right(text):
            return trace.tests[number].span
    return None


def observed(asked: Probe, text: str) -> Observation:
    """Return where the texts of a conversation are printed; the contract is not checked."""
    return Observation(asked, text, "", locate(asked.parts, text), frozenset(), frozenset())
