"""Repairs of a model's own files: reasoning tags that are special, and what the rules on files know to repair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from template_fix.options import Options
from template_fix.results import Finding, Level, Repair, Target
from template_fix.rules import FILE_RULES, TOKEN_RULES, codes
from template_fix.tokens.loaders import is_gguf
from template_fix.tokens.tagged_checkpoint import Subject
from template_fix.tokens.unflag import unflag

_ORDINARY = "Every loader keeps them when it decodes with skip_special_tokens=True, and every id stays as it is."
_PRINTED = "llama.cpp prints them, and never splits them; every id stays as it is."
_UNFLAGGED = codes(rule for rule in TOKEN_RULES if rule.unflagged)


def token_findings(subject: Subject) -> list[Finding]:
    """Return what the rules on tokens find. Use it inside `limits.run_bounded`; raises CheckpointError."""
    return [finding for rule in TOKEN_RULES for finding in rule.check(subject)]


def flag_repair(
    subject: Subject, found: Sequence[Finding], variables: Iterable[str], options: Options
) -> Iterator[tuple[Repair, str]]:
    """Yield the repair that makes reasoning tags ordinary in every file, and why it is refused, "" where it stands.

    ``found`` is what `token_findings` gave, ``variables`` are what the templates read: a token among them stays listed.
    The repair is judged by checking its result. Control tokens stay as they are unless a code is selected by name.
    """
    named = any(map(options.names, _UNFLAGGED))
    tags_named = "the tags" if options.plain else "the reasoning tags"
    before = [finding for finding in found if options.wants(finding.code)]
    if not any(named or finding.level is not Level.NOTE for finding in before if finding.code in _UNFLAGGED):
        return
    tags = [tag for pair in subject.tags if named or pair not in subject.control_tags for tag in pair]
    unflagged = unflag(subject.checkpoint, tags, frozenset(variables))
    after = token_findings(subject._replace(checkpoint=subject.checkpoint.apply(unflagged.edits)))
    resolved = {finding.code for finding in before} - {finding.code for finding in after}
    why = " ".join([_PRINTED if is_gguf(subject.checkpoint) else _ORDINARY, *unflagged.notes])
    title = f"make {tags_named} ordinary tokens"
    repair = Repair(tuple(sorted(resolved or _UNFLAGGED)), title, why, "token flags", unflagged.edits, Target.TOKENS)
    worse = {finding.code for finding in after} - {finding.code for finding in found}
    if not unflagged.edits:
        yield from ((repair, note) for note in unflagged.notes)
    else:
        yield repair, f"it would bring {min(worse)} about" if worse else ""


def file_repair(subject: Subject, options: Options) -> Repair | None:
    """Return the first repair that a rule on files has for a checkpoint, or None. Make its edits, then ask again."""
    for rule in FILE_RULES:
        if rule.repairs and options.wants(rule.code):
            for repair in rule.repairs(subject, options.names(rule.code)):
                found: Repair = repair
                return found
    return None
