"""The description of a pull request, for the maintainer who will read it."""

from __future__ import annotations

from template_fix import account
from template_fix.checkpoint import Checkpoint
from template_fix.markdown import code, fenced
from template_fix.outcome import PatchResult

# How many files are named.
_FILES = 8


def offer(repo: str, result: PatchResult, default: str, before: Checkpoint, after: Checkpoint) -> str:
    """Return the description of a pull request on ``repo`` that makes ``after`` of ``before``.

    ``default`` is what the repaired template does without being asked: ``preserve`` or ``original``.
    """
    asked = "".join(f" --set {name}={str(value).lower()}" for name, value in result.asked)
    again = fenced(f"pip install template-fix\ntemplate-fix check {repo} --revision refs/pr/NUMBER{asked}", "sh")
    verified = f"{account.proof(result)}\n\nTo see for yourself, with this pull request's number:\n\n{again}"
    sections = {
        "What was wrong": account.wrong(result),
        "Whom it concerns": account.concerned(result),
        "In other engines": account.elsewhere(result),
        "Before and after": account.evidence(result, before, after),
        "What changes": account.changes(result, before, after),
        "How it was verified": verified,
        "How to get the old behaviour back": account.way_back(result, default),
    }
    files = sorted(result.changed)
    more = f" and {len(files) - _FILES} more" if len(files) > _FILES else ""
    opening = (
        f"{code(repo)} loses what is listed here, as running its template and its tokenizer shows. This repairs it "
        f"with the smallest edits that provably work, in {', '.join(map(code, files[:_FILES]))}{more}; no other byte "
        "is touched."
    )
    return account.document(opening, sections)
