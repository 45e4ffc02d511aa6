"""Contents that are lists of text blocks: what is lost of them, and comes back."""

from __future__ import annotations

import pytest
from shelf import chat, patched, repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.repair.search import count_lacking

# What is added up in a loop is gone as its iteration ends; each of the two in its own spelling.
SUM = chat(
    "{% if m.content is string %}{% set said = m.content %}{% else %}{% set said = '' %}"
    "{% for block in m.content %}{% if block.type == 'text' %}{% set said = said + block.text %}{% endif %}{% endfor %}"
    "{% endif %}{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ said }}"
).replace(
    "{{ content }};\n{% endif %}",
    "{% if content is string %}{{ content }}{% else %}{% for b in content %}{{ b.text }}{% endfor %}{% endif %};\n"
    "{% endif %}",
)
LAID_OUT = """\
{%- for message in messages %}
    {{- '[' + message['role'] + ']' }}
    {%- if message['role'] == 'assistant' %}
        {%- set text = '' %}
        {%- if message['content'] is string %}
            {%- set text = message['content'] %}
        {%- else %}
            {%- for piece in message['content'] %}
                {%- set text = text ~ piece['text'] %}
            {%- endfor %}
        {%- endif %}
        {%- if message['reasoning_content'] %}
            {{- '<think>' ~ message['reasoning_content'] ~ '</think>' }}
        {%- elif '</think>' in text %}
            {{- '<think>' ~ text.split('</think>')[0].split('<think>')[1].strip() ~ '</think>' }}
            {%- set text = text.split('</think>', 1)[1].lstrip() %}
        {%- endif %}
        {{- text }}
    {%- elif message['content'] is string %}
        {{- message['content'] }}
    {%- else %}
        {%- for piece in message['content'] %}
            {{- piece['text'] }}
        {%- endfor %}
    {%- endif %}
    {%- for call in message['tool_calls'] or [] %}
        {{- '{' ~ call['function']['arguments'] | tojson ~ '}' }}
    {%- endfor %}
    {{- '[end]' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[assistant]' }}
{%- endif %}
"""
# A wrong edit: all blocks are printed, each of them twice.
AGAIN = (
    "{{% if " + SWITCH + " and {}.content is not string %}}{{% for each in {}.content %}}"
    "{{{{ each.text }}}}{{{{ each.text }}}}{{% endfor %}}{{% endif %}}"
)
# Reasoning is cut out of each block.
CUT = chat(
    "{% if m.content is string %}{{ m.content }}{% else %}{% for block in m.content %}"
    "{{ block.text.split('</think>')[-1] }}{% endfor %}{% endif %}"
).replace("{{ content }};", "{% if content is string %}{{ content }}{% else %}{{ content[0].text }}{% endif %};")
CUT_BY_A_SET = CUT.replace(
    "{{ block.text.split('</think>')[-1] }}",
    "{% set t = block['text'] %}{% if '</think>' in t %}{% set t = t.split('</think>')[-1] %}{% endif %}{{ t }}",
)


@pytest.mark.parametrize("text", [SUM, LAID_OUT, CUT, CUT_BY_A_SET])
def test_what_is_lost_of_lists_comes_back(text: str) -> None:
    assert count_lacking(study(text).examined)[1]
    mended = repaired(text)
    assert not count_lacking(study(mended).examined)[0]
    assert count_lacking(study(mended).examined)[1] < count_lacking(study(text).examined)[1]
    assert not patched(mended).changed


def test_a_sum_is_laid_out_as_the_template_is() -> None:
    mended = repaired(LAID_OUT)
    for indent, tag in (12, "set joined_text = namespace"), (16, "set joined_text.text = "), (12, "set text = joined"):
        outer, inner = "\n" + " " * indent, "\n" + " " * (indent + 4)
        assert f"{outer}{{%- if preserve_thinking | default(true) %}}{inner}{{%- {tag}" in mended


def test_what_is_set_anew_for_each_block_is_no_sum() -> None:
    text = LAID_OUT.replace("set text = text ~ piece['text']", "set text = piece['text'] | trim %}{{- text")
    assert "joined_" not in repaired(text)


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        pytest.param(SUM, [("{{ said }}", "{{ said }}" + AGAIN.format("m", "m"))], id="beside a text"),
        pytest.param(LAID_OUT, [("{{- text }}", AGAIN.format("message", "message") + "{{- text }}")], id="laid out"),
    ],
)
def test_a_text_that_would_come_twice_is_refused(text: str, edits: list[tuple[str, str]]) -> None:
    assert refusal(text, *edits)
