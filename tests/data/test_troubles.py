"""Each kind of trouble is found in a row that has it, and in none that is like it and right."""

from __future__ import annotations

from typing import Any

import pytest

from template_fix.data.losses import Verdict
from template_fix.data.row_check import RowCheck
from template_fix.data.troubles.kinds import KINDS

OWN = ("[IN]", "[/IN]")
THOUGHT, ANSWER = "Six times seven, so it must be 42.", "The answer that was asked for is 42."
# Prints reasoning from a field, between tags of its own, calls as JSON, and drops what other roles say.
TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<a>"
    "{% if m.reasoning_content %}[IN]{{ m.reasoning_content }}[/IN]{% endif %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}<e>"
    "{% elif m.role in ('user', 'tool') %}<u>{{ m.content }}<e>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)
ADDS = TEMPLATE.replace("[/IN]{% endif %}", "[/IN]{% elif loop.last %}[IN][/IN]{% endif %}")
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"properties": {"at": {"type": "string"}}}}}


def call(arguments: Any, name: str = "look_up") -> dict[str, Any]:
    return {"content": "", "tool_calls": [{"type": "function", "function": {"name": name, "arguments": arguments}}]}


def judged(template: str, *turns: dict[str, Any], release: int = 5, **columns: Any) -> Verdict:
    messages = [{"role": "user", "content": "What is six times seven?"}, *({"role": "assistant", **t} for t in turns)]
    check = RowCheck((("default", template),), (), (OWN, ("<think>", "</think>")), (), release, (OWN,))
    return check.within([{"messages": messages, **columns}])[0]


def kinds(*given: Any, **columns: Any) -> list[str]:
    return [each.kind for each in judged(*given, **columns).troubles]


RIGHT = {"content": ANSWER, "reasoning_content": THOUGHT}
TEXT, THINKING = {"type": "text", "text": ANSWER}, {"type": "thinking", "thinking": THOUGHT}
# Print the texts of blocks whatever their type is, or whatever stands in them.
BLOCKS = TEMPLATE.replace("{{ m.content }}{% for c", "{% for b in m.content %}{{ b.text }}{% endfor %}{% for c")
ANY_BLOCK = BLOCKS.replace("b.text", "b[b.type]")
CASES = [
    (
        "reasoning_as_text",
        TEMPLATE,
        {"content": f"<think>{THOUGHT}</think>{ANSWER}"},
        {"content": f"[IN]{THOUGHT}[/IN]"},
    ),
    ("reasoning_as_text", TEMPLATE, {"content": f"<thinking>\n{THOUGHT}\n</thinking>\n\n{ANSWER}"}, RIGHT),
    ("reasoning_twice", TEMPLATE, {"content": f"[IN]{THOUGHT}[/IN]{ANSWER}", "reasoning_content": THOUGHT}, RIGHT),
    ("unclosed", TEMPLATE, {"content": f"[IN]{THOUGHT} {ANSWER}"}, {"content": f"[IN]{THOUGHT}[/IN]{ANSWER}"}),
    (
        "unclosed",
        TEMPLATE,
        {"content": f"<think>{THOUGHT}<\\think>{ANSWER}"},
        {"content": f"Write <think> first: {ANSWER}"},
    ),
    (
        "unclosed",
        TEMPLATE,
        {"content": f"[IN]\n[IN]\n{THOUGHT}[/IN]{ANSWER}"},
        {"content": f"[IN]Write [IN] first. {THOUGHT}[/IN]{ANSWER}"},
    ),
    ("reasoning_as_text", TEMPLATE, {"content": f"◁think▷{THOUGHT}◁/think▷{ANSWER}"}, {"content": f"◁b▷{ANSWER}"}),
    (
        "empty_first",
        TEMPLATE,
        {"content": f"[IN]\n[/IN]\n[IN]{THOUGHT}[/IN]{ANSWER}"},
        {"content": f"[IN]\n[/IN]{ANSWER}"},
    ),
    ("empty_first", ADDS, {"content": f"[IN]{THOUGHT}[/IN]{ANSWER}"}, RIGHT),
    ("block_added", ADDS, {"content": ANSWER}, RIGHT),
    ("printed_as_data", TEMPLATE, {"content": [TEXT]}, {"content": f"Such a block is {TEXT}."}),
    (
        "printed_as_data",
        TEMPLATE.replace("m.content }}", "m.content | tojson }}"),
        {"content": [THINKING, TEXT]},
        RIGHT,
    ),
    ("printed_as_data", BLOCKS.replace("b.text", "b"), {"content": [THINKING, TEXT]}, RIGHT),
    ("reasoning_as_text", BLOCKS, {"content": [{"type": "reasoning", "text": THOUGHT}, TEXT]}, {"content": [TEXT]}),
    ("reasoning_as_text", ANY_BLOCK, {"content": [THINKING, TEXT]}, {"content": [TEXT], "reasoning_content": THOUGHT}),
    ("encoded_twice", TEMPLATE, call('{"at": "noon"}'), call({"at": "noon"})),
    ("nulls", TEMPLATE, call({"at": "noon", "by": None}), call({"at": None})),
    ("versions_differ", TEMPLATE, {"content": ANSWER, "reasoning": THOUGHT}, RIGHT),
]


@pytest.mark.parametrize(
    "kind, template, wrong, right", CASES, ids=[f"{each[0]}-{at}" for at, each in enumerate(CASES)]
)
def test_a_trouble_is_found_where_it_is_and_only_there(
    kind: str, template: str, wrong: dict[str, Any], right: dict[str, Any]
) -> None:
    tools = [TOOL] if "tool_calls" in wrong else None
    found = judged(template, wrong, tools=tools).troubles
    assert [(each.kind, each.message) for each in found if each.kind == kind] == [(kind, 2)]
    assert kind not in kinds(template, right, tools=tools)


def test_a_result_that_is_printed_as_json_is_right() -> None:
    called = {**call({"at": "noon"}), "content": "Let me look that up."}
    rows = [{"role": "user", "content": "When?"}, {"role": "assistant", **called}, {"role": "tool", "content": [TEXT]}]
    [told] = RowCheck((("default", TEMPLATE),), (), (OWN,), (), 5, (OWN,)).within([{"messages": rows, "tools": [TOOL]}])
    assert "printed_as_data" not in [each.kind for each in told.troubles]


def test_a_block_of_reasoning_between_the_models_tags_is_right() -> None:
    typed = ANY_BLOCK.replace(
        "{{ b[b.type] }}", "{{ '[IN]' + b.thinking + '[/IN]' if b.type == 'thinking' else b.text }}"
    )
    assert kinds(typed, {"content": [THINKING, TEXT]}) == []


def test_reasoning_in_other_tags_names_both_pairs() -> None:
    told = judged(TEMPLATE, {"content": f"<think>{THOUGHT}</think>{ANSWER}"})
    assert told.lossless and told.harmed
    assert told.troubles[0].shown == "between <think> and </think>; the model's tags are [IN] and [/IN]"


def test_a_block_of_one_turn_was_not_added_to_another_with_the_same_answer() -> None:
    assert kinds(TEMPLATE, {"content": ANSWER}, RIGHT) == []


def test_a_tag_that_has_no_closing_tag_is_told() -> None:
    told = judged(TEMPLATE, {"content": f"<thinking>\n{THOUGHT}\n[/IN]{ANSWER}"}).troubles
    assert [(each.kind, each.shown[:27]) for each in told] == [("unclosed", "<thinking> is never closed:")]


@pytest.mark.parametrize(
    "prompt, found",
    [
        pytest.param("<a>", [("block_added", "[IN][/IN]")], id="no prompt has it"),
        pytest.param("<a>[IN][/IN]", [], id="the prompt has it, so nobody learns it"),
        pytest.param("<a>[IN]", [("closed_at_once", "[IN][/IN]")], id="the prompt opens it"),
        pytest.param(
            "<a>{% if enable_thinking is false %}[IN]\n[/IN]{% endif %}",
            [("block_unasked", "[IN][/IN]")],
            id="the prompt has it where no reasoning is asked for",
        ),
    ],
)
def test_a_block_that_the_template_adds_is_judged_by_its_prompts(prompt: str, found: list[tuple[str, str]]) -> None:
    template = ADDS.replace("<a>{% endif %}", f"{prompt}{{% endif %}}")
    assert [(each.kind, each.shown) for each in judged(template, {"content": ANSWER}).troubles] == found


def test_a_block_in_an_earlier_turn_is_told_as_such() -> None:
    template = ADDS.replace("elif loop.last", "else")
    turns = {"content": f"{ANSWER} At last."}, {"content": ANSWER, "reasoning_content": THOUGHT}
    [told] = judged(template, *turns).troubles
    assert (told.kind, told.message, told.shown) == ("block_added", 2, "in an earlier turn: [IN][/IN]")


def test_rows_that_ask_for_no_reasoning_are_right() -> None:
    off = ADDS.replace("<a>{% endif %}", "<a>{% if enable_thinking is false %}[IN][/IN]{% endif %}{% endif %}")
    assert kinds(off, {"content": ANSWER}, chat_template_kwargs={"enable_thinking": False}) == []


@pytest.mark.parametrize("role, lost", [("usr", True), ("system", True), ("user", False)])
def test_a_message_that_vanishes_is_told_with_its_role(role: str, lost: bool) -> None:
    messages = [{"role": role, "content": "Never guess at anything."}, {"role": "assistant", "content": ANSWER}]
    [told] = RowCheck((("default", TEMPLATE),)).within([{"messages": messages}])
    found = [(each.kind, each.message, each.shown) for each in told.troubles]
    assert found == ([("message_lost", 1, f"{role}: Never guess at anything.")] if lost else [])


def test_a_call_that_is_not_printed_is_told() -> None:
    mute = TEMPLATE.replace("{{ c.function | tojson }}", "")
    assert kinds(mute, call({"at": "noon"}), tools=[TOOL]) == ["call_lost"]
    assert kinds(TEMPLATE, call({"at": "noon"}), tools=[TOOL]) == []


def test_a_call_of_the_old_form_that_is_not_printed_is_told() -> None:
    turn = {"content": "", "function_call": {"name": "look_up", "arguments": "{}"}}
    assert kinds(TEMPLATE, turn, tools=[TOOL]) == ["call_lost"]
    prints = TEMPLATE.replace("{{ m.content }}{% for c", "{{ m.content }}{{ m.function_call.name }}{% for c")
    assert kinds(prints, turn) == []


def test_an_empty_list_of_calls_is_told_where_it_changes_what_is_printed() -> None:
    lists = TEMPLATE.replace("{% for c in", "{% if m.tool_calls is defined %}CALLS{% endif %}{% for c in")
    assert kinds(lists, {"content": ANSWER, "tool_calls": []}) == ["empty_calls"]
    assert kinds(TEMPLATE, {"content": ANSWER, "tool_calls": []}) == []


def test_nulls_in_tools_are_told_but_not_a_default_of_null() -> None:
    shows = "{{ tools | tojson }}" + TEMPLATE
    padded = {"name": "look_up", "parameters": {"properties": {"at": {"type": "string", "items": None}}}}
    meant = {"name": "look_up", "parameters": {"properties": {"at": {"type": "string", "default": None}}}}
    assert kinds(shows, RIGHT, tools=[padded]) == ["nulls"]
    assert kinds(shows, RIGHT, tools=[meant]) == []


@pytest.mark.parametrize(
    "turn",
    [{"reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]}, {"cot": THOUGHT}, {"thinking": THOUGHT}],
)
def test_reasoning_counts_wherever_it_stands(turn: dict[str, Any]) -> None:
    told = judged(TEMPLATE.replace("m.reasoning_content", "m.none"), {"content": ANSWER, **turn})
    assert (told.reasoning, told.reasoning_lost) == (len(THOUGHT), len(THOUGHT))


def test_a_setting_of_reasoning_is_none() -> None:
    assert judged(TEMPLATE, {"content": ANSWER, "reasoning_effort": "medium"}).reasoning == 0


def test_reasoning_in_a_column_of_its_own_is_told() -> None:
    assert kinds(TEMPLATE, {"content": ANSWER}, reasoning=THOUGHT) == ["column_unread"]
    assert kinds(TEMPLATE, {"content": ANSWER}, reasoning_effort="as much as there is to it") == []


@pytest.mark.parametrize(
    "message, template, why",
    [
        pytest.param(
            call('{"at": "noon"}'),
            "{% for m in messages %}{% for c in m.tool_calls or [] %}\n"
            "{% for k in c.function.arguments | items %}{% endfor %}{% endfor %}{% endfor %}",
            "(line 2 of the template); messages[1].tool_calls[0].function.arguments is text; parse it (json.loads)",
            id="arguments that are text",
        ),
        pytest.param(
            {"content": ANSWER, "tool_calls": []},
            "{% for m in messages %}{% if m.tool_calls is defined %}{{ m.tool_calls[0].id }}{% endif %}{% endfor %}",
            "messages[1].tool_calls is an empty list; leave the key out",
            id="no calls",
        ),
        pytest.param(
            {"content": None},
            "{% for m in messages %}{{ 'said ' + m.content }}{% endfor %}",
            'messages[1].content is null; give ""',
            id="no content",
        ),
        pytest.param(
            {"content": [{"type": "text", "text": ANSWER}]},
            "{% for m in messages %}{{ 'said ' + m.content }}{% endfor %}",
            "messages[1].content is a list; the template takes text",
            id="a list of blocks",
        ),
        pytest.param(
            {"content": [THINKING, TEXT]},
            "{% for m in messages %}{% for b in m.content if b is mapping %}"
            "{{ b.text if b.type == 'text' else raise_exception('odd block') }}{% endfor %}{% endfor %}",
            "messages[1].content has a block of type thinking, which the template doesn't take; --rewrite OUT.jsonl",
            id="a block of reasoning",
        ),
    ],
)
def test_a_failure_names_message_field_and_line(message: dict[str, Any], template: str, why: str) -> None:
    told = judged(template, message).failure
    assert why in told and "of the template)" in told


def test_a_cause_that_no_change_shows_is_not_guessed_at() -> None:
    assert judged("{{ raise_exception('never') }}", RIGHT).failure == "never (line 1 of the template)"


def test_every_kind_says_what_rows_do() -> None:
    assert all(kind.says and kind.level in ("error", "warning", "note") for kind in KINDS.values())
