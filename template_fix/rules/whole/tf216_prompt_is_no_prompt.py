"""The generation prompt changes nothing, or comes unasked.

## What
`add_generation_prompt=True` adds nothing to a conversation that ends with a question, although answers begin with a
header. Or that header is printed without being asked for, behind an answer that comes last. Where the header is the end
of the user's message (`[/INST]`), there is nothing to add, and no finding.

## Why
Without a prompt the model has to write the header itself, which no training on answers alone has taught it. A prompt
that comes unasked stands at the end of each row that is trained on: the model learns to go on with another turn.

## Example
A template that ends in `{{ '<|im_start|>assistant\\n' }}`, without `{% if add_generation_prompt %}` around it.

## Fix
`{% if add_generation_prompt %}{{ header }}{% endif %}` at the end of the template, with the header of its answers.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.contract.turn_ends import MARK, UNORDERED, TurnEnds, around, turn_ends
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level

CODE = "TF216"
LEVEL = Level.WARNING
SUMMARY = "the generation prompt changes nothing, or comes unasked"

_FIX = "print the header of answers at the end, where add_generation_prompt is true"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding where answers have a header that no prompt adds, or one that comes without being asked for."""
    answered = study.asked("ua")
    asked, examined = study.asked("u"), study.examined
    texts = examined.text(answered), examined.text(answered, 1), examined.text(answered, 1, prompt=True)
    whole, plain, prompted = (around(each, text) for each, text in zip((answered, asked, asked), texts, strict=True))
    if whole is None or plain is None or prompted is None:
        return
    (_, header, behind), (_, unprompted), (_, wanted) = whole, plain, prompted
    added = header.removeprefix(unprompted)
    # That a turn begins with a block which the prompt lacks is TF205.
    unreasoned = added.replace(study.tags.open, "").replace(study.tags.close, "")
    if unprompted == wanted and header.startswith(unprompted) and any(map(str.isalnum, unreasoned)):
        evidence = Evidence(asked.describe(), header, wanted, (added,), labels=("answered", "asked"))
        yield Found(
            f"the generation prompt adds nothing, and answers begin with {added.strip().splitlines()[0]}",
            None,
            (evidence,),
            _FIX,
        )
    begun = _unasked(header, behind, turn_ends(examined))
    if begun:
        evidence = Evidence(answered.describe(), "", behind, stray=(begun,))
        yield Found("the header of another answer is printed without being asked for", None, (evidence,), _FIX)


def _unasked(header: str, behind: str, ends: TurnEnds | None) -> str:
    """Return what begins another answer behind the last one, "" for nothing: the same mark, or the same words."""
    marks, last = MARK.findall(header)[-1:], MARK.findall(behind)[-1:]
    if marks:
        return marks[0] if marks == last and ends and marks[0] not in (ends.between, ends.last) else ""
    words = header.strip().rpartition("\n")[2]
    return words if any(map(str.isalnum, words)) and behind.rstrip().endswith(words) else ""


def why_not(study: Study) -> str:
    """Return why the generation prompt can't be told from the rest, "" where it can."""
    answered = study.asked("ua")
    return UNORDERED if around(answered, study.examined.text(answered)) is None else ""
