"""Checks a checkpoint: what the studies of its templates and the rules on its files and tokens come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar

from template_fix.checkpoint.checkpoint import Checkpoint, TemplateCopy
from template_fix.conversations.tags import closings
from template_fix.engine.ignored import note_ignored
from template_fix.engine.programs import Program, programs
from template_fix.engine.studies import Studied, study_templates
from template_fix.engine.token_repair import token_findings
from template_fix.options import Options
from template_fix.results import Finding, Level, Place, Report, TemplateSummary, Unevaluated
from template_fix.rules import FILE_RULES, MARKER_RULES, TOKEN_RULES, WHOLE_RULES, Rule, is_wanted, rule_of
from template_fix.tokens.reasoning_tokens import recorded_tags
from template_fix.tokens.stub_tokenizer import within_limits
from template_fix.tokens.tagged_checkpoint import Subject

_UNFOUND = "; what in the template does it was looked for, and not found"

Value = TypeVar("Value")


class Checked(NamedTuple):
    """A checkpoint that was looked at: its report, what the rules on files and tokens looked at, and what those on
    tokens found, wanted or not."""

    report: Report
    subject: Subject
    on_tokens: tuple[Finding, ...]


def check_now(checkpoint: Checkpoint, options: Options) -> Report:
    """Return what is wrong with a checkpoint. Changes nothing; templates run within limits."""
    studied = study_templates(checkpoint, options, programs(checkpoint), heal=False)
    return check_studied(checkpoint, studied, options).report


def check_studied(checkpoint: Checkpoint, studied: Mapping[Program, Studied], options: Options) -> Checked:
    """Return what is wrong with a checkpoint, with what the studies of its templates told."""
    found = (_located(program.copies[0], study, options) for program, study in studied.items())
    findings = [finding for each in found for finding in each]
    subject = subject_of(checkpoint, studied.values(), options)
    findings += [finding for rule in FILE_RULES if is_wanted(rule, options) for finding in rule.check(subject)]
    tokens = on_tokens(subject, token_findings, subject)
    wanted = [finding for finding in (*findings, *tokens) if is_wanted(rule_of(finding.code), options)]
    summaries = [_summary(study, copy, options) for program, study in studied.items() for copy in program.copies]
    report = Report(
        checkpoint.name,
        tuple(sorted(wanted, key=_order)),
        tuple(summaries),
        checkpoint.revision,
        unevaluated=tuple(_unevaluated(subject, options)),
    )
    return Checked(report, subject, tuple(tokens))


def _unevaluated(subject: Subject, options: Options) -> Iterator[Unevaluated]:
    """Yield the rules on files and tokens of which nothing can be said, those on tags where there are any."""
    for rule in (*FILE_RULES, *(TOKEN_RULES if subject.tags else ())):
        if rule.needs and is_wanted(rule, options) and (why := subject.without(*rule.needs)):
            yield Unevaluated(rule.code, why)


def _summary(study: Studied, copy: TemplateCopy, options: Options) -> TemplateSummary:
    """Return what was learned of a template as that of one copy, without rules that nobody asked."""
    asked = tuple(each for each in study.learned.unevaluated if is_wanted(rule_of(each.code), options))
    return replace(study.learned, file=copy.file, variant=copy.variant, source=copy.source, unevaluated=asked)


def on_tokens(subject: Subject, function: Callable[..., Iterable[Value]], *args: object) -> list[Value]:
    """Return all that ``function(*args)`` gives: it runs the tokenizers library, so it runs within limits.

    Raises CheckpointError where it exceeds them. Without reasoning tags there is nothing to look at.
    """
    if not subject.tags:
        return []
    return within_limits(subject.checkpoint, "try its tokens", _listed, function, args)


def _listed(function: Callable[..., Iterable[Value]], args: tuple[object, ...]) -> list[Value]:
    return list(function(*args))


def _order(finding: Finding) -> tuple[str, str, int, int]:
    place = finding.place or Place("")
    return (finding.code, place.file, place.line or 0, place.column or 0)


def _located(copy: TemplateCopy, study: Studied, options: Options) -> Iterator[Finding]:
    for code, found in note_ignored(study.found, study.ignored, heeded=options.comments):
        rule = rule_of(code)
        place = copy.place(*found.at) if found.at else Place(copy.file, template=copy.variant)
        unfound = _UNFOUND if found.sought and not found.at else ""
        message, level = f"{found.message}{unfound}", found.level or rule.level
        patch_with = rule.patch_with if study.learned.reasoning or rule in MARKER_RULES else None
        if rule in WHOLE_RULES:
            patch_with = _asked_for(rule, level, study.learned.reasoning)
        yield Finding(code, level, message, place, found.evidence, found.fix, patch_with)


def _asked_for(rule: Rule[object, object], level: Level, reasoning: bool) -> str | None:
    """Return the options with which ``patch`` repairs a finding on the whole template: none of a note, and without any
    notion of reasoning of errors alone by themselves."""
    if level is Level.NOTE or rule.patch_with is None:
        return None
    return rule.patch_with if reasoning or level is Level.ERROR else f"--select {rule.code}"


def subject_of(checkpoint: Checkpoint, studied: Iterable[Studied], options: Options) -> Subject:
    studied = tuple(studied)
    printed = [pair for study in studied for pair in study.learned.tags]
    chosen = (*options.tags, *(_plain(checkpoint, token) for token in options.plain))
    tags = tuple(dict.fromkeys([*chosen, *printed, *recorded_tags(checkpoint, options.tags)]))
    control = frozenset(pair for pair in tags if _control(pair) and pair not in chosen)
    stops = tuple(dict.fromkeys(stop for study in studied for stop in study.stops))
    begins = tuple(dict.fromkeys(begin for study in studied for begin in study.begins))
    return Subject(checkpoint, tags, control, stops, begins)


def _plain(checkpoint: Checkpoint, token: str) -> tuple[str, str]:
    """Return a token that decoding shall keep with the one that closes it, or with itself where there is none."""
    return token, next((each for each in closings(token) if checkpoint.records_of(each)), token)


def _control(pair: tuple[str, str]) -> bool:
    """Whether a pair of tags is spelled like control tokens, which are special by design: ``[THINK]``, ``<|x|>``."""
    return pair[0].startswith("[") or "|" in pair[0]
