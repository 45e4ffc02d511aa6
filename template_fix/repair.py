"""Check a checkpoint; repair it: propose, judge, keep or refuse, until nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from template_fix.checkpoint import Checkpoint, TemplateCopy
from template_fix.finding import Finding, Place
from template_fix.limits import LimitExceeded, bounded
from template_fix.outcome import PatchResult, Refusal, Repair, Report, TemplateSummary
from template_fix.proposers import Proposal
from template_fix.proposers.splice import tidied
from template_fix.rules import CHECKPOINT_RULES, TEMPLATE_RULES, level_of
from template_fix.study import Found, Setting, Study
from template_fix.subject import Subject
from template_fix.text import Edit, Span
from template_fix.tokens import vocabulary_tags


@dataclass(frozen=True)
class Options:
    """What to look for and how to repair it.

    ``select`` and ``ignore`` hold codes or their beginnings (``TF2``); an empty ``select`` means all. ``default`` is
    what an absent ``preserve_thinking`` shall mean: ``preserve`` or ``original``. ``tags`` override the reasoning tags
    that are found.
    """

    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    default: str = "preserve"
    tags: tuple[tuple[str, str], ...] = ()

    def wants(self, code: str) -> bool:
        """Whether a code is selected and not ignored."""
        chosen = not self.select or any(code.startswith(prefix) for prefix in self.select)
        return chosen and not any(code.startswith(prefix) for prefix in self.ignore)

    def names(self, code: str) -> bool:
        """Whether a code is selected by name, and not just because nothing is."""
        return bool(self.select) and self.wants(code)


@dataclass(frozen=True)
class Template:
    """What the study of one template came to; ``found`` pairs each finding with its code."""

    found: tuple[tuple[str, Found], ...]
    reasoning: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    probes: int = 0
    accepted: int = 0


@dataclass(frozen=True)
class Healing:
    """What the search for a template's repair came to: proposals kept, with their final edits, and refused."""

    kept: tuple[tuple[Proposal, tuple[Edit, ...]], ...] = ()
    refused: tuple[tuple[Proposal, str], ...] = ()


def check(checkpoint: Checkpoint, options: Options | None = None) -> Report:
    """Return what is wrong with a checkpoint. Changes nothing; templates run within limits."""
    options = options or Options()
    studied = {copies: _studied(checkpoint, copies[0], options) for copies in distinct(checkpoint)}
    findings = [finding for copies, template in studied.items() for finding in _located(copies[0], template)]
    subject = _subject(checkpoint, studied, options)
    findings += [finding for rule in CHECKPOINT_RULES for finding in rule.check(subject)]
    wanted = [finding for finding in findings if options.wants(finding.code)]
    return Report(checkpoint.name, tuple(sorted(wanted, key=_order)), tuple(_summaries(studied)))


def patch(checkpoint: Checkpoint, options: Options | None = None) -> PatchResult:
    """Return what a repair of a checkpoint comes to, in memory; nothing is written.

    Each repair is judged by itself, and the repaired checkpoint is checked again from the beginning.
    """
    options = options or Options()
    before = check(checkpoint, options)
    kept, refused = _template_repairs(checkpoint, before, options)
    mended = checkpoint.apply(edit for repair in kept for edit in repair.edits)
    tokens = _token_repair(mended, before, options)
    if tokens:
        kept.append(tokens)
        mended = mended.apply(tokens.edits)
    after = check(mended, options) if kept else before
    changed = {
        file: (text, mended.files[file]) for file, text in checkpoint.files.items() if mended.files[file] != text
    }
    return PatchResult(before, after, tuple(kept), tuple(refused), changed)


def distinct(checkpoint: Checkpoint) -> Iterator[tuple[TemplateCopy, ...]]:
    """Yield the copies of each different template: the ones with the same text, repaired alike, together."""
    by_source: dict[str, list[TemplateCopy]] = {}
    for copy in checkpoint.templates:
        by_source.setdefault(copy.source, []).append(copy)
    yield from map(tuple, by_source.values())


def special_tokens(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the named special tokens that a template can print, such as ``bos_token``.

    Without any tokenizer configuration their names stand for unknown texts, since the template may need them.
    """
    names: dict[str, Any] = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        document = checkpoint.document(file)
        names.update(dict(document.plain()) if document else {})
    if not names:
        return {"bos_token": "<s>", "eos_token": "</s>"}
    found = {name: _content(value) for name, value in names.items() if name.endswith("_token")}
    return {name: content for name, content in found.items() if content is not None}


def _content(value: Any) -> str | None:
    content = value.get("content") if isinstance(value, Mapping) else value
    return content if isinstance(content, str) else None


def _setting(checkpoint: Checkpoint, options: Options) -> Setting:
    tags = options.tags[0] if options.tags else None
    return Setting(tuple(special_tokens(checkpoint).items()), tags, options.default == "preserve")


def _studied(checkpoint: Checkpoint, copy: TemplateCopy, options: Options) -> Template:
    try:
        return bounded(_study, copy.source, _setting(checkpoint, options), seconds=60)
    except LimitExceeded as error:
        return Template((("TF103", Found(f"the template was stopped: it {error}", Span(0, 0))),))


def _study(source: str, setting: Setting) -> Template:
    study = Study(source, setting)
    rules = [rule for rule in TEMPLATE_RULES if study.unreadable is None or rule.CODE < "TF2"]
    found = tuple((rule.CODE, each) for rule in rules for each in rule.check(study))
    if study.unreadable is not None:
        return Template(found)
    tags = ((study.tags.open, study.tags.close),) if study.reasoning else ()
    return Template(found, study.reasoning, tags, len(study.examined.probes), study.accepted())


def _located(copy: TemplateCopy, template: Template) -> Iterator[Finding]:
    for code, found in template.found:
        place = copy.place(*found.at) if found.at else Place(copy.file, template=copy.variant)
        yield Finding(code, level_of(code), found.message, place, found.evidence, found.fix)


def _subject(
    checkpoint: Checkpoint, studied: Mapping[tuple[TemplateCopy, ...], Template], options: Options
) -> Subject:
    printed = [pair for template in studied.values() for pair in template.tags]
    named = list(vocabulary_tags(checkpoint))
    tags = tuple(dict.fromkeys([*options.tags, *printed, *named]))
    return Subject(checkpoint, tags, frozenset(pair for pair in tags if _control(pair) and pair not in options.tags))


def _control(pair: tuple[str, str]) -> bool:
    """Whether a pair of tags is spelled like a control token, which is special by design: ``[THINK]``, ``<|x|>``."""
    return pair[0].startswith("[") or "|" in pair[0]


def _summaries(studied: Mapping[tuple[TemplateCopy, ...], Template]) -> Iterator[TemplateSummary]:
    for copies, template in studied.items():
        for copy in copies:
            yield TemplateSummary(
                copy.file, copy.variant, template.reasoning, template.tags, template.probes, template.accepted
            )


def _order(finding: Finding) -> tuple[str, str, int, int]:
    place = finding.place or Place("")
    return (finding.code, place.file, place.line or 0, place.column or 0)


def _template_repairs(
    checkpoint: Checkpoint, before: Report, options: Options
) -> tuple[list[Repair], list[Refusal]]:
    kept: list[Repair] = []
    refused: list[Refusal] = []
    reasoning = {(each.file, each.variant) for each in before.templates if each.reasoning}
    for copies in distinct(checkpoint):
        if (copies[0].file, copies[0].variant) in reasoning:
            healing = _healed(checkpoint, copies[0], options)
            kept += [_repair(copies, proposal, edits) for proposal, edits in healing.kept]
            refused += [Refusal(_repair(copies, each, each.edits), reason) for each, reason in healing.refused]
    return kept, refused


def _repair(copies: tuple[TemplateCopy, ...], proposal: Proposal, edits: tuple[Edit, ...]) -> Repair:
    placed = tuple(edit for copy in copies for edit in copy.edits(edits))
    return Repair((proposal.code,), proposal.title, proposal.why, proposal.source, placed)


def _healed(checkpoint: Checkpoint, copy: TemplateCopy, options: Options) -> Healing:
    try:
        return bounded(_heal, copy.source, _setting(checkpoint, options), options, seconds=600)
    except LimitExceeded:
        return Healing()


def _heal(source: str, setting: Setting, options: Options) -> Healing:
    study = Study(source, setting)
    if study.unreadable is not None:
        return Healing()
    proposals = [proposal for proposal in study.proposals if options.wants(proposal.code)]
    best = study.search.best(proposals)
    if best is None:
        return Healing(refused=tuple(_refusals(study, proposals)))
    tidy = iter(tidied(study.template, [edit for proposal in best.kept for edit in proposal.edits]))
    return Healing(tuple((each, tuple(next(tidy) for _ in each.edits)) for each in best.kept))


def _refusals(study: Study, proposals: list[Proposal]) -> Iterator[tuple[Proposal, str]]:
    for proposal in proposals:
        verdict = study.search.tried([proposal]).verdict
        if verdict.reason:
            yield proposal, verdict.reason


def _token_repair(checkpoint: Checkpoint, before: Report, options: Options) -> Repair | None:
    return None
