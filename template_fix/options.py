"""What the user asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from template_fix.text.display import UserError

# Template variables and their values, in order.
Flags = tuple[tuple[str, object], ...]


class UnknownCodeError(UserError, ValueError):
    """No rule has this code; the message names those that are near."""


@dataclass(frozen=True)
class Options:
    """What to look for and how to repair it.

    ``select`` and ``ignore`` take a code or the beginning of one (``"TF301"``, ``"TF2"``), or several; none selected
    means all, and UnknownCodeError is raised for a code that no rule has. ``default`` is what an absent
    ``preserve_thinking`` shall mean: ``preserve`` or ``original``. ``tags`` override the reasoning tags that are found;
    ValueError is raised for a pair that can't be told apart from other text. ``mark`` asks for generation markers,
    which are never put in otherwise, ``engines`` for what other engines make of a template. ``flags`` are template
    variables that the training, or whoever serves the model, is going to pass: all is judged with them.
    ``plain`` are other tokens that decoding shall keep, such as ``<answer>``, each with the tag that closes it.
    ``comments``: what a template's own comments ignore is a note; a template may be a stranger's, so none counts else.
    ``cache``: what a former run found out about the same template need not be found out again.
    """

    select: str | Iterable[str] = frozenset()
    ignore: str | Iterable[str] = frozenset()
    default: str = "preserve"
    tags: tuple[tuple[str, str], ...] = ()
    mark: bool = False
    engines: bool = False
    flags: Flags = ()
    plain: tuple[str, ...] = ()
    comments: bool = False
    cache: bool = True

    def __post_init__(self) -> None:
        for name in ("select", "ignore"):
            object.__setattr__(self, name, parse_codes(getattr(self, name)))
        for pair in self.tags:
            check_tags(*pair)

    def wants(self, code: str) -> bool:
        """Whether a code is selected and not ignored; what has to be asked for besides, see `rules.is_wanted`."""
        chosen = not self.select or any(code.startswith(prefix) for prefix in self.select)
        return chosen and not any(code.startswith(prefix) for prefix in self.ignore)

    def names(self, code: str) -> bool:
        """Whether a code is selected by name, and not just because nothing is."""
        return bool(self.select) and self.wants(code)


def parse_codes(given: str | Iterable[str]) -> frozenset[str]:
    """Return codes and beginnings of codes as the rules write them; raises UnknownCodeError.

    Each text may name several, with commas between them.
    """
    texts = [given] if isinstance(given, str) else given
    wanted = frozenset(code.strip().upper() for text in texts for code in text.split(",") if code.strip())
    for code in sorted(wanted):
        if not any(known.startswith(code) for known in rule_codes()):
            raise UnknownCodeError(describe_unknown_code(code))
    return wanted


def rule_codes() -> list[str]:
    """Return the codes of all rules, by the names of their files: no rule has to be imported for that."""
    return sorted(path.name[:5].upper() for path in Path(__file__).parent.glob("rules/*/tf[0-9]*_*.py"))


def describe_unknown_code(code: str) -> str:
    """Return what to say of a code that no rule has."""
    from difflib import get_close_matches

    near = get_close_matches(code.upper(), rule_codes(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`template-fix explain` lists all codes"
    return f"no rule is called {code}; {hint}"


def default_for_push(create_pr: bool) -> str:
    """Return what an absent ``preserve_thinking`` means in a repair that is shared: maintainers keep their prompts."""
    return "original" if create_pr else "preserve"


def check_tags(opening: str, closing: str) -> None:
    """Raise ValueError where two texts can't be a pair of reasoning tags."""
    if not opening.strip() or not closing.strip():
        raise ValueError("a reasoning tag is a text that isn't empty nor white space alone")
    if opening == closing:
        raise ValueError(f"the tag that closes reasoning has to differ from {opening}, which opens it")
