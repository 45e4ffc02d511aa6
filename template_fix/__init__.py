"""Finds and repairs chat templates and tokenizers that lose the reasoning of reasoning models.

    from template_fix import check, patch, push

Each does what the command of its name does, and returns a value or raises an error whose message is one line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from template_fix.api import check, patch, push, row_check
    from template_fix.callback import PreflightCallback
    from template_fix.checkpoint import CheckpointError
    from template_fix.hub_errors import HubError
    from template_fix.options import Options
    from template_fix.outcome import Patched, Report
    from template_fix.preflighting import Preflight, PreflightError, preflight
    from template_fix.sending import Pushed
    from template_fix.store import WriteError

__all__ = [
    "CheckpointError",
    "HubError",
    "Options",
    "Patched",
    "Preflight",
    "PreflightCallback",
    "PreflightError",
    "Pushed",
    "Report",
    "WriteError",
    "check",
    "patch",
    "preflight",
    "push",
    "row_check",
]

_HOMES = {
    "CheckpointError": "checkpoint",
    "HubError": "hub",
    "Options": "options",
    "Patched": "outcome",
    "Preflight": "preflighting",
    "PreflightCallback": "callback",
    "PreflightError": "preflighting",
    "Pushed": "sending",
    "Report": "outcome",
    "WriteError": "store",
    "check": "api",
    "patch": "api",
    "preflight": "preflighting",
    "push": "api",
    "row_check": "api",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: the command line is to answer before all of it would be there."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
