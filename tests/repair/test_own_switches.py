"""Switches that a template has already: a default is changed where the template sets it."""

from __future__ import annotations

import pytest
from shelf import chat, patched, repaired

TURN = chat(
    "{% if m.reasoning_content and (loop.last or not shorten) %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    "{{ content }}"
)
SWITCH = "(preserve_thinking | default(true))"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{% set shorten = shorten if shorten is defined else true %}", f"shorten is defined else not {SWITCH} %}}"),
        ("{% set shorten = True if shorten is undefined else shorten %}", f"set shorten = not {SWITCH} if shorten is"),
        ("{% set shorten = shorten | default(true) %}", f"default(not {SWITCH}) %}}"),
        (
            "{% if shorten is not defined or shorten is none %}{% set shorten = true %}{% endif %}",
            f"set shorten = not {SWITCH} %}}",
        ),
    ],
)
def test_a_default_is_changed_where_the_template_sets_it(before: str, after: str) -> None:
    text = "{# A macro of its own. #}" + before + TURN
    mended = repaired(text)
    assert after in mended and mended.startswith("{# A macro of its own. #}")
    assert patched(text).kept[0].title == "let an absent shorten mean false"
    assert not patched(mended).changed


def test_a_switch_without_a_default_gets_one_in_front() -> None:
    mended = repaired(TURN.replace("not shorten", "whole"))
    assert mended.startswith("{%- if (preserve_thinking | default(true)) and whole is not defined %}")


def test_the_other_value_and_another_variable_are_no_default_of_it() -> None:
    """What is set to the value already, and what another variable is set to, stays."""
    text = "{% set brief = brief if brief is defined else true %}{% set shorten = shorten | default(true) %}" + TURN
    assert "{% set brief = brief if brief is defined else true %}" in repaired(text)
