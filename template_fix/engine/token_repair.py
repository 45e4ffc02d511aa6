"""Repairs of the tokenizer's own files: reasoning tags that are special, and forms that a release can't load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.options import Options
from template_fix.results import Finding, Level, Repair
from template_fix.rules import CHECKPOINT_RULES
from template_fix.tokens.loadability import FIVE, Obstacle, obstacles
from template_fix.tokens.reasoning_tokens import unflag
from template_fix.tokens.tagged_checkpoint import Subject

FLAG_CODES = ("TF301", "TF302", "TF303")
LOAD_CODE = "TF402"


def flag_repair(subject: Subject, variables: Iterable[str], options: Options) -> Iterator[tuple[Repair, str]]:
    """Yield the repair that makes reasoning tags ordinary in every file, and why it is refused, "" where it stands.

    ``variables`` are what the templates read: a token among them stays listed. The repair is judged by checking its
    result. Control tokens stay as they are unless a code is selected by name.
    """
    named = any(options.names(code) for code in FLAG_CODES)
    before = [finding for finding in _findings(subject) if options.wants(finding.code)]
    if not any(named or finding.level is not Level.NOTE for finding in before if finding.code in FLAG_CODES):
        return
    tags = [tag for pair in subject.tags if named or pair not in subject.control_tags for tag in pair]
    unflagged = unflag(subject.checkpoint, tags, frozenset(variables))
    after = _findings(replace(subject, checkpoint=subject.checkpoint.apply(unflagged.edits)))
    resolved = {finding.code for finding in before} - {finding.code for finding in after}
    codes = tuple(sorted(resolved)) or FLAG_CODES
    why = " ".join([_ORDINARY, *unflagged.notes])
    repair = Repair(codes, "make the reasoning tags ordinary tokens", why, "token flags", unflagged.edits)
    worse = {finding.code for finding in after} - {finding.code for finding in _findings(subject)}
    if not unflagged.edits:
        yield from ((repair, note) for note in unflagged.notes)
    else:
        yield repair, f"it would bring {min(worse)} about" if worse else ""


def load_repair(checkpoint: Checkpoint, options: Options) -> Repair | None:
    """Return the first repair of a form that a release can't load, or None. Make its edits, then ask again.

    What only an older release can't load is repaired where TF402 is selected by name: transformers 5 writes such files
    whenever it saves.
    """
    for obstacle in obstacles(checkpoint) if options.wants(LOAD_CODE) else ():
        if obstacle.edits and (FIVE in obstacle.releases or options.names(LOAD_CODE)):
            return _loading(obstacle)
    return None


def _loading(obstacle: Obstacle) -> Repair:
    edits = tuple((obstacle.file, edit) for edit in obstacle.edits)
    return Repair((LOAD_CODE,), obstacle.fix, f"Until then: {obstacle.message}.", "loadable forms", edits)


_ORDINARY = "Every loader keeps them when it decodes with skip_special_tokens=True, and every id stays as it is."


def _findings(subject: Subject) -> list[Finding]:
    return [finding for rule in CHECKPOINT_RULES for finding in rule.check(subject)]
