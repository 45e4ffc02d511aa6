"""Plans a push: what would be sent, and why. Nothing is sent here.

There are two kinds. The repository of the repaired model gets its changed files and nothing else. Any other repository
gets the whole tokenizer and a model card. In both cases the repair is made again from the commit that it belongs to. If
the directory differs from the result, it is not pushed, since nothing is proved about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from template_fix.checkpoint.checkpoint import Checkpoint, folder_of
from template_fix.checkpoint.gguf import is_gguf
from template_fix.engine.patch import patch
from template_fix.hub import client
from template_fix.hub.client import Remote, looks_like_repo
from template_fix.hub.errors import Absent, HubError, NoRevision
from template_fix.hub.model import Model, fetch_model, is_repo, open_model, read_tokenizer_files
from template_fix.hub.origin import Origin, find_origin
from template_fix.hub.tokenizer_files import CARD, is_tokenizer_file
from template_fix.options import Options
from template_fix.results import Level, PatchResult
from template_fix.share.description import describe, describe_in_one_line, model_card
from template_fix.share.markdown import code_span
from template_fix.text.display import one_line

_LONGEST_TITLE = 200


class PushError(HubError):
    """A push was refused; the message is one line that says why and what to do."""


@dataclass(frozen=True)
class PushRequest:
    """The user's request for a push; the names are those of the command's options."""

    source: str
    to: str
    options: Options = field(default_factory=Options)
    revision: str | None = None
    create_pr: bool = False
    branch: str | None = None
    private: bool = False
    message: str | None = None
    allow_errors: bool = False


@dataclass(frozen=True)
class Plan:
    """A planned commit.

    ``files`` are written to ``branch`` of ``repo``. ``replaces`` are those of them that replace a file of another
    origin, ``same`` are files that needn't be sent since they are there already. ``parent`` is the commit that the
    branch must be at, or None if the repository has to be made first. If ``new_branch`` is true, the branch is made at
    ``parent``. ``result`` is the repair that is shared.
    """

    source: str
    repo: str
    branch: str
    parent: str | None
    files: Mapping[str, bytes] = field(repr=False)
    message: str
    description: str
    result: PatchResult = field(repr=False)
    same: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    create_pr: bool = False
    new_branch: bool = False
    private: bool = False

    def doubt(self, user: str) -> str | None:
        """Return why ``user`` should be asked before this is sent, or None."""
        if self.files and self.repo.partition("/")[0] != user:
            return "isn't yours"
        return f"holds other files called {', '.join(self.replaces)}" if self.replaces else None


class _Target(NamedTuple):
    """The target of a push: the repository, None if it doesn't exist, and the branch."""

    remote: Remote | None
    branch: str
    new_branch: bool = False


class _Repair(NamedTuple):
    """A repair that was just proved: the original checkpoint, the result, and the repaired checkpoint."""

    base: Checkpoint
    result: PatchResult
    repaired: Checkpoint

    @property
    def changed(self) -> dict[str, bytes]:
        """The changed files with their new content."""
        return {file: text.encode() for file, (_, text) in self.result.changed.items()}


def plan_push(request: PushRequest) -> Plan:
    """Return the plan of a push; only the Hub's cache is written.

    Raises PushError if it should not be sent, HubError if a request to the Hub fails, and CheckpointError.
    """
    if not looks_like_repo(request.to):
        raise PushError(f"{request.to}: this is not a repository's name; it should be like user/model")
    model = open_model(request.source, request.revision)
    if folder_of(request.source) != Path(request.source) and not is_repo(request.source):
        raise PushError(f"{request.source}: is a single template; name the directory of its model")
    if is_gguf(Path(request.source)):
        raise PushError(f"{request.source}: is a GGUF file; push shares tokenizer files only, so upload it yourself")
    target = _look_at_target(request)
    origin, remote = find_origin(model), target.remote
    if (
        remote is not None
        and any(map(is_tokenizer_file, remote.files))
        and (origin is None or origin.repo == remote.repo)
    ):
        return _plan_repair(request, model, origin, target, remote)
    return _plan_copy(request, model, origin, target)


def _look_at_target(request: PushRequest) -> _Target:
    branch = request.branch or "main"
    try:
        remote = client.fetch_info(request.to, branch)
    except (Absent, NoRevision) as error:
        if request.create_pr:
            raise
        if isinstance(error, Absent):
            return _Target(None, branch)
        return _Target(client.fetch_info(request.to), branch, new_branch=True)
    if request.private and not remote.private:
        raise PushError(f"{request.to}: exists and is public; --private is only for a new repository")
    return _Target(remote, branch)


def _plan_repair(request: PushRequest, model: Model, origin: Origin | None, target: _Target, remote: Remote) -> Plan:
    """Plan a commit of only the changed files, to the repository of the repaired model."""
    base = model if request.revision else fetch_model(remote)
    checked = base.checkpoint.revision
    if checked != remote.commit and not target.new_branch:
        raise PushError(
            f"{remote.repo}: {target.branch} is at {remote.commit[:7]}, and {request.revision} is not; omit "
            "--revision to check the branch as it is now, or name a new --branch"
        )
    repair = _prove(request, model, origin, base)
    default = request.options.default
    return Plan(
        request.source,
        remote.repo,
        target.branch,
        checked,
        repair.changed,
        _title(request, describe_in_one_line(repair.result)),
        describe(remote.repo, repair.result, default, repair.base, repair.repaired) if repair.changed else "",
        repair.result,
        create_pr=request.create_pr,
        new_branch=target.new_branch,
    )


def _plan_copy(request: PushRequest, model: Model, origin: Origin | None, target: _Target) -> Plan:
    """Plan a commit of a whole tokenizer and a model card, for another repository."""
    if request.create_pr:
        raise PushError(
            f"{request.to}: a pull request can only go to the repository of the repaired model; template-fix push "
            f"{request.to} --to {request.to} --create-pr repairs that model and opens one"
        )
    base = fetch_model(client.fetch_info(*origin)) if origin and model.remote is None else model
    repair = _prove(request, model, origin, base)
    there = target.remote.files if target.remote else {}
    files = {**read_tokenizer_files(base), **repair.changed}
    if CARD not in there:
        files[CARD] = _model_card(request, origin, repair).encode()
    if origin and not repair.changed:
        files = {}
    same = {file for file, content in files.items() if file in there and there[file].holds(content)}
    sent = {file: files[file] for file in sorted(files.keys() - same)}
    return Plan(
        request.source,
        target.remote.repo if target.remote else request.to,
        target.branch,
        target.remote.commit if target.remote else None,
        sent,
        _title(request, describe_in_one_line(repair.result) if repair.changed else "Add the tokenizer"),
        f"Made with template-fix from {code_span(origin.repo)} at {code_span(origin.commit)}."
        if origin
        else "Checked with template-fix.",
        repair.result,
        same=tuple(sorted(same)),
        replaces=tuple(file for file in sent if file in there),
        new_branch=target.new_branch,
        private=request.private,
    )


def _title(request: PushRequest, otherwise: str) -> str:
    return one_line(request.message or otherwise, _LONGEST_TITLE)


def _model_card(request: PushRequest, origin: Origin | None, repair: _Repair) -> str:
    base = origin.repo if origin else None
    text = model_card(request.to, base, repair.result, request.options.default, repair.base, repair.repaired)
    return client.format_card(
        text, **({"base_model": base} if base else {}), library_name="transformers", tags=["template-fix"]
    )


def _prove(request: PushRequest, model: Model, origin: Origin | None, base: Model) -> _Repair:
    """Repair ``base`` and return the result.

    Raises PushError if errors remain, or if ``model`` is a directory that differs from the result.
    """
    result = patch(base.checkpoint, request.options)
    errors = dict.fromkeys(finding.code for finding in result.after.findings if finding.level is Level.ERROR)
    if errors and not request.allow_errors:
        raise PushError(
            f"{base.checkpoint.name}: errors remain that were not repaired ({', '.join(errors)}); see template-fix "
            "check, or push with --allow-errors"
        )
    repaired = base.checkpoint.after(result.changed)
    if model.checkpoint.revision is None:
        _refuse_unproved(request.source, model.checkpoint, repaired, result, origin)
    return _Repair(base.checkpoint, result, repaired)


def _refuse_unproved(
    source: str, given: Checkpoint, repaired: Checkpoint, result: PatchResult, origin: Origin | None
) -> None:
    differing = {
        file for file, text in given.files.items() if is_tokenizer_file(file) and repaired.files.get(file) != text
    }
    differing |= result.changed.keys() - given.files.keys()
    if not differing:
        return
    if repaired.revision is None:
        raise PushError(f"{source}: isn't repaired yet; run template-fix patch {source} first")
    since = ""
    if origin is not None and origin.commit != repaired.revision:
        since = f", which has moved on from {origin.commit[:7]} to {repaired.revision[:7]}"
    raise PushError(
        f"{source}: {', '.join(sorted(differing))} isn't what template-fix makes of {repaired.name}{since}, so nothing "
        "is proved about it; patch that model again with --output, and call push with the same options as patch, "
        "also --default, which is original for a pull request"
    )
