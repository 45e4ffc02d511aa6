"""A filter or test is used that transformers doesn't have.

## What
The template uses a filter that another engine brings, such as `from_json`, in a branch that some conversations take:
these fail, and all others don't. Arguments of calls are tried as mappings and as text for it.

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

from jinja2 import nodes

from template_fix.conversations.probe import Probe, probe
from template_fix.jinja.environment import environment
from template_fix.jinja.renderer import Failure
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level

CODE = "TF219"
LEVEL = Level.WARNING
SUMMARY = "a filter or test is used that transformers doesn't have"


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for each filter or test that no engine of transformers has, and that a conversation reaches."""
    seen: set[str] = set()
    engine = environment()
    for node in study.template.all_nodes:
        if not isinstance(node, nodes.Filter | nodes.Test) or node.name in seen:
            continue
        if node.name in (engine.filters if isinstance(node, nodes.Filter) else engine.tests):
            continue
        seen.add(node.name)
        for asked in _tried(study):
            text = study.examined.renderer(asked.messages, asked.tools, **study.examined.set_for(asked))
            if isinstance(text, Failure) and f"named '{node.name}'" in text.reason:
                evidence = Evidence(_described(asked), printed=text.reason, labels=("in", "fails"))
                message = f"transformers has no {type(node).__name__.lower()} {node.name}, and a conversation needs it"
                yield Found(message, study.template.span(node), (evidence,), "do without it, or bring what needs none")
                break


def _tried(study: Study) -> Iterator[Probe]:
    for shape in ("ua", "ucta", "uvta", "sua"):
        for arguments in (dict, str):
            yield probe(shape, study.tags, "plain", arguments=arguments)
            yield probe(shape, study.tags, "plain", arguments=arguments, text_lists=True)


def _described(asked: Probe) -> str:
    """Return a conversation in words, with the form of its arguments, which is what often matters."""
    calls = [call for message in asked.messages for call in message.get("tool_calls", ())]
    form = "text" if calls and isinstance(calls[0]["function"]["arguments"], str) else "mappings"
    return f"{asked.describe()}; arguments of calls as {form}" if calls else asked.describe()
