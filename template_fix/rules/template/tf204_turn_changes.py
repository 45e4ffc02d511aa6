"""A turn changes once more messages follow it.

## What
The text of a turn that stands last isn't the text of the same turn with messages behind it, although nothing of it is
lost.

## Why
What the model wrote and what it is trained on, or reads in its cache, are two texts. Losses by prefix, reinforcement
learning over several turns and prefix caching all rest on their being one. Many vendors mean it so, for serving: those
who only serve the model without a prefix cache need not care, and `preserve_thinking=false` keeps their prompts.

## Example
`{% if loop.last or reasoning_content %}` prints an empty `<think>` block in the last turn only.

## Fix
`template-fix patch` prints every turn as the last one unless `preserve_thinking=false` is passed. Where the last one
has an empty block, so has then every turn without reasoning: `--ignore TF204` leaves these as they are, for rows that
have no reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.examination import Observation
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level

CODE = "TF204"
LEVEL = Level.WARNING
SUMMARY = "a turn changes once more messages follow it"
PATCH_WITH = ""
ON_PURPOSE = True


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where a conversation isn't the beginning of its continuation."""
    for seen in study.owed():
        cuts = [held.of for held in seen.breaks("stable")]
        if cuts and not seen.lost:
            fix = f"print it everywhere as it is printed when it stands last{study.own_way}"
            yield Found(
                "a turn is printed differently once more messages follow it",
                study.change(seen),
                _evidence(study, seen, cuts[0]),
                fix,
                sought=True,
            )
            return


def _evidence(study: Study, seen: Observation, cut: int) -> tuple[Evidence, ...]:
    shorter = study.examined.text(seen.probe, cut)
    return (
        Evidence(
            f"{seen.probe.describe()}; its first {cut} messages",
            given=shorter if isinstance(shorter, str) else "",
            printed=(seen.text or "")[: len(shorter) if isinstance(shorter, str) else None],
            labels=("alone", "followed"),
        ),
    )
