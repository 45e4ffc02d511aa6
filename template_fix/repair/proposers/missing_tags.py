"""Tags that a template leaves out around reasoning that comes in a field, printed as around reasoning in content.

A family may print the field bare, since the generation prompt has the opening tag, or the content brings both tags.
"""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import Observation
from template_fix.conversations.tags import Tags
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.splice import literal, put_expression
from template_fix.text.edits import Span


def proposals(basis: Basis) -> Iterator[Proposal]:
    """Yield the edits that put the tags that are missing around what prints a field."""
    tags, source = basis.tags, basis.template.source
    found = (each for each in basis.examined if each.probe.shape == "ur" and each.probe.form in basis.fields)
    seen = next((each for each in found if each.breaks("well-formed") and not (each.lost or each.probe.flags)), None)
    missing = _missing(seen, tags) if seen else ("", "")
    if seen is None or not any(missing):
        return
    thought = next(part for part in seen.probe.parts if part.kind == "reasoning")
    for number, text in basis.trace.record(seen.probe).outputs:
        if thought.text in text:
            site = basis.trace.outputs[number]
            front, behind = (literal(each) if each else "" for each in missing)
            printed = site.span.of(source)
            inner = f"({printed})" if isinstance(site.node, nodes.CondExpr) else printed
            whole = " ~ ".join(filter(None, (front, inner, behind)))
            yield Proposal(
                "TF207",
                "missing tag",
                f"print {' and '.join(filter(None, (front and tags.open.strip(), behind and tags.close.strip())))}"
                " around reasoning in a field, too",
                "Reasoning in a field is printed without the tags that delimit it.",
                site.span,
                (put_expression(site.span, f"{whole} if {basis.switch} else {printed}"),),
            )


def _missing(seen: Observation, tags: Tags) -> tuple[str, str]:
    """Return what has to stand in front of the reasoning of a turn, and behind it, and doesn't."""
    spans: dict[str, Span] = {part.kind: span for part, span in seen.placed}
    text, thought = seen.text or "", spans["reasoning"]
    before, behind = text[spans["question"].end : thought.start], text[thought.end : spans["answer"].start]
    front = "" if tags.open.strip() in before else tags.open + tags.lead
    return front, "" if tags.closes(behind.lstrip()) else tags.trail + tags.close + tags.gap
