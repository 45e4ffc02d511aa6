"""Finds and repairs chat templates and tokenizers that lose the reasoning of reasoning models.

    from template_fix import check, patch, push

Each does what the command of its name does, and returns a value or raises an error whose message is one line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from template_fix.api import check, patch, push, row_check
    from template_fix.checkpoint.checkpoint import CheckpointError
    from template_fix.disk.store import WriteError
    from template_fix.hub.errors import HubError
    from template_fix.options import Options
    from template_fix.results import Patched, Report
    from template_fix.share.push import Pushed
    from template_fix.training.callback import PreflightCallback
    from template_fix.training.preflight import Preflight, PreflightError, preflight

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
    "CheckpointError": "checkpoint.checkpoint",
    "HubError": "hub.client",
    "Options": "options",
    "Patched": "results",
    "Preflight": "training.preflight",
    "PreflightCallback": "training.callback",
    "PreflightError": "training.preflight",
    "Pushed": "share.push",
    "Report": "results",
    "WriteError": "disk.store",
    "check": "api",
    "patch": "api",
    "preflight": "training.preflight",
    "push": "api",
    "row_check": "api",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is asked for: the command line is to answer before all of it would be there."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
