"""Texts of a turn that two outputs print."""

from __future__ import annotations

import pytest
from shelf import patched, repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.repair.search import broken

TWICE = """\
{%- for m in messages %}
    {{- '<turn ' + m.role + '>' }}
    {%- if m.reasoning_content %}
        {{- '<think>' + m.reasoning_content + '</think>' }}
    {%- endif %}
    {%- if m.role != 'tool' %}
        {{- m.content }}
    {%- endif %}
    {{- '|' + (m.content or '') + '</turn>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<turn assistant>' }}
{%- endif %}
"""
TWICE_IN_TEXT = (
    "{% for m in messages %}{{ m['role'] }}: {% if m['role'] == 'assistant' %}"
    "{% if m['reasoning_content'] %}<think>{{ m['reasoning_content'] }}</think>{% endif %}"
    "{{ m['content'] | trim }} {% endif %}{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
# The first copy stands in another message, as something that is quoted there.
QUOTED = (
    "{% for m in messages %}{% if loop.first %}user: Judge this:{% for each in messages %} {{ each.content }}"
    "{% endfor %}\n{% endif %}{{ m.role }}: {% if m.reasoning_content %}<think>"
    "{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TWICE, id="twice"),
        pytest.param(TWICE_IN_TEXT, id="twice, in another output"),
    ],
)
def test_each_text_of_a_turn_is_printed_once(text: str) -> None:
    assert broken(study(text).examined)
    edited = repaired(text)
    assert not broken(study(edited).examined)
    assert not patched(edited).changed


def test_what_another_message_quotes_is_left_alone() -> None:
    assert "'' if" not in repaired(QUOTED)


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        pytest.param(
            TWICE_IN_TEXT,
            [("}} {% endif %}{{ m", "}} {% endif %}{{ '' if " + SWITCH + " else m")],
            id="other roles are printed by that output alone",
        ),
        pytest.param(
            TWICE, [("{{- m.content }}", f"{{{{- '' if {SWITCH} else m.content }}}}")], id="a question is lost"
        ),
    ],
)
def test_a_wrong_edit_is_refused(text: str, edits: list[tuple[str, str]]) -> None:
    assert refusal(text, *edits)
