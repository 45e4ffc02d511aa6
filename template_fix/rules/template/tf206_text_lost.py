"""An answer, a tool call or a tool result is lost.

## What
Text of a conversation that isn't reasoning is printed in some conversations and not in others.

## Why
Rows are trained without a part that the model should learn, or learn from.

## Example
`content.split('</think>')[-1]` drops what stands between two reasoning blocks; a template prints tool calls only where
`message['content'] is none`.

## Fix
`template-fix patch` keeps the text where an edit provably can; otherwise change the rows as the evidence suggests.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import Observation
from template_fix.conversations.probe import Part
from template_fix.jinja.queries import lost_sums
from template_fix.repair.places import observed
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level
from template_fix.text.edits import Span
from template_fix.tokens.reasoning_tokens import listed

CODE = "TF206"
LEVEL = Level.WARNING
SUMMARY = "an answer, a tool call or a tool result is lost"
PATCH_WITH = ""

_NAMES = {"answer": "an answer", "call": "a tool call", "result": "a tool result", "question": "a question"}
SEVERAL = "several calls at once"
# Nearly every template does so, and rows with several blocks in one message are rare: `check --data` tells of those.
_BLOCKS = "of a message with several reasoning blocks, what stands between the first and the last is lost"
# A tool call is often printed in some of these forms only.
_FORMS = {
    "call beside ''": "where the content is empty text",
    "call beside None": "where the content is None",
    "call beside text": "where the message also has text",
    SEVERAL: "where it is not the first of its message",
}


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for each kind of text that is lost somewhere and printed elsewhere."""
    yield from _takes_lists_alone(study)
    lost: dict[tuple[str, Span | None], dict[str, Evidence]] = {}
    reported: set[tuple[str, str]] = set()
    for seen in study.examined:
        for part in seen.lost if seen.text is not None and seen.probe.ordinary else ():
            what, where = _what(study, seen, part), _where(part)
            if what and (what, where) not in reported:
                reported.add((what, where))
                at = study.cause(seen.probe, part) if study.reasoning else None
                lost.setdefault((what, at), {})[where] = study.evidence(seen, part.message, [part])
    for (what, at), places in lost.items():
        where = f" {listed(list(places))}" if all(places) else ""
        level = Level.NOTE if what == _BLOCKS else None
        yield Found(what + where, at, tuple(places.values()), _fix(at is not None), level, study.reasoning)
    yield from _in_lists(study)


def _takes_lists_alone(study: Study) -> Iterator[Found]:
    """Yield a note where contents are printed as lists of text blocks, and never as text."""
    asked = study.asked("ua")
    text = study.examined.text(asked) if study.lists else None
    if isinstance(text, str):
        evidence = study.evidence(observed(asked, text), 0, asked.parts[:1])
        message = "contents are printed only where they are lists of text blocks: as text they are lost"
        yield Found(message, None, (evidence,), 'give each content as [{"type": "text", "text": …}]', Level.NOTE)


def _in_lists(study: Study) -> Iterator[Found]:
    """Yield a finding where answers vanish in lists of text blocks that the template prints, or means to."""
    for seen in study.examined:
        lost = [part for part in seen.lost if part.kind == "answer"] if seen.probe.text_lists else []
        same = study.examined.probes.get((seen.probe.shape, seen.probe.key._replace(text_lists=False)))
        if not lost or seen.text is None or seen.as_data or not same or not study.examined.safe(same):
            continue
        asked = [part for part in seen.probe.parts if part.kind == "question" and part not in seen.lost]
        at = next((study.template.span(each.node) for _, each in lost_sums(study.template.tree)), None)
        if asked or at:
            fix = "add up in a namespace: what a set in a loop makes is gone as the iteration ends" if at else None
            evidence = study.evidence(seen, lost[0].message, lost[:1])
            message = "the whole answer is lost where contents are lists of text blocks"
            yield Found(message, at, (evidence,), fix, Level.ERROR, sought=True)
            return


def _what(study: Study, seen: Observation, part: Part) -> str:
    if seen.probe.shape[part.message] == "b" and study.examined.owed(seen.probe):
        # A block that is lost later, but not while its turn stands last, is lost like any other reasoning.
        if study.reasoning and not study.printed_when_last(seen, part):
            return _BLOCKS
        return ""
    name = _NAMES.get(part.kind)
    if part.feature == SEVERAL and any(each.message == part.message and each != part for each in seen.lost):
        return ""  # it is lost as the first of its message is
    if not name or (part.feature in study.examined.unsupported and not _printed_otherwise(study, part)):
        return ""
    return f"{name} is lost"


def _where(part: Part) -> str:
    form, legacy, release = part.feature.partition(" in transformers ")
    where = _FORMS.get(form, "")
    return f"{where}, as transformers {release} passes it" if where and legacy else where


def _printed_otherwise(study: Study, part: Part) -> bool:
    """Whether a tool call that is never printed in this form is printed in another: ``beside ''``, ``beside text``."""
    forms = {each.feature for probe in study.examined.probes.values() for each in probe.parts if each.kind == part.kind}
    return bool(forms - study.examined.unsupported) and "transformers 4" not in part.feature


def _fix(repairable: bool) -> str | None:
    return "let the template print it" if repairable else None
