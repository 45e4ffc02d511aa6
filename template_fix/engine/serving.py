"""What a repair changes for those who serve the model: who pass nothing to its template, or run it elsewhere."""

from __future__ import annotations

from itertools import chain

from template_fix.bounds.limits import LimitExceeded, run_in_turn
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.conversations.battery import battery
from template_fix.conversations.tags import Tags
from template_fix.jinja.engines import engines as names
from template_fix.jinja.engines import find_unportable
from template_fix.jinja.renderer import Renderer, Variables
from template_fix.jinja.templates import Template
from template_fix.jinja.text_readers import find_lost_features
from template_fix.repair.loop_leaks import find_leak
from template_fix.results import Elsewhere, Evidence, compare_texts

# Computing time for all templates of a model together.
SECONDS = 5.0


def changed_prompt(
    before: Checkpoint, after: Checkpoint, tags: tuple[str, str], variables: Variables
) -> Evidence | None:
    """Return the shortest conversation that is printed otherwise after a repair, of the first template that has any.

    It is an ordinary one, with no template variables passed. None where there is none among those that are tried.
    """
    changed = [(one, other, tags, variables) for one, other in _changed(before, after)]
    found = (each for each in run_in_turn(_shortest, changed, computing=SECONDS) if not isinstance(each, LimitExceeded))
    return next(filter(None, found), None)


def look_elsewhere(
    before: Checkpoint,
    after: Checkpoint,
    tags: tuple[str, str],
    variables: Variables,
    flags: Variables,
) -> Elsewhere | None:
    """Return what repaired templates are to other engines and readers, None where none is changed, or time is over.

    ``flags`` are what the repair is asked with.
    """
    changed = [(one, other, tags, variables, flags) for one, other in _changed(before, after)]
    results = list(run_in_turn(_elsewhere, changed, computing=SECONDS))
    known = [each for each in results if isinstance(each, Elsewhere)]
    if len(known) < len(results) or not known:
        return None
    engines = {name: tuple(dict.fromkeys(chain.from_iterable(e.engines[name] for e in known))) for name in names()}
    unread = tuple(dict.fromkeys(chain.from_iterable(each.unread for each in known)))
    return Elsewhere(engines, unread, next(filter(None, (each.leaks for each in known)), None))


def _elsewhere(before: str, after: str, tags: tuple[str, str], variables: Variables, flags: Variables) -> Elsewhere:
    found = list(find_unportable(Template(after)))
    engines = {name: tuple(construct for construct, _, where in found if name in where) for name in names()}
    leak = find_leak(before, after, Tags(*tags), variables, flags)
    labels = ("should be", "is printed")
    leaks = compare_texts(leak.probe.describe(), leak.expected, leak.printed, labels) if leak else None
    return Elsewhere(engines, find_lost_features(before, after), leaks)


def _changed(before: Checkpoint, after: Checkpoint) -> list[tuple[str, str]]:
    """Return each template that is another after a repair, as it was and as it is."""
    pairs = zip(before.templates, after.templates, strict=True)
    return list(dict.fromkeys((one.source, other.source) for one, other in pairs if one.source != other.source))


def _shortest(one: str, other: str, tags: tuple[str, str], variables: Variables) -> Evidence | None:
    old, new = Renderer(one, variables), Renderer(other, variables)
    found: list[Evidence] = []
    for probe in battery(Tags(*tags), dict):
        if probe.ordinary and not probe.flags and not probe.legacy:
            texts = [each(probe.messages, probe.tools) for each in (old, new)]
            if texts[0] != texts[1] and all(isinstance(text, str) for text in texts):
                found.append(compare_texts(probe.describe(), str(texts[0]), str(texts[1]), ("before", "after")))
    return min(found, key=lambda each: len(each.given), default=None)
