"""Studies each different template of a checkpoint, within limits: what is wrong with it, and what would repair it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from template_fix.bounds import limits
from template_fix.bounds.limits import LimitExceeded, run_in_turn
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.stop_tokens import turn_end_tokens
from template_fix.checkpoint.token_records import GGUF_TOKENS
from template_fix.conversations.tags import USUAL
from template_fix.disk.cache import day_for, entry_name, keep, recall
from template_fix.engine.forms import not_rendered, refused_forms, version_differences
from template_fix.engine.ignored import read_ignored
from template_fix.engine.programs import Program
from template_fix.jinja.folding import SWITCH
from template_fix.jinja.queries import undeclared
from template_fix.options import Options
from template_fix.repair.proposers import Attempt, Proposal
from template_fix.repair.study import Found, Setting, Study
from template_fix.results import TemplateSummary, Unevaluated
from template_fix.rules import (
    ENGINE_RULES,
    READABLE_RULES,
    REPAIRABLE_RULES,
    TEMPLATE_RULES,
    WHOLE_RULES,
    StudyRules,
    codes,
    is_wanted,
)
from template_fix.text.edits import Edit, Span
from template_fix.tokens.reasoning_tokens import vocabulary_tags

Value = TypeVar("Value")

# Computing time for all templates of a model together.
CHECK_SECONDS, PATCH_SECONDS = 12.0, 22.0
# What repairs are judged by, and what no other repair mends.
_CHECKS = {rule.code: rule.check for rule in REPAIRABLE_RULES}
_ALONE = codes(rule for rule in REPAIRABLE_RULES if rule.alone)
# Selected by name, they look at templates without any notion of reasoning, too.
_ASSUMING = codes(rule for rule in TEMPLATE_RULES if rule.assumes_tags)


@dataclass(frozen=True)
class Studied:
    """The results of the study of one template, in a form that leaves the child process.

    ``found`` pairs each finding with its code; ``learned`` is what can be told of each copy of the template; ``kept``
    has each proposal that stands with the codes that it resolves and its final edits, ``refused`` what came closest
    for others. ``variables`` are what the template reads and doesn't set, ``stops`` what it prints at the end of turns,
    ``begins`` the BOS token that it prints first. ``ignored`` are the codes that its comments ignore, with the reasons.
    ``final`` is what would come out again, and not of a limit.
    """

    found: tuple[tuple[str, Found], ...]
    learned: TemplateSummary = field(default_factory=TemplateSummary)
    variables: frozenset[str] = frozenset()
    kept: tuple[tuple[Proposal, tuple[str, ...], tuple[Edit, ...]], ...] = ()
    refused: tuple[Attempt, ...] = ()
    stops: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)
    final: bool = True


def special_tokens(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the named special tokens that a template can print, such as ``bos_token``.

    Without any tokenizer configuration their names stand for unknown texts, since the template may need them.
    """
    named = {record.name: record.content for record in checkpoint.records if record.name.endswith("_token")}
    configured = checkpoint.files.keys() & {"tokenizer_config.json", "special_tokens_map.json", GGUF_TOKENS}
    return named if configured else {"bos_token": "<s>", "eos_token": "</s>", **named}


def study_templates(
    checkpoint: Checkpoint, options: Options, found: Sequence[Program], *, heal: bool
) -> dict[Program, Studied]:
    """Return the study of each different template, made in a child process of its own; with ``heal``, its repair, too.

    The tokenizers library is loaded meanwhile.
    """
    setting = setting_for(checkpoint, options)

    def load() -> None:
        if vocabulary_tags(checkpoint):
            import tokenizers  # noqa: F401 - the rules on tokens are going to need it

    tried = run_or_recall(
        _study,
        [(program.source, setting, options, heal) for program in found],
        [study_name("patch" if heal else "check", program.source, setting, options) for program in found],
        options,
        computing=PATCH_SECONDS if heal else CHECK_SECONDS,
        is_final=lambda study: study.final,
        meanwhile=load,
        doing="looking for repairs" if heal else "trying the template",
    )
    found_in = {
        program: _stopped(study) if isinstance(study, LimitExceeded) else study
        for program, study in zip(found, tried, strict=True)
    }
    wanted = tuple(rule for rule in ENGINE_RULES if is_wanted(rule, options))
    return _in_engines(found_in, wanted, setting, options) if wanted else found_in


def run_or_recall(
    function: Callable[..., Value],
    arguments: Sequence[tuple[object, ...]],
    names: Sequence[str],
    options: Options,
    *,
    computing: float,
    is_final: Callable[[Value], bool] = lambda _: True,
    meanwhile: Callable[[], None] = lambda: None,
    doing: str = "",
) -> Iterator[Value | LimitExceeded]:
    """Yield what `limits.run_in_turn` does of ``arguments``; what the cache has under their ``names`` comes from there.

    A result that is final, so that no limit cut it short, is kept under its name.
    """
    known = {name: value for name in names if options.cache and (value := recall(name)) is not None}
    new = [each for each, name in zip(arguments, names, strict=True) if name not in known]
    tried = run_in_turn(function, new, computing=computing, meanwhile=meanwhile, doing=doing)
    for name in names:
        value = known[name] if name in known else next(tried)
        if name not in known:
            if isinstance(value, LimitExceeded) or not is_final(value):
                limits.stopped += 1  # nothing is final that this becomes a part of
            elif options.cache:
                keep(name, value)
        yield value


def study_name(kind: str, source: str, setting: Setting, options: Options) -> str:
    """Return a name in the cache for what is found out about a template, "" where nothing is kept.

    It follows from all this, and the day where a template may ask for it. A ``check`` asks for nothing.
    """
    if not options.cache:
        return ""
    chosen = (sorted(options.select), sorted(options.ignore))
    asked = (*chosen, options.default, options.mark, options.flags, options.comments)
    return entry_name(kind, source, setting, asked if kind != "check" else None, day_for([source]))


def _in_engines(
    studied: dict[Program, Studied], rules: StudyRules, setting: Setting, options: Options
) -> dict[Program, Studied]:
    """Return studies with what other engines make of their templates, each tried in a child process of its own."""
    tried = run_in_turn(_ask, [(program.source, setting, options) for program in studied], computing=CHECK_SECONDS)
    return {
        program: replace(
            study, found=(*study.found, *(_unknown(rules, result) if isinstance(result, LimitExceeded) else result))
        )
        for (program, study), result in zip(studied.items(), tried, strict=True)
    }


def _ask(source: str, setting: Setting, options: Options) -> list[tuple[str, Found]]:
    study, rules = Study(source, setting), [rule for rule in ENGINE_RULES if is_wanted(rule, options)]
    return [] if study.unreadable else [(rule.code, each) for rule in rules for each in rule.check(study)]


def _unknown(rules: StudyRules, error: LimitExceeded) -> list[tuple[str, Found]]:
    return [(rule.code, Found(f"what other engines print could not be tried: it {error}")) for rule in rules]


def setting_for(checkpoint: Checkpoint, options: Options) -> Setting:
    """Return how the templates of a checkpoint are studied."""
    tags = options.tags[0] if options.tags else None
    preserve = options.default == "preserve"
    passed = dict(options.flags)
    # Candidates are tried with it and without: it isn't theirs for good, as other variables are.
    switch = passed.pop(SWITCH, None)
    variables = {**special_tokens(checkpoint), **passed}
    assumed = (*vocabulary_tags(checkpoint), USUAL)[0] if _ASSUMING & {*options.select} else None
    return Setting(
        tuple(variables.items()), tags, preserve, ends=turn_end_tokens(checkpoint), switch=switch, assumed=assumed
    )


def _stopped(error: LimitExceeded) -> Studied:
    return Studied((("TF103", Found(f"the template was stopped: it {error}", Span(0, 0))),), final=False)


def _begins(study: Study) -> tuple[str, ...]:
    """Return the BOS token, where the text of a conversation begins with it."""
    begin = study.variables.get("bos_token")
    text = next((seen.text for seen in study.examined if seen.text is not None), None)
    return (begin,) if isinstance(begin, str) and begin and text and text.startswith(begin) else ()


def _learned(study: Study) -> TemplateSummary:
    refused, fitting = refused_forms(study)
    return TemplateSummary(
        reasoning=study.reasoning,
        tags=((study.tags.open, study.tags.close),) if study.reasoning else (),
        probes=len(study.examined.probes),
        accepted=study.accepted(),
        refused=not_rendered(study.examined),
        versions=version_differences(study.examined),
        forms=refused,
        fitting=fitting,
        unevaluated=tuple(
            Unevaluated(rule.code, why) for rule in WHOLE_RULES if rule.why_not and (why := rule.why_not(study))
        ),
    )


def _study(source: str, setting: Setting, options: Options, heal: bool) -> Studied:
    study = Study(source, setting)
    if study.unreadable is not None:
        found = tuple((rule.code, each) for rule in READABLE_RULES for each in rule.check(study))
        return Studied(found, final=not isinstance(study.unreadable, LimitExceeded))
    from template_fix.markers.wanted_mask import Mask

    everything = tuple((rule.code, each) for rule in TEMPLATE_RULES for each in rule.check(study))
    ignored = read_ignored(source)
    studied = Studied(
        found=everything,
        learned=_learned(study),
        variables=undeclared(source),
        stops=Mask(study.examined).stops,
        begins=_begins(study),
        ignored=ignored,
    )
    if not heal or not study.reasoning:
        return studied
    # Imported where it is needed: a check never is, and shall be fast.
    from template_fix.repair.heal import find_repair

    if options.comments:
        options = replace(options, ignore={*options.ignore, *ignored.keys() & _CHECKS.keys()})
    found = tuple(each for each in everything if each[0] in _CHECKS)
    made = find_repair(study, found, options, _CHECKS, _ALONE)
    tests, exercised = (len(made.coverage.outcomes), made.coverage.both) if made.coverage else (0, 0)
    if not made.whole and study.binds_switch:
        captured = find_repair(Study(source, setting._replace(captured=True)), found, options, _CHECKS, _ALONE)
        made = captured if captured.whole or not made.refused else made
    learned = replace(studied.learned, tests=tests, exercised=exercised)
    return replace(studied, kept=made.kept, refused=made.refused, learned=learned)
