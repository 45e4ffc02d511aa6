"""The judge: whether a template may stand in the place of another.

It renders both over the whole battery and compares. It knows nothing of how a candidate came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple

from template_fix.contract.examination import (
    SAFE,
    Case,
    Examination,
    Held,
    Observation,
    Rendering,
    behind_texts,
    generation_header,
    generation_prompt,
    printed_in_front,
)
from template_fix.contract.placing import in_front, leads, locate
from template_fix.contract.turn_ends import closing
from template_fix.contract.verdict import BROKEN, Harm, Verdict
from template_fix.conversations.growth import LISTED_ANSWERS
from template_fix.conversations.probe import CALLS, Key, Part, Probe, ProbeId
from template_fix.jinja.renderer import Failure


def judge(before: Case, after: Case, first: Iterable[ProbeId] = ()) -> Verdict:
    """Compare a template with its candidate repair over the whole battery.

    The first conversation in which anything is lost ends the comparison and becomes the reason; those with the keys
    ``first`` are asked before the others. Whether a turn follows the generation prompt (TF205) is never a reason.
    """
    gained: set[tuple[str, Key, Held]] = set()
    battery = before.itself.probes
    for key in dict.fromkeys([*first, *battery]):
        probe = battery[key]
        harm = _printed_as_data(before.itself, after.itself, probe)
        if probe.special != LISTED_ANSWERS:  # of these, that is all that is asked: a template needn't take them
            harm = harm or _worse(before.itself, after.itself, probe) or _not_conservative(before, after, probe)
        if harm:
            return harm.verdict(probe, before.itself.safe(probe))
        old, new = before.itself.observe(probe), after.itself.observe(probe)
        gained |= {(probe.shape, probe.key, held) for held in new.held - old.held if held.property in SAFE}
    # Asked last, since it takes the whole battery to know what the candidate supports.
    for probe in before.itself.probes.values():
        if harm := _not_as_last(before.itself, after.itself, probe):
            return harm.verdict(probe)
    return Verdict("", gained=frozenset(gained), compared=len(before.itself.probes))


def _printed_as_data(before: Examination, after: Examination, probe: Probe) -> Harm | None:
    """Return the harm where a list is printed that isn't now, or on which a template fails that prints none so."""
    old, new = before.observe(probe), after.observe(probe)
    worse = new.as_data and not old.as_data and (old.text is not None or not any(seen.as_data for seen in before))
    return Harm("it would print a list of text blocks as it stands, with its braces") if worse else None


def _worse(before: Examination, after: Examination, probe: Probe) -> Harm | None:
    old, new = before.observe(probe), after.observe(probe)
    if old is new:  # what both print alike is observed once
        return None
    if old.text is None:
        silenced = new.text is not None and any(
            part.kind == "call" and part.feature not in after.unsupported for part in new.lost
        )
        return Harm("it would let a conversation pass that fails now, and lose of it") if silenced else None
    if new.text is None:
        return Harm(f"it would make the template fail: {new.failure}")
    kept = SAFE if before.owed(probe) or not old.breaks(*SAFE) else ("printed", "once")
    broken = [held for held in old.held & new.broken if held.property in kept]
    worse = sorted(held for held in broken if not _left_out(before, probe, held))
    return _breaking(after, probe, worse[0]) if worse else _cut_off(before, after, probe)


def _breaking(after: Examination, probe: Probe, held: Held) -> Harm:
    """Return the harm where something is broken that the template does right, with what shows it beside."""
    shorter = Rendering(probe, held.of) if held.property == "stable" else None
    field = after.in_field(probe) if held.property == "alike" else None
    return Harm(BROKEN[held.property], beside=Rendering(field, len(field.messages)) if field else shorter)


def _cut_off(before: Examination, after: Examination, probe: Probe) -> Harm | None:
    """Return what is worse where a conversation ends early, as after a call, with the generation prompt or without."""
    ends = [(cut, False) for cut in probe.cuts] + [(turn, True) for turn in probe.turns()]
    for upto, prompt in ends:
        old, new = before.text(probe, upto, prompt), after.text(probe, upto, prompt)
        if isinstance(old, Failure) or old == new:
            continue
        if isinstance(new, Failure):
            return Harm(f"it would make the template fail: {new.reason}", upto, prompt)
        parts = [part for part in probe.parts if part.message < upto and part.kind != "reasoning"]
        if any(was and not now for was, now in zip(locate(parts, old), locate(parts, new), strict=True)):
            return Harm("it would lose a text of a conversation that ends early", upto, prompt)
    return None


def _left_out(before: Examination, probe: Probe, held: Held) -> bool:
    """Whether a caller's variable asks for reasoning to be left out, as it is where it comes in a field."""
    field = before.in_form(probe, "reasoning_content") if probe.varied else None
    text = before.text(field) if field else None
    return held.property == "printed" and isinstance(text, str) and probe.parts[held.of].text not in text


def _not_conservative(before: Case, after: Case, probe: Probe) -> Harm | None:
    if after.off.text(probe) != before.off.text(probe):
        return Harm("with preserve_thinking=false it would not print what the template printed before")
    if probe.fixed and _overruled(before.itself, after.itself, probe):
        return Harm("it would overrule the template's own switch")
    if before.itself.safe(probe) and after.itself.text(probe) != before.itself.text(probe):
        return Harm("it would change a conversation that is printed well")
    for turn in probe.turns():
        if _prompts_otherwise(before.itself, after.itself, probe, turn):
            return Harm("it would change the generation prompt", turn, prompt=True)
    if before.itself.observe(probe) is after.itself.observe(probe):
        return None
    reason = (
        _headless(before.itself, after.itself, probe)
        or _out_of_place(before.itself, after.itself, probe)
        or _divided(before.itself, after.itself, probe)
        or _empty_block(before.itself, after.itself, probe)
        or _reframed(before.itself, after.itself, probe)
    )
    return Harm(reason) if reason else None


def _prompts_otherwise(before: Examination, after: Examination, probe: Probe, turn: int) -> bool:
    """Whether a prompt is another, and not just left out where none is asked for."""
    if all(before.text(probe, turn, asked) == after.text(probe, turn, asked) for asked in (False, True)):
        return False
    prompt = generation_prompt(before, probe, turn)
    if prompt in (None, generation_prompt(after, probe, turn)):
        return False
    return behind_texts(before, probe, turn, True) != behind_texts(after, probe, turn, True)


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
    """Compare the end of a turn and what stands between its texts, such as the markup of tool calls, with the original.

    What stands in front of a turn or beside reasoning may change: there a repair has its work to do. And where
    reasoning inside of content leaves a content of another kind, the turn may be framed as with reasoning in a field.
    A generation prompt that comes unasked may go.
    """
    if before.owed(probe):
        field = before.in_form(probe, "reasoning_content")
        was, now = _frames(before.observe(probe)), _frames(after.observe(probe))
        also = _frames(before.observe(field)) if field else {}
        changed = [pair for pair in was.keys() & now.keys() if now[pair] not in (was[pair], also.get(pair))]
        prompt = generation_prompt(after, probe, len(probe.messages)) if changed else None
        if any(pair[1] or was[pair] != now[pair] + (prompt or "") for pair in changed):
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
    """Check where restored reasoning stands: like in the generation prompt, it belongs behind the header of its turn.

    In a turn that only calls tools it belongs in front of what the header is followed by there: that begins a call.
    """
    old, new = before.observe(probe), after.observe(probe)
    for part, was, span in zip(probe.parts, old.spans, new.spans, strict=True):
        if part.kind == "reasoning" and span and not was:
            header = generation_header(after, probe, part.message)
            front, calling = printed_in_front(new, part.message, span), printed_in_front(old, part.message)
            if header in calling and header not in front:
                return "it would print reasoning in front of the header of its turn"
            begun = front.partition(header)[2].rpartition(after.tags.open.strip())[0].strip() if header else ""
            if begun and probe.shape[part.message] in "kd" and calling.partition(header)[2].strip().startswith(begun):
                return "it would print reasoning in the middle of a tool call"
            if not leads(part, span, probe.parts, new.spans):
                return BROKEN["in order"]
    return ""


def _empty_block(before: Examination, after: Examination, probe: Probe) -> str:
    """Compare answers without reasoning with the original: no new block may stand in front of them.

    It may where the template prints one as long as the conversation hasn't gone on.
    """
    old, new, close = before.observe(probe), after.observe(probe), before.tags.close
    held = before.tags.paired and (before.owed(probe) or before.listed(old))
    for part, _ in new.placed if held else ():
        if part.kind == "answer" and probe.shape[part.message] in "av":
            count = printed_in_front(new, part.message).count(close)
            if count > printed_in_front(old, part.message).count(close):
                plain = next((seen for seen in before if seen.probe.shape == "ua" and not seen.lost), old)
                last = in_front(before.text(probe, part.message + 1), probe, part, part.message + 1)
                if max((last or ("", ""))[1].count(close), printed_in_front(plain, 1).count(close)) < count:
                    return "it would print an empty block in front of an answer without reasoning"
    return ""


def _out_of_place(before: Examination, after: Examination, probe: Probe) -> str:
    """Compare a restored answer beside tool calls with answers without calls: it belongs in the same place.

    So does one beside which a call comes back. It may stand as well where the template prints it as long as the
    conversation hasn't gone on, and behind a block of reasoning that the template prints in front of the calls.
    """
    old, new = before.observe(probe), after.observe(probe)
    back = () if new.as_data else (part for part in old.lost if part.kind == "call" and part not in new.lost)
    joined = {part.message for part in back}
    for part, was, span in zip(probe.parts, old.spans, new.spans, strict=True):
        if part.kind == "answer" and span and (not was or part.message in joined):
            earlier = (in_front(before.text(probe, cut), probe, part, cut) for cut in probe.cuts)
            place = in_front(new.text, probe, part)
            if place not in chain(earlier, _in_front_of_answers(after)) and not _behind_block(
                before, probe, part, place
            ):
                return "it would print a text elsewhere than the template prints answers"
    return ""


def _behind_block(before: Examination, probe: Probe, part: Part, place: tuple[str, str] | None) -> bool:
    """Whether a place is behind a block that the template prints in front of the calls of a message, be it empty."""
    calls = (each for each in probe.parts if each.kind == "call" and each.message == part.message)
    printed = next((in_front(before.text(probe), probe, call) for call in calls), None)
    if place is None or printed is None or not before.tags.paired:
        return False
    block = place[1].rstrip().endswith(before.tags.close)
    return block and printed[0] == place[0] and printed[1].startswith(place[1])


def _divided(before: Examination, after: Examination, probe: Probe) -> str:
    """Compare turns with a restored text with other turns of the template: each has to stay in one piece.

    A header or an end of turn between two texts would make two turns of one, and generation stops at the end of the
    first; unless the family makes its turns of pieces.
    """
    old, new = before.observe(probe), after.observe(probe)
    if any(span and not was for was, span in zip(old.spans, new.spans, strict=True)):
        marks = _marks_inside(before)
        if not marks.headers and _headed_again(after, new):
            return "it would begin a turn in the middle of one"
        if marks.end and any(marks.end in frame for _, frame in _inside(new)):
            return "it would end a turn in the middle of one"
    return ""


class _Marks(NamedTuple):
    """Whether headers stand in the middle of a template's turns, and what ends a turn, "" where that stands there."""

    headers: bool
    end: str


@lru_cache(maxsize=4)
def _marks_inside(examined: Examination) -> _Marks:
    end = closing(examined)
    ended = any(end in frame for seen in examined for _, frame in _inside(seen)) if end else False
    return _Marks(any(_headed_again(examined, seen) for seen in examined), "" if ended else end)


def _in_front_of_answers(examined: Examination) -> Iterator[tuple[str, str]]:
    """Yield what stands in front of the answers that are printed in turns without tool calls."""
    for probe in examined.probes.values():
        answers = (part for part in probe.parts if part.kind == "answer" and probe.shape[part.message] not in CALLS)
        yield from filter(None, (in_front(examined.text(probe), probe, answer) for answer in answers))


def _headed_again(examined: Examination, seen: Observation) -> bool:
    """Whether the header of a turn stands between two texts of one turn, too."""
    for message, frame in _inside(seen):
        header = generation_header(examined, seen.probe, message)
        if header and header in frame:
            return True
    return False


def _inside(seen: Observation) -> Iterator[tuple[int, str]]:
    """Yield what stands between two texts of one turn, and the number of its message."""
    for (one, span), (other, following) in pairwise(sorted(seen.placed, key=lambda placed: placed[1])):
        if one.message == other.message and seen.probe.shape[one.message] not in "sut":
            yield one.message, (seen.text or "")[span.end : following.start]


def _not_as_last(before: Examination, after: Examination, probe: Probe) -> Harm | None:
    """Compare each turn of a conversation that is printed safely with how the template prints it as the last turn."""
    if before.safe(probe):
        return None
    for turn in probe.turns():
        last = before.probes.get((probe.shape[: turn + 1], probe.key))
        if last and before.safe(last) and _turn(before, last, turn) != _turn(after, probe, turn):
            reason = "it would print a turn differently from the way the template does when the turn stands last"
            return Harm(reason, beside=Rendering(last, turn + 1)) if after.safe(probe) else None
    return None


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
