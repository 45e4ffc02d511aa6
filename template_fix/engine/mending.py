"""Repairs of what isn't reasoning: which findings on a whole template are repaired, and whether by default."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from template_fix.bounds.limits import LimitExceeded
from template_fix.engine.ignored import read_ignored
from template_fix.engine.studies import run_or_recall, study_name
from template_fix.options import Options
from template_fix.repair.mends.mending import MENDS, Made, mend
from template_fix.repair.study import Found, Setting, Study
from template_fix.results import Level
from template_fix.rules import WHOLE_RULES, Rule

__all__ = ["Made", "find_all_mends", "find_mends", "is_mendable"]

# Computing time for all templates of a model together.
SECONDS = 5.0
_SERVED = "it would print another text for those who pass nothing, which --default original leaves as it is"


def is_mendable(code: str) -> bool:
    """Whether there is a mend for what a rule finds."""
    return code in MENDS


def find_all_mends(sources: Sequence[str], setting: Setting, options: Options) -> Iterator[list[Made] | LimitExceeded]:
    """Return the mends of each template, or why it was stopped; what was found before is taken from the cache."""
    names = [study_name("mends", source, setting, options) for source in sources]
    given = [(source, setting, options) for source in sources]
    return run_or_recall(find_mends, given, names, options, computing=SECONDS, doing="looking for other repairs")


def find_mends(source: str, setting: Setting, options: Options) -> list[Made]:
    """Return the mends of what is wrong with a template as a whole. Use it inside `limits.run_bounded`.

    What a rule wants to be asked for is mended where its code is selected; so are warnings in templates without any
    notion of reasoning.
    """
    ignored = read_ignored(source) if options.comments else {}
    rules = [rule for rule in WHOLE_RULES if is_mendable(rule.code) and options.wants(rule.code)]
    chosen = {
        rule.code: partial(_gone_for, rule, options.names(rule.code))
        for rule in rules
        if rule.code not in ignored and (rule.patch_with == "" or options.names(rule.code))
    }
    return mend(source, setting, chosen, _SERVED if options.default == "original" else "")


def _gone_for(rule: Rule[Study, Found], named: bool, study: Study) -> Iterator[Found]:
    """Yield what a rule finds that is to be mended: no notes, and errors alone where nothing else is looked for."""
    for found in rule.check(study):
        level = found.level or rule.level
        if level is Level.ERROR or (level is Level.WARNING and (named or study.reasoning)):
            yield found
