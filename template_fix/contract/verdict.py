"""What the judge says of a candidate: what it mends, and what it does worse."""

from __future__ import annotations

from typing import NamedTuple

from template_fix.contract.examination import Held, Rendering
from template_fix.conversations.probe import Key, Probe

# What is worse where something is broken that the template does right, by its property.
BROKEN = {
    "printed": "it would lose a text that the template prints",
    "once": "it would print a text twice that the template prints once",
    "in order": "it would print reasoning behind the tool calls that it led to",
    "well-formed": "it would print reasoning in no block of its own, or leave a block open",
    "alike": "it would print reasoning inside of content differently from reasoning in a field",
    "stable": "it would print a turn differently once more messages follow it",
}


class Verdict(NamedTuple):
    """How a candidate compares with what it would replace: ``reason`` is empty where it may stand.

    ``gained`` are the pairs of conversation and property that it mends; ``hopeless`` says that it harms a conversation
    which is printed well, so that no further edit beside it should make up for that. ``shown`` is what ended the
    comparison, and what the candidate prints otherwise beside it, where that is the harm.
    """

    reason: str
    hopeless: bool = False
    gained: frozenset[tuple[str, Key, Held]] = frozenset()
    compared: int = 0
    shown: tuple[Rendering, ...] = ()


class Harm(NamedTuple):
    """What a candidate does worse, in one sentence, in how many messages of a conversation, and compared with what."""

    reason: str
    upto: int | None = None
    prompt: bool = False
    beside: Rendering | None = None

    def verdict(self, probe: Probe, hopeless: bool = False) -> Verdict:
        """Return the verdict where this ends the comparison."""
        at = Rendering(probe, len(probe.messages) if self.upto is None else self.upto, self.prompt)
        return Verdict(self.reason, hopeless, shown=(at, *filter(None, [self.beside])))
