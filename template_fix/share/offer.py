"""The description of a pull request, for the maintainer who will read it."""

from __future__ import annotations

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.report.markdown import code, fenced
from template_fix.results import PatchResult
from template_fix.share import description

# How many files are named.
_FILES = 8


def offer(repo: str, result: PatchResult, default: str, before: Checkpoint, after: Checkpoint) -> str:
    """Return the description of a pull request on ``repo`` that makes ``after`` of ``before``.

    ``default`` is what the repaired template does without being asked: ``preserve`` or ``original``.
    """
    asked = "".join(f" --set {name}={str(value).lower()}" for name, value in result.asked)
    again = fenced(f"pip install template-fix\ntemplate-fix check {repo} --revision refs/pr/NUMBER{asked}", "sh")
    verified = f"{description.proof(result)}\n\nTo see for yourself, with this pull request's number:\n\n{again}"
    sections = {
        "What was wrong": description.wrong(result),
        "Whom it concerns": description.concerned(result),
        "In other engines": description.elsewhere(result),
        "Before and after": description.evidence(result, before, after),
        "What changes": description.changes(result, before, after),
        "How it was verified": verified,
        "How to get the old behaviour back": description.way_back(result, default),
    }
    files = sorted(result.changed)
    more = f" and {len(files) - _FILES} more" if len(files) > _FILES else ""
    opening = (
        f"{code(repo)} loses what is listed here, as running its template and its tokenizer shows. This repairs it "
        f"with the smallest edits that provably work, in {', '.join(map(code, files[:_FILES]))}{more}; no other byte "
        "is touched."
    )
    return description.document(opening, sections)
