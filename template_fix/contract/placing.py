"""Where the texts of a conversation stand in what is printed of it, and whether its reasoning stands in blocks."""

from __future__ import annotations

from collections.abc import Iterable

from template_fix.conversations.probe import Part, Probe
from template_fix.conversations.tags import Tags
from template_fix.text.edits import Span


def end_of(spans: Iterable[Span | None]) -> int:
    """Return where the last of some texts ends, 0 where none of them is there."""
    return max((span.end for span in spans if span), default=0)


def comes_once(text: str, part: Part) -> bool:
    """Whether a part is printed no more than once."""
    return text.count(part.text) <= 1


def counts(part: Part) -> bool:
    """Whether a part is a text of a turn, which comes in its order, and once."""
    return part.kind in ("reasoning", "answer", "before", "behind")


def locate(parts: Iterable[Part], text: str) -> tuple[Span | None, ...]:
    """Return where each part stands in the text; the texts of turns must come in their order."""
    found: list[Span | None] = []
    behind = 0
    for part in parts:
        start = text.find(part.text, behind if counts(part) else 0)
        found.append(Span(start, start + len(part.text)) if start >= 0 else None)
        if start >= 0 and counts(part):
            behind = start + len(part.text)
    return tuple(found)


def leads(reasoning: Part, at: Span, parts: Iterable[Part], spans: Iterable[Span | None]) -> bool:
    """Whether reasoning that is printed at a place stands in front of the tool calls of its message."""
    placed = zip(parts, spans, strict=True)
    calls = (span for part, span in placed if span and part.kind == "call" and part.message == reasoning.message)
    return all(at.start < span.start for span in calls)


def well_formed(probe: Probe, text: str, spans: tuple[Span | None, ...], tags: Tags) -> bool:
    """Whether each printed reasoning stands in one block of its own, and no block is left open or stands elsewhere.

    A lone closing tag may end reasoning or just be mentioned: in either case it must stay between the same texts.
    """
    places = sorted(span for span in spans if span)
    for part, span in zip(probe.parts, spans, strict=True):
        if span is None or not counts(part):
            continue
        before = text[max((s.end for s in places if s.end <= span.start), default=0) : span.start]
        behind = text[span.end : min((s.start for s in places if s.start >= span.end), default=len(text))]
        if probe.shape[part.message] in "ml":
            formed = part.kind not in ("behind", "answer") or tags.close in before
        else:
            formed = _encloses(before, behind, tags) if part.kind == "reasoning" else _closed(before, tags)
        if not formed:
            return False
    return True


def _encloses(before: str, behind: str, tags: Tags) -> bool:
    if not before.rstrip().endswith(tags.open.rstrip()) or not tags.closes(behind.lstrip()):
        return False
    if not tags.paired:
        return before.count(tags.open) == 1
    return before.count(tags.open) == 1 and tags.close not in before and behind.count(tags.close) == 1


def _closed(before: str, tags: Tags) -> bool:
    """Whether every block that is opened in front of an answer is closed there, too."""
    return before.rfind(tags.open) <= before.rfind(tags.close) if tags.paired else True


def in_front(text: object, probe: Probe, part: Part, upto: int | None = None) -> tuple[str, str] | None:
    """Return what stands between a text and the one in front of it, with the kind of that; None where it isn't there.

    ``upto`` tells of how many messages a text was printed.
    """
    if not isinstance(text, str):
        return None
    parts = [each for each in probe.parts if upto is None or each.message < upto]
    placed = sorted((span, index) for index, span in enumerate(locate(parts, text)) if span)
    at = next((number for number, (_, index) in enumerate(placed) if parts[index] is part), 0)
    if at == 0:
        return None
    (before, index), (span, _) = placed[at - 1], placed[at]
    return parts[index].kind, text[before.end : span.start]
