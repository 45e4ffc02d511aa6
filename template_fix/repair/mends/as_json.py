"""Arguments that are printed as Python: they are owed their spelling in JSON, in the same place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jinja2 import nodes

from template_fix.contract.examination import Rendering
from template_fix.contract.mended import Owed
from template_fix.conversations.probe import Probe
from template_fix.jinja.queries import walk
from template_fix.jinja.renderer import Failure, Message
from template_fix.repair.mends import Mend
from template_fix.repair.proposers import Proposal, short
from template_fix.repair.splice import put_expression, tidy
from template_fix.repair.study import Study

_TEXT = "zigzag"
# Numbers that stand for null, true and false.
_FIRST = 73001
_VALUES: tuple[object, ...] = (
    *(None, True, False, 7, -1.5, "", "plain", 'it\'s "quoted"', {}, [], {"key": "one"}, ["one", "two"]),
    {"key": {"inner": [None, False, "é"]}},
    [{"key": True}, None, "x"],
)
_WHY = "What is no text is printed as JSON, texts as before; no other character of any conversation changes."


def _probes(study: Study) -> Iterator[Probe]:
    for number, value in enumerate((_TEXT, *_VALUES)):
        yield _calling(study, value, f"value {number}")
    yield _calling(study, None, "a null alone", alone=True)
    for arguments in (dict, str):
        for shape in ("ucta", "uctaucta"):
            called = study.asked(shape, arguments=arguments)
            yield replace(called, special=f"arguments of the type {arguments.__name__}", ordinary=False)


def _calling(study: Study, value: object, name: str, *, alone: bool = False) -> Probe:
    """Return a conversation whose call has an argument of this value, beside one that is text or by itself."""
    called = study.asked("ucta")
    user, turn, *rest = called.messages
    arguments = {"value": value} if alone else {"word": "word1", "value": value}
    calls = [{**call, "function": {"name": "look_up", "arguments": arguments}} for call in turn["tool_calls"]]
    parts = tuple(part for part in called.parts if not alone or part.kind != "call")
    return replace(
        called, messages=(user, {**turn, "tool_calls": calls}, *rest), parts=parts, special=name, ordinary=False
    )


def _owed(study: Study) -> Owed:
    def owed(each: Rendering, old: str | Failure) -> tuple[str, ...]:
        if isinstance(old, Failure):
            return ()
        text = old
        for call in _calls(each.probe.messages[: each.upto]):
            function = call.get("function", call)
            arguments = function["arguments"]
            whole = next((part for part in (call, function, arguments) if _is_printed(part, text)), None)
            if whole is not None:
                text = text.replace(str(whole), _dumped(whole))
            elif isinstance(arguments, dict) and "value" in arguments:
                text = _in_place(study, each, text, arguments["value"])
        return (text,) if text != old else ()

    return owed


def _in_place(study: Study, each: Rendering, text: str, value: object) -> str:
    """Return a text with a value in JSON, where it is printed as Python: the whole of it, or null and truths inside."""
    told = _told_with(study, each, _TEXT)
    if not isinstance(value, str) and told.count(_TEXT) == 1 and told.replace(_TEXT, str(value)) == text:
        return told.replace(_TEXT, _dumped(value))
    # A number is spelled alike in both: where it is printed bare, so is what stands in its place.
    numbered, leaves = _numbered(value, [])
    told = _told_with(study, each, numbered)
    if not leaves or any(told.count(str(number)) != 1 for number in range(_FIRST, _FIRST + len(leaves))):
        return text
    spelt = [(str(leaf), _dumped(leaf)) for leaf in leaves]
    pattern = re.escape(told)
    for number, ways in enumerate(spelt, _FIRST):
        pattern = pattern.replace(str(number), f"(?:{'|'.join(ways)})")
    if not re.fullmatch(pattern, text):
        return text
    for number, (_, as_json) in enumerate(spelt, _FIRST):
        told = told.replace(str(number), as_json)
    return told


def _numbered(value: object, leaves: list[object]) -> tuple[object, list[object]]:
    """Return a value with numbers in the place of null, true and false, and these in their order."""
    if value is None or isinstance(value, bool):
        leaves.append(value)
        return _FIRST + len(leaves) - 1, leaves
    if isinstance(value, dict):
        return {key: _numbered(each, leaves)[0] for key, each in value.items()}, leaves
    if isinstance(value, list):
        return [_numbered(each, leaves)[0] for each in value], leaves
    return value, leaves


def _told_with(study: Study, each: Rendering, value: object) -> str:
    """Return what is printed with another value in the arguments of a conversation."""
    made = []
    for message in each.probe.messages[: each.upto]:
        calls = [
            {**call, "function": {**call["function"], "arguments": {**call["function"]["arguments"], "value": value}}}
            for call in message.get("tool_calls", ())
        ]
        made.append({**message, "tool_calls": calls} if calls else message)
    text = study.examined.renderer(made, each.probe.tools, each.prompt, **study.examined.set_for(each.probe))
    return text if isinstance(text, str) else ""


def _calls(messages: Sequence[Message]) -> Iterator[Mapping[str, Any]]:
    return (call for message in messages for call in message.get("tool_calls", ()))


def _is_printed(part: object, text: str) -> bool:
    """Whether a mapping is printed as Python."""
    return isinstance(part, dict) and str(part) in text


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _proposals(study: Study, owed: Owed) -> Iterator[Proposal]:
    for site in _sites(study):
        node = _unfiltered(site)
        whole, value = study.template.span(site), study.template.span(node)
        if whole and value:
            text = value.of(study.source)
            title = f"print {short(text)} as JSON where it is no text"
            for printed in (f"{text} | tojson", f"{text} if {text} is string else {text} | tojson"):
                yield Proposal(
                    "TF213", "mend", title, _WHY, whole, tuple(tidy(study.template, [put_expression(whole, printed)]))
                )


def _unfiltered(node: nodes.Expr) -> nodes.Expr:
    return node.node if isinstance(node, nodes.Filter) and node.name == "string" and node.node else node


def _sites(study: Study) -> list[nodes.Expr]:
    """Return the expressions that may print a value as Python, those first that say so with the filter ``string``."""
    said = [node for node in study.template.all_nodes if isinstance(node, nodes.Filter) and node.name == "string"]
    printed = (study.trace.outputs[number].node for number in _outputs(study)) if study.trace else ()
    found = [*said, *(each for output in printed for each in walk(output) if _is_value(each))]
    return [each for each in found if isinstance(each, nodes.Expr)]


def _outputs(study: Study) -> list[int]:
    """Return the outputs that print a value as Python, those that print least beside it first."""
    found: dict[int, int] = {}
    for asked in _probes(study) if study.trace else ():
        given = [call["function"]["arguments"] for call in _calls(asked.messages)]
        values = [str(value) for each in given if isinstance(each, dict) for value in (each, each.get("value"))]
        for number, text in study.trace.record(asked, flags=study.examined.flags).outputs if study.trace else ():
            if any(value in text for value in values if value not in ("", "word1")):
                found[number] = min(found.get(number, len(text)), len(text))
    return sorted(found, key=lambda number: found[number])


def _is_value(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem) and node.ctx == "load"


MEND = Mend(_probes, _owed, _proposals)
