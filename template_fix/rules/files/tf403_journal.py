"""The directory's record of former files is not this user's, or a run was left unfinished.

## What
`template-fix patch` keeps what `undo` needs in `.template-fix`. Here that folder was written by somebody else, was
damaged, or the directory was moved since; or a run was killed while it moved files into place, so that some of them may
be new and some old.

## Why
A record tells which files are to be replaced by what. One that came with a download could name any: so nothing is done
by it, neither by `patch` nor by `undo`, until it is gone.

## Example
A model is downloaded as an archive that holds `.template-fix`: `patch` refuses to work there, with exit code 2.

## Fix
Delete `.template-fix`, or move the directory back to where it was patched. What a killed run left unfinished, the next
`patch` or `undo` finishes before it does anything else.
"""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.results import Finding, Level, Place
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF403"
LEVEL = Level.WARNING
SUMMARY = "the record of former files is not this user's, or a run was left unfinished"

_TOLD = {
    "foreign": (
        "no run of yours wrote the record of former files in this place, so patch and undo refuse to act on it",
        "delete .template-fix, or move the directory back to where it was patched",
    ),
    "unfinished": (
        "a run was stopped while it moved files into place, or is at it now: some may be new and some old",
        "run template-fix patch or template-fix undo, which finish it first",
    ),
}


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where the record can't be believed, or isn't finished."""
    if subject.checkpoint.store:
        message, fix = _TOLD[subject.checkpoint.store]
        yield Finding(CODE, LEVEL, message, Place(".template-fix"), fix=fix)
