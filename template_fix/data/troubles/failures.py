"""Why a row isn't rendered, and what to change: each guess is tried, and told where the row is rendered with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from template_fix.conversations.rows import ROLES, BrokenRow, parsed
from template_fix.data.troubles.view import View
from template_fix.jinja.renderer import REASONING_FIELDS, Failure

Messages = Sequence[Mapping[str, Any]]


class _Change(NamedTuple):
    """A row changed, and what was wrong at its first changed place."""

    says: str
    messages: list[dict[str, Any]]


_Guess = Callable[[Messages], _Change | None]
# What is wrong with a message, from its place on, and the message changed; None where it needs no change.
_Told = tuple[str, dict[str, Any]] | None


def explained(view: View, failure: Failure) -> str:
    """Return why a row fails, with the template's line, and the change after which it doesn't."""
    where = f" (line {failure.line} of the template)" if failure.line else ""
    said = [change.says for change in _causes(view)]
    return "; ".join([f"{failure.reason}{where}", *said])


def _causes(view: View) -> list[_Change]:
    """Return the change that is enough, or the fewest of them in a row that are, or none."""
    found: list[_Change] = []
    for guess in _GUESSES:
        change = guess(view.row.messages)
        if change is not None:
            if isinstance(view.render(change.messages), str):
                return [change]
            found.append(change)
    messages: Messages = view.row.messages
    made: list[_Change] = []
    for guess in _GUESSES if len(found) > 1 else ():
        if change := guess(messages):
            messages = change.messages
            made.append(change)
            if isinstance(view.render(messages), str):
                return _needed(view, made)
    return []


def _needed(view: View, made: list[_Change]) -> list[_Change]:
    """Return those of some changes without which the row still fails."""
    guesses = {each.says: guess for each in made for guess in _GUESSES if _same(guess, view, each)}
    for each in list(made):
        messages: Messages = view.row.messages
        for other in made:
            change = guesses[other.says](messages) if other is not each and other.says in guesses else None
            messages = change.messages if change else messages
        if isinstance(view.render(messages), str):
            made = [other for other in made if other is not each]
    return made


def _same(guess: _Guess, view: View, change: _Change) -> bool:
    told = guess(view.row.messages)
    return told is not None and told.says == change.says


def _in_each_message(change: Callable[[Mapping[str, Any]], _Told]) -> _Guess:
    """Return the guess that makes one change to all messages that need it; the first is told, with its place."""

    def guess(messages: Messages) -> _Change | None:
        says, changed = "", []
        for number, message in enumerate(messages):
            told = change(message)
            if told and not says:
                says = f"messages[{number}]{told[0]}"
            changed.append(told[1] if told else dict(message))
        return _Change(says, changed) if says else None

    return guess


def _calls(message: Mapping[str, Any], change: Callable[[Any], Any], says: str) -> _Told:
    """Return a message with ``change`` made to the arguments of its calls; None where that changes nothing."""
    calls = message.get("tool_calls")
    first, made = "", []
    for at, call in enumerate(calls if isinstance(calls, (list, tuple)) else ()):
        told = call.get("function", call) if isinstance(call, Mapping) else {}
        arguments = told.get("arguments") if isinstance(told, Mapping) else None
        new = change(arguments)
        if new is None or new is arguments:
            made.append(call)
            continue
        wrapped = isinstance(call.get("function"), Mapping)
        path = ".function.arguments" if wrapped else ".arguments"
        first = first or f".tool_calls[{at}]{path} {says}"
        made.append({**call, "function": {**told, "arguments": new}} if wrapped else {**call, "arguments": new})
    return (first, {**message, "tool_calls": made}) if first else None


def _object(arguments: Any) -> Any:
    try:
        value = parsed(arguments) if isinstance(arguments, str) else None
    except BrokenRow:
        return None
    return value if isinstance(value, Mapping) else None


def _text(arguments: Any) -> Any:
    return json.dumps(arguments) if isinstance(arguments, Mapping) else None


@_in_each_message
def _arguments_are_text(message: Mapping[str, Any]) -> _Told:
    return _calls(message, _object, "is text; parse it (json.loads)")


@_in_each_message
def _arguments_are_objects(message: Mapping[str, Any]) -> _Told:
    return _calls(message, _text, "is an object; write it as text (json.dumps)")


@_in_each_message
def _no_arguments(message: Mapping[str, Any]) -> _Told:
    return _calls(message, lambda value: {} if value is None else None, "is missing; give {}")


@_in_each_message
def _no_calls(message: Mapping[str, Any]) -> _Told:
    if "tool_calls" not in message or message["tool_calls"]:
        return None
    said = "null" if message["tool_calls"] is None else "an empty list"
    return f".tool_calls is {said}; leave the key out", {k: v for k, v in message.items() if k != "tool_calls"}


@_in_each_message
def _nulls(message: Mapping[str, Any]) -> _Told:
    null = [key for key, value in message.items() if value is None and key != "content"]
    kept = {key: value for key, value in message.items() if key not in null}
    return (f".{null[0]} is null; leave the key out", kept) if null else None


@_in_each_message
def _null_keys(message: Mapping[str, Any]) -> _Told:
    kept = dict(_full(message))
    return (".tool_calls has keys that are null; leave them out", kept) if kept != dict(message) else None


def _full(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _full(each) for key, each in value.items() if each is not None}
    return [_full(each) for each in value] if isinstance(value, (list, tuple)) else value


@_in_each_message
def _no_content(message: Mapping[str, Any]) -> _Told:
    if message.get("content") is not None:
        return None
    said = "is null" if "content" in message else "is missing"
    return f'.content {said}; give ""', {**message, "content": ""}


@_in_each_message
def _content_is_a_list(message: Mapping[str, Any]) -> _Told:
    content = message.get("content")
    if not isinstance(content, list):
        return None
    texts = [each.get("text") for each in content if isinstance(each, Mapping)]
    joined = "".join(text for text in texts if isinstance(text, str))
    return ".content is a list; the template takes text", {**message, "content": joined}


@_in_each_message
def _content_is_text(message: Mapping[str, Any]) -> _Told:
    content = message.get("content")
    if not isinstance(content, str):
        return None
    blocks = [{"type": "text", "text": content}]
    return '.content is text; the template takes a list: [{"type": "text", "text": …}]', {
        **message,
        "content": blocks,
    }


@_in_each_message
def _content_beside_reasoning(message: Mapping[str, Any]) -> _Told:
    reasons = [key for key in message if key in REASONING_FIELDS and message[key]]
    if not (message.get("tool_calls") and message.get("content") and reasons):
        return None
    says = f" has content and {reasons[0]} beside tool_calls; the template takes one of the two"
    return says, {**message, "content": ""}


def _call_ids(messages: Messages) -> _Change | None:
    """Give calls and results ids as Mistral's templates ask for them: of nine letters and digits."""
    first, changed, ids = "", [], list[str]()
    for number, message in enumerate(messages):
        made = dict(message)
        calls = message.get("tool_calls")
        if isinstance(calls, (list, tuple)) and calls and all(isinstance(call, Mapping) for call in calls):
            ids = [f"call{number * 64 + at:05d}" for at in range(len(calls))]
            first = first or f"messages[{number}].tool_calls[0].id is {calls[0].get('id')!r}; give 9 letters and digits"
            made["tool_calls"] = [{**call, "id": own} for call, own in zip(calls, ids, strict=True)]
        elif message["role"] == "tool":
            made["tool_call_id"] = ids.pop(0) if ids else "call00000"
            first = first or f"messages[{number}].tool_call_id is {message.get('tool_call_id')!r}; give the call's"
        changed.append(made)
    return _Change(first, changed) if first else None


@_in_each_message
def _names(message: Mapping[str, Any]) -> _Told:
    if message["role"] != "tool" or message.get("name"):
        return None
    return ".name is missing; give the name of the tool", {**message, "name": "tool"}


def _no_question(messages: Messages) -> _Change | None:
    at = next((number for number, each in enumerate(messages) if each["role"] not in ("system", "developer")), 0)
    if at < len(messages) and messages[at]["role"] == "user" and not str(messages[at].get("content")).startswith("<"):
        return None
    changed = [dict(each) for each in messages]
    return _Change(
        f"messages has no question of a user before messages[{at}]; put one there",
        [*changed[:at], {"role": "user", "content": "Go on."}, *changed[at:]],
    )


@_in_each_message
def _odd_roles(message: Mapping[str, Any]) -> _Told:
    role = message["role"]
    if role in ROLES:
        return None
    return f".role is {role}, which the template doesn't take", {**message, "role": "user"}


def _left_out(roles: frozenset[str]) -> _Guess:
    def guess(messages: Messages) -> _Change | None:
        odd = [number for number, each in enumerate(messages) if each["role"] in roles]
        kept = [dict(each) for each in messages if each["role"] not in roles]
        says = (
            f"messages[{odd[0]}] has the role {messages[odd[0]]['role']}, which the template doesn't take there"
            if odd
            else ""
        )
        return _Change(says, kept) if odd and kept else None

    return guess


def _same_role_in_turn(messages: Messages) -> _Change | None:
    changed: list[dict[str, Any]] = []
    first = ""
    for number, message in enumerate(messages):
        before = changed[-1] if changed else None
        if (
            before
            and before["role"] == message["role"]
            and all(isinstance(m.get("content"), str) for m in (before, message))
        ):
            first = first or f"messages[{number}] has the same role as the one before; make them one"
            changed[-1] = {**before, "content": f"{before['content']}\n\n{message['content']}"}
        else:
            changed.append(dict(message))
    return _Change(first, changed) if first else None


_GUESSES: tuple[_Guess, ...] = (
    *(_arguments_are_text, _no_calls, _nulls, _null_keys, _no_arguments, _no_content),
    *(_content_is_a_list, _content_is_text, _content_beside_reasoning, _names, _call_ids),
    *(_arguments_are_objects, _odd_roles, _no_question, _same_role_in_turn),
    *(_left_out(frozenset({"system", "developer"})), _left_out(frozenset({"tool"}))),
)
