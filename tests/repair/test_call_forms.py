"""Calls that vanish beside some contents, and texts that vanish beside calls: each form is printed like the others."""

from __future__ import annotations

import pytest
from shelf import chat, patched, repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.repair.search import broken, loses_calls

# Calls are printed where the content is None, and nowhere else; a second branch prints all other turns.
NONE_ALONE = (
    "{%- for m in messages -%}{%- if m['role'] == 'user' -%}{{ '<|U|>' + m['content'] }}{%- endif -%}"
    "{%- if m['role'] == 'system' -%}{{ m['content'] }}{%- endif -%}"
    "{%- if m['role'] == 'assistant' and m['content'] is none -%}<|A|>{%- for c in m['tool_calls'] -%}"
    "{{ '<|call|>' + c['function']['name'] + '\\n' ~ c['function']['arguments'] ~ '<|/call|>' }}{%- endfor -%}<|eos|>"
    "{%- endif -%}{%- if m['role'] == 'assistant' and m['content'] is not none -%}{% set content = m['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{ '<|A|>' + content + '<|eos|>' }}{%- endif -%}"
    "{%- if m['role'] == 'tool' -%}{{ '<|out|>' + m['content'] + '<|/out|>' }}{%- endif -%}{%- endfor -%}"
    "{% if add_generation_prompt %}{{ '<|A|><think>\\n' }}{% endif %}"
)
# They are printed where there is no text.
NO_TEXT = """\
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- '<role>bot</role>' }}
        {%- if message.reasoning_content %}
            {{- '<think>' + message.reasoning_content + '</think>' }}
        {%- endif %}
        {%- if message.content %}
            {{- message.content.split('</think>') | last }}
        {%- elif message.tool_calls %}
            {%- for call in message.tool_calls %}
                {{- '<invoke>' + (call.function | tojson) + '</invoke>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<stop>' }}
    {%- else %}
        {{- '<role>' + message.role + '</role>' + message.content + '<stop>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<role>bot</role>' }}
{%- endif %}
"""
NO_TEXT_IN_A_LIST = """\
{%- for m in messages %}
{%- if m.role == "assistant" %}
{{- "<s>ASSISTANT: " }}
{%- if m.content is string and m.content | length > 0 %}
{{- (m.content.split("</thinking>") | last).lstrip() if "</thinking>" in m.content else m.content }}
{%- else %}
{%- for tc in m.tool_calls %}
{%- set given = tc.function.arguments %}
{{- "[call " ~ tc.function.name ~ " " ~ (given if given is string else given | tojson) ~ "]" }}
{%- endfor %}
{%- endif %}
{{- "</s>" }}
{%- else %}
{{- "<s>" ~ m.role | upper ~ ": " ~ m.content ~ "</s>" }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ "<s>ASSISTANT: " }}{% endif %}
"""
# The text vanishes beside the one call that a turn may have, and in a macro.
ONE_CALL = """\
{{- bos_token }}
{%- for message in messages %}
    {%- if message.tool_calls %}
        {%- if message.tool_calls | length > 1 %}{{- raise_exception('One call at a time.') }}{%- endif %}
        {{- '<<bot>>\\n' }}
        {{- '{"name": "' + message.tool_calls[0].function.name + '", "parameters": ' }}
        {{- message.tool_calls[0].function.arguments | tojson }}
        {{- '}<<end>>' }}
    {%- elif message.role == 'tool' %}
        {{- '<<tool>>\\n' + message.content + '<<end>>' }}
    {%- elif message.role == 'assistant' %}
        {{- '<<bot>>\\n' }}
        {%- if '</think>' in message.content %}
            {{- message.content.split('</think>')[1] | trim }}
        {%- else %}
            {{- message.content | trim }}
        {%- endif %}
        {{- '<<end>>' }}
    {%- else %}
        {{- '<<' + message.role + '>>\\n' + message.content | trim + '<<end>>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<<bot>>\\n' }}
{%- endif %}
"""
IN_A_MACRO = (
    "{% macro show(m) %}{% if m.tool_calls is defined and m.tool_calls %}{% for c in m.tool_calls %}"
    "<fn={{ c.function.name }}>{{ c.function.arguments | tojson }}</fn>{% endfor %}"
    "{% else %}{{ m.content }}{% endif %}{% endmacro %}"
    "{% for m in messages %}<start {{ m.role }}>{% if m.role == 'assistant' and m.reasoning_content %}"
    "<reasoning>{{ m.reasoning_content }}</reasoning>{% endif %}{{ show(m) }}<stop {{ m.role }}>\n{% endfor %}"
    "{% if add_generation_prompt %}<start assistant>{% endif %}"
)
# What a turn says stands in the branch of turns without calls, among other outputs.
ANOTHER_BRANCH = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {{- '[bot]' }}
        {%- if m.reasoning_content %}
            {{- '<think>' + m.reasoning_content + '</think>' }}
        {%- endif %}
        {%- if m.tool_calls %}
            {%- for c in m.tool_calls %}
                {{- '<call>' ~ c.function.arguments | tojson ~ '</call>' }}
            {%- endfor %}
        {%- else %}
            {#- What is said. #}
            {{- '<say>' }}
            {{- m.content.split('</think>')[-1] }}
            {{- '</say>' }}
        {%- endif %}
        {{- '[end]' }}
    {%- else %}
        {{- '[' + m.role + ']' + m.content + '[end]' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[bot]' }}
{%- endif %}
"""
DASHES_ON_BOTH_SIDES = ANOTHER_BRANCH.replace(" %}", " -%}").replace(" }}", " -}}")
# Without dashes white space is printed: it stays as it is in the branch.
PRINTED_SPACE = (
    "{% for m in messages %}{% if m.role == 'assistant' %}B:{% if m.reasoning_content %}<think>"
    "{{ m.reasoning_content }}</think>{% endif %}{% if m.tool_calls %}\n    {% for c in m.tool_calls %}"
    "[{{ c.function.arguments | tojson }}]{% endfor %}{% else %}\n      {{ m.content }}\n{% endif %};"
    "{% else %}{{ m.role }}:{{ m.content }};{% endif %}{% endfor %}{% if add_generation_prompt %}B:{% endif %}"
)
# One constant begins the turn and its calls: what is said belongs into the middle of it, as does the reasoning.
IN_A_CONSTANT = """\
{%- for message in messages %}
  {%- if message['role'] == 'user' %}
    {{- '<|user|>' + message['content'] -}}
  {%- elif message['role'] == 'system' %}
    {{- message['content'] -}}
  {%- endif %}
  {%- if message['role'] == 'assistant' and not message['content'] %}
    {{- '<|bot|><|calls|>' -}}
    {%- for tool in message['tool_calls'] %}
      {{- '<|call|>' + (tool['function']['arguments'] | tojson) + '<|/call|>' -}}
    {%- endfor %}
    {{- '<|/calls|><|eos|>' -}}
  {%- endif %}
  {%- if message['role'] == 'assistant' and message['content'] %}
    {%- set content = message['content'] %}
    {%- if '</study>' in content %}
      {%- set content = content.split('</study>')[-1] %}
    {%- endif %}
    {{- '<|bot|>' + content + '<|eos|>' -}}
  {%- endif %}
  {%- if message['role'] == 'tool' %}
    {{- '<|out|>' + message['content'] + '<|/out|>' -}}
  {%- endif %}
{%- endfor -%}
{%- if add_generation_prompt %}{{ '<|bot|><study>\\n' }}{% endif %}
"""
IN_A_CONSTANT_OF_ITS_OWN = (
    "{% for m in messages %}{% if m.role == 'assistant' and not m.content %}{{ '[bot][do]' }}"
    "{% for c in m.tool_calls %}{{ c.function.arguments | tojson }}{% endfor %}{{ '[end]' }}{% endif %}"
    "{% if m.role == 'assistant' and m.content %}{{ '[bot]' ~ m.content.split('</muse>')[-1] ~ '[end]' }}{% endif %}"
    "{% if m.role != 'assistant' %}{{ '[' ~ m.role ~ ']' ~ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[bot]<muse>' }}{% endif %}"
)
# Of the text that has the reasoning in front, a piece is printed in front of calls.
A_PIECE = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- set text = m.content or '' %}
        {%- if m.reasoning_content %}
            {%- set text = '<delve>\\n' ~ m.reasoning_content ~ '\\n</delve>\\n' ~ text %}
        {%- elif '</delve>' not in text %}
            {%- set text = '<delve></delve>' ~ text %}
        {%- endif %}
        {{- '<bot>\\n' }}
        {%- if m.tool_calls %}
            {{- text.split('</delve>')[0] ~ '</delve>' }}
            {%- for c in m.tool_calls %}
                {{- '\\n<do>' ~ (c.function.arguments | tojson) ~ '</do>' }}
            {%- endfor %}
        {%- else %}
            {{- text }}
        {%- endif %}
        {{- '<end>\\n' }}
    {%- else %}
        {{- '<' ~ m.role ~ '>\\n' ~ m.content ~ '<end>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<bot>\\n<delve>\\n' }}
{%- endif %}
"""
A_PIECE_IN_A_LINE = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}{% set said = m['content'] or '' %}"
    "{% if m['reasoning_content'] %}{% set said = '<mull>' + m['reasoning_content'] + '</mull>\n' + said %}"
    "{% elif '</mull>' not in said %}{% set said = '<mull></mull>' + said %}{% endif %}A:"
    "{% if m['tool_calls'] %}{{ said.split('</mull>')[0] + '</mull>' }}{% for c in m['tool_calls'] %}"
    "[{{ c['function']['arguments'] | tojson }}]{% endfor %}{% else %}{{ said }}{% endif %};"
    "{% else %}{{ m['role'] }}:{{ m['content'] }};{% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}"
)
VANISHING = [
    pytest.param(IN_A_CONSTANT, id="beside text, where one constant begins the turn and its calls"),
    pytest.param(IN_A_CONSTANT_OF_ITS_OWN, id="beside text, where such a constant is all that begins calls"),
    pytest.param(NONE_ALONE, id="beside all but None"),
    pytest.param(NO_TEXT, id="beside text"),
    pytest.param(NO_TEXT_IN_A_LIST, id="beside text, in a template that takes lists"),
]


# It would end in an error where the arguments are a mapping, and a conversation with such calls is printed today.
TEXT_ALONE = NONE_ALONE.replace("~ c['function']['arguments'] ~", "+ c['function']['arguments'] +")


def test_calls_that_would_make_the_template_fail_stay_unprinted() -> None:
    assert TEXT_ALONE != NONE_ALONE and loses_calls(study(TEXT_ALONE).examined)
    assert loses_calls(study(repaired(TEXT_ALONE)).examined)


@pytest.mark.parametrize("text", VANISHING)
def test_calls_are_printed_beside_any_content(text: str) -> None:
    assert loses_calls(study(text).examined)
    mended = study(repaired(text)).examined
    assert not loses_calls(mended) and not broken(mended)
    assert not [seen for seen in mended if seen.probe.ordinary and seen.text and seen.lost and not seen.probe.legacy]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(ONE_CALL, id="one call"),
        pytest.param(IN_A_MACRO, id="in a macro"),
        pytest.param(A_PIECE, id="a piece of a text"),
        pytest.param(A_PIECE_IN_A_LINE, id="a piece of a text, in a line"),
    ],
)
def test_text_is_printed_beside_calls(text: str) -> None:
    assert broken(study(text).examined)
    mended = study(repaired(text)).examined
    assert not broken(mended)
    assert not [seen for seen in mended if mended.owed(seen.probe) and seen.lost]


@pytest.mark.parametrize("text", [*VANISHING, ONE_CALL, IN_A_MACRO])
def test_what_is_printed_in_all_forms_needs_no_repair(text: str) -> None:
    assert not patched(repaired(text)).changed


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        pytest.param(ANOTHER_BRANCH, "", id="dashes in front"),
        pytest.param(DASHES_ON_BOTH_SIDES, "-", id="dashes on both sides"),
    ],
)
def test_a_branch_that_is_repeated_is_laid_out_as_what_follows_it(text: str, mark: str) -> None:
    lines = repaired(text).splitlines()
    at = lines.index(f"            {{%- if (preserve_thinking | default(true)) and m.content {mark}%}}")
    assert [each.strip(" ") for each in lines[at + 1 : at + 5]] == [
        "{#- What is said. #}",
        *(f"{{{{- {each} {mark}}}}}" for each in ("'<say>'", "m.content.split('</think>')[-1]", "'</say>'")),
    ]
    assert all(each.startswith(" " * 16 + "{") for each in lines[at + 1 : at + 5])
    assert lines[at + 5 : at + 7] == [
        f"            {{%- endif {mark}%}}",
        f"            {{%- for c in m.tool_calls {mark}%}}",
    ]
    assert not broken(study(repaired(text)).examined)


def test_white_space_that_a_branch_prints_is_repeated_with_it() -> None:
    edited = repaired(PRINTED_SPACE)
    assert "and m.content %}\n      {{ m.content }}\n{% endif %}" in edited
    assert not broken(study(edited).examined)


CALLS = f"{SWITCH} and m['tool_calls']"


@pytest.mark.parametrize(
    ("text", "edits"),
    [
        pytest.param(
            NONE_ALONE,
            [("m['content'] is none", f"(m['content'] is none or {CALLS})")],
            id="the other branch prints a second turn",
        ),
        pytest.param(
            NONE_ALONE,
            [
                ("m['content'] is none", f"(m['content'] is none or {CALLS})"),
                ("m['content'] is not none", f"(m['content'] is not none and not ({CALLS}))"),
            ],
            id="the text beside calls is lost for them",
        ),
        pytest.param(
            NO_TEXT,
            [
                ("{%- if message.content %}", f"{{%- if message.content and not ({SWITCH} and message.tool_calls) %}}"),
                ("+ '</invoke>'", f"+ (message.content if {SWITCH} and message.content else '') + '</invoke>'"),
            ],
            id="text in the middle of a call",
        ),
        pytest.param(
            IN_A_CONSTANT,
            [
                ("not message['content']", f"(not message['content'] or {SWITCH} and message['tool_calls'])"),
                ("'<|bot|><|calls|>'", f"('<|bot|><|calls|>' ~ (message['content'] if {SWITCH}))"),
            ],
            id="text behind the mark that begins the calls, and in a turn of its own",
        ),
        pytest.param(
            A_PIECE,
            [
                (
                    "text.split('</delve>')[0] ~ '</delve>'",
                    f"(text if {SWITCH} else text.split('</delve>')[0] ~ '</delve>')",
                )
            ],
            id="with the line end behind a block that no text follows",
        ),
        pytest.param(
            ANOTHER_BRANCH,
            [
                (
                    "{{- '</say>' }}\n        {%- endif %}",
                    "{%- endif %}{%- if " + SWITCH + " %}{{- m.content }}{%- endif %}",
                )
            ],
            id="what is said comes twice, beside calls and elsewhere",
        ),
    ],
)
def test_a_wrong_edit_for_calls_that_vanish_is_refused(text: str, edits: list[tuple[str, str]]) -> None:
    assert refusal(text, *edits)


def test_calls_that_a_caller_leaves_out_stay_left_out() -> None:
    calls = "{% for call in m.tool_calls or [] %}[{{ call.function.arguments | tojson }}]{% endfor %}"
    text = chat("{{ '' + content.split('</think>')[-1] }}").replace(
        calls, "{% if not inline %}" + calls + "{% endif %}"
    )
    mended = repaired(text)
    assert "{% if not inline %}" in text and "{% if not inline %}" in mended != text
