"""Turns that are printed from what a template makes of their content: a variable, or what a macro gives for it."""

from __future__ import annotations

import pytest
from shelf import repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.jinja.renderer import Renderer
from template_fix.repair.search import count_lacking, loses_calls

TEXTS = (
    "{%- macro said(body) -%}{%- if body is string -%}{{- body -}}{%- else -%}{%- for piece in body -%}"
    "{%- if piece.type == 'text' -%}{{- piece.text -}}{%- endif -%}{%- endfor -%}{%- endif -%}{%- endmacro -%}\n"
)
# The history has a loop of its own, which prints an empty block and cuts what comes inside of content.
HISTORY = (
    TEXTS
    + """\
{%- set at = namespace(asked=0) -%}
{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set at.asked = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- for m in messages[:at.asked] %}
    {%- if m.role == 'assistant' %}
        {{- '(bot)<muse></muse>\\n' + said(m.content or '').split('</muse>')[-1].strip() + '(end)' }}
    {%- else %}
        {{- '(' + m.role + ')' + said(m.content) + '(end)' }}
    {%- endif %}
{%- endfor %}
{%- for m in messages[at.asked:] %}
    {%- if m.role == 'assistant' %}
        {%- set text = said(m.content or '') %}
        {%- set thought = m.reasoning_content or '' %}
        {%- if not thought and '</muse>' in text %}
            {%- set thought = text.split('</muse>')[0].split('<muse>')[-1] %}
            {%- set text = text.split('</muse>')[-1] %}
        {%- endif %}
        {{- '(bot)<muse>' + thought.strip() + '</muse>\\n' + text.strip() + '(end)' }}
    {%- else %}
        {{- '(' + m.role + ')' + said(m.content) + '(end)' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '(bot)' }}{%- endif %}
"""
)
HISTORY_BY_ITEMS = (
    TEXTS
    + """\
{%- set parts = namespace(old=[], new=[]) -%}
{%- for turn in messages -%}
{%- if turn['role'] == 'user' -%}{%- set parts.old = parts.old + parts.new -%}{%- set parts.new = [] -%}{%- endif -%}
{%- set parts.new = parts.new + [turn] -%}
{%- endfor -%}
{%- for turn in parts.old -%}
{{ '#' + turn['role'] + '\\n' }}
{%- if turn['role'] == 'assistant' -%}{{ '[why]\\n[/why]\\n' }}{%- endif -%}
{%- if turn['content'] -%}{{ said(turn['content']) }}{%- endif -%}
{{ '#.\\n' }}
{%- endfor -%}
{%- for turn in parts.new -%}
{{ '#' + turn['role'] + '\\n' }}
{%- if turn['role'] == 'assistant' -%}
{%- set text = said(turn['content'] or '') -%}
{%- if '[/why]' in text -%}
{%- set why, text = text.split('[/why]')[0].split('[why]')[-1].strip(), text.split('[/why]')[-1].lstrip() -%}
{{ '[why]\\n' + why + '\\n[/why]\\n' + text }}
{%- elif turn['reasoning_content'] -%}
{{ '[why]\\n' + turn['reasoning_content'].strip() + '\\n[/why]\\n' + text }}
{%- else -%}
{{ '[why]\\n[/why]\\n' + text }}
{%- endif -%}
{%- elif turn['content'] -%}
{{ said(turn['content']) }}
{%- endif -%}
{{ '#.\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '#assistant\\n' }}{%- endif -%}
"""
)


@pytest.mark.parametrize(
    "text", [pytest.param(HISTORY, id="with the answer"), pytest.param(HISTORY_BY_ITEMS, id="in a tag of its own")]
)
def test_reasoning_in_a_list_fills_the_empty_block_of_the_history(text: str) -> None:
    assert count_lacking(study(text).examined)[1]
    mended = repaired(text)
    assert count_lacking(study(mended).examined) == (0, 0)


def test_a_block_in_front_of_the_one_in_a_text_is_refused() -> None:
    edit = (
        "said(m.content or '').split('</muse>')[-1].strip()",
        f"(said(m.content or '') if {SWITCH} else said(m.content or '').split('</muse>')[-1]).strip()",
    )
    assert refusal(HISTORY, edit)


# A turn that calls tools prints neither its text nor its reasoning; other turns print lists, too.
CALLS_ALONE = (
    TEXTS
    + """\
{%- for m in messages %}
    {%- if m.role == 'assistant' and m.tool_calls %}
        {{- '^bot^' }}
        {%- for call in m.tool_calls %}
            {{- '<use>' + (call.function | tojson) + '</use>' }}
        {%- endfor %}
        {{- '$' }}
    {%- elif m.role == 'assistant' %}
        {{- '^bot^' }}
        {%- if m.reasoning_content %}{{- '<inner>' + m.reasoning_content + '</inner>' }}{%- endif %}
        {{- said(m.content) + '$' }}
    {%- else %}
        {{- '^' + m.role + '^' + said(m.content) + '$' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '^bot^' }}{%- endif %}
"""
)
CALLS_FIRST = """\
{%- for message in messages -%}
{{ '{' + message['role'] + '}' }}
{%- if message['content'] is string -%}{%- set words = message['content'] -%}
{%- else -%}{%- set words = message['content'] | map(attribute='text') | join -%}{%- endif -%}
{%- if message['tool_calls'] -%}
{%- for call in message['tool_calls'] -%}{{ '{call}' + call['function']['arguments'] | tojson }}{%- endfor -%}
{%- else -%}
{%- if message['reasoning_content'] -%}{{ '<why>' + message['reasoning_content'] + '</why>' }}{%- endif -%}
{{ words }}
{%- endif -%}
{{ '{end}' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '{assistant}' }}{%- endif -%}
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(CALLS_ALONE, "{{- said(m.content) }}", id="a macro's text"),
        pytest.param(CALLS_FIRST, "words }}", id="a variable"),
    ],
)
def test_a_list_is_printed_beside_calls_as_it_is_elsewhere(text: str, shown: str) -> None:
    assert count_lacking(study(text).examined)[1]
    mended = repaired(text)
    assert count_lacking(study(mended).examined) == (0, 0)
    assert mended.count(shown) > text.count(shown)


def test_what_a_macro_makes_of_content_is_refused_twice() -> None:
    twice = f"'^bot^' + (said(m.content or '') ~ said(m.content or '') if {SWITCH} else '') "
    assert refusal(CALLS_ALONE, ("'^bot^' ", twice))


# Calls whose arguments must be a mapping stand in the other branch of a text that has been put into a variable.
TEXT_OR_CALLS = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- set words = m.content or '' %}
        {%- set muse = m.reasoning_content or '' %}
        {%- if '</think>' in words %}
            {%- set muse = words.split('</think>')[0].replace('<think>', '').strip() %}
            {%- set words = (words.split('</think>')[1:] | join('</think>')).strip() %}
        {%- endif %}
        {{- '<bot>\\n' }}
        {%- if muse %}{{- '<think>\\n' + muse + '\\n</think>\\n' }}{%- endif %}
        {%- if words %}
            {{- words }}
        {%- elif m.tool_calls %}
            {%- for call in m.tool_calls %}
                {{- '<call ' + call.function.name + '>' }}
                {%- for key, value in call.function.arguments.items() %}{{- key ~ '=' ~ value }}{%- endfor %}
                {{- '</call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '</bot>' }}
    {%- else %}
        {{- '<' + m.role + '>' + m.content + '</' + m.role + '>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<bot>\\n' }}{%- endif %}
"""
NO_TEXT_OR_TEXT = """\
{%- for m in messages -%}
{%- if m['role'] == 'assistant' -%}
{%- set out = m['content'] or '' -%}
{%- if m['reasoning_content'] -%}{{ '[R]' + m['reasoning_content'] + '[/R]' }}{%- endif -%}
{%- if out == '' -%}
{%- for c in m['tool_calls'] -%}
{{ '[F]' + c['function']['name'] }}{%- for k, v in c['function']['arguments'].items() -%}{{ k ~ ':' ~ v }}{%- endfor -%}
{%- endfor -%}
{%- else -%}
{{ out }}
{%- endif -%}
{{ '[E]' }}
{%- else -%}
{{ '[' + m['role'] + ']' + m['content'] }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '[B]' }}{%- endif -%}
"""


@pytest.mark.parametrize(
    "text",
    [pytest.param(TEXT_OR_CALLS, id="behind the text"), pytest.param(NO_TEXT_OR_TEXT, id="in front of the text")],
)
def test_calls_that_must_be_mappings_are_printed_beside_a_text(text: str) -> None:
    assert loses_calls(study(text).examined)
    mended = study(repaired(text)).examined
    assert not [
        seen
        for seen in mended
        if mended.owed(seen.probe) and any(part.kind in ("call", "answer") for part in seen.lost)
    ]


@pytest.mark.parametrize("text", [TEXT_OR_CALLS, NO_TEXT_OR_TEXT], ids=["behind the text", "in front of the text"])
def test_calls_without_function_beside_a_text_fail_no_more_than_before(text: str) -> None:
    bare = [{"name": "look_up", "arguments": {"word": "tree"}}]
    asked = [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "I look.", "tool_calls": bare}]
    before, after = (Renderer(each)(asked, None, False) for each in (text, repaired(text)))
    assert isinstance(before, str) and before == after


def test_calls_that_would_fail_where_their_arguments_are_a_text_are_refused() -> None:
    edits = (
        ("{%- if words %}", f"{{%- if words and not ({SWITCH} and m.tool_calls) %}}"),
        ("{%- for call", f"{{%- if {SWITCH} and words %}}{{{{- words }}}}{{%- endif %}}{{%- for call"),
    )
    assert "no attribute 'items'" in refusal(TEXT_OR_CALLS, *edits)
