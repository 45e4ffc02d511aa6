"""The tokenizer files can't be loaded by a released transformers.

## What
A file holds a form that transformers 4.57 or 5 answers with an error: a list of `extra_special_tokens` or the class
`TokenizersBackend`, which transformers 5 writes and 4.57 doesn't know; tokens with flags that lack
`"__type": "AddedToken"`; entries of `added_tokens` without all of their fields; a byte order mark.

## Why
The model can't be used by whoever has that release, and the errors rarely name the file or the entry.

## Example
`"extra_special_tokens": ["<|im_start|>"]`: with 4.57, `AttributeError: 'list' object has no attribute 'keys'`.

## Fix
The form that both releases read alike takes its place where there is one: the list is named
`additional_special_tokens`, the class `PreTrainedTokenizerFast`, the missing `"__type"` is added. What only 4.57 can't
load is a warning: that release is older, and every directory that transformers 5 saves has such forms. `patch` changes
those only with `--select TF402`.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.results import Evidence, Finding, Level, Repair, Target
from template_fix.tokens.loadability import FIVE, Obstacle, obstacles
from template_fix.tokens.reasoning_tokens import listed
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF402"
LEVEL = Level.ERROR
SUMMARY = "the tokenizer files can't be loaded by a released transformers"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each form that a released transformers can't load."""
    for found in obstacles(subject.checkpoint):
        releases, by_itself = listed(found.releases), FIVE in found.releases
        patch_with = ("" if by_itself else f"--select {CODE}") if found.edits else None
        yield Finding(
            CODE,
            LEVEL if found.grave and by_itself else Level.WARNING,
            f"{releases} can't load {found.file}: {found.message}",
            subject.checkpoint.place(found.file, found.span),
            (Evidence(f"AutoTokenizer.from_pretrained in {releases}", printed=found.error, labels=("in", "error")),),
            f"{found.fix}; patch {patch_with} does it" if patch_with else found.fix,
            patch_with,
        )


def repairs(subject: Subject, named: bool) -> Iterator[Repair]:
    """Yield the repair of each form for which an edit is known; make those of one, then ask again.

    What only an older release can't load is repaired where the rule is ``named``: transformers 5 writes such files
    whenever it saves.
    """
    yield from (
        _repair(each) for each in obstacles(subject.checkpoint) if each.edits and (named or FIVE in each.releases)
    )


def _repair(found: Obstacle) -> Repair:
    edits = tuple((found.file, edit) for edit in found.edits)
    return Repair((CODE,), found.fix, f"Until then: {found.message}.", "loadable forms", edits, Target.FILES)
