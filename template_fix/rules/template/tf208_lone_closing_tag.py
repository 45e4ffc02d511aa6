"""Text in front of a lone closing tag is lost.

## What
A message holds a closing tag without its opening one, and the template cuts off what stands before it.

## Why
The tag is ambiguous. The opening tag may have been in the prompt, as R1-Distill and QwQ have it: then the reasoning is
lost. Or the answer only mentions the tag, as answers on prompting do: then half of the answer is lost.

## Example
`To close it, write </think> at the end.` is printed as `at the end.`

## Fix
`template-fix patch` keeps the text unless `preserve_thinking=false` is passed.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.repair.study import Found, Study
from template_fix.results import Level

CODE = "TF208"
LEVEL = Level.WARNING
SUMMARY = "text in front of a lone closing tag is lost"
PATCH_WITH = ""

_FIX = "let the template print it; a tag that an answer only mentions closes no reasoning"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where a lone closing tag takes the text before it along, or gets lost itself."""
    for seen in study.owed() if study.reasoning else ():
        lost = [part for part in seen.lost if seen.probe.shape[part.message] in "ml"]
        if lost and not study.printed_when_last(seen, lost[0]):
            message = f"text in front of a lone {study.tags.close} is lost"
            evidence = study.evidence(seen, lost[0].message, lost[:1])
            yield Found(message, study.cause(seen.probe, lost[0]), (evidence,), _FIX, sought=True)
            return
        if seen.probe.shape in ("um", "ul") and not lost and seen.breaks("well-formed"):
            yield Found(f"a lone {study.tags.close} is lost", None, (study.evidence(seen, 1),))
            return
