"""The model card of a repository that holds a repaired tokenizer of one's own."""

from __future__ import annotations

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.report.markdown import code, fenced, prose
from template_fix.results import PatchResult
from template_fix.share import description


def card(repo: str, base: str | None, result: PatchResult, default: str, before: Checkpoint, after: Checkpoint) -> str:
    """Return the text of the card; ``base`` names the model that was repaired, where that is known.

    ``default`` is what the repaired template does without being asked: ``preserve`` or ``original``.
    """
    model = code(base) if base else "a model"
    commit = f" at commit {code(before.revision)}" if before.revision else ""
    opening = (
        f"The tokenizer of {model}{commit}, with a chat template and tokens that keep its reasoning. There are no "
        "weights here."
    )
    use = f'from transformers import AutoTokenizer\n\ntokenizer = AutoTokenizer.from_pretrained("{repo}")'
    sections = {"How to use it": fenced(use, "python")}
    if result.kept:
        sections |= {
            "What was wrong": description.wrong(result),
            "Whom it concerns": description.concerned(result),
            "In other engines": description.elsewhere(result),
            "Before and after": description.evidence(result, before, after),
            "What changed": description.changes(result, before, after),
            "How to get the old behaviour back": description.way_back(result, default),
        }
    sections["How it was verified"] = description.proof(result)
    return description.document(f"# {prose(repo.rpartition('/')[2])}\n\n{opening}", sections)
