from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.data import texts
from template_fix.data.texts import count_mark, marks_of

SOME = st.text("<>/a [I]◁▷", max_size=60)


@given(SOME, st.integers(0, 3))
def test_marks_are_found_alike_in_texts_with_few_and_many(text: str, few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "_FEW", few)
        found = texts._angular(text)
    assert found == [(mark.group(), *mark.span()) for mark in re.finditer(r"<[^\s<>]{1,60}>", text)]
    assert [mark for mark in marks_of(text) if mark[0].startswith("<")] == found


@given(SOME, st.sampled_from(["<a>", "</a>", "[II]", "a", "<", "<a a>", "◁a▷"]))
def test_marks_are_counted_as_texts_are(text: str, mark: str) -> None:
    assert count_mark(text, mark) == text.count(mark)
