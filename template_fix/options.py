"""The user's options for a check or a patch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from template_fix.text.display import UserError

# Template variables and their values, in order.
Flags = tuple[tuple[str, object], ...]


class UnknownCodeError(UserError, ValueError):
    """No rule has this code; the message names similar codes."""


@dataclass(frozen=True)
class Options:
    """What to look for and how to repair it.

    ``select`` and ``ignore`` take a code or the beginning of one (``"TF301"``, ``"TF2"``), or several; none selected
    means all, and UnknownCodeError is raised for a code that no rule has. ``default`` is what a repaired template does
    if ``preserve_thinking`` isn't passed: ``preserve`` or ``original``. ``tags`` replace the reasoning tags that are
    found; ValueError is raised for an empty tag, and if both are equal. ``mark`` inserts generation markers.
    ``engines`` tries the template in other engines. ``flags`` are template variables that the training or the server
    will pass: the template is judged with them. ``plain`` are other tokens that decoding should keep, such as
    ``<answer>``, each with its closing tag. ``comments`` accepts the template's own comments: findings that they ignore
    become notes. It is off by default, since a stranger may have written the template. ``cache`` uses the results of
    earlier runs for the same template.
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
    """Return codes, or beginnings of codes, in capital letters. Raises UnknownCodeError if no rule has one.

    Each text may hold several codes with commas between them.
    """
    texts = [given] if isinstance(given, str) else given
    wanted = frozenset(code.strip().upper() for text in texts for code in text.split(",") if code.strip())
    for code in sorted(wanted):
        if not any(known.startswith(code) for known in rule_codes()):
            raise UnknownCodeError(describe_unknown_code(code))
    return wanted


def rule_codes(folder: str = "*") -> list[str]:
    """Return the codes of all rules, or of those in a folder, from file names: no rule has to be imported."""
    return sorted(path.name[:5].upper() for path in Path(__file__).parent.glob(f"rules/{folder}/tf[0-9]*_*.py"))


def describe_unknown_code(code: str) -> str:
    """Return the message for a code that no rule has."""
    from difflib import get_close_matches

    near = get_close_matches(code.upper(), rule_codes(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`template-fix explain` lists all codes"
    return f"no rule is called {code}; {hint}"


def default_for_push(create_pr: bool) -> str:
    """Return the default of ``preserve_thinking`` for a push: a pull request must not change the prompts of users."""
    return "original" if create_pr else "preserve"


def check_tags(opening: str, closing: str) -> None:
    """Raise ValueError if two texts can't be a pair of reasoning tags."""
    if not opening.strip() or not closing.strip():
        raise ValueError("a reasoning tag must not be empty or only white space")
    if opening == closing:
        raise ValueError(f"the closing tag must differ from the opening tag {opening}")
