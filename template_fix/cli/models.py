"""Finds the models to check: those named, those in lists, and all of a user or organisation."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from template_fix.text.display import UserError

_LARGEST = 1 << 20


def find_models(named: Sequence[str], lists: Sequence[str], owners: Sequence[str]) -> list[str]:
    """Return the names of models, each once: ``named``, those in the files ``lists``, and all models of ``owners``.

    Raises UserError if a list can't be read, a request to the Hub fails, or there is no model at all.
    """
    found = [*named, *(name for each in lists for name in _read_list(each))]
    if owners:
        from template_fix.hub.client import list_models

        found += [name for owner in owners for name in list_models(owner)]
    if not found:
        raise UserError(f"{', '.join([*lists, *owners])}: no models here that have a tokenizer")
    return list(dict.fromkeys(found))


def _read_list(path: str) -> list[str]:
    """Return the models in a file, one per line; ``-`` is stdin. A comment begins with ``#``."""
    try:
        with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UserError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if len(content) > _LARGEST:
        raise UserError(f"{path}: a list of models has at most {_LARGEST:,} bytes")
    try:
        rows = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: isn't text in UTF-8 (byte {error.start}); write one model per line") from None
    return [name for row in rows if (name := row.partition("#")[0].strip())]
