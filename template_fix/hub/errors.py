"""Why the Hub doesn't do what is asked, each as an error of one line."""

from __future__ import annotations

from template_fix.text.display import UserError


class HubError(UserError):
    """The Hub didn't do what was asked; the message is one line that says where, why and what to do."""


class Absent(HubError):
    """There is no such repository, or none that the user's token opens."""


class NoRevision(HubError):
    """The repository has no such branch, tag or commit."""


class Unreachable(HubError):
    """The Hub can't be reached over the network."""


class Offline(HubError):
    """The user has asked huggingface_hub to keep off the network."""


class Moved(HubError):
    """The branch is no longer at the commit that was checked."""
