"""Known patches: idioms that lose reasoning, as data in ``patches/*.toml``.

Each entry has ``id``, ``rule`` (the code it is meant to resolve), ``pattern``, ``replacement`` (of the whole match, or
of the metavariable that ``edit`` names), ``title``, ``why`` and ``seen``; ``of_answers`` where it keeps
answers whole, and no reasoning. In a replacement, ``SWITCH`` is the test that the repair is switched by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from template_fix.jinja.patterns import Pattern, fill
from template_fix.jinja.tables import folder_of, table
from template_fix.jinja.templates import Template
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import put_expression


@dataclass(frozen=True)
class Patch:
    """One entry of ``patches/*.toml``."""

    id: str
    rule: str
    pattern: Pattern
    replacement: str
    title: str
    why: str
    seen: str
    edit: str | None = None
    of_answers: bool = False


@lru_cache(maxsize=1)
def known_patches() -> tuple[Patch, ...]:
    """Return the patches that ship with the package, in the order of their files and entries."""
    package = "template_fix.patches"
    names = sorted(entry.name for entry in folder_of(package).glob("*.toml"))
    entries = (entry for name in names for entry in table(name, package)["patch"])
    return tuple(Patch(**{**entry, "pattern": Pattern.parse(entry["pattern"])}) for entry in entries)


def proposals(template: Template, switch: str) -> Iterator[Proposal]:
    """Yield a proposal for each place where a known patch matches.

    ``switch`` is the test, in template syntax, that the edits are switched by.
    """
    for patch in known_patches():
        for node, bindings in patch.pattern.matches(template):
            target = bindings[patch.edit] if patch.edit else node
            at = template.span(target)
            if at is None:
                continue
            text = fill(patch.replacement.replace("SWITCH", switch), bindings, template)
            edits = (put_expression(at, text),)
            yield Proposal(patch.rule, f"patch {patch.id}", patch.title, patch.why, at, edits, patch.of_answers)
