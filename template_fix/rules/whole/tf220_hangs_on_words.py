"""What is printed hangs on words of a user's or tool's text.

## What
The template asks whether a text of the user, or the result of a tool, says something, and prints something else if it
does. It was tried: the words were put into such a text, and others of the same length in their place. Tags and markers
that templates take texts apart with, such as `</think>`, are no finding, nor are switches such as `/no_think`.

## Why
A text is data. A template that answers to words in it does what nobody who reads the conversation expects: this is how
back doors in templates work, which add an instruction once a word comes up, and pass every test without it.

## Example
`{% if 'deploy' in messages[-1].content %}{{ '<|im_start|>system\\n…<|im_end|>' }}{% endif %}`

## Fix
Read the branch. If you don't know what it is for, take the template from its vendor's own repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from jinja2 import nodes

from template_fix.contract.turn_ends import MARK, NOTHING_PRINTED
from template_fix.conversations.probe import Probe
from template_fix.jinja.queries import walk
from template_fix.repair.study import Found, Study
from template_fix.results import Level, compare_texts

CODE = "TF220"
LEVEL = Level.NOTE
SUMMARY = "what is printed hangs on words of a user's or tool's text"

_FIX = "read that branch, and take the vendor's own template if nobody knows what it is for"
# How many words are tried; keys of messages and blocks whose values are names, and no texts.
_MOST = 24
_SHAPES = ("uau", "uct", "uctua")
_NAMES = frozenset({"role", "type", "name", "recipient", "channel", "format"})
_ANYWHERE = "Say {} now"
_METHODS = {
    **{"startswith": "{} at first", "endswith": "at last {}"},
    **dict.fromkeys(("find", "index", "count", "split", "partition", "replace"), _ANYWHERE),
}
_CONSTANT = (nodes.Const, nodes.Concat, nodes.Add, nodes.List, nodes.Tuple)
_WORD = re.compile(r"[^\W\d_]{3}")


class _Asked(NamedTuple):
    """Words that a test asks for, a text that has them in the way that it asks for, and where it does."""

    words: str
    text: str
    node: nodes.Node


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for each text in a test of the template which, said by a user or a tool, changes the rest."""
    for asked in _asked(study)[:_MOST]:
        other = asked.text.replace(asked.words, _others(asked.words))
        for said in _conversations(study, asked.text):
            told = study.examined.renderer(said.messages, said.tools, **study.examined.set_for(said))
            replaced = _saying(said, other)
            beside = study.examined.renderer(replaced.messages, said.tools, **study.examined.set_for(said))
            expected = beside.replace(other, asked.text) if isinstance(beside, str) else beside
            if isinstance(told, str) and isinstance(expected, str) and told != expected:
                evidence = compare_texts(said.describe(), told, expected, ("printed", "expected"))
                message = f"what is printed hangs on whether a text says {asked.words!r}"
                yield Found(message, study.template.span(asked.node), (evidence,), _FIX)
                break


def _asked(study: Study) -> list[_Asked]:
    """Return the words that are asked of something which is no name, each once."""
    found: dict[tuple[str, str], _Asked] = {}
    for node in study.template.all_nodes:
        for said, asked, form in _questions(node):
            for words in _texts(study, said) if _may_be_text(asked) else ():
                if _is_unexpected(words, study):
                    found.setdefault((words, form), _Asked(words, form.format(words), node))
    return list(found.values())


def _questions(node: nodes.Node) -> Iterator[tuple[nodes.Node, nodes.Node, str]]:
    """Yield what an expression looks for, what it looks for it in, and a text that has it so."""
    if isinstance(node, nodes.Compare) and len(node.ops) == 1:
        form = _ANYWHERE if node.ops[0].op in ("in", "notin") else "{}"
        yield node.expr, node.ops[0].expr, form
        if form == "{}":
            yield node.ops[0].expr, node.expr, form
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr in _METHODS:
        yield from ((each, node.node.node, _METHODS[node.node.attr]) for each in node.args[:1])
    elif isinstance(node, nodes.Filter) and node.name == "replace" and node.node:
        yield from ((each, node.node, _ANYWHERE) for each in node.args[:1])
    elif isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Const):
        yield node.node, node.arg, "{}"


def _texts(study: Study, said: nodes.Node) -> Iterator[str]:
    """Yield the texts that an expression may be: written there, put together there, or given to its variable."""
    if isinstance(said, nodes.Name):
        for node in study.template.all_nodes:
            if isinstance(node, nodes.Assign | nodes.For) and getattr(node.target, "name", "") == said.name:
                yield from _written(node.node if isinstance(node, nodes.Assign) else node.iter)
    else:
        yield from _written(said)


def _written(node: nodes.Node) -> Iterator[str]:
    """Yield the texts that constants alone make of an expression: one text, those of a list, or keys of a mapping."""
    if isinstance(node, nodes.Dict):
        yield from (text for pair in node.items for text in _written(pair.key))
    if isinstance(node, nodes.Expr) and all(isinstance(each, _CONSTANT) for each in (node, *walk(node))):
        try:
            value = node.as_const()
        except nodes.Impossible:
            return
        yield from (each for each in (value if isinstance(value, list | tuple) else [value]) if isinstance(each, str))


def _may_be_text(node: nodes.Node) -> bool:
    """Whether an expression may be a text, and not the name of a role or a type, or names to choose from."""
    while isinstance(node, nodes.Filter) and node.node:
        node = node.node
    key = node.attr if isinstance(node, nodes.Getattr) else node.arg if isinstance(node, nodes.Getitem) else None
    named = key.value if isinstance(key, nodes.Const) else key
    return named not in _NAMES and not isinstance(node, nodes.List | nodes.Tuple | nodes.Const | nodes.Dict)


def _is_unexpected(words: str, study: Study) -> bool:
    """Whether words are such as a text may say by itself: no tag, marker, or switch, which templates look for."""
    plain = words.strip()
    marks = MARK.search(plain) or any(tag.strip() in words for tag in (study.tags.open, study.tags.close))
    return bool(_WORD.search(plain)) and not marks and plain[:1].isalnum() and not re.search(r"[<>{}\[\]|]", plain)


def _others(words: str) -> str:
    """Return other words of the same length and the same kinds of characters."""
    return "".join("q" if each.islower() and each != "q" else "Z" if each.isalpha() else each for each in words)


def _conversations(study: Study, text: str) -> Iterator[Probe]:
    for shape in _SHAPES:
        yield _saying(study.asked(shape), text)


def _saying(asked: Probe, text: str) -> Probe:
    """Return a conversation in which users and tools say a text."""
    said = tuple({**each, "content": text} if each["role"] in ("user", "tool") else each for each in asked.messages)
    return replace(asked, messages=said, special="the same words from users and tools")


def why_not(study: Study) -> str:
    """Return how many words were not tried, or that no conversation is printed to try them in, or ""."""
    asked = _asked(study)
    if len(asked) > _MOST:
        return f"the first {_MOST} of {len(asked)} words were tried that it asks for"
    printed = not asked or any(isinstance(study.examined.text(study.asked(shape)), str) for shape in _SHAPES)
    return "" if printed else NOTHING_PRINTED
