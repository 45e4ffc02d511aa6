"""Reports of a push: what would be sent, or what was sent and where it is now."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.hub.tokenizer_files import CARD
from template_fix.report.diffs import raw_diff
from template_fix.report.findings import count, count_levels
from template_fix.report.terminal import Line, Piece, line
from template_fix.share.plan import Plan
from template_fix.share.push import Pushed
from template_fix.text.display import short
from template_fix.text.json_nodes import JsonObject


def push_lines(pushed: Pushed) -> Iterator[Line]:
    """Yield the report of ``push``."""
    plan = pushed.plan
    if pushed.state == "planned":
        yield from summary_lines(plan)
        if plan.files:
            yield from _text_sections(plan)
        yield line("")
        yield line("Nothing was sent.")
        return
    yield line(Piece(short(plan.repo), "title"), ": ", *_outcome(pushed), hang=2)
    if pushed.state == "pushed":
        yield from _file_lines(plan)
        yield line("commit: ", Piece(str(pushed.url), "code"), indent=2, fixed=True)
    if pushed.pull_request:
        yield line("pull request: ", Piece(pushed.pull_request, "code"), indent=2, fixed=True)


def _outcome(pushed: Pushed) -> list[Piece]:
    plan = pushed.plan
    if pushed.state == "pushed":
        return [Piece(f"{_describe_action(plan)[1]} with {count(len(plan.files), 'file')}", "good")]
    if pushed.state == "declined":
        return [Piece("nothing was sent")]
    if pushed.pull_request:
        return [Piece("your open pull request has the same changes; nothing was sent")]
    if not plan.result.kept and not plan.same:
        return [Piece(f"nothing to repair in {short(plan.result.before.model)}, so nothing was sent", "good")]
    return [Piece("has all of these files already; nothing was sent", "good")]


def _describe_action(plan: Plan) -> tuple[str, str]:
    """Return what a push will do, and the same as a thing done."""
    if plan.create_pr:
        return f"open a pull request on {short(plan.branch)}", "pull request opened"
    if plan.parent is None:
        kind = "private repository" if plan.private else "repository"
        return f"make a {kind} and commit to it", f"{kind} made"
    if plan.new_branch:
        return f"make the branch {short(plan.branch)} and commit to it", f"branch {short(plan.branch)} made"
    return f"commit to {short(plan.branch)}", f"committed to {short(plan.branch)}"


def summary_lines(plan: Plan) -> Iterator[Line]:
    """Yield a summary: what would be sent, and the findings before and after the repair."""
    at = f", on top of {plan.parent}" if plan.parent else ""
    does = f"would {_describe_action(plan)[0]}{at}" if plan.files else "there is nothing to send"
    yield line(Piece(short(plan.repo), "title"), f": {does}", hang=2)
    yield from _file_lines(plan)
    before, after = plan.result.before.findings, plan.result.after.findings
    yield line("before: ", *count_levels(before), "; after: ", *count_levels(after), indent=2)


def _text_sections(plan: Plan) -> Iterator[Line]:
    yield from _text_lines("Message", plan.message)
    yield from _text_lines("Description", plan.description)
    yield from _text_lines("Diff", raw_diff(plan.result))
    if CARD in plan.files:
        yield from _text_lines(CARD, plan.files[CARD].decode())


def _file_lines(plan: Plan) -> Iterator[Line]:
    for name, content in sorted(plan.files.items()):
        other = ", in place of another" if name in plan.replaces else ""
        yield line(short(name), Piece(f" {len(content):,} bytes{other}", "dim"), indent=2)
    for name in plan.same:
        yield line(short(name), Piece(" is there already", "dim"), indent=2)


def _text_lines(title: str, text: str) -> Iterator[Line]:
    if text:
        yield line("")
        yield line(Piece(title, "title"))
        yield from (line(row, indent=2, fixed=True) for row in text.rstrip("\n").split("\n"))


def pushed_json(pushed: Pushed) -> JsonObject:
    """Return the JSON answer of ``push``."""
    from template_fix.report.as_json import repaired_json

    plan = pushed.plan
    return {
        "source": plan.source,
        "repo": plan.repo,
        "state": pushed.state,
        "commit": pushed.commit,
        "url": pushed.url,
        "pull_request": pushed.pull_request,
        "branch": plan.branch,
        "parent": plan.parent,
        "files": [{"file": file, "size": len(content)} for file, content in sorted(plan.files.items())],
        "same": list(plan.same),
        "replaces": list(plan.replaces),
        "message": plan.message,
        "description": plan.description,
        **repaired_json(plan.result),
    }
