"""A filter, test or function is used that transformers doesn't have.

## What
The template uses a filter or a function that another engine brings, such as `from_json`, in a branch that some
conversations take: these fail, and all others don't. Arguments of calls are tried as mappings and as text for it.

## Why
Nothing warns of it before a row takes that branch: jinja2 looks for a filter only where it is used.

## Example
`{% if arguments is string %}{% set arguments = arguments | from_json %}{% endif %}`: llama.cpp knows `from_json`,
transformers fails with *No filter named 'from_json'*.

## Fix
Bring the conversations in the form that needs no such filter (arguments as mappings), or do without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jinja2 import nodes

from template_fix.conversations.probe import Probe
from template_fix.jinja.environment import environment
from template_fix.jinja.queries import undeclared
from template_fix.jinja.renderer import Failure
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level
from template_fix.tokens.reasoning_tokens import listed

CODE = "TF219"
LEVEL = Level.WARNING
SUMMARY = "a filter, test or function is used that transformers doesn't have"


class _Use(NamedTuple):
    """A filter, test or function that transformers lacks, in words, and the conversation that fails of it, or None."""

    node: nodes.Node
    what: str
    asked: Probe | None
    reason: str


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for each of these that no engine of transformers has, and that a conversation reaches."""
    for node, what, asked, reason in _used(study):
        if asked is not None:
            evidence = Evidence(_described(asked), printed=reason, labels=("in", "fails"))
            message = f"transformers has no {what}, and a conversation needs it"
            yield Found(message, study.template.span(node), (evidence,), "do without it, or bring what needs none")


def _used(study: Study) -> Iterator[_Use]:
    """Yield what of these is used, each once, with the first conversation that fails of it."""
    told: set[tuple[str, str]] = set()
    for node in study.template.all_nodes:
        kind, name = _unknown(study, node)
        if not name or (kind, name) in told:
            continue
        told.add((kind, name))
        reason = f"'{name}' is undefined" if kind == "function" else f"named '{name}'"
        failed = ((asked, why) for asked in _tried(study) if reason in (why := _failure(study, asked)))
        yield _Use(node, f"{kind} {name}", *next(failed, (None, "")))


def _failure(study: Study, asked: Probe) -> str:
    """Return why a conversation fails, "" where it is printed."""
    text = study.examined.renderer(asked.messages, asked.tools, **study.examined.set_for(asked))
    return text.reason if isinstance(text, Failure) else ""


def why_not(study: Study) -> str:
    """Return what of these is used where no conversation gets that was tried, or ""."""
    unreached = [use.what for use in _used(study) if use.asked is None]
    return f"no conversation that was tried gets to the {listed(unreached)}" if unreached else ""


def _unknown(study: Study, node: nodes.Node) -> tuple[str, str]:
    """Return what a node uses that no engine of transformers has, as its kind and its name, or two empty texts."""
    engine = environment()
    if isinstance(node, nodes.Filter | nodes.Test):
        known = engine.filters if isinstance(node, nodes.Filter) else engine.tests
        return ("", "") if node.name in known else (type(node).__name__.lower(), node.name)
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        own = node.node.name not in undeclared(study.source) or node.node.name in study.variables
        return ("", "") if own else ("function", node.node.name)
    return "", ""


def _tried(study: Study) -> Iterator[Probe]:
    for shape in ("ua", "ucta", "uvta", "sua"):
        for arguments in (dict, str):
            yield study.asked(shape, arguments=arguments)
            yield study.asked(shape, arguments=arguments, text_lists=True)


def _described(asked: Probe) -> str:
    """Return a conversation in words, with the form of its arguments, which is what often matters."""
    calls = [call for message in asked.messages for call in message.get("tool_calls", ())]
    form = "text" if calls and isinstance(calls[0]["function"]["arguments"], str) else "mappings"
    return f"{asked.describe()}; arguments of calls as {form}" if calls else asked.describe()
