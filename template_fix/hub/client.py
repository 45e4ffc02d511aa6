"""Requests to the Hugging Face Hub: describe a repository, fetch files, list models, commit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, ParamSpec, TypeVar

from template_fix.bounds.limits import LimitExceeded, run_bounded
from template_fix.checkpoint.checkpoint import EDITABLE
from template_fix.hub.errors import HubError, Moved
from template_fix.hub.session import api, hub_errors

_LONGEST, _MOST_PULL_REQUESTS = 200, 100
# The seconds for any request, and the lowest rate in bytes per second that adds to them for files.
_SECONDS, _SLOWEST = 60.0, 100_000
# The threads of huggingface_hub reserve much more memory than they use.
_MEGABYTES = 1024
# The most bytes that huggingface_hub writes besides the requested files.
_SLACK = 64 << 20
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# A name that begins with a dot is a path.
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

P = ParamSpec("P")
R = TypeVar("R")


class RemoteFile(NamedTuple):
    """A file of a repository: its size in bytes, and its digest: git's, or SHA-256 for a large file."""

    size: int
    digest: str

    def holds(self, content: bytes) -> bool:
        """Whether the file has this content."""
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        return self.digest in (git, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Remote:
    """A repository at one commit: its name as the Hub spells it, the commit, and all files by name.

    ``revision`` is the branch, tag or commit that was requested.
    """

    repo: str
    private: bool
    revision: str
    commit: str
    files: Mapping[str, RemoteFile]


class Committed(NamedTuple):
    """A commit on the Hub, its address, and the address of the pull request with it, if there is one."""

    commit: str
    url: str
    pull_request: str | None


def looks_like_repo(name: str) -> bool:
    """Whether ``name`` has the form of a repository's name, ``user/model``."""
    return len(name) <= _LONGEST and _REPO.fullmatch(name) is not None


def _run_in_child(size: Callable[..., int] = lambda *_, **__: 0) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function that sends a request to the Hub: it runs in a child process with a time limit.

    ``size`` gets the function's arguments and returns how many bytes will be sent or received. The decorated function
    raises HubError if it takes too long.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            api()  # imports huggingface_hub once here, and not in each child
            seconds = _SECONDS + size(*args, **kwargs) / _SLOWEST
            call = (_call_here, function.__name__, args, kwargs)
            try:
                return run_bounded(*call, seconds=seconds, megabytes=_MEGABYTES, show_stderr=True)  # type: ignore[no-any-return]
            except LimitExceeded as error:
                message = f"{api().endpoint}: the request {error}; run the same command again"
                raise HubError(message) from None

        return run

    return decorate


def _call_here(name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
    """Call a decorated function of this module in the child process; its name can be pickled, the function can't."""
    return globals()[name].__wrapped__(*args, **kwargs)


@_run_in_child()
def fetch_info(repo: str, revision: str | None = None) -> Remote:
    """Return a repository at ``revision``, by default its main branch. Raises HubError."""
    with hub_errors(repo, revision):
        info = api().model_info(repo, revision=revision, files_metadata=True)
        files = {
            each.rfilename: RemoteFile(each.size or 0, (each.lfs.sha256 if each.lfs else each.blob_id) or "")
            for each in info.siblings or ()
        }
        found = Remote(info.id, bool(info.private), revision or "main", str(info.sha), files)
        if not _is_sound(found):
            raise ValueError("an answer of another shape")
        return found


def _is_sound(remote: Remote) -> bool:
    """Whether an answer of the Hub has the right types and forms; nothing else checks them."""
    named = isinstance(remote.repo, str) and looks_like_repo(remote.repo) and _COMMIT.fullmatch(remote.commit)
    return bool(named) and all(
        isinstance(name, str) and type(file.size) is int and file.size >= 0 and isinstance(file.digest, str)
        for name, file in remote.files.items()
    )


@_run_in_child(lambda remote, names: sum(remote.files[name].size for name in names if name in remote.files))
def fetch_files(remote: Remote, names: Sequence[str]) -> Path:
    """Fetch files ``names``, at least one, and return the folder of the Hub's cache with them. Raises HubError."""
    from concurrent.futures import ThreadPoolExecutor

    _bound_file_size(max((remote.files[name].size for name in names if name in remote.files), default=0))
    first, *others = names
    with hub_errors(remote.repo, remote.revision), ThreadPoolExecutor(8) as pool:
        download = partial(api().hf_hub_download, remote.repo)
        # The first by its revision: so the cache knows offline which commit that was. The others by the commit.
        path = Path(download(first, revision=remote.revision))
        list(pool.map(partial(download, revision=remote.commit), others))
    folder = path.parents[len(PurePosixPath(first).parts) - 1]
    if folder.name != remote.commit:
        raise Moved(f"{remote.repo}: {remote.revision} changed while it was fetched; run the same command again")
    return folder


def _bound_file_size(size: int) -> None:
    """Limit the size of files that this process writes: the Hub may send more than it listed."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        wanted = size + _SLACK
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (wanted if soft == resource.RLIM_INFINITY else min(wanted, soft), hard)
        )


@_run_in_child()
def list_models(owner: str) -> list[str]:
    """Return the names of a user's or organisation's models that have a tokenizer, sorted.

    Raises HubError.
    """
    with hub_errors(owner):
        found = api().list_models(author=owner, expand=["siblings"])
        names = [each.id for each in found if any(file.rfilename in EDITABLE for file in each.siblings or ())]
        if not all(isinstance(name, str) and looks_like_repo(name) for name in names):
            raise ValueError("an answer of another shape")
        return sorted(names)


def find_cached(repo: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Return the folder of the Hub's cache, named after the commit, with the files that were fetched before.

    Raises HubError if nothing was fetched, or not all files that ``patterns`` match, as far as huggingface_hub knows.
    """
    with hub_errors(repo, revision):
        folder = api().snapshot_download(repo, revision=revision, allow_patterns=list(patterns), local_files_only=True)
    return Path(folder)


@_run_in_child()
def user_name() -> str:
    """Return the name of the user to whom the token belongs. Raises HubError if there is no token."""
    with hub_errors(api().endpoint):
        return str(api().whoami()["name"])


@_run_in_child()
def create_repo(repo: str, *, private: bool) -> None:
    """Make a repository for a model. Raises HubError if the name is taken."""
    with hub_errors(repo, conflict="the name is taken; choose another"):
        api().create_repo(repo, private=private)


@_run_in_child()
def create_branch(repo: str, branch: str, commit: str) -> None:
    """Make a branch that begins at ``commit``. Raises HubError."""
    with hub_errors(repo, commit):
        api().create_branch(repo, branch=branch, revision=commit)


@_run_in_child(lambda repo, files, *_, **__: sum(map(len, files.values())))
def commit(
    repo: str,
    files: Mapping[str, bytes],
    message: str,
    description: str,
    *,
    branch: str,
    parent: str,
    pull_request: bool,
) -> Committed:
    """Commit files to ``branch``, which is at commit ``parent``, or to a new pull request for that branch.

    Raises Moved if the branch is at another commit by now, and HubError.
    """
    from tempfile import TemporaryDirectory

    from huggingface_hub import CommitOperationAdd

    # huggingface_hub shows progress for files on the disk, but not for bytes.
    with hub_errors(repo, branch), TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        info = api().create_commit(
            repo,
            [CommitOperationAdd(path_in_repo=name, path_or_fileobj=Path(folder, name)) for name in files],
            commit_message=message,
            commit_description=description,
            revision=branch,
            parent_commit=parent,
            create_pr=pull_request,
        )
        return Committed(info.oid, info.commit_url, info.pr_url)


@_run_in_child()
def list_pull_requests(repo: str, author: str) -> list[tuple[str, str]]:
    """Return the revision and the address of each open pull request of ``author``. Raises HubError."""
    with hub_errors(repo):
        found = api().get_repo_discussions(
            repo, author=author, discussion_type="pull_request", discussion_status="open"
        )
        return [(str(each.git_reference), each.url) for each in islice(found, _MOST_PULL_REQUESTS)]


def format_card(text: str, **metadata: object) -> str:
    """Return a model card: ``metadata`` as YAML, then ``text``."""
    from huggingface_hub import ModelCard, ModelCardData

    return str(ModelCard(f"---\n{ModelCardData(**metadata).to_yaml()}\n---\n\n{text}"))  # type: ignore[arg-type]
