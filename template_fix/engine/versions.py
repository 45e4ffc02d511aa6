"""What transformers 4.57 and 5 make otherwise of a template's conversations.

5 passes reasoning under all of its names and drops keys whose value is null, 4.57 does neither. The battery has both.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import Examination, Observation
from template_fix.conversations.probe import IN_FIELDS

FOUR, FIVE = "4.57", "5"
# In the order of how much they take away.
_KINDS = {"reasoning": "reasoning", "answer": "answers", "call": "tool calls", "result": "tool results"}


def differences(examined: Examination) -> tuple[str, ...]:
    """Return what one version of transformers refuses, loses or doubles that the other prints, a sentence each."""
    told: dict[tuple[str, str], set[str]] = {}
    for four in examined:
        twin = (four.probe.shape, four.probe.key._replace(legacy=False))
        if four.probe.legacy and twin in examined.probes:
            five = examined.observe(examined.probes[twin])
            for release, one, other in ((FOUR, four, five), (FIVE, five, four)):
                for fault in _faults(one, other):
                    told.setdefault((release, fault), set()).add(_where(one))
    return tuple(
        f"transformers {release} {fault} {' and '.join(sorted(where))}; {FIVE if release == FOUR else FOUR} does not"
        for (release, fault), where in told.items()
    )


def _faults(one: Observation, other: Observation) -> Iterator[str]:
    """Yield what goes wrong with a conversation in one version alone."""
    if other.text is None:
        return
    if one.text is None:
        yield "refuses turns"
        return
    lost, broken = ({part.kind for part in one.lost} - {part.kind for part in other.lost}), one.broken - other.broken
    twice = {one.kind(held) for held in broken if held.property == "once"}
    for fault, kinds in (("loses", lost), ("doubles", twice)):
        yield from (f"{fault} {name}" for kind, name in _KINDS.items() if kind in kinds)


def _where(seen: Observation) -> str:
    if seen.probe.empty is None:
        return "where content is null"
    return f"in the field {seen.probe.form}" if seen.probe.form in IN_FIELDS else "in the content"
