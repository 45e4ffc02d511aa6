"""Conversations that the battery grows by: for variables, roles, fields and blocks of a template's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from template_fix.conversations.probe import FORMS, Part, Probe, probe
from template_fix.conversations.tags import Tags, closings
from template_fix.options import Flags

# What tells conversations apart whose answers alone are lists of text blocks.
LISTED_ANSWERS = "answers alone as lists"


def with_switch(tags: Tags, arguments: type, name: str, value: bool | str) -> tuple[Probe, ...]:
    """Return conversations that set a variable of the template's own."""
    shapes = product(("ur", "urur", "uaur", "uktr", "uktrur"), FORMS)
    probes = [probe(shape, tags, form, arguments=arguments, flags=((name, value),)) for shape, form in shapes]
    probes.append(probe("uaua", tags, "plain", arguments=arguments, flags=((name, value),)))
    return tuple(replace(each, ordinary=False, varied=True) for each in probes)


def with_literal(tags: Tags, arguments: type, text: str) -> Iterator[Probe]:
    """Yield conversations whose answers stand behind a text that a template looks for, or between it and its partner.

    ``</x>`` is the partner of ``<x>``; behind that, something else is said.
    """
    partner = next(closings(text))
    for shape, form in product(("ur", "urur", "urua"), FORMS):
        told = probe(shape, tags, form, arguments=arguments)
        messages, parts = [dict(message) for message in told.messages], []
        for part in told.parts:
            parts.append(part)
            if part.kind == "answer":
                said = part._replace(text=f"So much for {len(parts)}.")
                parts += [said] if partner != text else []
                shown = f"{text} {part.text}{partner} {said.text}" if partner != text else f"{text} {part.text}"
                message = messages[part.message]
                message["content"] = message["content"].replace(part.text, shown)
        yield replace(told, messages=tuple(messages), parts=tuple(parts), special=f"{text} in contents")


def with_blocks_of(tags: Tags, arguments: type, kind: str) -> Iterator[Probe]:
    """Yield conversations whose turns have their reasoning in a block of a type of its own, in front of the text's."""
    for shape in ("ur", "urur", "urua"):
        told = probe(shape, tags, arguments=arguments, text_lists=True)
        texts = {(part.message, part.kind): part.text for part in told.parts}
        messages = [dict(message) for message in told.messages]
        for number, message in enumerate(messages):
            if reasoning := texts.get((number, "reasoning")):
                answer = {"type": "text", "text": texts[number, "answer"]}
                message["content"] = [{"type": kind, kind: reasoning}, answer]
        yield replace(told, messages=tuple(messages), special=f"{kind} blocks in contents")


def unusual(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield conversations that are less ordinary, for tests of a template that the battery doesn't take either way."""
    for shape, form in product(("ur", "urur", "uur", "urr", "usur", "aur", "ukur", "udtr"), FORMS):
        yield replace(probe(shape, tags, form, arguments=arguments), ordinary=False, offered=shape in ("ur", "urur"))
    for shape, form in product(("ur", "urur", "uktrur"), FORMS):
        yield replace(
            probe(shape, tags, form, arguments=arguments, flags=(("enable_thinking", False),)), ordinary=False
        )
    for shape in ("uktr", "udttr", "suktrur"):
        yield probe(shape, tags, "reasoning_content", arguments=arguments, text_lists=True)


def unfinished(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield conversations that end with a call or its result, have a result that is no text, or come without tools."""
    for shape, form in product(("uc", "uct", "uv", "uvt", "uk", "uw", "uwt", "urukt"), FORMS):
        yield probe(shape, tags, form, arguments=arguments)
    for shape in ("ucta", "uktr", "udttr"):
        yield probe(shape, tags, "reasoning_content", arguments=arguments, text_lists=True)
    for kind, shown in (("mapped results", lambda text: {"content": {"found": text}}), ("empty results", lambda _: {})):
        for shape in ("ucta", "udttr"):
            yield _with_results(probe(shape, tags, "reasoning_content", arguments=arguments), kind, shown)
    for shape in ("ucta", "uvta", "uktr", "udttr"):
        called = probe(shape, tags, "reasoning_content", arguments=arguments)
        yield replace(called, ordinary=False, toolset="none")


def with_other_arguments(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield conversations whose calls have their arguments as text, or as a mapping: templates may take either."""
    other = str if arguments is dict else dict
    for shape in ("ucta", "uvta", "uktr", "uwtr", "udttr"):
        called = probe(shape, tags, "reasoning_content", arguments=other)
        yield replace(called, special=f"arguments as {other.__name__}", ordinary=False)


def without_ids(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield conversations whose calls have no ids, as training rows may lack them."""
    for shape in ("ucta", "udttr"):
        called = probe(shape, tags, "reasoning_content", arguments=arguments)
        messages = tuple(
            {**_without(each, "tool_call_id"), "tool_calls": [_without(call, "id") for call in each["tool_calls"]]}
            if "tool_calls" in each
            else _without(each, "tool_call_id")
            for each in called.messages
        )
        yield replace(called, messages=messages, special="calls without ids", ordinary=False)


def with_listed_answers(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield conversations whose answers alone are lists of text blocks: a template may fail on any other list."""
    for shape, form in product(("urur", "uwtr"), FORMS):
        listed = probe(shape, tags, form, arguments=arguments, text_lists=True)
        told = probe(shape, tags, form, arguments=arguments)
        answers = [message["role"] == "assistant" for message in told.messages]
        messages = (
            one if answer else other for answer, one, other in zip(answers, listed.messages, told.messages, strict=True)
        )
        parts = (one if answers[one.message] else other for one, other in zip(listed.parts, told.parts, strict=True))
        yield replace(listed, messages=tuple(messages), parts=tuple(parts), special=LISTED_ANSWERS)


def _without(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != key}


def with_bare_functions(tags: Tags) -> Iterator[Probe]:
    """Yield conversations whose tools and calls are functions by themselves, as some templates take either."""
    for shape, arguments in product(("ucta", "uvta", "uktr", "udttr"), (dict, str)):
        yield _bare(probe(shape, tags, "reasoning_content", arguments=arguments), arguments.__name__)


def _bare(called: Probe, arguments: str) -> Probe:
    messages = tuple(
        {**each, "tool_calls": [{**call, **call["function"]} for call in each["tool_calls"]]}
        if "tool_calls" in each
        else each
        for each in called.messages
    )
    return replace(called, messages=messages, ordinary=False, toolset=f"bare {arguments}")


def _with_results(called: Probe, kind: str, shown: Callable[[str], dict[str, Any]]) -> Probe:
    """Return a conversation with the texts of its tool results in another form; they need not be printed."""
    messages = tuple(
        {**{key: value for key, value in each.items() if key != "content"}, **shown(each["content"])}
        if each["role"] == "tool"
        else each
        for each in called.messages
    )
    parts = tuple(part for part in called.parts if part.kind != "result" or shown(part.text))
    return replace(called, messages=messages, parts=parts, special=kind, ordinary=False)


def with_variable(tags: Tags, arguments: type, name: str, wanted: Any = None) -> Iterator[Probe]:
    """Yield conversations that set a variable of the template's own: as wanted, else true, false, or names of tools."""
    values: tuple[object, ...] = (True, False, ("look_up",)) if wanted is None else (wanted,)
    for value, shape in product(values, ("ua", "ur", "ucta", "uktr")):
        yield replace(
            probe(shape, tags, "reasoning_content", arguments=arguments, flags=((name, value),)), ordinary=False
        )


def with_role(tags: Tags, arguments: type, role: str) -> Iterator[Probe]:
    """Yield conversations in which another role than the usual ones speaks in front of a turn, and behind one."""
    for shape, at in (("uua", 1), ("uaua", 2)):
        base = probe(shape, tags, "plain", arguments=arguments)
        messages = tuple({**each, "role": role} if number == at else each for number, each in enumerate(base.messages))
        yield replace(base, messages=messages, special=f"role {role}", ordinary=False)


def with_block(tags: Tags, arguments: type, kind: str) -> Iterator[Probe]:
    """Yield conversations of text blocks with one of another type, ``image`` for one, in front of each or behind."""
    block = {"type": kind, kind: "one"}
    for shape, front in product(("ua", "uaua"), (True, False)):
        base = probe(shape, tags, "plain", arguments=arguments, text_lists=True)
        messages = tuple(
            {**each, "content": [block, *each["content"]] if front else [*each["content"], block]}
            for each in base.messages
        )
        place = "in front" if front else "behind"
        yield replace(base, messages=messages, special=f"{kind} {place}", ordinary=False)


def with_field(tags: Tags, arguments: type, name: str, wanted: object = None, flags: Flags = ()) -> Iterator[Probe]:
    """Yield conversations whose turns have a field of the template's own, with variables of its own.

    The field holds results that come with a call, the result of one in the call itself, a text in front of the answer
    or behind it, or what is wanted, else true.
    """
    yield from (replace(each, flags=flags, ordinary=False) for each in _with_field(tags, arguments, name, wanted))


def _with_field(tags: Tags, arguments: type, name: str, wanted: object) -> Iterator[Probe]:
    called = probe("uca", tags, "plain", arguments=arguments)
    user, call, answer = called.messages
    results = [Part("result", 1, f"Found entry {number}.", f"field {name}") for number in (1, 2)]
    records = {**call, name: [{"name": "look_up", "response": result.text} for result in results]}
    first = [part for part in called.parts if part.message < 2]
    parts = (*first, *results, *(part for part in called.parts if part.message == 2))
    yield replace(called, messages=(user, records, answer), parts=parts, special=name)
    inside = {**call, "tool_calls": [{**each, name: results[0].text} for each in call["tool_calls"]]}
    parts = (*first, results[0], *(part for part in called.parts if part.message == 2))
    yield replace(called, messages=(user, inside, answer), parts=parts, special=f"{name} in a call")
    thought = Part("reasoning", 1, "Weighing idea 1.", f"field {name}")
    parts = (called.parts[0], thought, *called.parts[1:])
    yield replace(
        called, messages=(user, {**call, name: thought.text}, answer), parts=parts, special=f"{name} of a call"
    )
    asked = probe("ua", tags, "plain", arguments=arguments)
    user, answer = asked.messages
    behind = Part("call", 1, "Calling word1.", f"field {name}")
    for value, parts in (
        (thought.text, (asked.parts[0], thought, *asked.parts[1:])),
        (behind.text, (*asked.parts, behind)),
        (True if wanted is None else wanted, asked.parts),
    ):
        yield replace(asked, messages=(user, {**answer, name: value}), parts=parts, special=f"{name} {value}")
