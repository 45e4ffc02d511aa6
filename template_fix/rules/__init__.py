"""What can be wrong with a checkpoint: one file a rule, and the rule's docstring is its page.

A rule has ``CODE``, ``LEVEL``, ``SUMMARY`` and ``check``, and is found by the folder that it lies in. Those in
``readable``, ``template``, ``markers`` and ``engines`` look at a `Study` and yield `Found`; those in ``checkpoint`` and
``tokens`` look at a `Subject` and yield `Finding`. ``tokens`` belongs inside of `limits.bounded`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

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
# Markers are put in last, and by no proposal.
TEMPLATE_RULES = (*REPAIRABLE_RULES, *_rules("markers"))
ENGINE_RULES = _rules("engines")
FILE_RULES = _rules("checkpoint")
TOKEN_RULES = _rules("tokens")
CHECKPOINT_RULES = (*FILE_RULES, *TOKEN_RULES)
RULES = tuple(sorted(TEMPLATE_RULES + ENGINE_RULES + CHECKPOINT_RULES, key=lambda rule: str(rule.CODE)))


def level_of(code: str) -> Level:
    """Return how grave the findings of a rule are."""
    level: Level = next(rule.LEVEL for rule in RULES if code == rule.CODE)
    return level
