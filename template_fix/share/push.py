"""Sends a planned push: one commit, only if the branch is still at the commit that was checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Literal

from template_fix.hub import client
from template_fix.hub.errors import Moved
from template_fix.share.plan import Plan, PushRequest, plan_push

State = Literal["pushed", "planned", "unchanged", "declined"]


@dataclass(frozen=True)
class Pushed:
    """The result of a push.

    ``state`` is ``pushed``; ``planned`` for a dry run; ``unchanged`` if there was nothing to send, or an open pull
    request has the same content; or ``declined`` by the user. ``commit`` is the new commit, ``url`` its address,
    ``pull_request`` the address of the pull request.
    """

    plan: Plan
    state: State
    commit: str | None = None
    url: str | None = None
    pull_request: str | None = None

    def __repr__(self) -> str:
        where = self.pull_request or self.url or self.plan.repo
        return f"<Pushed: {self.state}, {len(self.plan.files)} files, {where}>"

    def _repr_html_(self) -> str:
        address = self.pull_request or self.url
        link = f'<p><a href="{escape(address)}">{escape(address)}</a></p>' if address else ""
        return f"<p><b>{escape(repr(self).strip('<>'))}</b></p>{link}"


def push(request: PushRequest, *, dry_run: bool = False, confirm: Callable[[Plan, str], bool] | None = None) -> Pushed:
    """Carry out a push and return the result; a dry run sends nothing and needs no token.

    ``confirm`` is called with the plan and the reason, if there is one to ask the user; if it returns false, nothing is
    sent. Raises as `plan_push` does, Moved (with nothing written) if the branch has moved, and HubError.
    """
    if dry_run:
        return Pushed(plan_push(request), "planned")
    user = client.user_name()
    plan = plan_push(request)
    if confirm is not None and (doubt := plan.doubt(user)) and not confirm(plan, doubt):
        return Pushed(plan, "declined")
    return _send(plan, user)


def _send(plan: Plan, user: str) -> Pushed:
    if not plan.files:
        return Pushed(plan, "unchanged")
    if plan.create_pr and (found := _find_open(plan, user)):
        return Pushed(plan, "unchanged", pull_request=found)
    made = client.commit(
        plan.repo,
        plan.files,
        plan.message,
        plan.description,
        branch=plan.branch,
        parent=_prepare_parent(plan),
        pull_request=plan.create_pr,
    )
    return Pushed(plan, "pushed", made.commit, made.url, made.pull_request)


def _find_open(plan: Plan, user: str) -> str | None:
    """Return the address of the user's open pull request with the same files, or None."""
    for revision, url in client.list_pull_requests(plan.repo, user):
        files = client.fetch_info(plan.repo, revision).files
        if all(name in files and files[name].holds(content) for name, content in plan.files.items()):
            return url
    return None


def _prepare_parent(plan: Plan) -> str:
    """Return the commit to build on; make the repository or the branch first if it doesn't exist."""
    if plan.parent is None:
        client.create_repo(plan.repo, private=plan.private)
        made = client.fetch_info(plan.repo).commit
        if plan.branch != "main":
            client.create_branch(plan.repo, plan.branch, made)
        return made
    if plan.new_branch:
        client.create_branch(plan.repo, plan.branch, plan.parent)
    # The Hub accepts a pull request on top of any commit, so it must be checked here whether the branch has moved.
    elif (head := client.fetch_info(plan.repo, plan.branch).commit) != plan.parent:
        raise Moved(
            f"{plan.repo}: {plan.branch} has moved on to {head[:7]} since {plan.parent[:7]} was checked, and nothing "
            "was written; run the same command again to check it as it is now"
        )
    return plan.parent
