"""The Hugging Face Hub: looking at a repository, fetching files, listing models and committing."""

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
# An answer may take so long, and more where files are many: so many bytes a second have to come.
_SECONDS, _SLOWEST = 60.0, 100_000
# The client's own threads reserve much more memory than they use.
_MEGABYTES = 1024
# What the client writes beside the files that are asked for.
_SLACK = 64 << 20
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# Names that begin with a point are paths.
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

P = ParamSpec("P")
R = TypeVar("R")


class RemoteFile(NamedTuple):
    """A file of a repository: its size, and its digest: git's own or, of a large file, SHA-256."""

    size: int
    digest: str

    def holds(self, content: bytes) -> bool:
        """Whether the file has this content."""
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        return self.digest in (git, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Remote:
    """A repository at one commit: its name as the Hub spells it, the commit, and all files by their names.

    ``revision`` is what the commit was asked for by.
    """

    repo: str
    private: bool
    revision: str
    commit: str
    files: Mapping[str, RemoteFile]


class Committed(NamedTuple):
    """A commit on the Hub, with the addresses of it and of the pull request that holds it."""

    commit: str
    url: str
    pull_request: str | None


def looks_like_repo(name: str) -> bool:
    """Whether ``name`` is formed like that of a repository, ``user/model``."""
    return len(name) <= _LONGEST and _REPO.fullmatch(name) is not None


def _in_child(size: Callable[..., int] = lambda *_, **__: 0) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function that asks the Hub do so in a process of its own: there, no answer takes for ever.

    ``size`` gives how many bytes it is to send or to receive, from what the function is called with. HubError is raised
    where it takes too long.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            api()  # what is imported here needn't be in each child
            seconds = _SECONDS + size(*args, **kwargs) / _SLOWEST
            call = (_call_here, function.__name__, args, kwargs)
            try:
                return run_bounded(*call, seconds=seconds, megabytes=_MEGABYTES, speaks=True)  # type: ignore[no-any-return]
            except LimitExceeded as error:
                message = f"{api().endpoint}: what was asked of it {error}; run the same command again"
                raise HubError(message) from None

        return run

    return decorate


def _call_here(name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> Any:
    """Call a function of this module that asks the Hub, in the process that is to do it: names can be pickled."""
    return globals()[name].__wrapped__(*args, **kwargs)


@_in_child()
def look(repo: str, revision: str | None = None) -> Remote:
    """Return a repository as it is at ``revision``, by default its main branch. Raises HubError."""
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
    """Whether an answer is of the shape that it should be: what isn't checked here is believed nowhere."""
    named = isinstance(remote.repo, str) and looks_like_repo(remote.repo) and _COMMIT.fullmatch(remote.commit)
    return bool(named) and all(
        isinstance(name, str) and type(file.size) is int and file.size >= 0 and isinstance(file.digest, str)
        for name, file in remote.files.items()
    )


@_in_child(lambda remote, names: sum(remote.files[name].size for name in names if name in remote.files))
def fetch(remote: Remote, names: Sequence[str]) -> Path:
    """Return the folder of the Hub's cache that holds files ``names``, at least one. Raises HubError."""
    from concurrent.futures import ThreadPoolExecutor

    _bound_files(max((remote.files[name].size for name in names if name in remote.files), default=0))
    first, *others = names
    with hub_errors(remote.repo, remote.revision), ThreadPoolExecutor(8) as pool:
        download = partial(api().hf_hub_download, remote.repo)
        # By its revision, so that the cache knows offline which commit that was; the others by the commit.
        path = Path(download(first, revision=remote.revision))
        list(pool.map(partial(download, revision=remote.commit), others))
    folder = path.parents[len(PurePosixPath(first).parts) - 1]
    if folder.name != remote.commit:
        raise Moved(f"{remote.repo}: {remote.revision} changed while it was fetched; run the same command again")
    return folder


def _bound_files(size: int) -> None:
    """Let no file of this process grow much beyond the largest that is listed, however much is sent."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        wanted = size + _SLACK
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (wanted if soft == resource.RLIM_INFINITY else min(wanted, soft), hard)
        )


@_in_child()
def list_models(owner: str) -> list[str]:
    """Return the models of a user or an organisation that have a tokenizer, in the order of their names.

    Raises HubError.
    """
    with hub_errors(owner):
        found = api().list_models(author=owner, expand=["siblings"])
        names = [each.id for each in found if any(file.rfilename in EDITABLE for file in each.siblings or ())]
        if not all(isinstance(name, str) and looks_like_repo(name) for name in names):
            raise ValueError("an answer of another shape")
        return sorted(names)


def find_cached(repo: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Return the folder of the Hub's cache, named by the commit, with what was fetched of ``revision`` before.

    Raises HubError where nothing was, or not all that ``patterns`` match, as far as huggingface_hub knows.
    """
    with hub_errors(repo, revision):
        folder = api().snapshot_download(repo, revision=revision, allow_patterns=list(patterns), local_files_only=True)
    return Path(folder)


@_in_child()
def user() -> str:
    """Return the name of the user whose token it is. Raises HubError where there is no token."""
    with hub_errors(api().endpoint):
        return str(api().whoami()["name"])


@_in_child()
def create_repo(repo: str, *, private: bool) -> None:
    """Make a repository for a model. Raises HubError where the name is taken."""
    with hub_errors(repo, conflict="the name is taken; choose another"):
        api().create_repo(repo, private=private)


@_in_child()
def create_branch(repo: str, branch: str, commit: str) -> None:
    """Make a branch that begins at ``commit``. Raises HubError."""
    with hub_errors(repo, commit):
        api().create_branch(repo, branch=branch, revision=commit)


@_in_child(lambda repo, files, *_, **__: sum(map(len, files.values())))
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
    """Commit files to a branch that is at ``parent``, or to a pull request that is to be merged into that branch.

    Raises Moved where the branch is no longer there, and HubError.
    """
    from tempfile import TemporaryDirectory

    from huggingface_hub import CommitOperationAdd

    # The client shows how far it is with what it reads from the disk, and not with what it is handed as bytes.
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


@_in_child()
def pull_requests(repo: str, author: str) -> list[tuple[str, str]]:
    """Return the revision and the address of each open pull request that ``author`` has made. Raises HubError."""
    with hub_errors(repo):
        found = api().get_repo_discussions(
            repo, author=author, discussion_type="pull_request", discussion_status="open"
        )
        return [(str(each.git_reference), each.url) for each in islice(found, _MOST_PULL_REQUESTS)]


def card(text: str, **metadata: object) -> str:
    """Return a model card: ``text`` under a head of ``metadata``."""
    from huggingface_hub import ModelCard, ModelCardData

    return str(ModelCard(f"---\n{ModelCardData(**metadata).to_yaml()}\n---\n\n{text}"))  # type: ignore[arg-type]
