"""The judge: whether a template may stand in the place of another.

It renders both over the whole battery and compares. It knows nothing of how a candidate came about.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from template_fix.contract import (
    SAFE,
    Case,
    Examination,
    Held,
    Observation,
    generation_header,
    generation_prompt,
    locate,
    printed_in_front,
)
from template_fix.probes import Part, Probe
from template_fix.render import Failure


@dataclass(frozen=True)
class Verdict:
    """How a candidate compares with what it would replace: ``reason`` is empty where it may stand.

    ``gained`` are the pairs of conversation and property that it mends; ``hopeless`` says that it harms a conversation
    which is printed well, so that no further edit beside it should make up for that.
    """

    reason: str
    hopeless: bool = False
    gained: frozenset[tuple[Any, ...]] = frozenset()
    compared: int = 0


def judge(before: Case, after: Case) -> Verdict:
    """Compare a template with its candidate repair over the whole battery.

    The first conversation in which anything is lost ends the comparison and becomes the reason. Whether a turn follows
    the generation prompt (TF205) is never a reason.
    """
    gained: set[tuple[Any, ...]] = set()
    for probe in before.itself.probes.values():
        reason = _worse(before.itself, after.itself, probe) or _not_conservative(before, after, probe)
        if reason:
            return Verdict(f"{reason} ({probe.describe()})", hopeless=before.itself.safe(probe))
        old, new = before.itself.observe(probe), after.itself.observe(probe)
        gained |= {(probe.shape, probe.key, held) for held in new.held - old.held if held.property in SAFE}
    return Verdict("", gained=frozenset(gained), compared=len(before.itself.probes))


def _worse(before: Examination, after: Examination, probe: Probe) -> str:
    old, new = before.observe(probe), after.observe(probe)
    if old.text is None:
        silenced = new.text is not None and any(
            part.kind == "call" and part.feature not in after.unsupported for part in new.lost
        )
        return "it would let a conversation pass that fails now, and lose of it" if silenced else ""
    if new.text is None:
        return f"it would make the template fail: {new.failure}"
    kept = SAFE if before.owed(probe) else ("printed",)
    broken = [held for held in old.held & new.broken if held.property in kept]
    worse = sorted(held for held in broken if not _left_out(before, probe, held))
    return f"it would break what the template does right: {worse[0].property}" if worse else ""


def _left_out(before: Examination, probe: Probe, held: Held) -> bool:
    """Whether a caller's variable asks for reasoning to be left out, as it is where it comes in a field."""
    field = before.in_form(probe, "reasoning_content") if probe.varied else None
    text = before.text(field) if field else None
    return held.property == "printed" and isinstance(text, str) and probe.parts[held.of].text not in text


def _not_conservative(before: Case, after: Case, probe: Probe) -> str:
    if after.off.text(probe) != before.off.text(probe):
        return "with preserve_thinking=false it would not print what the template printed before"
    if probe.fixed and _overruled(before.itself, after.itself, probe):
        return "it would overrule the template's own switch"
    if before.itself.safe(probe) and after.itself.text(probe) != before.itself.text(probe):
        return "it would change a conversation that is printed well"
    for turn in probe.turns():
        prompt = generation_prompt(before.itself, probe, turn)
        if prompt is not None and prompt != generation_prompt(after.itself, probe, turn):
            return "it would change the generation prompt"
    return (
        _headless(before.itself, after.itself, probe)
        or _reframed(before.itself, after.itself, probe)
        or _not_as_last(before.itself, after.itself, probe)
    )


def _overruled(before: Examination, after: Examination, probe: Probe) -> bool:
    """Whether a text comes back that the caller asked to leave out, or anything changes that was printed well.

    What the template prints of it in the other form, inside of content or in a field, was not asked to be left out.
    """
    old, new, other = (
        before.observe(probe),
        after.observe(probe),
        before.in_form(probe, "inline" if probe.form == "reasoning_content" else "reasoning_content"),
    )
    printed = before.text(other) if other else ""
    kept = printed if isinstance(printed, str) else ""
    back = [held for held in new.held - old.held if held.property == "printed"]
    return any(probe.parts[held.of].text not in kept for held in back) or (
        old.text != new.text and not old.breaks(*SAFE)
    )


def _reframed(before: Examination, after: Examination, probe: Probe) -> str:
    """Hold what ends a turn and what stands between its texts, such as the markup of tool calls, against the original.

    What stands in front of a turn or beside reasoning may change: there a repair has its work to do. And where
    reasoning inside of content leaves a content of another kind, the turn may be framed as with reasoning in a field.
    """
    if before.owed(probe):
        field = before.in_form(probe, "reasoning_content")
        was, now = _frames(before.observe(probe)), _frames(after.observe(probe))
        also = _frames(before.observe(field)) if field else {}
        if any(now[pair] not in (was[pair], also.get(pair)) for pair in was.keys() & now.keys()):
            return "it would change what stands around the texts of a turn"
    return ""


def _frames(seen: Observation) -> dict[tuple[str, str], str]:
    """Return what is printed between neighbouring texts and behind the last one, reasoning and headers left out.

    A text that is printed twice has no place of its own.
    """
    parts, text = seen.probe.parts, seen.text or ""
    twice = {held.of for held in seen.broken if held.property == "once"}
    placed = sorted((span, index) for index, span in enumerate(seen.spans) if span and index not in twice)
    between: list[tuple[Part, Part | None, str]] = [
        (parts[one], parts[other], text[span.end : next_.start])
        for (span, one), (next_, other) in pairwise(placed)
        if parts[one].message == parts[other].message or seen.probe.shape[parts[other].message] in "sut"
    ]
    if placed:
        between.append((parts[placed[-1][1]], None, text[placed[-1][0].end :]))
    return {
        (one.text, other.text if other else ""): frame
        for one, other, frame in between
        if one.kind not in ("reasoning", "before") and (other is None or other.kind != "reasoning")
    }


def _headless(before: Examination, after: Examination, probe: Probe) -> str:
    """Hold reasoning that comes back against the generation prompt: it belongs behind the header of its turn."""
    old, new = before.observe(probe), after.observe(probe)
    for part, was, span in zip(probe.parts, old.spans, new.spans, strict=True):
        if part.kind == "reasoning" and span and not was:
            header = generation_header(after, probe, part.message)
            if header in printed_in_front(old, part.message) and header not in printed_in_front(
                new, part.message, span
            ):
                return "it would print reasoning in front of the header of its turn"
    return ""


def _not_as_last(before: Examination, after: Examination, probe: Probe) -> str:
    """Hold each turn of a conversation that comes out safe against how the template prints it when it stands last."""
    if before.safe(probe):
        return ""
    for turn in probe.turns():
        last = before.probes.get((probe.shape[: turn + 1], probe.key))
        if last and before.safe(last) and _turn(before, last, turn) != _turn(after, probe, turn):
            # Asked last, since it takes the whole battery to know what the candidate supports.
            otherwise = "it would print a turn otherwise than the template does when the turn stands last"
            return otherwise if after.safe(probe) else ""
    return ""


def _turn(examined: Examination, probe: Probe, turn: int) -> str | None:
    """Return the text of one turn: from the end of what stands before it to the end of its own last text."""
    text = examined.text(probe)
    if isinstance(text, Failure):
        return None
    spans = locate(probe.parts, text)
    own = [span for part, span in zip(probe.parts, spans, strict=True) if part.message == turn and span]
    earlier = [span for part, span in zip(probe.parts, spans, strict=True) if part.message < turn and span]
    if not own:
        return None
    start = max((span.end for span in earlier if span.end <= own[0].start), default=0)
    return text[start : max(span.end for span in own)]
