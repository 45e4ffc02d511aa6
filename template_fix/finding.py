"""What is reported: findings, where they are, and what shows them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    """How much a finding matters; see the table of rules in the README."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Place:
    """Where a finding is.

    ``file`` is relative to the model directory, ``line`` and ``column`` count from 1 in that file. For a template,
    ``template`` names the variant (``default``, ``tool_use``, …), ``template_line`` and ``template_column`` count in
    the template's own text (the same as the file's where the template is a file of its own), ``source`` is that line
    and ``width`` the number of its characters, from ``template_column`` on, that are at fault.
    """

    file: str
    line: int | None = None
    column: int | None = None
    template: str | None = None
    template_line: int | None = None
    template_column: int | None = None
    source: str | None = None
    width: int = 0


@dataclass(frozen=True)
class Evidence:
    """One experiment: what went in, what came out, and what of it was lost.

    ``subject`` says in a few words what was tried, ``given`` is the input as text, ``printed`` the output, ``lost``
    the parts of ``given`` that are missing from ``printed``, ``stray`` the parts of ``printed`` that shouldn't be.
    ``labels`` say what the two texts are, where they aren't input and output.
    """

    subject: str
    given: str = ""
    printed: str = ""
    lost: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()
    labels: tuple[str, str] = ("in", "out")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, as a rule reports it.

    ``message`` is one sentence that a stranger understands, ``fix`` one sentence on what to do about it, or None
    where nothing can be done by an edit.
    """

    code: str
    level: Level
    message: str
    place: Place | None = None
    evidence: tuple[Evidence, ...] = ()
    fix: str | None = None
