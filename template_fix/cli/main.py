"""The command line: it reads options, calls one function, prints the result and returns the exit code."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence

import click

from template_fix.cli import CLEAN, FAILED, INTERRUPTED, PIPE_CLOSED, reading, writing
from template_fix.cli.options import EXIT_CODES
from template_fix.cli.settings import settings_lines
from template_fix.text.display import one_line

# Raised by click 8.2 and later.
_HELP: tuple[type[Exception], ...] = (getattr(click.exceptions, "NoArgsIsHelpError", click.exceptions.Exit),)


class Commands(click.Group):
    """The group of all commands. If the reader of the output closes the pipe early, a command ends silently."""

    def invoke(self, ctx: click.Context) -> object:
        """Return the exit code of the command that was called."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
            return code
        except BrokenPipeError:
            return _silence_stdout(PIPE_CLOSED)


def _silence_stdout(code: int) -> int:
    """Discard what is still in the buffer of stdout: Python would fail to write it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from template_fix.version import version

        click.echo(f"template-fix {version()}")
        ctx.exit()


def _print_settings(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        for text in settings_lines():
            click.echo(one_line(text))
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXIT_CODES)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@click.option(
    "--show-settings",
    is_flag=True,
    expose_value=False,
    callback=_print_settings,
    help="Show the settings in pyproject.toml.",
)
def cli() -> None:
    """Find and repair chat templates and tokenizers that lose the reasoning of reasoning models.

    A MODEL is a directory with tokenizer files, a template in its own file (*.jinja), a GGUF file, or a repository on
    the Hugging Face Hub, such as org/model. Begin with `template-fix demo`.
    """


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print a script with which a shell completes commands and options.

    For bash, add `eval "$(template-fix completion bash)"` to ~/.bashrc. For zsh, add the same with zsh to ~/.zshrc. For
    fish, save the output in ~/.config/fish/completions/template-fix.fish.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "template-fix", "_TEMPLATE_FIX_COMPLETE").source())
    return CLEAN


for _command in (
    *(reading.check, reading.compare, reading.show, reading.explain),
    *(writing.patch, writing.undo, writing.push, writing.demo),
):
    cli.add_command(_command)


def _collect_less() -> None:
    """Look for objects in cycles less often, and not at the end of the process: that takes a tenth of a check."""
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on ``arguments``, by default the process's own, and return the exit code."""
    if arguments is None:
        _collect_less()
    # A failure is one line, so huggingface_hub prints errors only, and progress bars only on a terminal.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(cli.main(arguments, prog_name="template-fix", standalone_mode=False) or CLEAN)
    except click.ClickException as error:
        if not isinstance(error, _HELP):  # its message is the help text, which quotes no argument
            vars(error).update(message=one_line(error.message))  # click declares the attribute as final
        error.show()
        return FAILED
    except click.Abort:
        return INTERRUPTED
    except OSError as error:
        message = one_line(f"{error.filename or 'the output'}: {error.strerror or error}")
        click.echo(f"template-fix: {message}", err=True)
        return _silence_stdout(FAILED)
