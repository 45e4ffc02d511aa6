"""Reasoning behind the tool calls that it led to: a fault of a template, and one that no repair may bring."""

from __future__ import annotations

import pytest
from shelf import patched, repaired, study
from test_wrong_edits import SWITCH, refusal

# Reasoning comes in a field of the template's own, in front of calls; contents are printed behind them.
BY_ATTRIBUTES = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' and m.tool_calls %}
        {{- '<|bot|>' }}
        {{- '[think]' + m.thoughts + '[/think]' if m.thoughts }}
        {%- for call in m.tool_calls %}
            {{- '[call]' + call.function.name + ' ' + (call.function.arguments | tojson) + '[/call]' }}
        {%- endfor %}
        {{- (m.content or '') + '<|end|>' }}
    {%- elif m.role == 'assistant' and m.thoughts %}
        {{- '<|bot|>[think]' + m.thoughts + '[/think]' + m.content + '<|end|>' }}
    {%- else %}
        {{- '<|' + ('bot' if m.role == 'assistant' else m.role) + '|>' + m.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|bot|>' }}{%- endif %}
"""
BY_KEYS = (
    "{% for message in messages %}{{ '«' ~ message['role'] ~ '»' }}{% if message.get('rationale') %}"
    "{{ '<rationale>' ~ message.get('rationale') ~ '</rationale>' }}{% endif %}"
    "{% for call in message['tool_calls'] or [] %}{{ '<run>' ~ call['function']['arguments'] | tojson ~ '</run>' }}"
    "{% endfor %}{{ (message['content'] or '') }}{{ '«end»' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '«assistant»' }}{% endif %}"
)
BOTH = [pytest.param(BY_ATTRIBUTES, id="by attributes"), pytest.param(BY_KEYS, id="by keys")]


@pytest.mark.parametrize("text", BOTH)
def test_reasoning_is_handed_to_the_field_that_the_template_has_for_it(text: str) -> None:
    before, after = study(text), study(repaired(text))
    found = {each.code: each for each in patched(text).before.findings}
    assert "TF203" in found and "behind the tool calls that it led to" in found["TF207"].message
    shown = found["TF207"].evidence[0].printed
    assert shown.index("word1") < shown.index("Weighing idea 1")
    assert before.tags == after.tags
    owed = [seen for seen in after.examined if after.examined.owed(seen.probe)]
    assert owed and not any(seen.breaks("printed", "in order", "alike") for seen in owed)


@pytest.mark.parametrize("text", BOTH)
def test_a_repaired_template_is_not_changed_again(text: str) -> None:
    assert patched(repaired(text)).changed == {}



def folded(said: str, given: str, tags: tuple[str, str]) -> tuple[str, str]:
    """The edit that prints the usual field in front of what a turn says, wherever that stands."""
    block = f"'{tags[0]}' ~ {given} ~ '{tags[1]}' ~ {said}"
    return said, f"({block} if {SWITCH} and {given} else {said})"


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        pytest.param(
            BY_ATTRIBUTES,
            folded("(m.content or '')", "m.reasoning_content", ("[think]", "[/think]")),
            id="by attributes",
        ),
        pytest.param(
            BY_KEYS,
            folded("(message['content'] or '')", "message['reasoning_content']", ("<rationale>", "</rationale>")),
            id="by keys",
        ),
    ],
)
def test_the_usual_field_in_front_of_what_is_said_behind_the_calls_is_wrong(text: str, edit: tuple[str, str]) -> None:
    assert refusal(text, edit) == "it would print reasoning behind the tool calls that it led to"
