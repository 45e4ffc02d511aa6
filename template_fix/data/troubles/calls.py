"""What can be wrong with tool calls, results, and keys without a value, of a row that is rendered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from template_fix.data.shapes.operations import drop_repeats, is_fixed, join, length, recorded
from template_fix.data.troubles.kinds import Trouble
from template_fix.data.troubles.view import View
from template_fix.jinja.renderer import REASONING_FIELDS, Message

_SHOWN = 200
# Shorter names are found in other words by chance.
_TELLING = 5
_PLAIN_KEYS = frozenset({"role", "content"})
# The names by which transformers 5 passes reasoning on, whichever it came by.
_ADDED = frozenset({"reasoning_content", "thinking"})
# Whose content is the result of a call.
RESULTS = ("tool", "function")
# A null has a meaning of its own there.
_NO_NULL = ("default", "enum", "const", "examples")


class Call(NamedTuple):
    """One tool call of a message: its place among the calls, all of it, and its name and arguments."""

    at: int
    whole: Mapping[str, object]
    function: Mapping[str, Any]

    def changed(self, **values: Any) -> Message:
        """Return the call with another name, or other arguments."""
        if self.function is self.whole:
            return {**self.whole, **values}
        return {**self.whole, "function": {**self.function, **values}}

    @property
    def path(self) -> str:
        """Where its name and arguments stand in the message."""
        return f".tool_calls[{self.at}]{'' if self.function is self.whole else '.function'}"


def calls_of(message: Message) -> Iterator[Call]:
    """Yield the tool calls of a message."""
    calls = message.get("tool_calls")
    for at, call in enumerate(calls if isinstance(calls, (list, tuple)) else ()):
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            yield Call(at, call, function)


def with_calls(message: Message, changed: Mapping[int, Message]) -> Message:
    """Return a message with some of its calls, by their places, in another form."""
    if not changed:
        return message
    return {**message, "tool_calls": [changed.get(at, call) for at, call in enumerate(message["tool_calls"])]}


def troubles_of_calls(view: View, printed: str) -> Iterator[Trouble]:
    """Yield what is wrong with a row's calls, and with keys that versions of transformers treat differently."""
    rich, calls, results = False, list[tuple[int, Call]](), list[tuple[int, Message]]()
    for number, message in enumerate(view.row.messages):
        rich = rich or not message.keys() <= _PLAIN_KEYS
        if message.get("tool_calls") is not None:
            calls += [(number, call) for call in calls_of(message)]
            if not message["tool_calls"]:
                yield from _empty_calls(view, printed, number)
        if message["role"] in RESULTS:
            results.append((number, message))
    for number, call in calls:
        if isinstance(text := call.function.get("arguments"), str) and _escaped(text, printed):
            shown = f"messages[{number}]{call.path}.arguments is text: "
            yield Trouble("encoded_twice", number + 1, join("", [shown, text[:_SHOWN]]))
    for number, result in results:
        if isinstance(text := result.get("content"), str) and _escaped(text, printed):
            shown = join("", [f"messages[{number}].content is text: ", text[:_SHOWN]])
            yield Trouble("encoded_twice", number + 1, shown)
    names = [result.get("name") for _, result in results]
    if calls:
        yield from _unprinted(view, printed, calls, names)
    if rich:
        yield from _old_calls(view, printed, names)
    if rich:
        yield from _versions(view, printed)
    # Where nothing of them differs from row to row, keys without a value are found faster than what is printed of them.
    if (rich or view.row.tools) and (is_fixed(view.row.tools) or _prints_null(printed)):
        yield from _nulls(view, printed)


@recorded
def _escaped(text: str, printed: str) -> bool:
    """Whether a JSON text is printed as a text within JSON, with its quotes escaped."""
    if not text.lstrip().startswith(("{", "[")) or '"' not in text:
        return False
    return text.strip() not in printed and any(
        json.dumps(text.strip(), ensure_ascii=ascii)[1:-1] in printed for ascii in (False, True)
    )


def _empty_calls(view: View, printed: str, number: int) -> Iterator[Trouble]:
    """Find an empty list of calls that makes a difference."""
    without: list[Message] = [
        {key: value for key, value in message.items() if key != "tool_calls" or value} for message in view.row.messages
    ]
    if view.render(without) != printed:
        yield Trouble("empty_calls", number + 1, f"messages[{number}].tool_calls is []")


def _old_calls(view: View, printed: str, results: Sequence[object]) -> Iterator[Trouble]:
    """Find calls in function_call, as was usual before tool_calls, that aren't printed."""
    for number, message in enumerate(view.row.messages):
        name = call.get("name") if isinstance(call := message.get("function_call"), Mapping) else None
        if name and isinstance(name, str) and printed.count(name) < view.said.count(name) - results.count(name):
            shown = f"messages[{number}].function_call: {name}; what templates print is tool_calls"
            yield Trouble("call_lost", number + 1, shown)


def _unprinted(
    view: View, printed: str, calls: Sequence[tuple[int, Call]], results: Sequence[object]
) -> Iterator[Trouble]:
    """Find the calls whose names don't come out; where others can be meant, each call gets a name of its own.

    ``results`` are the names that results of calls have.
    """
    named = [call.function.get("name") or "" for _, call in calls]
    if all(isinstance(name, str) for name in named) and all(
        length(name) >= _TELLING
        and printed.count(name) >= view.said.count(name) - results.count(name)
        and not view.template.has(name)
        for name in drop_repeats(named)
    ):
        return
    renamed: list[Message] = [
        with_calls(message, {call.at: call.changed(name=_own_name(at, call)) for at, call in calls if at == number})
        for number, message in enumerate(view.row.messages)
    ]
    text = view.render(renamed)
    if not isinstance(text, str):
        return
    for number, call in calls:
        if (name := call.function.get("name")) and _own_name(number, call) not in text:
            shown = [f"messages[{number}].tool_calls[{call.at}]: ", name if isinstance(name, str) else str(name)]
            yield Trouble("call_lost", number + 1, join("", shown))


def _own_name(number: int, call: Call) -> str:
    """Return a name that is printed as it stands, and stands nowhere else."""
    return f"zq{number}x{call.at}zq"


def _nulls(view: View, printed: str) -> Iterator[Trouble]:
    """Find keys without a value, in tools and in arguments, that are printed."""
    tools, calls = view.row.tools or [], [message.get("tool_calls") for message in view.row.messages]
    found = [(0, path) for at, tool in enumerate(tools) if (path := _null_in(tool, f"tools[{at}]"))]
    if not found and not any(_null_keys(calls, "", frozenset())):
        return
    declared = _declared(view.row.tools)
    for number, message in enumerate(view.row.messages):
        paths = _null_keys(message.get("tool_calls"), f"messages[{number}].tool_calls", declared)
        found += [(number + 1, path) for path in paths]
    full: list[Message] = [
        {key: filled(each, declared) if key == "tool_calls" else each for key, each in message.items()}
        for message in view.row.messages
    ]
    if found and _prints_null(printed) and view.render(full, filled(view.row.tools, declared)) != printed:
        yield Trouble("nulls", found[0][0], f"{found[0][1]} is null")


def _prints_null(printed: str) -> bool:
    return "null" in printed or "None" in printed


@recorded
def _null_in(tool: object, path: str) -> str:
    """Return the first key of a tool that has no value, "" where there is none."""
    return next(_null_keys(tool, path, frozenset()), "")


def _declared(tools: Any) -> frozenset[str]:
    """Return the names of the parameters of a lone tool: a null for one of them may be meant."""
    if not tools or len(tools) > 1 or not isinstance(tools[0], Mapping):
        return frozenset()
    function = tools[0].get("function", tools[0])
    parameters = function.get("parameters") if isinstance(function, Mapping) else None
    properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
    named = properties.items() if isinstance(properties, Mapping) else ()
    return frozenset(name for name, value in named if value is not None)


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


def filled(value: object, meant: frozenset[str] = frozenset()) -> object:
    """Return a value without the keys that have none, but for those where that may be meant."""
    if isinstance(value, Mapping):
        kept = ((key, each) for key, each in value.items() if each is not None or key in _NO_NULL or key in meant)
        return {key: filled(each, meant) for key, each in kept}
    return [filled(each, meant) for each in value] if isinstance(value, (list, tuple)) else value


def _versions(view: View, printed: str) -> Iterator[Trouble]:
    """Find rows that another version of transformers prints otherwise: it is given other keys."""
    template = view.template
    for number, message in enumerate(view.row.messages):
        if keys := _touched(message) & template.words:
            if template.print(view.row, otherwise=True) != printed:
                yield Trouble("versions_differ", number + 1, f"messages[{number}]: {', '.join(sorted(keys))}")
            return


def _touched(message: Message) -> set[str]:
    """Return the keys of a message that `renderer.prepare_messages` drops or adds."""
    keys = {key for key, value in message.items() if value is None}
    if any(message.get(name) is not None for name in REASONING_FIELDS):
        keys |= _ADDED - message.keys()
    return keys
