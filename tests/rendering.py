"""One conversation printed by a template, within limits, for tests that look at nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.jinja.renderer import Failure, Renderer, RenderError, prepare_messages


def render(source: str, messages: Sequence[Mapping[str, Any]], tools: Any = None, **flags: Any) -> str:
    """What transformers 5.23 prints for one conversation; raises RenderError."""
    try:
        return run_bounded(_render, source, prepare_messages(messages), tools, flags, seconds=20)
    except LimitExceeded as error:
        raise RenderError(f"the template was stopped: {error}") from None


def _render(source: str, messages: list[dict[str, Any]], tools: Any, flags: dict[str, Any]) -> str:
    printed = Renderer(source)(messages, tools, **flags)
    if isinstance(printed, Failure):
        raise RenderError(printed.reason)
    return printed
