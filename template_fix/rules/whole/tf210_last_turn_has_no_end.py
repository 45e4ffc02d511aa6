"""The last turn has no end.

## What
A token ends each turn that another message follows, and none stands behind the turn that comes last.

## Why
The last turn is what a row is trained on. A model that never sees its end doesn't learn to stop: in use it goes on
after the answer, up to the limit of tokens.

## Example
`{% if not loop.last %}{{ '<|im_end|>' }}{% endif %}`, as templates have it that let a model continue the last message:
that is what `continue_final_message=True` is for, which takes the end away by itself.

## Fix
Print the token that ends turns behind the last one, too; `patch` does so.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.turn_ends import UNORDERED, around, parts_around_texts, turn_ends
from template_fix.conversations.probe import Key
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level

CODE = "TF210"
LEVEL = Level.ERROR
SUMMARY = "the last turn has no end"
PATCH_WITH = ""


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where a turn that others follow is ended, and one that comes last isn't."""
    ends = turn_ends(study.examined)
    if ends is None or not ends.between or ends.last:
        return
    behind = (parts_around_texts(study.examined, "ua") or [""])[-1]
    asked = study.examined.probes["ua", Key("plain")]
    at = places.test(study, asked, lambda text: ends.between in (around(asked, text) or [""])[-1])
    followed = (parts_around_texts(study.examined, "uaua") or ["", "", ""])[2]
    evidence = Evidence(asked.describe(), followed, behind, (ends.between,), labels=("followed", "last"))
    message = f"{ends.between} ends a turn where another message follows, and the last turn has no end"
    yield Found(message, at, (evidence,), f"print {ends.between} behind the last turn, too")


def why_not(study: Study) -> str:
    """Return why nothing can be said of where turns end, "" where it can."""
    return UNORDERED if turn_ends(study.examined) is None else ""
