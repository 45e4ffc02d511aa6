"""The options that commands share, and what they are gathered into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from template_fix.options import Flags

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from template_fix.cli.output import Reporting
    from template_fix.options import Options
    from template_fix.share.plan import PushRequest

Command = TypeVar("Command", bound=Callable[..., object])


def _parse_codes(_: click.Context, __: click.Parameter, given: Sequence[str]) -> frozenset[str]:
    from template_fix.options import UnknownCodeError, parse_codes

    try:
        return parse_codes(given) if given else frozenset()
    except UnknownCodeError as error:
        raise click.BadParameter(str(error)) from None


def report_format(*choices: str) -> Callable[[Command], Command]:
    """Give a command the choice of how to report."""
    return click.option(
        "--format", "form", type=click.Choice(choices), default="text", show_default=True, help="How to report."
    )


class _Filled(click.types.StringParamType):
    """A text that isn't empty: an unset variable in a script shall not stand for the working directory."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(value, param, ctx) or self.fail("is empty; is a variable unset?", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete it as a path, which most of these are."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


FILLED = _Filled()
EXIT_CODES = """\b
Exit codes:
  0  nothing is wrong, or nothing is left that counts
  1  errors were found or remain (check --strict: warnings too), or a template
     could not be given markers (patch --mark)
  2  the work could not be done: bad usage, files that can't be read or written,
     a template that doesn't parse or run, a Hub that doesn't do what is asked,
     a push that is refused or declined
"""


def check_tag_pairs(_: click.Context, param: click.Parameter, given: Any) -> object:
    """Return pairs of reasoning tags, or one, as they were given; refuse what can be none."""
    from template_fix.options import check_tags

    try:
        for pair in given if param.multiple else filter(None, [given]):
            check_tags(*pair)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return given


models = click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=FILLED)
_CHECKED = (
    click.argument("named", metavar="MODEL...", nargs=-1, type=FILLED),
    click.option(
        "--from",
        "lists",
        multiple=True,
        type=FILLED,
        metavar="FILE",
        help="The models in FILE, one a line.",
    ),
    click.option(
        "--org",
        "owners",
        multiple=True,
        type=FILLED,
        metavar="NAME",
        help="All models that a user or an organisation has on the Hub.",
    ),
)
tags = click.option(
    "--tag",
    "tags",
    nargs=2,
    multiple=True,
    callback=check_tag_pairs,
    metavar="OPEN CLOSE",
    help="The reasoning tags, in place of those found in the template.",
)


def _complete_codes(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    from template_fix.options import rule_codes

    return [code for code in rule_codes() if code.startswith(incomplete.upper())]


select = click.option(
    "--select",
    multiple=True,
    callback=_parse_codes,
    shell_complete=_complete_codes,
    metavar="CODES",
    help="Only these rules: TF201, or TF2 for all of TF2xx.",
)
ignore = click.option(
    "--ignore",
    multiple=True,
    callback=_parse_codes,
    shell_complete=_complete_codes,
    metavar="CODES",
    help="All rules but these.",
)


_PUSH = (
    click.argument("source", type=FILLED),
    click.option(
        "--to",
        type=FILLED,
        metavar="REPO",
        required=True,
        help="The repository, as user/name; one that isn't there is made.",
    ),
    click.option("--create-pr", is_flag=True, help="Open a pull request instead of committing to REPO."),
    click.option(
        "--branch",
        type=FILLED,
        metavar="B",
        help="The branch to commit to, or to open a pull request on.  [default: main]",
    ),
    click.option("--private", is_flag=True, help="Make the repository a private one."),
    click.option("--message", metavar="M", help="The commit's message and the pull request's title."),
    click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing."),
    click.option("--yes", is_flag=True, help="Don't ask before writing to what isn't yours, or over other files."),
    click.option("--allow-errors", is_flag=True, help="Push although errors remain that could not be repaired."),
)


class ModelArguments(NamedTuple):
    """Which models to check: those named, those in lists, and all of users or organisations."""

    named: tuple[str, ...]
    lists: tuple[str, ...]
    owners: tuple[str, ...]


def _check_page_name(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """Return the name of a page to write; refuse one that it can't have before any work is done."""
    if given is not None:
        _refuse_name(given)
    return given


def _check_baseline_name(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """Return the name of a baseline to write; refuse one that it can't have before any work is done."""
    if given is not None:
        from template_fix.disk.baseline import MARK

        _refuse_name(given, "baseline", MARK)
    return given


def _refuse_name(given: str, *kind: str) -> None:
    from template_fix.disk.page_file import refuse_page
    from template_fix.disk.store import WriteError

    try:
        refuse_page(Path(given), *kind)
    except WriteError as error:
        raise click.BadParameter(str(error)) from None


page = click.option(
    "--html",
    "page",
    type=FILLED,
    callback=_check_page_name,
    metavar="FILE",
    help="Write what comes of it to FILE as well, a page for browsers.",
)
tokens = click.option(
    "--tokens", type=FILLED, metavar="MODEL", help="Lend a template by itself the tokenizer of MODEL."
)
revision = click.option(
    "--revision", type=FILLED, metavar="REV", help="The branch, tag or commit of a repository on the Hub."
)
mark = click.option(
    "--mark", is_flag=True, help="Put in generation markers, too, for training with assistant_only_loss."
)
engines = click.option(
    "--engines", is_flag=True, help="Say what other engines make of the templates, too: minijinja, if it is installed."
)
comments = click.option(
    "--comments", is_flag=True, help="Let a template's own comments ignore findings: for templates of yours."
)
cache = click.option(
    "--cache/--no-cache", default=True, help="Believe what a former run found out about the same template, or don't."
)
_DEFAULT_HELP = (
    "What a repaired template does where preserve_thinking isn't passed: keep reasoning, or do what it used to."
)
_DEFAULTS = click.Choice(["preserve", "original"])
# What every rendering is given.
_OWN = ("messages", "tools", "documents", "add_generation_prompt")


def _parse_flags(_: click.Context, __: click.Parameter, given: Sequence[str]) -> Flags:
    """Return template variables that are given as NAME=VALUE, with the value in JSON or as a text."""
    from template_fix.conversations.builtin import flag

    if wrong := [each for each in given if not each.partition("=")[0].isidentifier()]:
        raise click.BadParameter(f"{wrong[0]}: write NAME=VALUE, with the name of a variable of the template")
    flags = tuple(flag(each) for each in given)
    if own := [name for name, _ in flags if name in _OWN]:
        raise click.BadParameter(f"{own[0]} is what each conversation brings itself; name another variable")
    return flags


_default = click.option("--default", type=_DEFAULTS, default="preserve", show_default=True, help=_DEFAULT_HELP)
_shared_default = click.option(
    "--default", type=_DEFAULTS, help=f"{_DEFAULT_HELP}  [default: original with --create-pr, else preserve]"
)
_plain = click.option(
    "--plain-token",
    "plain",
    multiple=True,
    type=FILLED,
    metavar="TOKEN",
    help="A token that decoding shall keep, too, such as '<answer>', with its closing tag.",
)
set_flags = click.option(
    "--set",
    "flags",
    multiple=True,
    callback=_parse_flags,
    metavar="NAME=VALUE",
    help="Pass this variable to the template.",
)


def _make_options(**given: Any) -> Options:
    from template_fix.options import Options

    return Options(**given)


def _make_reporting(**given: Any) -> Reporting:
    from template_fix.cli.output import Reporting

    return Reporting(**given)


def _make_request(**given: Any) -> PushRequest:
    from template_fix.options import Options, default_for_push
    from template_fix.share.plan import PushRequest

    default = given.pop("default") or default_for_push(given["create_pr"])
    chosen = {name: given.pop(name) for name in ("select", "ignore", "tags", "plain", "mark")}
    return PushRequest(options=Options(**chosen, default=default), **given)


def gather_options(
    name: str, make: Callable[..., object], *options: Callable[[object], Any], apart: Sequence[str] = ()
) -> Callable[[Command], Command]:
    """Give a command options, and what ``make`` makes of their values under a name; ``apart`` are passed on."""
    fields = {_parameter_name(option) for option in options}.difference(apart)

    def decorate(command: Command) -> Command:
        @wraps(command)
        def run(**given: Any) -> object:
            return command(**{name: make(**{field: given.pop(field) for field in fields})}, **given)

        wrapped: Any = run
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped  # type: ignore[no-any-return]

    return decorate


def _parameter_name(option: Callable[[object], Any]) -> str:
    decorated = option(lambda: None)
    return str(decorated.__click_params__[0].name)


# Which models to check.
checked = gather_options("models", ModelArguments, *_CHECKED)
# What to check, as one `Options` value.
check_options = gather_options(
    "options", _make_options, select, ignore, tags, _plain, set_flags, engines, comments, cache
)
# How to report, as one `Reporting` value.
reporting = gather_options(
    "reporting",
    _make_reporting,
    click.option("--strict", is_flag=True, help="Let warnings count as well as errors."),
    click.option("--exit-zero", is_flag=True, help="Let no finding count: the exit code is 0 where all was checked."),
    click.option(
        "-v", "--verbose", is_flag=True, help="List the conversations that a template refuses, with its reasons."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Print the verdict on each model alone."),
    click.option("--statistics", is_flag=True, help="Print how often each code was found, and nothing else."),
    page,
    click.option("--baseline", type=FILLED, metavar="FILE", help="Put aside what FILE knows: new findings count."),
    click.option(
        "--write-baseline",
        "new_baseline",
        type=FILLED,
        callback=_check_baseline_name,
        metavar="FILE",
        help="Write all findings to FILE, for --baseline; none of them counts.",
    ),
    report_format("text", "concise", "github", "json", "sarif"),
)
# How to repair, as one `Options` value.
patch_options = gather_options(
    "options", _make_options, select, ignore, tags, _plain, _default, mark, engines, comments, cache
)
# What to share and where, as one `PushRequest` value.
push_options = gather_options(
    "request",
    _make_request,
    *(*_PUSH, revision, select, ignore, tags, _plain, _shared_default, mark),
    apart=("dry_run", "yes"),
)
