"""What a repair changes for those who serve the model and pass nothing to its template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from template_fix.checkpoint import Checkpoint
from template_fix.finding import Evidence
from template_fix.limits import LimitExceeded, in_turn
from template_fix.probes import battery
from template_fix.render import Renderer
from template_fix.tags import Tags

# Computing time for all templates of a model together.
SECONDS = 5.0


def changed_prompt(
    before: Checkpoint, after: Checkpoint, tags: tuple[str, str], variables: Mapping[str, Any]
) -> Evidence | None:
    """Return the shortest conversation that is printed otherwise after a repair, of the first template that has any.

    It is an ordinary one, with no template variables passed. None where there is none among those that are tried.
    """
    pairs = zip(before.templates, after.templates, strict=True)
    changed = [(one.source, other.source, tags, variables) for one, other in pairs if one.source != other.source]
    found = (each for each in in_turn(_shortest, changed, computing=SECONDS) if not isinstance(each, LimitExceeded))
    return next(filter(None, found), None)


def _shortest(one: str, other: str, tags: tuple[str, str], variables: Mapping[str, Any]) -> Evidence | None:
    old, new = Renderer(one, variables), Renderer(other, variables)
    found: list[Evidence] = []
    for probe in battery(Tags(*tags), dict):
        if probe.ordinary and not probe.flags and not probe.legacy:
            texts = [each(probe.messages, probe.tools) for each in (old, new)]
            if texts[0] != texts[1] and all(isinstance(text, str) for text in texts):
                found.append(Evidence(probe.describe(), str(texts[0]), str(texts[1]), labels=("before", "after")))
    return min(found, key=lambda each: len(each.given), default=None)
