"""The options that commands share, and the values into which they are gathered."""

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
    """Return a decorator that adds the option --format with these choices."""
    return click.option(
        "--format", "form", type=click.Choice(choices), default="text", show_default=True, help="The output format."
    )


class _Filled(click.types.StringParamType):
    """A text that isn't empty: an unset variable in a script must not stand for the working directory."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(value, param, ctx) or self.fail("is empty; is a variable unset?", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete it as a path, since most of these arguments are paths."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


FILLED = _Filled()
EXIT_CODES = """\b
Exit codes:
  0  no errors were found, or none remain
  1  errors were found or remain (check --strict: warnings count too), or a
     template could not get markers (patch --mark)
  2  the command failed: wrong usage, files that can't be read or written,
     a template that doesn't parse or run, a failed request to the Hub,
     a push that was refused or declined
"""


def check_tag_pairs(_: click.Context, param: click.Parameter, given: Any) -> object:
    """Return pairs of reasoning tags unchanged; raise BadParameter if one can't be a pair of tags."""
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
        "--from", "lists", multiple=True, type=FILLED, metavar="FILE", help="Check all models in FILE, one per line."
    ),
    click.option(
        "--org",
        "owners",
        multiple=True,
        type=FILLED,
        metavar="NAME",
        help="Check all models of a user or organisation on the Hub.",
    ),
)
tags = click.option(
    "--tag",
    "tags",
    nargs=2,
    multiple=True,
    callback=check_tag_pairs,
    metavar="OPEN CLOSE",
    help="Use these reasoning tags, not those found in the template.",
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
    help="Apply only these rules: TF201, or TF2 for all of TF2xx.",
)
ignore = click.option(
    "--ignore",
    multiple=True,
    callback=_parse_codes,
    shell_complete=_complete_codes,
    metavar="CODES",
    help="Don't apply these rules.",
)


_PUSH = (
    click.argument("source", type=FILLED),
    click.option(
        "--to", type=FILLED, metavar="REPO", required=True, help="The repository, as user/name; it is made if needed."
    ),
    click.option("--create-pr", is_flag=True, help="Open a pull request instead of committing to REPO."),
    click.option(
        "--branch",
        type=FILLED,
        metavar="B",
        help="The branch to commit to, or the base of the pull request.  [default: main]",
    ),
    click.option("--private", is_flag=True, help="Make a new repository private."),
    click.option("--message", metavar="M", help="The commit message, and the title of the pull request."),
    click.option("--dry-run", is_flag=True, help="Show what would be sent, and send nothing."),
    click.option(
        "--yes", is_flag=True, help="Don't ask before writing to another user's repository or over other files."
    ),
    click.option("--allow-errors", is_flag=True, help="Push even if errors remain that could not be repaired."),
)


class ModelArguments(NamedTuple):
    """Which models to check: those named, those in lists, and all of users or organisations.

    ``revision`` is that of repositories on the Hub, ``tokens`` a model whose tokenizer is lent to a template.
    """

    named: tuple[str, ...]
    lists: tuple[str, ...]
    owners: tuple[str, ...]
    revision: str | None
    tokens: str | None


def _check_page_name(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """Return the path of a page to write; raise BadParameter if it can't be written, before any work is done."""
    if given is not None:
        _refuse_name(given)
    return given


def _check_baseline_name(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """Return the path of a baseline to write; raise BadParameter if it can't be written, before any work is done."""
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
    help="Also write the results to FILE, as a page for browsers.",
)
tokens = click.option(
    "--tokens", type=FILLED, metavar="MODEL", help="Use the tokenizer of MODEL with a template that has none."
)
revision = click.option(
    "--revision", type=FILLED, metavar="REV", help="The branch, tag or commit of a repository on the Hub."
)
mark = click.option(
    "--mark", is_flag=True, help="Also insert generation markers, for training with assistant_only_loss."
)
engines = click.option(
    "--engines", is_flag=True, help="Also try the templates in other engines: minijinja, if installed."
)
comments = click.option(
    "--comments", is_flag=True, help="Follow comments in the template that ignore findings; for your own templates."
)
cache = click.option("--cache/--no-cache", default=True, help="Use results of earlier runs for the same template.")
_DEFAULT_HELP = (
    "What a repaired template does if preserve_thinking isn't passed: keep reasoning, or print what the original does."
)
_DEFAULTS = click.Choice(["preserve", "original"])
# What every rendering is given.
_OWN = ("messages", "tools", "documents", "add_generation_prompt")


def _parse_flags(_: click.Context, __: click.Parameter, given: Sequence[str]) -> Flags:
    """Return the template variables in arguments NAME=VALUE; the value is JSON or a text."""
    if not given:
        return ()
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
    help="Another token that decoding should keep, such as '<answer>' with its closing tag.",
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
    """Return a decorator that adds options to a command and passes their values as one argument, ``name``.

    ``make`` builds the argument from the values by their names; the options named in ``apart`` are passed separately.
    """
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
checked = gather_options("models", ModelArguments, *_CHECKED, revision, tokens)
# What to check, as one `Options` value.
check_options = gather_options(
    "options", _make_options, select, ignore, tags, _plain, set_flags, engines, comments, cache
)
# How to report, as one `Reporting` value.
reporting = gather_options(
    "reporting",
    _make_reporting,
    click.option("--strict", is_flag=True, help="Warnings count like errors."),
    click.option("--exit-zero", is_flag=True, help="Exit with 0 if all models were checked, whatever was found."),
    click.option("-v", "--verbose", is_flag=True, help="List the conversations that a template refuses, and why."),
    click.option("-q", "--quiet", is_flag=True, help="Print only the verdict on each model."),
    click.option("--statistics", is_flag=True, help="Print only how often each code was found."),
    page,
    click.option("--baseline", type=FILLED, metavar="FILE", help="Count only findings that are not in FILE."),
    click.option(
        "--write-baseline",
        "new_baseline",
        type=FILLED,
        callback=_check_baseline_name,
        metavar="FILE",
        help="Write all findings to FILE, for --baseline, and exit with 0.",
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
