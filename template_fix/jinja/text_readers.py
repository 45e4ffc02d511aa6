"""What programs read in the text of a chat template without rendering it, and what an edit takes from them.

The rules are data, in ``text_readers.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import nodes

from template_fix.jinja.queries import parse
from template_fix.jinja.tables import table


def find_lost_features(before: str, after: str) -> tuple[str, ...]:
    """Return what programs read in the text of a template before it was edited and no longer do; both parse."""
    return tuple(
        f"{rule['reader']} no longer {rule['reads']}"
        for rule in _rules()
        if _applies(rule, before) and not _applies(rule, after)
    )


@lru_cache(maxsize=1)
def _rules() -> tuple[Mapping[str, object], ...]:
    return tuple(table("text_readers.toml")["rule"])


def _applies(rule: Mapping[str, Any], source: str) -> bool:
    if "loops" in rule:
        return _loops_over_content(source) is bool(rule["loops"])
    found = any(all(part in source for part in parts) for parts in rule["any"])
    return found and not any(part in source for part in rule.get("lacks", ()))


@lru_cache(maxsize=64)
def _loops_over_content(source: str) -> bool:
    return any(_is_content(node.iter) for node in parse(source).find_all(nodes.For))


def _is_content(node: nodes.Node | None) -> bool:
    if isinstance(node, nodes.Filter):
        return _is_content(node.node)
    if isinstance(node, nodes.Getattr):
        return node.attr == "content" and isinstance(node.node, nodes.Name)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return bool(node.arg.value == "content") and isinstance(node.node, nodes.Name)
    return isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice) and _is_content(node.node)
