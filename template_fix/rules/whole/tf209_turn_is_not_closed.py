"""A turn is not closed before the next message begins.

## What
Behind an answer the template prints a token that ends the turn, and behind some other turn that a question follows it
prints none: the question stands inside of the model's turn.

## Why
Where a turn isn't ended, the model doesn't learn to stop there, and the text of the user's message is read as if the
model had begun it. Where only the last turn of a conversation is ended, all earlier ones teach the model to go on.

## Example
Answers end with `<turn|>`. A call and its result stand in the model's turn, and where a question follows them at once,
as it does when the user breaks in, it is printed as `…<tool_response|><|turn>user`.

## Fix
Print the token that ends turns before another role speaks; `patch` does so where a question follows a tool result, by
what the template prints round an empty answer there. Until then, let an answer follow each tool result.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import Observation
from template_fix.contract.turn_ends import UNORDERED, TurnEnds, parts_around_texts, turn_ends
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level

CODE = "TF209"
LEVEL = Level.ERROR
SUMMARY = "a turn is not closed before the next message begins"
IN_SOME_ROWS = True
PATCH_WITH = ""


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where a question follows a turn that isn't ended, though answers are."""
    ends = turn_ends(study.examined)
    if ends is None:
        return
    followed = (parts_around_texts(study.examined, "uaua") or ["", "", ""])[2]
    if ends.last and not ends.between and ends.headed and ends.last not in followed:
        yield _last_alone(study, ends)
    elif ends.between:
        known = next((seen for seen in study.owed() if _unclosed(seen, ends)), None)
        seen = known or next((each for each in _interrupted(study) if _unclosed(each, ends)), None)
        if seen:
            yield _found(study, seen, ends, None if known else Level.WARNING)


def _interrupted(study: Study) -> Iterator[Observation]:
    """Yield a conversation in which the user speaks up behind a tool result, in the first form that is printed."""
    for empty, legacy in (("", False), (None, False), (None, True)):
        asked = study.asked("uctua", empty=empty, legacy=legacy)
        text = study.examined.text(asked)
        if isinstance(text, str) and not places.observed(asked, text).lost:
            yield places.observed(asked, text)
            return


def _unclosed(seen: Observation, ends: TurnEnds) -> str:
    """Return what is printed between a turn that isn't ended and the question that follows it, or ""."""
    return next((between for between in _between(seen) if not ends.within(between)), "")


def _between(seen: Observation) -> Iterator[str]:
    """Yield what is printed from the last text of each turn on, up to the question that follows."""
    shape, placed, text = seen.probe.shape, seen.placed, seen.text or ""
    for message in range(1, len(shape)):
        turn = max((each for each in range(message) if shape[each] not in "sut"), default=None)
        if shape[message] == "u" and shape[message - 1] not in "su" and turn is not None and not seen.lost:
            start = max(span.end for part, span in placed if part.message == turn)
            end = min(span.start for part, span in placed if part.message == message)
            if start < end:
                yield text[start:end]


def _found(study: Study, seen: Observation, ends: TurnEnds, level: Level | None) -> Found:
    unclosed = _unclosed(seen, ends)
    closed = (parts_around_texts(study.examined, "uaua") or ["", "", ""])[2]
    evidence = Evidence(seen.probe.describe(), closed, unclosed, (ends.between,), labels=("answer", "here"))
    message = f"a question follows a turn that {ends.between} doesn't end, as it ends answers"
    at = places.test(study, seen.probe, lambda text: not _unclosed(places.observed(seen.probe, text), ends))
    return Found(message, at, (evidence,), f"print {ends.between} before it", level)


def _last_alone(study: Study, ends: TurnEnds) -> Found:
    last, followed = ((parts_around_texts(study.examined, shape) or ["", "", ""])[2] for shape in ("ua", "uaua"))
    conversation = "question, answer, question, answer"
    evidence = Evidence(conversation, last, followed, (ends.last,), labels=("last", "followed"))
    message = f"{ends.last} ends only the last turn, and none that a question follows"
    return Found(message, None, (evidence,), f"print {ends.last} behind every turn", Level.WARNING)


def why_not(study: Study) -> str:
    """Return why nothing can be said of where turns end, "" where it can."""
    return UNORDERED if turn_ends(study.examined) is None else ""
