"""What can be wrong with tool calls, results, and keys without a value, of a row that is rendered."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from template_fix.data.texts import fields_of
from template_fix.data.troubles.kinds import Trouble
from template_fix.data.troubles.view import View
from template_fix.jinja.renderer import Renderer

_SHOWN = 200
# Shorter names are found in other words by chance.
_TELLING = 5
_PLAIN_KEYS = frozenset({"role", "content"})
# So many rows of one shape that two versions print alike speak for all of that shape.
_ENOUGH = 20
# Whose content is the result of a call.
_RESULTS = ("tool", "function")
# A null has a meaning of its own there.
_NO_NULL = ("default", "enum", "const", "examples")
# Letters of the second plane for private use, which no text has by itself.
_FIRST = 0x100000


def troubles_of_calls(view: View, printed: str) -> Iterator[Trouble]:
    """Yield what is wrong with a row's calls, and with keys that versions of transformers treat differently."""
    messages = view.row.messages
    rich = any(not message.keys() <= _PLAIN_KEYS for message in messages)
    if any(message.get("tool_calls") is not None or message["role"] in _RESULTS for message in messages):
        yield from _calls(view, printed)
    if rich:
        yield from _versions(view, printed)
    if rich or view.row.tools:
        yield from _nulls(view, printed)


def _calls(view: View, printed: str) -> Iterator[Trouble]:
    """Find calls that aren't printed, and arguments and results that are printed as JSON within JSON."""
    named: list[tuple[int, int, str]] = []
    for number, message in enumerate(view.row.messages):
        calls = message.get("tool_calls")
        for at, call in enumerate(calls if isinstance(calls, (list, tuple)) else ()):
            told = call.get("function", call) if isinstance(call, Mapping) else None
            if not isinstance(told, Mapping):
                continue
            if isinstance(told.get("name"), str):
                named.append((number, at, told["name"]))
            if _escaped(told.get("arguments"), printed):
                path = f"messages[{number}].tool_calls[{at}].function.arguments is text"
                yield Trouble("encoded_twice", number + 1, f"{path}: {told['arguments'][:_SHOWN]}")
        if message["role"] in _RESULTS and _escaped(message.get("content"), printed):
            yield Trouble(
                "encoded_twice", number + 1, f"messages[{number}].content is text: {message['content'][:_SHOWN]}"
            )
        if isinstance(calls, (list, tuple)) and not calls and "tool_calls" in view.messages[number]:
            without = [
                _without(each, "tool_calls") if not each.get("tool_calls") else each for each in view.row.messages
            ]
            if view.render(without) != printed:
                yield Trouble("empty_calls", number + 1, f"messages[{number}].tool_calls is []")
    yield from _unprinted(view, printed, named)


def _escaped(text: object, printed: str) -> bool:
    """Whether a JSON text is printed as a text within JSON, with its quotes escaped."""
    if not isinstance(text, str) or not text.lstrip().startswith(("{", "[")) or '"' not in text:
        return False
    return text.strip() not in printed and any(
        json.dumps(text.strip(), ensure_ascii=ascii)[1:-1] in printed for ascii in (False, True)
    )


def _without(message: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != key}


def _unprinted(view: View, printed: str, named: Sequence[tuple[int, int, str]]) -> Iterator[Trouble]:
    """Find the calls whose names don't come out; where they can be meant by others, each gets a letter for a name."""
    if not named:
        return
    tools = json.dumps(view.row.tools, default=str) if view.row.tools else ""
    names = [name for _, _, name in named]
    content = "\0".join(text for message in view.row.messages for text, _ in fields_of(message))
    if all(
        len(name) >= _TELLING
        and printed.count(name) >= names.count(name) + tools.count(name) + content.count(name)
        and name not in view.source
        for name in set(names)
    ):
        return
    told = view.render([_renamed(number, message) for number, message in enumerate(view.row.messages)])
    if not isinstance(told, str):
        return
    for number, at, name in named:
        if name and _letter(number, at) not in told:
            yield Trouble("call_lost", number + 1, f"messages[{number}].tool_calls[{at}]: {name}")


def _letter(number: int, at: int) -> str:
    return chr(_FIRST + (number * 64 + at) % 0xFFFD)


def _renamed(number: int, message: Mapping[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    if not isinstance(calls, (list, tuple)):
        return dict(message)
    changed: list[Any] = []
    for at, call in enumerate(calls):
        if isinstance(call, Mapping) and isinstance(call.get("function"), Mapping):
            changed.append({**call, "function": {**call["function"], "name": _letter(number, at)}})
        else:
            changed.append({**call, "name": _letter(number, at)} if isinstance(call, Mapping) else call)
    return {**message, "tool_calls": changed}


def _nulls(view: View, printed: str) -> Iterator[Trouble]:
    """Find keys without a value, in tools and in arguments, that are printed."""
    if "null" not in printed and "None" not in printed:
        return
    found = [*_null_keys(view.row.tools, "tools", frozenset())]
    declared = _declared(view.row.tools)
    for number, message in enumerate(view.row.messages):
        found += _null_keys(message.get("tool_calls"), f"messages[{number}].tool_calls", declared)
    if (
        found
        and view.render([_full(each, declared) for each in view.row.messages], _full(view.row.tools, declared))
        != printed
    ):
        number = int(found[0].partition("[")[2].partition("]")[0]) + 1 if found[0].startswith("messages") else 0
        yield Trouble("nulls", number, f"{found[0]} is null")


def _declared(tools: Any) -> frozenset[str]:
    """Return the names of all parameters that tools declare: a null for one of them may be meant."""
    names: set[str] = set()
    for tool in tools or ():
        function = tool.get("function", tool) if isinstance(tool, Mapping) else {}
        parameters = function.get("parameters") if isinstance(function, Mapping) else None
        properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
        if isinstance(properties, Mapping) and len(tools) == 1:
            names.update(name for name, value in properties.items() if value is not None)
    return frozenset(names)


def _null_keys(value: Any, path: str, meant: frozenset[str]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            if each is None:
                if key not in _NO_NULL and key not in meant:
                    yield f"{path}.{key}"
            else:
                yield from _null_keys(each, f"{path}.{key}", meant)
    elif isinstance(value, (list, tuple)):
        for at, each in enumerate(value):
            yield from _null_keys(each, f"{path}[{at}]", meant)


def _full(value: Any, meant: frozenset[str]) -> Any:
    """Return a value without the keys that have none, but for those that may be meant."""
    if isinstance(value, Mapping):
        kept = ((key, each) for key, each in value.items() if each is not None or key in _NO_NULL or key in meant)
        return {key: _full(each, meant) for key, each in kept}
    return [_full(each, meant) for each in value] if isinstance(value, (list, tuple)) else value


def _versions(view: View, printed: str) -> Iterator[Trouble]:
    """Find rows that another version of transformers prints otherwise: it is given other keys."""
    if view.other is None:
        return
    other = view.other(view.row.messages)
    named = _names(view.source)
    for number, (here, there) in enumerate(zip(view.messages, other, strict=True)):
        keys = {key for key in here.keys() ^ there.keys() if key in named}
        if keys:
            shape, agreed = _shape(other), _agreed(view.source, view.renderer)
            if agreed[shape] < _ENOUGH:
                agreed[shape] += 1
                if view.renderer(other, view.row.tools, view.asks, **view.row.flags) != printed:
                    agreed[shape] = 0
                    yield Trouble("versions_differ", number + 1, f"messages[{number}]: {', '.join(sorted(keys))}")
            return


def _shape(messages: Sequence[Mapping[str, Any]]) -> tuple[tuple[Any, ...], ...]:
    """Return which keys messages have, and which of them are empty or null: what versions treat differently."""
    return tuple(
        (message["role"], *((key, value is None, not value) for key, value in message.items())) for message in messages
    )


@lru_cache(maxsize=8)
def _agreed(_: str, __: Renderer) -> Counter[tuple[tuple[Any, ...], ...]]:
    """Return how many rows of each shape both versions have printed alike; after enough, no more are compared."""
    return Counter()


@lru_cache(maxsize=8)
def _names(source: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", source))
