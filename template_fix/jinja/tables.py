"""Tables that ship with the package, as TOML files beside its modules."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def table(name: str, package: str = "template_fix.jinja") -> dict[str, Any]:
    """Return a TOML file of a package as a mapping."""
    return parse_toml((folder_of(package) / name).read_text(encoding="utf-8"))


def folder_of(package: str) -> Path:
    """Return the folder of a package; to import ``importlib.resources``, which could tell, takes a check longer."""
    return Path(import_module(package).__path__[0])


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a text in TOML holds; raises ValueError where it is none."""
    return tomllib.loads(text)
