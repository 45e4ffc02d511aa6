"""The template has no generation markers, so `assistant_only_loss` trains on nothing.

## What
No `{% generation %}` … `{% endgeneration %}` tells which of the rendered text the model wrote.

## Why
`assistant_only_loss=True` of TRL and `return_assistant_tokens_mask=True` of transformers train on what the markers
enclose. Without any, there is an error, or a mask of zeros while the loss looks healthy. Whoever trains on the whole
text, or on completions, needs none: so this is a note, and told only where its code is selected.

## Example
`{{ '<|im_start|>assistant\\n' + message.content + '<|im_end|>\\n' }}` prints header, answer and end of the turn in one.

## Fix
`template-fix patch --mark` puts markers round what the model has to write, from the end of the generation prompt
through the token that ends the turn. Not one rendered character changes. They are never put in unasked: minijinja,
minja and other engines don't know the tag.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.repair.study import Found, Study
from template_fix.results import Level

CODE = "TF501"
LEVEL = Level.NOTE
SUMMARY = "no generation markers, so assistant_only_loss trains on nothing"
PATCH_WITH = "--mark"
# Most templates have no markers, and most trainings need none.
ASKED_BY = "mark"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for a template that prints turns and marks none."""
    if not study.markers and any(seen.text is not None for seen in study.examined):
        yield Found(
            "no generation markers: with assistant_only_loss nothing is trained on",
            fix="patch --mark puts them round what the model has to write",
        )
