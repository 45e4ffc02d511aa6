from __future__ import annotations

import json
from typing import Any

import pytest

from template_fix.conversations.rows import BrokenRow, names_reasoning, row_of

ASKED, SAID = {"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}
TOOL = {"type": "function", "function": {"name": "add"}}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"messages": [ASKED, SAID]}, id="messages"),
        pytest.param({"conversations": [ASKED, SAID]}, id="conversations of messages"),
        pytest.param(
            {"conversations": [{"from": "human", "value": "1+1?"}, {"from": "gpt", "value": "2"}]}, id="from and value"
        ),
        pytest.param({"prompt": [ASKED], "completion": [SAID]}, id="prompt and completion"),
        pytest.param({"prompt": [ASKED], "chosen": SAID, "rejected": SAID}, id="a pair of single messages"),
        pytest.param({"messages": None, "prompt": [ASKED], "completion": [SAID]}, id="a column that is null here"),
    ],
)
def test_a_conversation_is_found_in_its_columns(row: dict[str, Any]) -> None:
    found = row_of(row, {})
    assert (found.messages, found.prompt) == ([ASKED, SAID], 1)
    assert row_of(json.dumps(row).encode(), {}) == found


def test_columns_go_by_the_names_that_are_given() -> None:
    row = {"dialog": [ASKED, SAID], "functions": [TOOL], "settings": {"enable_thinking": False, "other": None}}
    names = {"messages": "dialog", "tools": "functions", "chat_template_kwargs": "settings"}
    found = row_of(row, names)
    assert found.messages == [ASKED, SAID]
    assert found.tools == [TOOL]
    assert found.flags == {"enable_thinking": False}


def test_tools_may_be_json_text() -> None:
    assert row_of({"messages": [ASKED], "tools": json.dumps([TOOL])}, {}).tools == [TOOL]


def test_the_prompt_is_what_stands_before_the_last_turn() -> None:
    assert row_of({"messages": [ASKED, SAID, ASKED, SAID, ASKED]}, {}).prompt == 3
    assert row_of({"messages": [ASKED]}, {}).prompt == 0


@pytest.mark.parametrize(
    "row, why",
    [
        pytest.param(b'{"messages": [', "not JSON: Expecting value (character 15)", id="broken JSON"),
        pytest.param(b'{"messages": "\xff"}', "not UTF-8 (byte 14)", id="bytes that are no text"),
        pytest.param(b"[1]", "not an object with columns, but a list", id="a list"),
        pytest.param(
            {"prompt": "1+1?", "completion": [SAID]},
            "one of prompt and completion is text and the other messages, which trainers don't mix",
            id="text and messages",
        ),
        pytest.param(
            {"lines": [{"speaker": "me"}]},
            "no messages, conversations, or prompt and completion; the row has lines",
            id="a list of something else",
        ),
        pytest.param({}, "no messages, conversations, or prompt and completion; the row has nothing", id="nothing"),
        pytest.param({"messages": []}, "messages is an empty list", id="no message"),
        pytest.param({"messages": "hi"}, "messages is not JSON", id="text"),
        pytest.param({"messages": ["hi"]}, "message 1 of messages is not an object, but text", id="messages of text"),
        pytest.param({"messages": [{"content": "hi"}]}, "message 1 of messages has no role", id="no role"),
        pytest.param(
            {"messages": [{"role": "user", "content": 4}]},
            "message 1 of messages has content that is neither text nor a list, but a number",
            id="content that is no text",
        ),
        pytest.param(
            {"prompt": "a", "completion": "b"},
            "prompt and completion are columns of plain text, to which trainers apply no chat template; --column",
            id="plain text",
        ),
        pytest.param({"messages": [ASKED], "tools": "{"}, "tools is not JSON", id="tools that are broken JSON"),
        pytest.param({"messages": [ASKED], "tools": 3}, "tools is not a list, but a number", id="tools that are none"),
        pytest.param(
            {"messages": [ASKED], "chat_template_kwargs": {"messages": 1}},
            "chat_template_kwargs sets messages",
            id="settings that stand for the conversation",
        ),
        pytest.param(b"[" * 100_000, "nested too deeply", id="a nest"),
    ],
)
def test_a_row_that_is_broken_says_why(row: Any, why: str) -> None:
    with pytest.raises(BrokenRow) as error:
        row_of(row, {})
    assert str(error.value).startswith(why)


@pytest.mark.parametrize("field", ["reasoning_content", "thinking", "reasoning", "thought", "thinking_content"])
def test_fields_are_known_by_what_they_are_called(field: str) -> None:
    assert names_reasoning(field)


@pytest.mark.parametrize("field", ["content", "role", "name", "tool_calls", "text"])
def test_other_fields_hold_no_reasoning(field: str) -> None:
    assert not names_reasoning(field)
