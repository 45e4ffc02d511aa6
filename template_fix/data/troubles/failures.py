"""Why a row isn't rendered, and what to change: each guess is tried, and told where the row is rendered with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from template_fix.conversations.rows import ROLES, BrokenRow, Row, parsed
from template_fix.data.texts import reasoning_blocks
from template_fix.data.troubles.calls import calls_of, filled, with_calls
from template_fix.data.troubles.view import RowTemplate
from template_fix.jinja.renderer import REASONING_FIELDS, Failure, Message

Messages = Sequence[Message]


class _Change(NamedTuple):
    """What was wrong with a message, from its place on, or with a row; and the message, or all of them, changed."""

    says: str
    changed: Any


_Guess = Callable[[Messages], _Change | None]
_MessageGuess = Callable[[Message], _Change | None]


def explained(row: Row, template: RowTemplate, failure: Failure) -> str:
    """Return why a row fails, with the template's line, and the change after which it doesn't."""
    where = f" (line {failure.line} of the template)" if failure.line else ""
    return "; ".join([f"{failure.reason}{where}", *_causes(row, template)])


def _causes(row: Row, template: RowTemplate) -> list[str]:
    """Return what to change: one thing that is enough, or else several of which none can be left out, or nothing."""

    def renders(guesses: Sequence[_Guess]) -> bool:
        messages: Messages = row.messages
        for guess in guesses:
            change = guess(messages)
            messages = change.changed if change else messages
        return isinstance(template.print(row._replace(messages=[*map(dict, messages)])), str)

    found = [(guess, change.says) for guess in _GUESSES if (change := guess(row.messages))]
    for guess, says in found:
        if renders([guess]):
            return [says]
    all_of = [guess for guess, _ in found]
    needed = next((all_of[:number] for number in range(2, len(found) + 1) if renders(all_of[:number])), [])
    for guess in list(needed):
        without = [each for each in needed if each is not guess]
        needed = without if renders(without) else needed
    return [says for guess, says in found if guess in needed]


def _in_each_message(guess: _MessageGuess) -> _Guess:
    """Return the guess that changes all messages that need it; the first is told, with its place."""

    def in_all(messages: Messages) -> _Change | None:
        guesses = [guess(message) for message in messages]
        says = next((f"messages[{number}]{each.says}" for number, each in enumerate(guesses) if each), "")
        changed = [each.changed if each else message for each, message in zip(guesses, messages, strict=True)]
        return _Change(says, changed) if says else None

    return in_all


def _arguments(change: Callable[[object], object], says: str) -> _Guess:
    """Return the guess that arguments of calls have to be others; ``change`` gives None for those that are right."""

    @_in_each_message
    def guess(message: Message) -> _Change | None:
        new = [(call, change(call.function.get("arguments"))) for call in calls_of(message)]
        made = {call.at: call.changed(arguments=value) for call, value in new if value is not None}
        paths = [f"{call.path}.arguments {says}" for call, value in new if value is not None]
        return _Change(paths[0], with_calls(message, made)) if made else None

    return guess


def _object(arguments: object) -> object:
    try:
        value = parsed(arguments) if isinstance(arguments, str) else None
    except BrokenRow:
        return None
    return value if isinstance(value, Mapping) else None


def _text(arguments: object) -> object:
    return json.dumps(arguments) if isinstance(arguments, Mapping) else None


@_in_each_message
def _keys_without_value(message: Message) -> _Change | None:
    empty = [key for key, value in message.items() if key != "content" and value in (None, [])]
    if not empty:
        return None
    says = f".{empty[0]} is {'null' if message[empty[0]] is None else 'an empty list'}; leave the key out"
    return _Change(says, {key: value for key, value in message.items() if key not in empty})


@_in_each_message
def _nulls_in_calls(message: Message) -> _Change | None:
    kept = filled(message.get("tool_calls"))
    if kept == message.get("tool_calls"):
        return None
    return _Change(".tool_calls has keys that are null; leave them out", {**message, "tool_calls": kept})


@_in_each_message
def _content_is_missing(message: Message) -> _Change | None:
    if message.get("content") is not None:
        return None
    return _Change(f'.content is {"null" if "content" in message else "missing"}; give ""', {**message, "content": ""})


@_in_each_message
def _content_is_text(message: Message) -> _Change | None:
    if not isinstance(content := message.get("content"), str):
        return None
    says = '.content is text; the template takes a list: [{"type": "text", "text": …}]'
    return _Change(says, {**message, "content": [{"type": "text", "text": content}]})


@_in_each_message
def _reasoning_in_blocks(message: Message) -> _Change | None:
    if not (kinds := reasoning_blocks(message)):
        return None
    says = f".content has a block of type {kinds[0]}, which the template doesn't take; --rewrite OUT.jsonl moves it"
    kept = [each for each in message["content"] if not isinstance(each, Mapping) or each.get("type") not in kinds]
    return _Change(says, {**message, "content": kept})


@_in_each_message
def _content_is_a_list(message: Message) -> _Change | None:
    if not isinstance(content := message.get("content"), list):
        return None
    texts = [each.get("text") for each in content if isinstance(each, Mapping)]
    joined = "".join(text for text in texts if isinstance(text, str))
    return _Change(".content is a list; the template takes text", {**message, "content": joined})


@_in_each_message
def _content_beside_reasoning(message: Message) -> _Change | None:
    reasons = [key for key in message if key in REASONING_FIELDS and message[key]]
    if not (message.get("tool_calls") and message.get("content") and reasons):
        return None
    says = f" has content and {reasons[0]} beside tool_calls; the template takes one of the two"
    return _Change(says, {**message, "content": ""})


@_in_each_message
def _results_without_name(message: Message) -> _Change | None:
    if message["role"] != "tool" or message.get("name"):
        return None
    return _Change(".name is missing; give the name of the tool", {**message, "name": "tool"})


@_in_each_message
def _other_roles(message: Message) -> _Change | None:
    if message["role"] in ROLES:
        return None
    return _Change(f".role is {message['role']}, which the template doesn't take", {**message, "role": "user"})


def _call_ids(messages: Messages) -> _Change | None:
    """Give calls and results ids as Mistral's templates ask for them: of nine letters and digits."""
    says, changed, ids = "", [], list[str]()
    for number, message in enumerate(messages):
        if calls := list(calls_of(message)):
            made = {call.at: {**call.whole, "id": f"call{number * 64 + call.at:05d}"} for call in calls}
            ids = [str(call["id"]) for call in made.values()]
            says = says or f"messages[{number}].tool_calls[0].id is {calls[0].whole.get('id')!r}"
            message = with_calls(message, made)
        elif message["role"] == "tool":
            says = says or f"messages[{number}].tool_call_id is {message.get('tool_call_id')!r}"
            message = {**message, "tool_call_id": ids.pop(0) if ids else "call00000"}
        changed.append(message)
    return _Change(f"{says}; give 9 letters and digits, the same for a call and its result", changed) if says else None


def _no_question(messages: Messages) -> _Change | None:
    at = next((number for number, each in enumerate(messages) if each["role"] not in ("system", "developer")), 0)
    if messages[at]["role"] == "user" and not str(messages[at].get("content")).startswith("<"):
        return None
    says = f"messages has no question of a user before messages[{at}]; put one there"
    return _Change(says, [*messages[:at], {"role": "user", "content": "Go on."}, *messages[at:]])


def _same_role_in_turn(messages: Messages) -> _Change | None:
    says, changed = "", list[Message]()
    for number, message in enumerate(messages):
        before = changed[-1] if changed else {"role": None}
        texts = [each.get("content") for each in (before, message)]
        if before["role"] == message["role"] and all(isinstance(text, str) for text in texts):
            says = says or f"messages[{number}] has the same role as the one before; make them one"
            changed[-1] = {**before, "content": "\n\n".join(map(str, texts))}
        else:
            changed.append(message)
    return _Change(says, changed) if says else None


def _left_out(*roles: str) -> _Guess:
    def guess(messages: Messages) -> _Change | None:
        odd = [(number, message["role"]) for number, message in enumerate(messages) if message["role"] in roles]
        kept = [message for message in messages if message["role"] not in roles]
        if not odd or not kept:
            return None
        return _Change(f"messages[{odd[0][0]}] has the role {odd[0][1]}, which the template doesn't take there", kept)

    return guess


_GUESSES: tuple[_Guess, ...] = (
    _arguments(_object, "is text; parse it (json.loads)"),
    *(_keys_without_value, _nulls_in_calls),
    _arguments(lambda value: {} if value is None else None, "is missing; give {}"),
    *(_content_is_missing, _reasoning_in_blocks, _content_is_a_list, _content_is_text, _content_beside_reasoning),
    *(_results_without_name, _call_ids),
    _arguments(_text, "is an object; write it as text (json.dumps)"),
    *(_other_roles, _no_question, _same_role_in_turn),
    *(_left_out("system", "developer"), _left_out("tool")),
)
