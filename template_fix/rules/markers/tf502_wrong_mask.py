"""The marked region is wrong.

## What
What the generation markers enclose is not what the model has to write: a header is inside, the token that ends the turn
is outside, a part of the turn is unmarked, or the text of another role is marked.

## Why
With `assistant_only_loss` the model is trained on what is marked, and on nothing else. With the end of the turn outside
it never learns to stop; with the header inside, it learns to write what it is prompted with.

## Example
`{% generation %}{{ message.content }}{% endgeneration %}<|im_end|>` leaves the end of the turn out.

## Fix
`template-fix patch --mark` takes the markers out and puts new ones where they belong. The mask runs from the end of the
generation prompt, as far as it is the same however `enable_thinking` is set, through the token that ends the turn;
stray indentation between prompt and turn is outside.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level
from template_fix.text.edits import Span

CODE = "TF502"
LEVEL = Level.WARNING
SUMMARY = "the generation markers enclose the wrong text"
PATCH_WITH = "--mark"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for markers that give another mask than the wanted one in an ordinary conversation."""
    if not study.markers:
        return
    from template_fix.markers.mark_template import find_wrong_masks, mask_of

    for each in find_wrong_masks(mask_of(study), study.examined.renderer):
        if each.probe.ordinary:
            marked, wanted = (_shown(each.text, spans) for spans in (each.marked, each.wanted))
            yield Found(
                f"the generation markers enclose the wrong text: {_what(each.text, each.marked, each.wanted)}",
                study.markers[0]._replace(end=study.markers[0].start + len("generation")),
                (Evidence(each.probe.describe(), given=wanted, printed=marked, labels=("wanted", "marked")),),
                "put them round what the model has to write: patch --mark looks for the edit",
            )
            return


def _shown(text: str, spans: tuple[Span, ...]) -> str:
    return " … ".join(text[start:end] for start, end in spans) or "nothing"


def _what(text: str, marked: tuple[Span, ...], wanted: tuple[Span, ...]) -> str:
    """Say in a few words how a mask differs from the wanted one."""
    if not marked:
        return "nothing is marked"
    first, last = wanted[0], wanted[-1]
    span = next((span for span in marked if span.start < first.end and first.start < span.end), None)
    if span is None:
        return "a turn is not marked"
    if span.start < first.start:
        return f"{text[span.start : first.start]!r} in front of a turn is inside"
    if span.start > first.start:
        return f"{text[first.start : span.start]!r} is outside"
    ending = marked[-1]
    if ending.end < last.end:
        return f"{text[ending.end : last.end]!r} is outside"
    if ending.end > last.end:
        return f"{text[last.end : ending.end]!r} behind a turn is inside"
    return "parts of turns are outside, or texts of others inside"
