"""Generation markers as a repair: put in where there are none, and in their places where they stand wrong."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.jinja.renderer import RenderError
from template_fix.markers.mark_template import Marked, find_wrong_masks, mark_template, mask_of
from template_fix.markers.places import Unmarkable
from template_fix.repair.proposers import Proposal
from template_fix.repair.study import Setting, Study
from template_fix.text.edits import Span, edits_between

# How many outputs are named.
_NAMED = 3
_PUT_IN = "mark what the model writes"
_MOVED = "mark what the model writes, and nothing else"


def markers(source: str, setting: Setting) -> tuple[Proposal, str] | None:
    """Return the edits that give a template generation markers, and why they can't stand, "" where they can.

    None where it has the right ones, or can't be read. Use it inside `limits.run_bounded`.
    """
    study = Study(source, setting)
    if study.unreadable is not None:
        return None
    if study.markers and next(find_wrong_masks(mask_of(study), study.examined.renderer), None) is None:
        return None
    code, title = ("TF502", _MOVED) if study.markers else ("TF501", _PUT_IN)
    try:
        made = mark_template(study)
    except (Unmarkable, RenderError) as error:
        at = getattr(error, "at", None) or Span(0, 0)
        return Proposal(code, "markers", title, "", at, ()), str(error)
    edits = edits_between(source, made.source)
    why = " ".join(_reasons(made))
    return Proposal(code, "markers", title, why, edits[0].span, edits), ""


def _reasons(made: Marked) -> Iterator[str]:
    """Yield what is to be known of a marked template."""
    yield f"{made.pairs} pair{'s' * (made.pairs != 1)} of generation markers; every conversation is printed as before."
    if made.captured:
        yield "Where no output prints just the model's text, the turn is captured, and printed in three."
    if made.unreached:
        more = f" and {len(made.unreached) - _NAMED} more" if len(made.unreached) > _NAMED else ""
        outputs = ", ".join(f"`{each}`" for each in made.unreached[:_NAMED])
        yield f"No conversation that was tried reaches {outputs}{more}: marked as part of the turn."
