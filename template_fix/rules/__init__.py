"""What can be wrong with a checkpoint: one file a rule, and the rule's docstring is its page.

A rule has ``CODE``, ``LEVEL``, ``SUMMARY`` and ``check``, and is found by the folder that it lies in. Those in
``readable``, ``template``, ``whole``, ``markers`` and ``engines`` look at a `Study` and yield `Found`; those in
``checkpoint``, ``files`` and ``tokens`` look at a `Subject` and yield `Finding`. ``tokens`` belongs inside of
`limits.bounded`.

What else a rule may say of itself: ``PATCH_WITH``, the options with which ``patch`` looks for a repair of what it finds
(a `Finding` says so itself); ``repairs``, which yields the repairs of a `Subject`; ``ON_PURPOSE``, where vendors mean
it so, for serving; ``UNFLAGGED``, where making tags ordinary mends it; ``ASSUMES_TAGS``, where it can be asked of a
template without any notion of reasoning; ``ASKED_BY``, the option that asks for it, where it matters to some trainings
alone; and ``ALONE``, where the edits that are proposed for it mend nothing else, and no other mends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from template_fix.options import Options
from template_fix.results import Level


def _rules(folder: str) -> tuple[Any, ...]:
    """Return the rules of a folder, in the order of their codes."""
    package = import_module(f"{__name__}.{folder}")
    return tuple(
        import_module(f"{package.__name__}.{name}")
        for name in sorted(each.name for each in iter_modules(package.__path__))
    )


READABLE_RULES = _rules("readable")
REPAIRABLE_RULES = (*READABLE_RULES, *_rules("template"))
# What they find concerns every template, and no proposal mends it yet.
WHOLE_RULES = _rules("whole")
# Markers are put in last, and by no proposal.
MARKER_RULES = _rules("markers")
TEMPLATE_RULES = (*REPAIRABLE_RULES, *WHOLE_RULES, *MARKER_RULES)
ENGINE_RULES = _rules("engines")
# How the files of a checkpoint agree, with each other and with what reads them.
AGREEMENT_RULES = _rules("files")
FILE_RULES = (*_rules("checkpoint"), *AGREEMENT_RULES)
TOKEN_RULES = _rules("tokens")
RULES = tuple(sorted(TEMPLATE_RULES + ENGINE_RULES + FILE_RULES + TOKEN_RULES, key=lambda rule: str(rule.CODE)))
_BY_CODE = {str(rule.CODE): rule for rule in RULES}


def is_wanted(rule: Any, options: Options) -> bool:
    """Whether the findings of a rule are to be told: what has to be asked for only by its option, or by its code."""
    asked_by = getattr(rule, "ASKED_BY", None)
    asked_for = bool(options.select) or asked_by is None or getattr(options, asked_by)
    return options.wants(rule.CODE) and asked_for


def rule_of(code: str) -> Any:
    """Return the rule that a code names."""
    return _BY_CODE[code]


def level_of(code: str) -> Level:
    """Return how grave the findings of a rule are."""
    level: Level = rule_of(code).LEVEL
    return level


def codes(rules: Iterable[Any]) -> frozenset[str]:
    """Return the codes of rules."""
    return frozenset(str(rule.CODE) for rule in rules)
