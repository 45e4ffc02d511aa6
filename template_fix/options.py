"""What the user asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Told only where the code is selected, or by an option: most templates have no markers, most trainings need none, and
# who trains with transformers alone needs no other engine.
_ASKED_FOR = {"TF404": "engines", "TF501": "mark"}


@dataclass(frozen=True)
class Options:
    """What to look for and how to repair it.

    ``select`` and ``ignore`` hold codes or their beginnings (``TF2``); an empty ``select`` means all. ``default`` is
    what an absent ``preserve_thinking`` shall mean: ``preserve`` or ``original``. ``tags`` override the reasoning tags
    that are found; ValueError is raised for a pair that can't be told apart from other text. ``mark`` asks for
    generation markers, which are never put in otherwise, ``engines`` for what other engines make of a template.
    ``flags`` are template variables that the training, or whoever
    serves the model, is going to pass: all is judged with them.
    """

    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    default: str = "preserve"
    tags: tuple[tuple[str, str], ...] = ()
    mark: bool = False
    engines: bool = False
    flags: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for pair in self.tags:
            refuse_no_tags(*pair)

    def wants(self, code: str) -> bool:
        """Whether a code is selected and not ignored; what matters to some trainings alone has to be asked for."""
        if code in _ASKED_FOR and not self.select:
            return getattr(self, _ASKED_FOR[code]) and not any(code.startswith(prefix) for prefix in self.ignore)
        chosen = not self.select or any(code.startswith(prefix) for prefix in self.select)
        return chosen and not any(code.startswith(prefix) for prefix in self.ignore)

    def names(self, code: str) -> bool:
        """Whether a code is selected by name, and not just because nothing is."""
        return bool(self.select) and self.wants(code)


def shared_default(create_pr: bool) -> str:
    """Return what an absent ``preserve_thinking`` means in a repair that is shared: maintainers keep their prompts."""
    return "original" if create_pr else "preserve"


def refuse_no_tags(opening: str, closing: str) -> None:
    """Raise ValueError where two texts can't be a pair of reasoning tags."""
    if not opening.strip() or not closing.strip():
        raise ValueError("a reasoning tag is a text that isn't empty nor white space alone")
    if opening == closing:
        raise ValueError(f"the tag that closes reasoning has to differ from {opening}, which opens it")
