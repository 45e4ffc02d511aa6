"""Errors of requests to the Hub; each message is one line."""

from __future__ import annotations

from template_fix.text.display import UserError


class HubError(UserError):
    """A request to the Hub failed; the message is one line that says where, why and what to do."""


class Absent(HubError):
    """There is no such repository, or the user's token doesn't give access to it."""


class NoRevision(HubError):
    """The repository has no such branch, tag or commit."""


class Unreachable(HubError):
    """The Hub can't be reached over the network."""


class Offline(HubError):
    """HF_HUB_OFFLINE is set: huggingface_hub may not use the network."""


class Moved(HubError):
    """The branch was at the commit that was checked, and is at another one by now."""
