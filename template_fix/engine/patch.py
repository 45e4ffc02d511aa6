"""Check a checkpoint; repair it: propose, judge, keep or refuse, and check what came out from the beginning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from template_fix.bounds.limits import LimitExceeded, run_in_turn
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.conversations.tags import USUAL
from template_fix.engine.check import check_studied, on_tokens
from template_fix.engine.checked import check
from template_fix.engine.programs import Program, are_still_alike, programs
from template_fix.engine.serving import changed_prompt, look_elsewhere
from template_fix.engine.studies import PATCH_SECONDS, Studied, setting_for, special_tokens, study_templates
from template_fix.engine.token_repair import file_repair, flag_repair
from template_fix.jinja.folding import SWITCH
from template_fix.options import Options
from template_fix.repair.proposers import Attempt, Proposal
from template_fix.results import PatchResult, Refusal, Repair, Report, Target
from template_fix.rules import READABLE_RULES, codes, is_wanted, rule_of
from template_fix.text.edits import Edit, Span, trace_back

__all__ = ["Options", "check", "patch", "special_tokens"]

_UNREADABLE = codes(READABLE_RULES)


def patch(checkpoint: Checkpoint, options: Options | None = None) -> PatchResult:
    """Repair a checkpoint in memory and return the result; nothing is written.

    Each repair is judged by itself, and the repaired checkpoint is checked again from the beginning.
    """
    options = options or Options()
    if options.default == "original":
        # What does what it used to until it is asked is judged as it is asked.
        options = replace(options, flags=(*options.flags, (SWITCH, True)))
    result = _patched(checkpoint, options, alike=True)
    if are_still_alike(programs(checkpoint), checkpoint.after(result.changed)):
        return result
    return _patched(checkpoint, options, alike=False)


def _patched(checkpoint: Checkpoint, options: Options, *, alike: bool) -> PatchResult:
    """Return the result of a repair; ``alike`` repairs copies together that differ in spelling alone."""
    found = programs(checkpoint, alike=alike)
    studied = study_templates(checkpoint, options, found, heal=True)
    looked_at = check_studied(checkpoint, studied, options)
    before, subject = looked_at.report, looked_at.subject
    kept = [_repair(program, *each) for program, study in studied.items() for each in study.kept]
    refused = [
        _refusal(program, each, each.proposal.edits) for program, study in studied.items() for each in study.refused
    ]
    variables = {name for study in studied.values() for name in study.variables}
    for repair, reason in on_tokens(subject, flag_repair, subject, looked_at.on_tokens, variables, options):
        if reason:
            refused.append(Refusal(repair, reason))
        else:
            kept.append(repair)
    made = [edit for repair in kept for edit in repair.edits]
    mended = checkpoint.apply(made)
    while (on_files := file_repair(subject._replace(checkpoint=mended), options)) is not None:
        mended = mended.apply(on_files.edits)
        kept.append(_seen_from_before(on_files, made))
        made += kept[-1].edits
    more = list(_mends(mended, options, programs(mended, alike=alike), before))
    refused += [refusal for refusal in more if refusal.reason]
    # All at once: several templates may stand in one file, and several mends in one template.
    mends = [each.repair for each in more if not each.reason]
    mended = mended.apply(edit for repair in mends for edit in repair.edits)
    kept += (traced := [_seen_from_before(repair, made) for repair in mends])
    made += [edit for repair in traced for edit in repair.edits]
    if options.mark:
        marked = list(_marks(mended, options, programs(mended, alike=alike)))
        refused += [Refusal(repair, why) for repair, why in marked if why]
        # All at once: several templates may stand in one file.
        mended = mended.apply(edit for repair, why in marked if not why for edit in repair.edits)
        kept += [_seen_from_before(repair, made) for repair, why in marked if not why]
    after = _check_again(checkpoint, mended, studied, options) if kept else before
    unproved = _unproved(before, after)
    if unproved:
        refusals = [Refusal(repair, unproved) for repair in kept]
        return PatchResult(before, before, (), (*refused, *refusals), {})
    changed = {
        file: (text, mended.files[file]) for file, text in checkpoint.files.items() if mended.files[file] != text
    }
    tags = next((pair for study in studied.values() for pair in study.learned.tags), None)
    served = changed_prompt(checkpoint, mended, tags or USUAL, special_tokens(checkpoint)) if kept else None
    switched = any(SWITCH in study.variables for study in studied.values()) or any(
        SWITCH in edit.text for repair in kept for _, edit in repair.edits
    )
    asked = tuple((name, value) for name, value in options.flags if name == SWITCH and switched)
    abroad = (
        look_elsewhere(checkpoint, mended, tags or USUAL, special_tokens(checkpoint), dict(asked)) if kept else None
    )
    return PatchResult(before, after, tuple(kept), tuple(refused), changed, asked, served, abroad)


def _check_again(
    checkpoint: Checkpoint, mended: Checkpoint, studied: Mapping[Program, Studied], options: Options
) -> Report:
    """Return what is wrong with repaired files: templates that were changed are studied again, others as they were."""
    alike = setting_for(checkpoint, options) == setting_for(mended, options)
    known = {program.source: study for program, study in studied.items() if alike}
    found = programs(mended)
    new = study_templates(mended, options, [each for each in found if each.source not in known], heal=False)
    return check_studied(mended, {each: known.get(each.source) or new[each] for each in found}, options).report


def _mends(checkpoint: Checkpoint, options: Options, found: Sequence[Program], before: Report) -> Iterator[Refusal]:
    """Yield the repairs of what isn't reasoning, all of the same files, each as refused; those without reason stand."""
    from template_fix.engine.mending import Made, find_all_mends, is_mendable

    at = {(each.place.file, each.place.template) for each in before.findings if is_mendable(each.code) and each.place}
    found = [program for program in found if any((copy.file, copy.variant) in at for copy in program.copies)]
    if not found:
        return
    setting = setting_for(checkpoint, options)
    tried = find_all_mends([program.source for program in found], setting, options)
    for program, made in zip(found, tried, strict=True):
        if isinstance(made, LimitExceeded):
            found_here = sorted({finding.code for finding in before.findings if is_mendable(finding.code)})
            nothing = Proposal(found_here[0], "mend", "mend what isn't reasoning", "", Span(0, 0), ())
            made = [Made(Attempt(nothing, f"it {made}"))]
        for attempt, edits in made:
            yield _refusal(program, attempt, edits)


def _marks(checkpoint: Checkpoint, options: Options, found: Sequence[Program]) -> Iterator[tuple[Repair, str]]:
    """Yield the generation markers that each template wants, with the reason where they can't be had."""
    from template_fix.engine.marker_repair import markers

    setting = setting_for(checkpoint, options)
    tried = run_in_turn(
        markers,
        [(program.source, setting) for program in found],
        computing=PATCH_SECONDS,
        doing="looking for generation markers",
    )
    for program, made in zip(found, tried, strict=True):
        if isinstance(made, LimitExceeded):
            made = Proposal("TF501", "markers", "mark what the model writes", "", Span(0, 0), ()), f"it {made}"
        if made and is_wanted(rule_of(made[0].code), options):
            proposal, reason = made
            yield _repair(program, proposal, (proposal.code,), proposal.edits, Target.MARKERS), reason


def _seen_from_before(repair: Repair, made: Sequence[tuple[str, Edit]]) -> Repair:
    """Return a repair of files that were edited already as one of the files before, without what stands in new text."""
    spans = [
        (file, edit, trace_back(edit.span, [each for name, each in made if name == file]))
        for file, edit in repair.edits
    ]
    return replace(repair, edits=tuple((file, Edit(span, edit.text)) for file, edit, span in spans if span))


def _unproved(before: Report, after: Report) -> str:
    """Return why a repaired checkpoint can't be let stand: it couldn't be looked at as the original could."""
    known = {finding.code for finding in before.findings}
    for finding in after.findings:
        if finding.code in _UNREADABLE and finding.code not in known:
            return f"the repaired template could not be proved: {finding.message}"
    return ""


def _refusal(program: Program, attempt: Attempt, edits: Sequence[Edit]) -> Refusal:
    repair = _repair(program, attempt.proposal, (attempt.proposal.code,), edits)
    return Refusal(repair, attempt.reason, attempt.evidence, attempt.decide)


def _repair(
    program: Program,
    proposal: Proposal,
    codes: tuple[str, ...],
    edits: Sequence[Edit],
    target: Target = Target.TEMPLATE,
) -> Repair:
    return Repair(codes, proposal.title, proposal.why, proposal.source, program.placed(edits), target)
