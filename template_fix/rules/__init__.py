"""What can be wrong with a checkpoint: one file a rule, and the rule's docstring is its page.

A rule's module has ``CODE``, ``LEVEL``, ``SUMMARY`` and ``check``, and is found by the folder that it lies in; what
else it may say of itself, see `Rule`. Those in ``readable``, ``template``, ``whole``, ``markers`` and ``engines`` look
at a `Study` and yield `Found`; those in ``checkpoint``, ``files`` and ``tokens`` look at a `Subject` and yield
`Finding`. ``tokens`` belongs inside of `limits.run_bounded`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from template_fix.options import Options
from template_fix.results import Finding, Level, Repair

if TYPE_CHECKING:
    from template_fix.repair.study import Found, Study
    from template_fix.tokens.tagged_checkpoint import Subject

Looked = TypeVar("Looked")
Reported = TypeVar("Reported")


@dataclass(frozen=True)
class Rule(Generic[Looked, Reported]):
    """What a rule's module says of it; ``page`` is its docstring.

    ``repairs`` yields the repairs of a `Subject`; it is told whether the code is selected. ``patch_with`` are the
    options with which ``patch`` looks for a repair of what it finds (a `Finding` says so itself). ``on_purpose``:
    vendors mean it so, for serving. ``unflagged``: making tags ordinary mends it. ``assumes_tags``: it can be asked of
    a template without any notion of reasoning. ``asked_by``: the option that asks for it, where it matters to some
    trainings alone. ``alone``: the edits that are proposed for it mend nothing else, and no other mends it.
    ``in_some_rows``: rows of some form meet it, such as those with a system text, and no others.
    ``why_not`` tells why nothing can be said of what the rule looks for, "" where it can; so does that a `Subject` has
    none of the files that it ``needs`` one of.
    """

    code: str
    level: Level
    summary: str
    page: str
    check: Callable[[Looked], Iterator[Reported]]
    repairs: Callable[[Subject, bool], Iterator[Repair]] | None = None
    patch_with: str | None = None
    on_purpose: bool = False
    unflagged: bool = False
    assumes_tags: bool = False
    asked_by: str | None = None
    alone: bool = False
    in_some_rows: bool = False
    needs: Iterable[str] = ()
    why_not: Callable[[Looked], str] | None = None


StudyRules: TypeAlias = "tuple[Rule[Study, Found], ...]"
SubjectRules: TypeAlias = "tuple[Rule[Subject, Finding], ...]"
AnyRule: TypeAlias = "Rule[Any, Any]"
_SAID = (
    "PATCH_WITH",
    "ON_PURPOSE",
    "UNFLAGGED",
    "ASSUMES_TAGS",
    "ASKED_BY",
    "ALONE",
    "IN_SOME_ROWS",
    "NEEDS",
    "repairs",
    "why_not",
)


def _rules(folder: str) -> tuple[AnyRule, ...]:
    """Return the rules of a folder, in the order of their codes."""
    package = import_module(f"{__name__}.{folder}")
    return tuple(
        _rule(import_module(f"{package.__name__}.{name}"))
        for name in sorted(each.name for each in iter_modules(package.__path__))
    )


def _rule(module: ModuleType) -> AnyRule:
    said = {name.lower(): getattr(module, name) for name in _SAID if hasattr(module, name)}
    return Rule(module.CODE, module.LEVEL, module.SUMMARY, module.__doc__ or "", module.check, **said)


READABLE_RULES: StudyRules = _rules("readable")
REPAIRABLE_RULES: StudyRules = (*READABLE_RULES, *_rules("template"))
# What they find concerns every template, and is mended behind all else.
WHOLE_RULES: StudyRules = _rules("whole")
# Markers are put in last, and by no proposal.
MARKER_RULES: StudyRules = _rules("markers")
TEMPLATE_RULES: StudyRules = (*REPAIRABLE_RULES, *WHOLE_RULES, *MARKER_RULES)
ENGINE_RULES: StudyRules = _rules("engines")
# How the files of a checkpoint agree, with each other and with what reads them.
AGREEMENT_RULES: SubjectRules = _rules("files")
FILE_RULES: SubjectRules = (*_rules("checkpoint"), *AGREEMENT_RULES)
TOKEN_RULES: SubjectRules = _rules("tokens")
RULES: tuple[AnyRule, ...] = tuple(
    sorted((*TEMPLATE_RULES, *ENGINE_RULES, *FILE_RULES, *TOKEN_RULES), key=lambda rule: rule.code)
)
_BY_CODE = {rule.code: rule for rule in RULES}


def is_wanted(rule: AnyRule, options: Options) -> bool:
    """Whether the findings of a rule are reported: some rules need their option, or their code in ``select``."""
    asked_for = bool(options.select) or rule.asked_by is None or getattr(options, rule.asked_by)
    return options.wants(rule.code) and asked_for


def rule_of(code: str) -> AnyRule:
    """Return the rule that a code names."""
    return _BY_CODE[code]


def codes(rules: Iterable[AnyRule]) -> frozenset[str]:
    """Return the codes of rules."""
    return frozenset(rule.code for rule in rules)
