"""Values are printed as Python and not as JSON.

## What
A tool call's arguments, or a tool's declaration, hold null, true, an object or a list, and the template prints `None`,
`True`, `{'key': 'value'}` or `['one', 'two']`. Formats that are Python, `look_up(word=None)`, are no finding. Contents
are printed so as well, which is a note: `[{'type': 'text', …}]` for a system text that is a list of text blocks, though
other lists are printed as text, and `None` for no text.

## Why
The model learns to write what no JSON parser reads. What reads `None` back takes it for a text: the call that comes out
isn't the one that went in, and `true` in one place and `True` in another are two spellings of one value.

## Example
`{{- value | tojson if value is mapping else value | string }}` prints objects as JSON, and `True` for true.

## Fix
`{{- value if value is string else value | tojson }}`; `patch --select TF213` does so, and only then, since a model
may have learned Python's spelling.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from template_fix.conversations.probe import Probe
from template_fix.repair import places
from template_fix.repair.study import Found, Study
from template_fix.results import Evidence, Level
from template_fix.text.edits import Span, differing_spans
from template_fix.tokens.reasoning_tokens import listed

CODE = "TF213"
LEVEL = Level.WARNING
SUMMARY = "values are printed as Python and not as JSON"
PATCH_WITH = "--select TF213"

_FIX = "print what is no text with the filter tojson"
# What a value is called, the value, and how Python spells it; in its place stands a text of the same kind of call.
_VALUES = (
    ("null", None, "None"),
    ("true", True, "True"),
    ("an object", {"key": "one"}, "{'key': 'one'}"),
    ("a list", ["one", "two"], "['one', 'two']"),
)
_TEXT = "zigzag"
_BLOCK = "{'type': 'text'"
_AS_TEXT = "bring contents as text, or let the template print the text of each block"
_DECLARED = ("'name': 'look_up'", "['word']")


def check(study: Study) -> Iterator[Found]:
    """Yield a finding for each place in which values are printed as Python: arguments, declarations and contents."""
    yield from _in_calls(study)
    yield from _in_contents(study)
    asked = replace(study.asked("ua"), offered=True)
    text = study.examined.text(asked)
    as_python = [spelt for spelt in _DECLARED if isinstance(text, str) and spelt in text and "look_up(" not in text]
    if as_python:
        evidence = Evidence(asked.describe(), "", str(text), stray=tuple(as_python[:1]))
        message = f"tools are declared as Python, and not as JSON: {as_python[0]}"
        yield Found(message, places.output(study, asked, as_python[0]), (evidence,), _FIX, Level.NOTE)


def _in_contents(study: Study) -> Iterator[Found]:
    """Yield a finding where a system text in a list is printed as it stands, and one where no content is `None`."""
    asked, system = (study.asked(shape, text_lists=True) for shape in ("ua", "sua"))
    text = study.examined.text(system)
    if (
        isinstance(text, str)
        and _BLOCK in text
        and study.prints(asked)
        and _BLOCK not in str(study.examined.text(asked))
    ):
        evidence = Evidence(system.describe(), "", text, stray=(_BLOCK,))
        message = f"a system text that is a list of text blocks is printed as Python: {_BLOCK}"
        yield Found(message, places.output(study, system, _BLOCK), (evidence,), _AS_TEXT, Level.NOTE)
    empty, none = (study.asked("ucta", empty=each, legacy=True) for each in ("", None))
    nothing, text = (study.examined.text(each) for each in (empty, none))
    spoken = isinstance(nothing, str) and isinstance(text, str) and differing_spans(nothing, text)[1].of(text).strip()
    if spoken == "None" and study.prints(none, "call"):
        evidence = Evidence(none.describe(), "", str(text), stray=("None",))
        message = "a content that is None, as transformers 4 passes it, is printed as the word None"
        yield Found(message, None, (evidence,), "let the template read `content or ''`", Level.NOTE)


def _in_calls(study: Study) -> Iterator[Found]:
    plain = _calling(study, _TEXT)
    printed = study.examined.renderer(plain.messages, plain.tools, **study.examined.set_for(plain))
    if study.arguments is not dict or not isinstance(printed, str) or printed.count(_TEXT) != 1:
        return
    if printed.partition(_TEXT)[0].rpartition("look_up")[2].startswith("("):  # a call of Python's own
        return
    found: list[tuple[str, str, Evidence, Span | None]] = []
    for name, value, spelt in _VALUES:
        asked = _calling(study, value)
        text = study.examined.renderer(asked.messages, asked.tools, **study.examined.set_for(asked))
        if isinstance(text, str) and differing_spans(printed, text)[1].of(text) == spelt:
            at = places.output(study, asked, spelt) if not found else None
            evidence = Evidence(
                f"a tool call with {name} in its arguments", f'"value": {json.dumps(value)}', text, stray=(spelt,)
            )
            found.append((name, spelt, evidence, at))
    if found:
        values = listed([f"{spelt} for {name}" for name, spelt, *_ in found])
        shown = tuple(each for _, _, each, _ in found)
        yield Found(f"arguments are printed as Python, and not as JSON: {values}", found[0][3], shown, _FIX)


def _calling(study: Study, value: object) -> Probe:
    """Return a conversation whose call has an argument of this value, beside one that is text."""
    called = study.asked("ucta")
    user, turn, *rest = called.messages
    function = {"name": "look_up", "arguments": {"word": "word1", "value": value}}
    calls = [{**call, "function": function} for call in turn["tool_calls"]]
    return replace(called, messages=(user, {**turn, "tool_calls": calls}, *rest), special="a value")


def why_not(study: Study) -> str:
    """Return why arguments can't be tried, "" where a call with some is printed, or comes with them as text alone."""
    printed = study.prints(_calling(study, _TEXT), "call") or study.prints(study.asked("uvta"), "call")
    return "" if printed or study.arguments is str else "no tool call is printed"
