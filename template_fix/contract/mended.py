"""The judge of mends: of what isn't reasoning every text stays the same, or becomes just what a rule owes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from template_fix.contract.examination import Examination, Rendering
from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Failure

# The texts of which one is owed in the place of what a template prints, or fails with; none where that is right.
Owed: TypeAlias = Callable[[Rendering, "str | Failure"], "tuple[str, ...]"]


class Mended(NamedTuple):
    """What an edited template comes to: ``reason`` is empty where it may stand, ``gained`` counts the texts mended.

    ``shown`` is what refutes it.
    """

    reason: str
    gained: int = 0
    shown: Rendering | None = None


def judge_mend(before: Examination, after: Examination, owed: Owed) -> Mended:
    """Compare a template with an edited one over the battery of ``before``, every beginning of it included.

    Each text has to be the same to the letter, or the one that is owed. What fails goes on failing, or prints what is
    owed. The switch of reasoning plays no part: what is owed is owed whatever a caller passes.
    """
    gained = 0
    for each in renderings(before.probes.values()):
        old, new = each.text(before), each.text(after)
        if old == new:
            continue
        wanted = owed(each, old)
        if new in wanted:
            gained += 1
        elif reason := _harm(old, new, wanted):
            return Mended(reason, gained, each)
    return Mended("" if gained else "it would mend none of the conversations that were tried", gained)


def renderings(probes: Iterable[Probe]) -> Iterator[Rendering]:
    """Yield every beginning of conversations, with the generation prompt and without."""
    for probe in probes:
        for upto in (*probe.cuts, len(probe.messages)):
            yield from (Rendering(probe, upto, prompt) for prompt in (False, True))


def _harm(old: str | Failure, new: str | Failure, wanted: tuple[str, ...]) -> str:
    if isinstance(old, Failure) and isinstance(new, Failure):
        return "" if old.raised == new.raised else "it would fail where the template refuses, with words for people"
    if isinstance(new, Failure):
        return f"it would make the template fail: {new.reason}"
    if wanted:
        return "it would print something else than what is owed"
    if isinstance(old, Failure):
        return "it would let a conversation pass that fails now, and nothing tells whether it is printed right"
    return "it would change a text that is right"
