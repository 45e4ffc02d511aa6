"""Reasoning in a field that is printed without its tags, and what begins the next turn, printed unasked."""

from __future__ import annotations

import pytest
from shelf import patched, repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.repair.search import broken

# The generation prompt has the opening tag, and content brings it; of a field, it is left out. Ids of calls come with
# earlier turns alone.
NO_OPENING = """\
{%- set show_ids = true %}
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- if loop.last %}
            {%- set show_ids = false %}
        {%- endif %}
        {{- '[bot]' }}
        {%- if m.reasoning_content and loop.last %}
            {{- m.reasoning_content + '</think>' }}
        {%- endif %}
        {%- if not loop.last and '</think>' in m.content %}
            {{- m.content.split('</think>')[-1] }}
        {%- else %}
            {{- m.content or '' }}
        {%- endif %}
        {%- for c in m.tool_calls or [] %}
            {{- '<call>' ~ c.function.arguments | tojson }}
            {%- if show_ids and 'id' in c %}
                {{- ' as ' + c.id }}
            {%- endif %}
            {{- '</call>' }}
        {%- endfor %}
        {{- '[end]' }}
    {%- else %}
        {{- '[' + m.role + ']' + m.content + '[end]' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[bot]<think>' }}
{%- endif %}
"""
NEITHER_TAG = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}<b>"
    "{% set why = m['reasoning_content'] %}{% if why %}{{ why if '\\n' in why else '-' }}\n{% endif %}"
    "{{ m['content'].split('</thought>')[-1] if not loop.last else m['content'] }}"
    "{% for c in m['tool_calls'] or [] %}[{{ c['function']['arguments'] | tojson }}]{% endfor %}</b>\n"
    "{% else %}<{{ m['role'] }}>{{ m['content'] }}</{{ m['role'] }}>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<b>{% endif %}"
)
# What begins the next turn is printed whatever is asked for.
SET_TO_TRUE = """\
{%- set add_generation_prompt = true %}
{%- for message in messages %}
    {%- if message['role'] == 'assistant' %}
        {{- '[bot]' + message['content'].split('</think>')[-1] + '[end]' }}
    {%- else %}
        {{- '[' + message['role'] + ']' + message['content'] + '[end]' }}
    {%- endif %}
    {%- if loop.last and add_generation_prompt and message['role'] != 'assistant' %}
        {{- '[bot]<think>' }}
    {%- endif %}
{%- endfor %}
"""
SET_IN_A_TEST = (
    "{% if not tools %}{% set add_generation_prompt = true %}{% endif %}"
    "{% if tools %}{% set add_generation_prompt = 1 == 1 %}{% endif %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content.split('</think>') | last }}</>{% endfor %}"
    "{% if add_generation_prompt and messages[-1].role != 'assistant' %}<assistant><think>{% endif %}"
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(NO_OPENING, id="no opening tag"),
        pytest.param(NEITHER_TAG, id="neither tag"),
        pytest.param(SET_TO_TRUE, id="a prompt that is set"),
        pytest.param(SET_IN_A_TEST, id="a prompt that is set in tests"),
    ],
)
def test_it_is_repaired_whole_and_once(text: str) -> None:
    assert broken(study(text).examined)
    edited = repaired(text)
    assert not broken(study(edited).examined)
    assert not patched(edited).changed


def test_ids_that_calls_lack_are_not_printed() -> None:
    assert "{%- if ((preserve_thinking | default(true)) or show_ids) and 'id' in c %}" in repaired(NO_OPENING)


@pytest.mark.parametrize(
    ("text", "edit", "reason"),
    [
        pytest.param(
            NO_OPENING,
            ("'[bot]' }}\n        {%- if m.r", f"('[bot]<think>' if {SWITCH} else '[bot]') }}}}\n        {{%- if m.r"),
            "it would print reasoning in no block of its own, or leave a block open",
            id="an opening tag in front of every turn",
        ),
        pytest.param(
            NO_OPENING,
            ("show_ids and 'id' in c", f"{SWITCH} or show_ids and 'id' in c"),
            "it would make the template fail: ",
            id="ids of calls that have none",
        ),
        pytest.param(
            SET_TO_TRUE,
            ("add_generation_prompt = true", f"add_generation_prompt = not {SWITCH}"),
            "it would change what stands around the texts of a turn",
            id="no prompt at all",
        ),
    ],
)
def test_a_wrong_edit_is_refused(text: str, edit: tuple[str, str], reason: str) -> None:
    assert refusal(text, edit).startswith(reason)


def test_a_missing_content_is_no_text_behind_a_field_that_is_folded_into_it() -> None:
    text = (
        "{% for m in messages %}{% set said = m['content'] %}{% if m['role'] == 'assistant' %}"
        "<b>{% if said and '</think>' in said %}{% set said = said.split('</think>')[1] %}{% endif %}"
        "{{ (said | default('', true)).strip() if said is not none else '' }}"
        "{% for c in m['tool_calls'] or [] %}[{{ c['function']['arguments'] | tojson }}]{% endfor %}</b>\n"
        "{% else %}<{{ m['role'] }}>{{ said }}</{{ m['role'] }}>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<b>{% endif %}"
    )
    edited = repaired(text)
    assert "reasoning_content" in edited
    called = {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": []}
    assert "None" not in study(edited).examined.renderer([called], None)
