"""What the user asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """What to look for and how to repair it.

    ``select`` and ``ignore`` hold codes or their beginnings (``TF2``); an empty ``select`` means all. ``default`` is
    what an absent ``preserve_thinking`` shall mean: ``preserve`` or ``original``. ``tags`` override the reasoning tags
    that are found.
    """

    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    default: str = "preserve"
    tags: tuple[tuple[str, str], ...] = ()

    def wants(self, code: str) -> bool:
        """Whether a code is selected and not ignored."""
        chosen = not self.select or any(code.startswith(prefix) for prefix in self.select)
        return chosen and not any(code.startswith(prefix) for prefix in self.ignore)

    def names(self, code: str) -> bool:
        """Whether a code is selected by name, and not just because nothing is."""
        return bool(self.select) and self.wants(code)
