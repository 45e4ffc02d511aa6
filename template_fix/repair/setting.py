"""How a template is studied: its variables, its tags, and what the switch means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Setting:
    """How a template is studied: its variables, the tags that the user chose, and the default of the switch.

    ``captured`` has repairs note the switch first of all, for templates that bind it themselves. ``ends`` are the texts
    of the tokens that generation stops at, as far as they are known. ``switch`` is what ``preserve_thinking`` is set
    to, None where it isn't passed.
    """

    variables: tuple[tuple[str, Any], ...] = ()
    tags: tuple[str, str] | None = None
    default: bool = True
    captured: bool = False
    ends: tuple[str, ...] = ()
    switch: Any = None
