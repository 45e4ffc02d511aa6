"""Describes a repair in Markdown: for a pull request, and for the model card of a new repository.

Both say what was wrong, what shows it, what changes, how it was verified, and how to get the old behaviour back.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError
from template_fix.conversations.builtin import unusual
from template_fix.conversations.tags import USUAL
from template_fix.jinja.renderer import RenderError
from template_fix.report.diffs import readable_diff
from template_fix.report.findings import (
    CHANGED,
    UNCHANGED,
    by_gravity,
    describe_elsewhere,
    describe_place,
    proof_lines,
    whom_it_concerns,
)
from template_fix.report.showing.rendering import Shown
from template_fix.report.showing.show import Showing, show
from template_fix.results import Evidence, Finding, PatchResult, Target
from template_fix.share.markdown import code_block, code_span, escape_prose
from template_fix.text.edits import differing_spans
from template_fix.version import version

# The most characters of the whole text, a list, and evidence, and the most rows of one rendering: nobody reads more,
# and the Hub may refuse it.
_LONGEST, _LIST, _SHOWN, _ROWS = 64_000, 6_000, 20_000, 2000
_EXAMPLES = 3
# How many files are named.
_FILES = 8
_NEWLINE = "\n"
# Longer rows of a diff are cut; this many characters on either side of the difference are shown.
_LONGEST_ROW, _BESIDE = 300, 100


def describe(repo: str, result: PatchResult, default: str, before: Checkpoint, after: Checkpoint) -> str:
    """Return the description of a pull request on ``repo`` that changes ``before`` to ``after``.

    ``default`` is what the repaired template does if preserve_thinking isn't passed: ``preserve`` or ``original``.
    """
    asked = "".join(f" --set {name}={str(value).lower()}" for name, value in result.asked)
    again = code_block(f"pip install template-fix\ntemplate-fix check {repo} --revision refs/pr/NUMBER{asked}", "sh")
    sections = {
        **_finding_sections(result, before, after),
        "What changes": describe_changes(result),
        "How it was verified": f"{_describe_proof(result)}\n\nCheck it, with this pull request's number:\n\n{again}",
        "How to get the old behaviour back": describe_way_back(result, default),
    }
    files = sorted(result.changed)
    more = f" and {len(files) - _FILES} more" if len(files) > _FILES else ""
    opening = (
        f"{code_span(repo)} loses what is listed here; running its template and its tokenizer shows it. This repairs "
        f"it with the smallest edits that are proved to work, in {', '.join(map(code_span, files[:_FILES]))}{more}; no "
        "other byte is changed."
    )
    return _document(opening, sections)


def model_card(
    repo: str, base: str | None, result: PatchResult, default: str, before: Checkpoint, after: Checkpoint
) -> str:
    """Return the text of the model card of ``repo``; ``base`` is the name of the repaired model, or None.

    ``default`` is as in `describe`.
    """
    model = code_span(base) if base else "a model"
    commit = f" at commit {code_span(before.revision)}" if before.revision else ""
    opening = (
        f"The tokenizer of {model}{commit}, with a chat template and tokens that keep its reasoning. There are no "
        "weights here."
    )
    use = f'from transformers import AutoTokenizer\n\ntokenizer = AutoTokenizer.from_pretrained("{repo}")'
    sections = {"How to use it": code_block(use, "python")}
    if result.kept:
        sections |= {
            **_finding_sections(result, before, after),
            "What changed": describe_changes(result),
            "How to get the old behaviour back": describe_way_back(result, default),
        }
    sections["How it was verified"] = _describe_proof(result)
    return _document(f"# {escape_prose(repo.rpartition('/')[2])}\n\n{opening}", sections)


def _finding_sections(result: PatchResult, before: Checkpoint, after: Checkpoint) -> dict[str, str]:
    return {
        "What was wrong": _describe_findings(result),
        "Whom it concerns": describe_concerned(result),
        "In other engines": " ".join(describe_elsewhere(result, escape_prose, code_span)),
        "Before and after": describe_evidence(result, before, after),
    }


def _document(opening: str, sections: Mapping[str, str]) -> str:
    """Return a document of titled sections; empty sections, and those that make it too long, are left out."""
    parts = [opening]
    for title, text in sections.items():
        if text and sum(map(len, parts)) + len(text) < _LONGEST:
            parts.append(f"## {title}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _describe_findings(result: PatchResult) -> str:
    """Return the lists of findings that are gone and of those that remain."""
    left = by_gravity(result.after.findings)
    remains = set(map(_identity, left))
    gone = [finding for finding in by_gravity(result.before.findings) if _identity(finding) not in remains]
    parts = [
        _bullets(map(_describe_finding, gone)),
        "What remains:" if gone and left else "",
        _bullets(map(_describe_finding, left)),
    ]
    return "\n\n".join(filter(None, parts))


def _identity(finding: Finding) -> tuple[object, ...]:
    """Return what identifies a finding before and after edits that move its place."""
    place = finding.place
    return finding.code, finding.message, place and (place.file, place.template)


def _bullets(texts: Iterable[str]) -> str:
    """Return a Markdown list of the first of ``texts``, and the number of the others."""
    items = [f"- {item}" for item in texts]
    first = _take_fitting(items, _LIST)
    return "\n".join([*first, *([f"- and {len(items) - len(first)} more"] if len(first) < len(items) else [])])


def _take_fitting(texts: Sequence[str], room: int) -> Sequence[str]:
    """Return as many of ``texts`` as fit into ``room`` characters, but at least the first."""
    return texts[: max(1, sum(end <= room for end in accumulate(map(len, texts))))]


def _describe_finding(finding: Finding) -> str:
    place = f" ({code_span(describe_place(finding.place))})" if finding.place else ""
    return f"{finding.level.value} {finding.code}: {escape_prose(finding.message)}{place}"


def describe_evidence(result: PatchResult, before: Checkpoint, after: Checkpoint) -> str:
    """Return conversations rendered before and after, and what decoding keeps; else the experiments of findings."""
    try:
        one, other = show(before), show(after, flags=dict(result.asked))
        renderings = list(_renderings(one, other)) or list(_unusual(result, before, after))
        parts = [*renderings, *_decodings(one, other)]
    except (CheckpointError, RenderError):
        parts = []
    return "\n\n".join(_take_fitting(parts or list(_describe_experiments(result)), _SHOWN))


def _unusual(result: PatchResult, before: Checkpoint, after: Checkpoint) -> Iterator[str]:
    tags = next((pair for template in result.before.templates for pair in template.tags), USUAL)
    for conversation in unusual(tags):
        yield from _renderings(show(before, [conversation]), show(after, [conversation], flags=dict(result.asked)))


def _renderings(before: Showing, after: Showing) -> Iterator[str]:
    for one, other in zip(before.shown, after.shown, strict=True):
        if rows := list(difflib.unified_diff(_rows(one), _rows(other), lineterm="", n=99))[3:]:
            yield "{}:\n\n{}".format(escape_prose(one.title), code_block("\n".join(rows), "diff"))


def _rows(shown: Shown) -> list[str]:
    if shown.failure is not None:
        return [f"the template refuses it: {shown.failure}"]
    text = "".join(run.text for turn in shown.turns for run in turn.runs if run.kind != "dropped")
    return text.removesuffix("\n").split("\n", _ROWS)[:_ROWS]


def _decodings(before: Showing, after: Showing) -> Iterator[str]:
    special = {tag.tag: tag.special for tag in before.tags}
    changed = [tag for tag in after.tags if special.get(tag.tag, tag.special) != tag.special]
    if changed:
        fate = {True: "dropped", False: "kept"}
        rows = (f"{code_span(tag.tag)}: {fate[special[tag.tag]]} before, {fate[tag.special]} after" for tag in changed)
        yield f"`decode(…, skip_special_tokens=True)`:\n\n{_bullets(rows)}"


def _describe_experiments(result: PatchResult) -> Iterator[str]:
    left = set(map(_identity, result.after.findings))
    seen = [each for finding in result.before.findings if _identity(finding) not in left for each in finding.evidence]
    yield from map(_describe_experiment, seen[:_EXAMPLES])


def _describe_experiment(evidence: Evidence) -> str:
    texts = zip(evidence.labels, (evidence.given, evidence.printed), strict=True)
    shown = "\n\n".join(f"{label}:\n{text}" for label, text in texts if text)
    return f"{escape_prose(evidence.subject)}:\n\n{code_block(shown)}"


def describe_changes(result: PatchResult) -> str:
    """Return what each repair does, and the readable diff."""
    made = _bullets(
        dict.fromkeys(f"{escape_prose(repair.title)}: {escape_prose(repair.why)}" for repair in result.kept)
    )
    diff = shorten_rows(readable_diff(result))
    return f"{made}\n\n{code_block(diff, 'diff', rest='the commit shows the rest')}"


def shorten_rows(diff: str) -> str:
    """Return a diff with long rows cut around the difference: a template may be stored on one line."""
    rows = diff.split("\n")
    gone = [at for at, row in enumerate(rows) if row.startswith("-")]
    for at in gone:
        # After a last row without an end of line, a remark comes between the two.
        new = at + 2 if rows[at + 1 : at + 2] and rows[at + 1].startswith("\\") else at + 1
        if rows[new : new + 1] and rows[new].startswith("+") and max(len(rows[at]), len(rows[new])) > _LONGEST_ROW:
            rows[at], rows[new] = _around(rows[at], rows[new])
    return "\n".join(rows)


def _around(old: str, new: str) -> tuple[str, str]:
    one, other = differing_spans(old[1:], new[1:])  # without the signs + and -
    return _part(old, one.start + 1, one.end + 1), _part(new, other.start + 1, other.end + 1)


def _part(row: str, start: int, end: int) -> str:
    first, last = max(start - _BESIDE, 1), min(end + _BESIDE, len(row))
    return f"{row[0]}{'… ' if first > 1 else ''}{row[first:last]}{' …' if last < len(row) else ''}"


def _describe_proof(result: PatchResult) -> str:
    """Return how the repair was verified."""
    checks = "\n".join("".join(piece.text for piece in line.pieces) for line in proof_lines(result))
    parts = [f"template-fix {version()} ran the files as they were and as they are repaired.", checks]
    if has_switch(result):
        parts.append(
            "If the tests that the repair adds are removed, the syntax tree is the original's. Conversations that the "
            "original printed correctly are printed the same, and the generation prompt never changes."
        )
    return "\n\n".join([*parts, "No token's id changes, and only the bytes of the edits do."])


def describe_way_back(result: PatchResult, default: str) -> str:
    """Return how to get the original output; ``default`` is as in `describe`."""
    if not has_switch(result):
        return "Revert the commit; no token's id changes either way."
    if default == "original":
        return "The template prints what the original prints unless `preserve_thinking=True` is passed."
    call = "tokenizer.apply_chat_template(messages, preserve_thinking=False)"
    return f"{code_block(call, 'python')}\n\nprints, byte for byte, what the original prints."


def has_switch(result: PatchResult) -> bool:
    """Whether the repair added the switch ``preserve_thinking`` to a template."""
    return any("preserve_thinking" in edit.text for repair in result.kept for _, edit in repair.edits)


def describe_concerned(result: PatchResult) -> str:
    """Return who is affected by the losses of a template, and what changes for callers who pass no switch."""
    if not has_switch(result):
        return ""
    parts = [whom_it_concerns(result)]
    if result.served is not None:
        rows = ("\n".join(f"{sign}{row}" for row in text.split("\n")) for sign, text in _signed_texts(result.served))
        parts += [f"{CHANGED}: {escape_prose(result.served.subject)}.", code_block(_NEWLINE.join(rows), "diff")]
    elif result.asked:
        # Only said of --default original: for others, no conversation may have been found for lack of time.
        parts.append(UNCHANGED)
    return "\n\n".join(filter(None, parts))


def _signed_texts(evidence: Evidence) -> Iterator[tuple[str, str]]:
    yield "-", evidence.given.removesuffix("\n")
    yield "+", evidence.printed.removesuffix("\n")


def describe_in_one_line(result: PatchResult) -> str:
    """Return a title for the repair, in one line."""
    tokens = result.changes(Target.TOKENS)
    if result.asked and has_switch(result):
        also = " and make the reasoning tags ordinary tokens" * tokens
        return f"Let preserve_thinking=true keep all reasoning in the chat template{also}"
    parts = ["the chat template"] * result.changes(Target.TEMPLATE) + ["the reasoning tags"] * tokens
    return f"Repair {' and '.join(parts or ['the tokenizer files'])}, so that no reasoning is lost"
