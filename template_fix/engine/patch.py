"""Check a checkpoint; repair it: propose, judge, keep or refuse, and check what came out from the beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from template_fix.bounds.limits import LimitExceeded, bounded, in_turn
from template_fix.checkpoint.checkpoint import Checkpoint, CheckpointError, TemplateCopy
from template_fix.checkpoint.stop_tokens import ends
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.conversations.tags import USUAL
from template_fix.engine.programs import Program, programs, still_alike
from template_fix.engine.serving import changed_prompt, elsewhere
from template_fix.jinja.folding import SWITCH
from template_fix.jinja.queries import undeclared
from template_fix.options import Options
from template_fix.repair.proposers import Proposal
from template_fix.repair.study import Found, Setting, Study
from template_fix.results import Finding, PatchResult, Place, Refusal, Repair, Report, TemplateSummary
from template_fix.rules import (
    ENGINE_RULES,
    FILE_RULES,
    READABLE_RULES,
    REPAIRABLE_RULES,
    TEMPLATE_RULES,
    TOKEN_RULES,
    level_of,
)
from template_fix.text.edits import Edit, Span, trace_back
from template_fix.tokens.reasoning_tokens import recorded_tags, vocabulary_tags
from template_fix.tokens.tagged_checkpoint import Subject

__all__ = ["Options", "check", "patch", "special_tokens"]

# Computing time for all templates of a model together, and for its tokenizer.
CHECK_SECONDS, PATCH_SECONDS, TOKEN_SECONDS = 12.0, 20.0, 6.0


@dataclass(frozen=True)
class Studied:
    """What the study of one template came to, in a form that leaves the child process.

    ``found`` pairs each finding with its code; ``kept`` has each proposal that stands with the codes that it resolves
    and its final edits, ``refused`` each other one with the reason. ``variables`` are what the template reads and
    doesn't set, ``stops`` what it prints at the end of a turn.
    """

    found: tuple[tuple[str, Found], ...]
    reasoning: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    probes: int = 0
    accepted: int = 0
    tests: int = 0
    exercised: int = 0
    variables: frozenset[str] = frozenset()
    kept: tuple[tuple[Proposal, tuple[str, ...], tuple[Edit, ...]], ...] = ()
    refused: tuple[tuple[Proposal, str], ...] = ()
    stops: tuple[str, ...] = ()


Value = TypeVar("Value")


def check(checkpoint: Checkpoint, options: Options | None = None) -> Report:
    """Return what is wrong with a checkpoint. Changes nothing; templates run within limits."""
    options = options or Options()
    return _report(checkpoint, _studied(checkpoint, options, programs(checkpoint), heal=False), options)


def patch(checkpoint: Checkpoint, options: Options | None = None) -> PatchResult:
    """Return what a repair of a checkpoint comes to, in memory; nothing is written.

    Each repair is judged by itself, and the repaired checkpoint is checked again from the beginning.
    """
    options = options or Options()
    if options.default == "original":
        # What does what it used to until it is asked is judged as it is asked.
        options = replace(options, flags=(*options.flags, (SWITCH, True)))
    result = _patched(checkpoint, options, alike=True)
    if still_alike(programs(checkpoint), checkpoint.after(result.changed)):
        return result
    return _patched(checkpoint, options, alike=False)


def _patched(checkpoint: Checkpoint, options: Options, *, alike: bool) -> PatchResult:
    """Return what a repair comes to; ``alike`` repairs copies together that differ in spelling alone."""
    from template_fix.engine.token_repair import flag_repair, load_repair

    found = programs(checkpoint, alike=alike)
    studied = _studied(checkpoint, options, found, heal=True)
    before = _report(checkpoint, studied, options)
    kept = [_repair(program, *each) for program, study in studied.items() for each in study.kept]
    refused = [
        Refusal(_repair(program, each, (each.code,), each.edits), why)
        for program, study in studied.items()
        for each, why in study.refused
    ]
    variables = {name for study in studied.values() for name in study.variables}
    subject = _subject(checkpoint, studied.values(), options)
    for repair, reason in _on_tokens(subject, flag_repair, subject, variables, options):
        if reason:
            refused.append(Refusal(repair, reason))
        else:
            kept.append(repair)
    mended = checkpoint.apply(edit for repair in kept for edit in repair.edits)
    while (loading := load_repair(mended, options)) is not None:
        kept.append(loading)
        mended = mended.apply(loading.edits)
    if options.mark:
        made = [edit for repair in kept for edit in repair.edits]
        marked = list(_marks(mended, options, programs(mended, alike=alike)))
        refused += [Refusal(repair, why) for repair, why in marked if why]
        # All at once: several templates may stand in one file.
        mended = mended.apply(edit for repair, why in marked if not why for edit in repair.edits)
        kept += [_seen_from_before(repair, made) for repair, why in marked if not why]
    after = check(mended, options) if kept else before
    unproved = _unproved(before, after)
    if unproved:
        refusals = [Refusal(repair, unproved) for repair in kept]
        return PatchResult(before, before, (), (*refused, *refusals), {})
    changed = {
        file: (text, mended.files[file]) for file, text in checkpoint.files.items() if mended.files[file] != text
    }
    tags = next((pair for study in studied.values() for pair in study.tags), None)
    served = changed_prompt(checkpoint, mended, tags, special_tokens(checkpoint)) if tags and kept else None
    switched = any(SWITCH in study.variables for study in studied.values()) or any(
        SWITCH in edit.text for repair in kept for _, edit in repair.edits
    )
    asked = tuple((name, value) for name, value in options.flags if name == SWITCH and switched)
    abroad = elsewhere(checkpoint, mended, tags or USUAL, special_tokens(checkpoint), dict(asked)) if kept else None
    return PatchResult(before, after, tuple(kept), tuple(refused), changed, asked, served, abroad)


def _marks(checkpoint: Checkpoint, options: Options, found: Sequence[Program]) -> Iterator[tuple[Repair, str]]:
    """Yield the generation markers that each template wants, with the reason where they can't be had."""
    from template_fix.engine.marker_repair import markers

    setting = _setting(checkpoint, options)
    tried = in_turn(markers, [(program.source, setting) for program in found], computing=PATCH_SECONDS)
    for program, made in zip(found, tried, strict=True):
        if isinstance(made, LimitExceeded):
            made = Proposal("TF501", "markers", "mark what the model writes", "", Span(0, 0), ()), f"it {made}"
        if made and options.wants(made[0].code):
            proposal, reason = made
            yield _repair(program, proposal, (proposal.code,), proposal.edits), reason


def _seen_from_before(repair: Repair, made: Sequence[tuple[str, Edit]]) -> Repair:
    """Return a repair of files that were edited already as one of the files before, without what stands in new text."""
    spans = [
        (file, edit, trace_back(edit.span, [each for name, each in made if name == file]))
        for file, edit in repair.edits
    ]
    return replace(repair, edits=tuple((file, Edit(span, edit.text)) for file, edit, span in spans if span))


def _unproved(before: Report, after: Report) -> str:
    """Return why a repaired checkpoint can't be let stand: it couldn't be looked at as the original could."""
    told = {finding.code for finding in before.findings}
    for finding in after.findings:
        if finding.code in ("TF102", "TF103") and finding.code not in told:
            return f"the repaired template could not be proved: {finding.message}"
    return ""


def special_tokens(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the named special tokens that a template can print, such as ``bos_token``.

    Without any tokenizer configuration their names stand for unknown texts, since the template may need them.
    """
    named = {record.name: record.content for record in checkpoint.records if record.name.endswith("_token")}
    configured = checkpoint.files.keys() & {"tokenizer_config.json", "special_tokens_map.json"}
    return named if configured else {"bos_token": "<s>", "eos_token": "</s>", **named}


def _studied(
    checkpoint: Checkpoint, options: Options, found: Sequence[Program], *, heal: bool
) -> dict[Program, Studied]:
    """Study each different template in a child process of its own, and load the tokenizers library meanwhile."""
    setting = _setting(checkpoint, options)

    def load() -> None:
        if vocabulary_tags(checkpoint):
            import tokenizers  # noqa: F401 - the rules on tokens are going to need it

    tried = in_turn(
        _study,
        [(program.source, setting, options, heal) for program in found],
        computing=PATCH_SECONDS if heal else CHECK_SECONDS,
        meanwhile=load,
    )
    studied = {
        program: _stopped(study) if isinstance(study, LimitExceeded) else study
        for program, study in zip(found, tried, strict=True)
    }
    wanted = [rule for rule in ENGINE_RULES if options.wants(rule.CODE)]
    return _in_engines(studied, wanted, setting, options) if wanted else studied


def _in_engines(
    studied: dict[Program, Studied], rules: Sequence[Any], setting: Setting, options: Options
) -> dict[Program, Studied]:
    """Return studies with what other engines make of their templates, each tried in a child process of its own."""
    tried = in_turn(_ask, [(program.source, setting, options) for program in studied], computing=CHECK_SECONDS)
    return {
        program: replace(
            study, found=(*study.found, *(_unknown(rules, told) if isinstance(told, LimitExceeded) else told))
        )
        for (program, study), told in zip(studied.items(), tried, strict=True)
    }


def _ask(source: str, setting: Setting, options: Options) -> list[tuple[str, Found]]:
    study, rules = Study(source, setting), [rule for rule in ENGINE_RULES if options.wants(rule.CODE)]
    return [] if study.unreadable else [(rule.CODE, each) for rule in rules for each in rule.check(study)]


def _unknown(rules: Sequence[Any], error: LimitExceeded) -> list[tuple[str, Found]]:
    return [(rule.CODE, Found(f"what other engines print could not be tried: it {error}")) for rule in rules]


def _setting(checkpoint: Checkpoint, options: Options) -> Setting:
    tags = options.tags[0] if options.tags else None
    preserve = options.default == "preserve"
    passed = dict(options.flags)
    # Candidates are tried with it and without: it isn't theirs for good, as other variables are.
    switch = passed.pop(SWITCH, None)
    variables = {**special_tokens(checkpoint), **passed}
    return Setting(tuple(variables.items()), tags, preserve, ends=ends(checkpoint), switch=switch)


def _stopped(error: LimitExceeded) -> Studied:
    return Studied((("TF103", Found(f"the template was stopped: it {error}", Span(0, 0))),))


def _study(source: str, setting: Setting, options: Options, heal: bool) -> Studied:
    study = Study(source, setting)
    if study.unreadable is not None:
        return Studied(tuple((rule.CODE, each) for rule in READABLE_RULES for each in rule.check(study)))
    from template_fix.markers.mark_template import stops_of

    studied = Studied(
        found=tuple((rule.CODE, each) for rule in TEMPLATE_RULES for each in rule.check(study)),
        reasoning=study.reasoning,
        tags=((study.tags.open, study.tags.close),) if study.reasoning else (),
        probes=len(study.examined.probes),
        accepted=study.accepted(),
        variables=undeclared(source),
        stops=stops_of(study),
    )
    if not heal or not study.reasoning:
        return studied
    # Imported where it is needed: a check never is, and shall be fast.
    from template_fix.repair.heal import find_repair

    repairable = {rule.CODE for rule in REPAIRABLE_RULES}
    found = tuple(each for each in studied.found if each[0] in repairable)
    made = find_repair(study, found, options, REPAIRABLE_RULES)
    tests, exercised = (len(made.coverage.outcomes), made.coverage.both) if made.coverage else (0, 0)
    if not made.whole and study.binds_switch:
        captured = find_repair(Study(source, replace(setting, captured=True)), found, options, REPAIRABLE_RULES)
        made = captured if captured.whole or not made.refused else made
    return replace(studied, kept=made.kept, refused=made.refused, tests=tests, exercised=exercised)


def _report(checkpoint: Checkpoint, studied: Mapping[Program, Studied], options: Options) -> Report:
    findings = [finding for program, study in studied.items() for finding in _located(program.copies[0], study)]
    subject = _subject(checkpoint, studied.values(), options)
    findings += [finding for rule in FILE_RULES for finding in rule.check(subject)]
    findings += _on_tokens(subject, _token_findings, subject)
    wanted = [finding for finding in findings if options.wants(finding.code)]
    summaries = [
        TemplateSummary(
            copy.file,
            copy.variant,
            study.reasoning,
            study.tags,
            study.probes,
            study.accepted,
            study.tests,
            study.exercised,
        )
        for program, study in studied.items()
        for copy in program.copies
    ]
    return Report(checkpoint.name, tuple(sorted(wanted, key=_order)), tuple(summaries), checkpoint.revision)


def _token_findings(subject: Subject) -> list[Finding]:
    return [finding for rule in TOKEN_RULES for finding in rule.check(subject)]


def _on_tokens(subject: Subject, function: Callable[..., Iterable[Value]], *args: Any) -> list[Value]:
    """Return all that ``function(*args)`` gives: it runs the tokenizers library, so it runs within limits.

    Raises CheckpointError where it exceeds them. Without reasoning tags there is nothing to look at.
    """
    if not subject.tags:
        return []
    name = subject.checkpoint.name
    try:
        return bounded(_listed, function, args, seconds=10 * TOKEN_SECONDS, computing=TOKEN_SECONDS)
    except LimitExceeded as error:
        raise CheckpointError(f"{name}/{TOKENIZER}: was stopped: to try its tokens {error}") from None


def _listed(function: Callable[..., Iterable[Value]], args: tuple[Any, ...]) -> list[Value]:
    return list(function(*args))


def _order(finding: Finding) -> tuple[str, str, int, int]:
    place = finding.place or Place("")
    return (finding.code, place.file, place.line or 0, place.column or 0)


def _located(copy: TemplateCopy, study: Studied) -> Iterator[Finding]:
    for code, found in study.found:
        place = copy.place(*found.at) if found.at else Place(copy.file, template=copy.variant)
        yield Finding(code, level_of(code), found.message, place, found.evidence, found.fix)


def _repair(program: Program, proposal: Proposal, codes: tuple[str, ...], edits: Sequence[Edit]) -> Repair:
    return Repair(codes, proposal.title, proposal.why, proposal.source, program.placed(edits))


def _subject(checkpoint: Checkpoint, studied: Iterable[Studied], options: Options) -> Subject:
    studied = tuple(studied)
    printed = [pair for study in studied for pair in study.tags]
    tags = tuple(dict.fromkeys([*options.tags, *printed, *recorded_tags(checkpoint, options.tags)]))
    control = frozenset(pair for pair in tags if _control(pair) and pair not in options.tags)
    return Subject(checkpoint, tags, control, tuple(dict.fromkeys(stop for study in studied for stop in study.stops)))


def _control(pair: tuple[str, str]) -> bool:
    """Whether a pair of tags is spelled like control tokens, which are special by design: ``[THINK]``, ``<|x|>``."""
    return pair[0].startswith("[") or "|" in pair[0]
