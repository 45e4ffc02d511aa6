"""The generation prompt is not how the turn begins.

## What
`add_generation_prompt=True` ends in one text, and the turn that follows is printed with another beginning: the prompt
prefills a tag that the training text lacks, or the other way round.

## Why
The model is asked in a way that it was never trained on. With R1-Distill, rows without reasoning can't follow a prompt
that ends in `<think>`.

## Example
The prompt ends in `<|Assistant|><think>\\n`; a row without reasoning is printed as `<|Assistant|>the answer`.

## Fix
None by an edit: the prompt is how the model was trained and is never changed, and no block is invented for a row that
has none. Train on rows in the form that the prompt asks for, or prompt with the flag that matches the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import Held, Observation
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level

CODE = "TF205"
LEVEL = Level.WARNING
SUMMARY = "the generation prompt is not how the turn begins"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for reasoned turns and one for plain turns that follow no prompt of the template."""
    # To a template without any notion of reasoning, a turn is a turn.
    kinds = (("ur", "a turn with reasoning"), ("ua", "a turn without reasoning"))
    for shape, what in kinds if study.reasoning else (("ua", "a turn"),):
        seen = [each for each in study.owed() if each.probe.shape == shape and not each.lost]
        follows = any(Held("prompted", 1) in each.held for each in seen)
        if seen and not follows:
            message = f"{what} doesn't begin as the generation prompt ends"
            yield Found(message, None, (_evidence(study, seen[0]),))


def _evidence(study: Study, seen: Observation) -> Evidence:
    prompt = study.examined.text(seen.probe, 1, prompt=True)
    return Evidence(seen.probe.describe(), str(prompt), seen.text or "", labels=("prompt", "row"))
