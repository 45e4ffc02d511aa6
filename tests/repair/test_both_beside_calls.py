"""Turns with text and reasoning beside calls, which a template refuses as fields and drops as content."""

from __future__ import annotations

import pytest
from shelf import patched, repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.repair.search import broken

REFUSED = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' and m.tool_calls %}
        {%- if m.content and m.reasoning_content %}
            {{- raise_exception('Either text or reasoning.') }}
        {%- elif m.content %}
            {{- '<|bot|><|reasoning|>' + m.content + '<|end|>' }}
        {%- elif m.reasoning_content %}
            {{- '<|bot|><|reasoning|>' + m.reasoning_content + '<|end|>' }}
        {%- endif %}
        {%- for c in m.tool_calls %}
            {{- '<|bot|><|call|>' ~ c.function.arguments | tojson ~ '<|end|>' }}
        {%- endfor %}
    {%- elif m.role == 'assistant' %}
        {%- if m.reasoning_content %}
            {{- '<|bot|><|reasoning|>' + m.reasoning_content + '<|end|>' }}
        {%- endif %}
        {{- '<|bot|><|say|>' + m.content + '<|end|>' }}
    {%- else %}
        {{- '<|' + m.role + '|><|say|>' + m.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|bot|>' }}
{%- endif %}
"""
IN_ONE_LINE = (
    "{% for m in messages %}{% set why = m['reasoning_content'] %}{% if m['role'] != 'assistant' %}"
    "<|{{ m['role'] }}|><|say|>{{ m['content'] }}<|end|>{% elif m['tool_calls'] %}"
    "{% if why and m['content'] %}{{ raise_exception('Not both.') }}"
    "{% elif m['content'] or why %}<|bot|><|reasoning|>{{ m['content'] or why }}<|end|>{% endif %}"
    "{% for c in m['tool_calls'] %}<|bot|><|call|>{{ c['function']['arguments'] | tojson }}<|end|>{% endfor %}"
    "{% else %}{% if why %}<|bot|><|reasoning|>{{ why }}<|end|>{% endif %}<|bot|><|say|>{{ m['content'] }}<|end|>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}"
)


@pytest.mark.parametrize("text", [pytest.param(REFUSED, id="laid out"), pytest.param(IN_ONE_LINE, id="in one line")])
def test_both_are_printed_as_in_a_turn_without_calls(text: str) -> None:
    assert broken(study(text).examined)
    edited = repaired(text)
    assert not broken(study(edited).examined)
    assert not patched(edited).changed


def test_what_is_refused_is_lost_by_no_branch_of_its_own() -> None:
    at = "{%- if m.content and m.reasoning_content %}"
    reason = refusal(REFUSED, (at, f"{{%- if not {SWITCH} and m.content and m.reasoning_content %}}"))
    assert reason, "the text would be printed, and the reasoning lost"
