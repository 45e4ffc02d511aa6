"""The API of huggingface_hub, and its errors as messages for the user.

Only this module and `client` use huggingface_hub. It is imported in functions, since the import takes half a second.
It also handles the tokens: none is read here, and no message quotes what was sent.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from template_fix.hub.errors import Absent, HubError, Moved, NoRevision, Offline, Unreachable
from template_fix.version import version

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_LONGEST = 200
_BUSY = "somebody else is writing there; run the same command again"


def address(repo: str) -> str:
    """Return the web address of a repository."""
    return f"{api().endpoint}/{repo}"


def api() -> HfApi:
    """Return an HfApi that sends this program's name and version."""
    from huggingface_hub import HfApi

    return HfApi(library_name="template-fix", library_version=version())


@contextmanager
def hub_errors(repo: str, revision: str | None = None, conflict: str = _BUSY) -> Iterator[None]:
    """Turn any error of huggingface_hub or of its HTTP library into a HubError; ``conflict`` says what a 409 means."""
    from huggingface_hub.errors import HfHubHTTPError

    # Its base class is the error of the HTTP library: of requests before huggingface_hub 1.0, of httpx since.
    below = cast("type[Exception]", HfHubHTTPError.__bases__[0])
    try:
        yield
    except (MemoryError, HubError):
        raise
    except Exception as error:  # an answer of an unexpected form can fail anywhere in huggingface_hub
        # "from None": an error of the HTTP library may quote the token.
        raise _hub_error(error, repo, revision or "main", conflict, below) from None


def _hub_error(error: BaseException, repo: str, revision: str, conflict: str, below: type[Exception]) -> HubError:
    from huggingface_hub import errors

    while isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError)) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, errors.OfflineModeIsEnabled):
        return Offline(f"{repo}: HF_HUB_OFFLINE is set, so the Hub can't be asked; unset it")
    if isinstance(error, errors.LocalEntryNotFoundError):
        return HubError(f"{repo}: HF_HUB_OFFLINE is set, and {revision} isn't whole in the Hub's cache; unset it")
    if isinstance(error, errors.LocalTokenNotFoundError):
        return HubError(f"{repo}: there is no token; log in with `hf auth login`, or set HF_TOKEN")
    if isinstance(error, errors.HFValidationError):
        return HubError(f"{repo}: this is not a repository's name; it should be like user/model")
    if isinstance(error, errors.GatedRepoError):
        return HubError(
            f"{repo}: is gated; ask for access at {address(repo)} and log in with `hf auth login`, or set HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return NoRevision(f"{repo}: has no branch, tag or commit {revision}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return _absent_error(repo)
    # Not only HfHubHTTPError has a response: before 1.0, a token that isn't accepted raises its base class.
    if (response := getattr(error, "response", None)) is not None:
        message = " ".join((getattr(error, "server_message", None) or "").split())[:_LONGEST]
        return _error_of_status(response.status_code, message, repo, revision, conflict)
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return HubError(
            f"{repo}: file too large: {api().endpoint} sends more than it listed, or `ulimit -f` is too low"
        )
    if isinstance(error, OSError) and error.errno in _DISK:
        return HubError(
            f"{error.filename or repo}: {str(error.strerror).lower()}; make room for the Hub's cache, or set HF_HOME "
            "to where it may be written"
        )
    if isinstance(error, errors.FileMetadataError) or not isinstance(error, (below, OSError, RuntimeError)):
        return HubError(
            f"{repo}: {api().endpoint} doesn't answer as the Hub does; check HF_ENDPOINT, and whether a proxy wants "
            "you to log in"
        )
    return Unreachable(
        f"{repo}: the connection to {api().endpoint} failed ({type(error).__name__}); check the network and run the "
        "same command again"
    )


def _error_of_status(status: int, message: str, repo: str, revision: str, conflict: str) -> HubError:
    because = f" ({message})" if message else ""
    # Over plain HTTP, huggingface_hub doesn't recognise this answer for a hidden repository.
    if status == 401 and message and "credentials" not in message:
        return _absent_error(repo)
    if status == 401:
        return HubError(f"{repo}: the Hub doesn't accept the token; log in anew with `hf auth login`, or set HF_TOKEN")
    if status == 403:
        return HubError(f"{repo}: the token may not do this{because}; make one with write access and log in with it")
    if status == 409:
        return HubError(f"{repo}: {conflict}{because}")
    if status == 412:
        return Moved(f"{repo}: {revision} has moved on since it was checked, and nothing was written; check it again")
    if status == 429:
        return HubError(f"{repo}: the Hub asks to slow down (429); wait a few minutes and run the same command again")
    if status >= 500:
        return HubError(f"{repo}: the Hub failed ({status}); run the same command again later")
    return HubError(f"{repo}: the Hub refused ({status}){because}")


def _absent_error(repo: str) -> Absent:
    return Absent(
        f"{repo}: no such repository on {api().endpoint}, or a private one that needs another token; "
        "check the name, or log in with `hf auth login`"
    )
