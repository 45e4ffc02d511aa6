"""Rows whose tools were parsed before are what they are by themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from template_fix.conversations.rows import BrokenRow, parsed
from template_fix.data.shapes import row_texts
from template_fix.data.shapes.row_texts import RowParser

TOOLS = (
    *('[{"name": "a"}]', '[{"name": "a"}, 1.50]', "[]", '{"b": [NaN, "]"]}', '"[{"', "null", "[1", "[1]2"),
    *('["\\ud800"]', "[1e999, -0, 1" + "0" * 30 + "]"),
)
BESIDE = (
    *('"messages": [1, {"x": "a"}]', '"id": "a, \\"tools\\": [1]"', '"n": 12', '"tools": [2, 3]', '"m": ', "'"),
    '"a\\n": 1',
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    members = draw(st.lists(st.sampled_from(BESIDE), max_size=3))
    for tools in draw(st.lists(st.sampled_from(TOOLS), max_size=2)):
        members.insert(draw(st.integers(0, len(members))), f'"tools"{draw(st.sampled_from(["", " "]))}: {tools}')
    text = draw(st.sampled_from(["{%s}", " { %s } \n", "{%s", "{%s}}", "[{%s}]", "{%s,}"])) % ", ".join(members)
    return text if draw(st.booleans()) else text.replace("}", "\u2028}")


def outcome(parse: Any, text: str | bytes) -> str:
    try:
        return repr(parse(text))
    except BrokenRow as error:
        return f"broken: {error}"


@given(rows=st.lists(texts(), min_size=2, max_size=12))
@settings(max_examples=300)
def test_each_row_is_parsed_as_by_itself(rows: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_texts, "_SHORTEST", 1)
        parser = RowParser(["tools"])
        rows = ['{"tools": [{"name": "a"}]}', *rows]
        assert [outcome(parser.parse, row) for row in rows] == [outcome(parsed, row) for row in rows]
        encoded = [row.encode("utf-8", "surrogatepass") for row in rows] + [b'{"tools": "\xff"}']
        assert [outcome(parser.parse, row) for row in encoded] == [outcome(parsed, row) for row in encoded]


def test_tools_that_come_again_are_the_same_object() -> None:
    parser = RowParser(["tools"])
    rows = [json.dumps({"id": number, "tools": [{"name": "a" * 300}]}) for number in range(3)]
    first, second, third = (parser.parse(row) for row in rows)
    assert second["tools"] is third["tools"] and first == {**second, "id": 0}


def test_tools_that_never_come_again_are_soon_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = RowParser(["tools"])
    rows = [json.dumps({"tools": [{"name": f"{number}" * 300}]}) for number in range(300)]
    assert [parser.parse(row) for row in rows] == [json.loads(row) for row in rows]
    monkeypatch.setattr(parser, "_members", None)
    assert parser.parse(rows[0]) == json.loads(rows[0])
