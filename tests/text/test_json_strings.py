from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.text.edits import Edit, Span, apply
from template_fix.text.json_strings import Literal

WORDS = st.text(st.sampled_from('"\\/<é 😀\n\t:,{}[]ab'), max_size=12)


@given(WORDS, st.booleans(), st.data())
def test_editing_in_a_literal_edits_the_value_and_nothing_else(
    value: str, ascii_only: bool, data: st.DataObject
) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only)
    text = f'{{"é": {raw}, "b": 1}}'
    literal = Literal(text, Span(6, 6 + len(raw)))
    start = data.draw(st.integers(0, len(value)))
    edit = Edit(Span(start, data.draw(st.integers(start, len(value)))), data.draw(WORDS))
    changed = apply(text, literal.edits([edit]))
    assert json.loads(changed) == {"é": apply(value, [edit]), "b": 1}
    assert (changed[:6], changed[-9:]) == (text[:6], text[-9:])


@given(WORDS, st.booleans(), st.data())
def test_replacing_a_part_of_a_literal_with_itself_changes_no_byte(
    value: str, ascii_only: bool, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    literal = Literal(text, Span(0, len(text)))
    start = data.draw(st.integers(0, len(value)))
    span = Span(start, data.draw(st.integers(start, len(value))))
    assert apply(text, literal.edits([Edit(span, span.of(value))])) == text


@pytest.mark.parametrize(
    ("literal", "spelled"),
    [
        pytest.param('"é"', '<é\\n\\"', id="plain characters stay plain"),
        pytest.param('"\\u00e9"', '<\\u00e9\\n\\"', id="a literal in ASCII stays in ASCII"),
        pytest.param('"\\u003cé"', '\\u003cé\\n\\"', id="an angle bracket is escaped where the literal escapes it"),
        pytest.param('"\\u000a"', '<é\\u000a\\"', id="a newline is spelled as the literal spells it"),
    ],
)
def test_inserted_text_is_spelled_as_the_literal_spells(literal: str, spelled: str) -> None:
    assert Literal(literal, Span(0, len(literal))).spell('<é\n"') == spelled
