from __future__ import annotations

import pytest

from template_fix.conversations.builtin import ConversationError, built_in, read_conversation

HELLO = '{"role": "user", "content": "hello"}'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"[{HELLO}]", id="a list of messages"),
        pytest.param(f'{{"messages": [{HELLO}]}}', id="an object with messages"),
        pytest.param(f'\n  [{HELLO}]\n[{{"role": "user"}}]\n', id="the first of several JSON lines"),
        pytest.param(f'{{"messages": [{HELLO}], "id": 7}}\r\n{{"messages": []}}\r\n', id="JSON lines with CRLF"),
        pytest.param(f"\ufeff[{HELLO}]", id="a byte order mark"),
        pytest.param(f"[\n  {HELLO}\n]\n", id="indented JSON"),
    ],
)
def test_forms_of_a_conversation(tmp_path, text):
    path = tmp_path / "row.json"
    path.write_bytes(text.encode())
    assert read_conversation(path).messages == ({"role": "user", "content": "hello"},)
    assert read_conversation(path).tools is None


@pytest.mark.parametrize(
    "row",
    [
        pytest.param('{"conversations": [{"from": "human", "value": "hello"}]}', id="other names"),
        pytest.param(f'{{"prompt": [{HELLO}]}}', id="a prompt alone"),
        pytest.param(f'{{"chosen": [{HELLO}], "rejected": [{{"role": "user"}}]}}', id="a preference pair"),
        pytest.param('{"messages": "[{\\"role\\": \\"user\\", \\"content\\": \\"hello\\"}]"}', id="messages as text"),
    ],
)
def test_whatever_is_a_row_of_data_can_be_shown(tmp_path, row):
    path = tmp_path / "row.json"
    path.write_text(row)
    assert read_conversation(path).messages == ({"role": "user", "content": "hello"},)


def test_the_variables_of_a_row_come_along(tmp_path):
    path = tmp_path / "row.json"
    path.write_text(f'{{"messages": [{HELLO}], "chat_template_kwargs": {{"keep": true}}}}')
    assert read_conversation(path).flags == {"keep": True}


def test_tools_come_along(tmp_path):
    path = tmp_path / "row.json"
    path.write_text(f'{{"messages": [{HELLO}], "tools": [{{"type": "function"}}]}}')
    assert read_conversation(path).tools == ({"type": "function"},)


@pytest.mark.parametrize(
    "data, complaint",
    [
        pytest.param(b'[{"role": "user"', "row.json:1:17: not JSON", id="JSON that is cut off"),
        pytest.param(b"", "row.json:1:1: not JSON", id="an empty file"),
        pytest.param(b"\xff\xfe[", "row.json: not UTF-8 (byte 0)", id="another encoding"),
        pytest.param(b"[] []", "row.json:1: something follows", id="two values in one line"),
        pytest.param(b"[]", "messages is an empty list", id="no messages"),
        pytest.param(b'"hello"', "messages is not JSON", id="a text"),
        pytest.param(b'{"title": "a"}', "no messages, conversations, or prompt", id="another key"),
        pytest.param(b'["hello"]', "message 1 of messages is not an object", id="a message that is a text"),
        pytest.param(
            b'[{"role": "user"}, {"to": "x"}]', "message 2 of messages has no role", id="a message without role"
        ),
        pytest.param(
            b'[{"role": "user", "content": 5}]', "message 1 of messages has content that is", id="odd content"
        ),
        pytest.param(b'{"messages": [{"role": "user"}], "tools": {}}', "tools is not a list", id="odd tools"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="nested without end"),
    ],
)
def test_what_is_no_conversation_is_told_in_one_line(tmp_path, data, complaint):
    path = tmp_path / "row.json"
    path.write_bytes(data)
    with pytest.raises(ConversationError) as caught:
        read_conversation(path)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_the_built_in_conversation_reasons_twice_in_either_form():
    inline, field = built_in(("[THINK]", "[/THINK]"))
    assert sum("[THINK]\n" in message["content"] for message in inline.messages) == 2
    assert sum("reasoning_content" in message for message in field.messages) == 2
