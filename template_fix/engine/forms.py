"""Which conversations a template takes: forms that it refuses, and what releases of transformers make otherwise of it.

transformers 5 passes reasoning under all of its names and drops keys whose value is null, 4.57 does neither. The
battery has both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from template_fix.contract.examination import Examination, Observation
from template_fix.conversations.probe import CALLS, IN_FIELDS, Probe
from template_fix.jinja.renderer import Failure
from template_fix.repair.study import Study
from template_fix.results import NotRendered
from template_fix.text.display import cut
from template_fix.tokens.reasoning_tokens import listed

# How much is kept of a template's reason for refusing conversations.
_REASON = 200
# Forms that a template may refuse as a whole, each with the test for its conversations.
_FORMS: dict[str, Callable[[Probe], bool]] = {
    "a system prompt": lambda probe: "s" in probe.shape,
    "tool calls": lambda probe: bool({*probe.shape} & {*CALLS}),
    "contents as lists": lambda probe: probe.text_lists,
}
# Conversations that no template is owed, by their shapes.
_UNUSUAL = {
    "roles that don't alternate": ("uua", "uaa"),
    "an answer first": ("aua",),
    "a system prompt later on": ("usua",),
    "a second system prompt": ("ssua",),
}
FOUR, FIVE = "4.57", "5"
# In the order of how much they take away.
_KINDS = {"reasoning": "reasoning", "answer": "answers", "call": "tool calls", "result": "tool results"}


def refused_forms(study: Study) -> tuple[tuple[str, ...], int]:
    """Return the forms that a template refuses wherever they come, in words, and prints others without them.

    The number is that of conversations of its battery that have none of these.
    """
    refused = [seen.probe for seen in study.examined if seen.text is None]
    printed = [seen.probe for seen in study.examined if seen.text is not None]
    whole = {
        name: has for name, has in _FORMS.items() if any(map(has, refused)) and not any(map(has, printed)) and printed
    }
    fitting = [probe for probe in (*refused, *printed) if not any(has(probe) for has in whole.values())]
    # What is refused wherever it comes is so later on, too.
    tried = [name for name in _UNUSUAL if printed and ("a system prompt" not in whole or "system" not in name)]
    unusual = [name for name in tried if all(_refuses(study, shape) for shape in _UNUSUAL[name])]
    return (*whole, *unusual), len(fitting)


def _refuses(study: Study, shape: str) -> bool:
    unusual = study.asked(shape)
    return isinstance(study.examined.text(unusual), Failure)


def not_rendered(examined: Examination) -> tuple[NotRendered, ...]:
    """Return the conversations that a template refuses, by the reason, the commonest first."""
    by_reason: dict[str, list[str]] = {}
    for seen in examined:
        if seen.text is None:
            by_reason.setdefault(cut(seen.failure, _REASON), []).append(seen.probe.describe())
    refused = (NotRendered(reason, tuple(conversations)) for reason, conversations in by_reason.items())
    return tuple(sorted(refused, key=lambda each: -len(each.conversations)))


def version_differences(examined: Examination) -> tuple[str, ...]:
    """Return what one version of transformers refuses, loses or doubles that the other prints, a sentence each."""
    places: dict[tuple[str, str], list[str]] = {}
    for four in examined:
        twin = (four.probe.shape, four.probe.key._replace(legacy=False))
        if four.probe.legacy and twin in examined.probes:
            five = examined.observe(examined.probes[twin])
            for release, one, other in ((FOUR, four, five), (FIVE, five, four)):
                for fault in _faults(one, other):
                    places.setdefault((release, fault), []).append(_where(one))
    unlike = {FOUR: FIVE, FIVE: FOUR}
    return tuple(
        f"with transformers {release} it {fault} with {listed(dict.fromkeys(where), 'or')}, with {unlike[release]} not"
        for (release, fault), where in places.items()
    )


def _faults(one: Observation, other: Observation) -> Iterator[str]:
    """Yield what goes wrong with a conversation in one version alone."""
    if other.text is None:
        return
    if one.text is None:
        yield "refuses messages"
        return
    lost, broken = ({part.kind for part in one.lost} - {part.kind for part in other.lost}), one.broken - other.broken
    twice = {one.kind(held) for held in broken if held.property == "once"}
    for fault, kinds in (("loses", lost), ("doubles", twice)):
        yield from (f"{fault} {name} of messages" for kind, name in _KINDS.items() if kind in kinds)


def _where(seen: Observation) -> str:
    if seen.probe.empty is None:
        return "null as content"
    return f"the field {seen.probe.form}" if seen.probe.form in IN_FIELDS else "reasoning in content"
