"""Finds and repairs chat templates and tokenizers that lose the reasoning of reasoning models.

    from template_fix import check, patch, push

Each function does the same as the command with its name. It returns a value, or raises a `UserError`, whose message is
one line. All other errors that can be raised are exported here, too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from template_fix.api import check, check_data, compare, patch, push, row_check
    from template_fix.bounds.limits import ChildError
    from template_fix.checkpoint.checkpoint import CheckpointError
    from template_fix.data.batches import DataError
    from template_fix.disk.store import WriteError
    from template_fix.engine.compare import Comparison
    from template_fix.hub.errors import HubError, Moved
    from template_fix.jinja.renderer import RenderError
    from template_fix.options import Options, UnknownCodeError
    from template_fix.results import Patched, Report
    from template_fix.share.plan import PushError
    from template_fix.share.push import Pushed
    from template_fix.text.display import UserError
    from template_fix.training.callback import PreflightCallback
    from template_fix.training.in_memory import PreflightError
    from template_fix.training.preflight import Preflight, PreflightWarning, preflight

__all__ = [
    "CheckpointError",
    "ChildError",
    "Comparison",
    "DataError",
    "HubError",
    "Moved",
    "Options",
    "Patched",
    "Preflight",
    "PreflightCallback",
    "PreflightError",
    "PreflightWarning",
    "PushError",
    "Pushed",
    "RenderError",
    "Report",
    "UnknownCodeError",
    "UserError",
    "WriteError",
    "check",
    "check_data",
    "compare",
    "patch",
    "preflight",
    "push",
    "row_check",
]

_HOMES = {
    "CheckpointError": "checkpoint.checkpoint",
    "ChildError": "bounds.limits",
    "Comparison": "engine.compare",
    "DataError": "data.batches",
    "HubError": "hub.errors",
    "Moved": "hub.errors",
    "Options": "options",
    "Patched": "results",
    "Preflight": "training.preflight",
    "PreflightCallback": "training.callback",
    "PreflightError": "training.in_memory",
    "PreflightWarning": "training.preflight",
    "PushError": "share.plan",
    "Pushed": "share.push",
    "RenderError": "jinja.renderer",
    "Report": "results",
    "UnknownCodeError": "options",
    "UserError": "text.display",
    "WriteError": "disk.store",
    "check": "api",
    "check_data": "api",
    "compare": "api",
    "patch": "api",
    "preflight": "training.preflight",
    "push": "api",
    "row_check": "api",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use: importing all of them would delay the command line."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
