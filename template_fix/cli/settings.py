"""A project's settings for checks and patches: ``[tool.template-fix]`` in its pyproject.toml."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from template_fix.text.display import one_line

FILE, TABLE = "pyproject.toml", "tool.template-fix"
_LARGEST = 1 << 20


class _Setting(NamedTuple):
    """A setting: the parameter whose default it is, and the form of its value in TOML."""

    parameter: str
    form: str


_TEXTS, _PAIRS, _SWITCH, _TABLE = "a list of texts", "a list of pairs of texts", "true or false", "a table"
_REASONED = "a table with a reason for each code, or a list of codes"
_SETTINGS = {
    "select": _Setting("select", _TEXTS),
    "ignore": _Setting("ignore", _REASONED),
    "tag": _Setting("tags", _PAIRS),
    "plain-token": _Setting("plain", _TEXTS),
    "set": _Setting("flags", _TABLE),
    "column": _Setting("columns", _TABLE),
    "strict": _Setting("strict", _SWITCH),
    "comments": _Setting("comments", _SWITCH),
}


class ConfiguredCommand(click.Command):
    """A command whose options take their defaults from the project's settings."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        """Return the context of the command. Raises UsageError if the settings can't be read."""
        path = find_settings(Path.cwd())
        if path is None:
            return super().make_context(info_name, args, parent, **extra)
        try:
            return super().make_context(info_name, args, parent, default_map=read_settings(path), **extra)
        except click.BadParameter as error:
            name = error.param.name if error.param else None
            if error.ctx and name and error.ctx.get_parameter_source(name) is click.core.ParameterSource.DEFAULT_MAP:
                raise _usage_error(path, error.message) from None
            raise


def find_settings(folder: Path) -> Path | None:
    """Return the nearest pyproject.toml with settings, in ``folder`` or above it, up to the top of the repository.

    A file beside tokenizer files is not read: it came with the model, and a stranger must not decide how it is checked.
    """
    from template_fix.checkpoint.checkpoint import EDITABLE

    for each in (folder, *folder.parents):
        path = each / FILE
        if (
            os.path.isfile(path)
            and not any(os.path.lexists(each / name) for name in EDITABLE)
            and _read_table(path) is not None
        ):
            return path
        if os.path.lexists(each / ".git"):
            break
    return None


def read_settings(path: Path) -> dict[str, object]:
    """Return the defaults of parameters in a file. Raises UsageError that names the file and the key."""
    defaults = {}
    for key, value in (_read_table(path) or {}).items():
        if key not in _SETTINGS:
            raise _usage_error(path, f"no setting is called {key}; the settings are {', '.join(_SETTINGS)}")
        parameter, form = _SETTINGS[key]
        if not _has_form(value, form):
            raise _usage_error(path, f"{key} must be {form}")
        given = list(value) if form == _REASONED else value
        if form == _TABLE:
            given = [f"{name}={part if isinstance(part, str) else json.dumps(part)}" for name, part in value.items()]
        defaults[parameter] = given
    return defaults


def settings_lines() -> list[str]:
    """Return the settings for the working directory and their file, as lines. Raises UsageError as `read_settings`."""
    path = find_settings(Path.cwd())
    if path is None:
        return [f"no {FILE} here or above has [{TABLE}]"]
    read_settings(path)
    settled = (_read_table(path) or {}).items()
    return [f"{path}: [{TABLE}]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settled)]


def _read_table(path: Path) -> Mapping[str, Any] | None:
    from template_fix.jinja.tables import parse_toml

    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST)
        table: Any = parse_toml(content.decode()) if TABLE.encode() in content else {}
    except (OSError, ValueError) as error:
        raise _usage_error(path, f"can't be read: {error}") from None
    for name in TABLE.split("."):
        table = table.get(name) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None


def _has_form(value: object, form: str) -> bool:
    if form == _SWITCH:
        return isinstance(value, bool)
    if form == _TABLE:
        return isinstance(value, dict)
    if form == _REASONED and isinstance(value, dict):
        return all(isinstance(reason, str) and reason.strip() for reason in value.values())
    parts = value if isinstance(value, list) else [None]
    if form == _PAIRS:
        return all(isinstance(pair, list) and len(pair) == 2 and _has_form(pair, _TEXTS) for pair in parts)
    return all(isinstance(part, str) for part in parts)


def _usage_error(path: Path, message: str) -> click.UsageError:
    return click.UsageError(one_line(f"{path}: [{TABLE}]: {message}"))
