"""Edits of which one harms alone, and is right beside another: what is printed behind results of a turn's own."""

from __future__ import annotations

import pytest
from shelf import patched, repaired
from test_wrong_edits import SWITCH, refusal

# A turn prints its calls and their results, and what it says behind these; reasoning is cut out, and no field is read.
SCANS = """\
{%- macro bare(text) -%}
    {%- set ns = namespace(kept='') -%}
    {%- for piece in text.split('</think>') -%}
        {%- set ns.kept = ns.kept ~ piece.split('<think>')[0] -%}
    {%- endfor -%}
    {{- ns.kept | trim -}}
{%- endmacro -%}
{%- for m in messages -%}
    {%- if m['role'] != 'tool' -%}
        {%- set front = namespace(role='') -%}
        {%- for k in range(loop.index0) if messages[k]['role'] != 'tool' -%}
            {%- set front.role = messages[k]['role'] -%}
        {%- endfor -%}
        {%- if not (m['role'] == 'assistant' and front.role == 'assistant') -%}
            {{- '[' ~ m['role'] ~ ']\\n' -}}
        {%- endif -%}
        {%- for call in m['tool_calls'] or [] -%}
            {{- '[do ' ~ call['function']['name'] ~ (call['function']['arguments'] | tojson) ~ ']' -}}
        {%- endfor -%}
        {%- set results = namespace(any=false, over=false) -%}
        {%- if m['tool_calls'] -%}
            {%- for k in range(loop.index0 + 1, messages | length) -%}
                {%- if results.over -%}
                {%- elif messages[k]['role'] != 'tool' -%}
                    {%- set results.over = true -%}
                {%- else -%}
                    {{- '[got ' ~ messages[k]['content'] ~ ']' -}}
                    {%- set results.any = true -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endif -%}
        {%- set said -%}
            {%- if m['content'] is string -%}
                {{- bare(m['content']) if m['role'] == 'assistant' else m['content'] -}}
            {%- elif m['content'] -%}
                {%- for part in m['content'] if part['type'] == 'text' -%}
                    {{- bare(part['text']) if m['role'] == 'assistant' else part['text'] -}}
                {%- endfor -%}
            {%- endif -%}
        {%- endset -%}
        {{- said -}}
        {%- if not m['tool_calls'] or results.any and said -%}
            {{- '[end]\\n' -}}
        {%- endif -%}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt and messages[-1]['role'] != 'tool' -%}
    {{- '[assistant]\\n' -}}
{%- endif -%}
"""
OTHERWISE = """\
{%- macro stripped(text) -%}
    {%- set ns = namespace(kept='') -%}
    {%- for piece in text.split('</think>') -%}
        {%- set ns.kept = ns.kept + (piece.split('<think>') | first) -%}
    {%- endfor -%}
    {{- ns.kept | trim -}}
{%- endmacro -%}
{%- for message in messages -%}
    {%- if message.role != 'tool' -%}
        {%- set before = namespace(role='') -%}
        {%- for at in range(loop.index0) if messages[at].role != 'tool' -%}
            {%- set before.role = messages[at].role -%}
        {%- endfor -%}
        {%- if not (message.role == 'assistant' and before.role == 'assistant') -%}
            {{- '<|' ~ message.role ~ '|>' -}}
        {%- endif -%}
        {%- for call in message.tool_calls or [] -%}
            {{- '[do ' ~ call.function.name ~ (call.function.arguments | tojson) ~ ']' -}}
        {%- endfor -%}
        {%- set got = namespace(any=false, over=false) -%}
        {%- if message.tool_calls -%}
            {%- for at in range(loop.index0 + 1, messages | length) -%}
                {%- if got.over -%}
                {%- elif messages[at].role != 'tool' -%}
                    {%- set got.over = true -%}
                {%- else -%}
                    {{- '[got ' ~ messages[at].content ~ ']' -}}
                    {%- set got.any = true -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endif -%}
        {%- set said -%}
            {%- if message.content is string -%}
                {{- stripped(message.content) if message.role == 'assistant' else message.content -}}
            {%- elif message.content -%}
                {%- for part in message.content if part.type == 'text' -%}
                    {{- stripped(part.text) if message.role == 'assistant' else part.text -}}
                {%- endfor -%}
            {%- endif -%}
        {%- endset -%}
        {{- said -}}
        {%- if not message.tool_calls or got.any and said -%}
            {{- '<|done|>' -}}
        {%- endif -%}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt and (messages | last).role != 'tool' -%}
    {{- '<|assistant|>' -}}
{%- endif -%}
"""

FOLD = (
    "{{%- if " + SWITCH + " and {0}['reasoning_content'] -%}}{{%- set {0} = {{'role': {0}['role'], "
    "'tool_calls': {0}['tool_calls'], 'content': '<think>' ~ {0}['reasoning_content'] ~ '</think>' ~ {0}['content']}} "
    "-%}}{{%- endif -%}}"
)
BOTH = [pytest.param(SCANS, id="by keys"), pytest.param(OTHERWISE, id="by attributes")]


@pytest.mark.parametrize("text", BOTH)
def test_reasoning_in_a_field_stands_in_front_of_calls_where_their_text_does(text: str) -> None:
    result = patched(text)
    assert {"TF201", "TF203", "TF204", "TF206"} <= {each.code for each in result.before.findings}
    assert {each.code for each in result.after.findings} == {"TF215"} and not result.refused
    assert patched(repaired(text)).changed == {}


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        pytest.param(SCANS, ("{%- set front =", FOLD.format("m") + "{%- set front ="), id="by keys"),
        pytest.param(OTHERWISE, ("{%- set before =", FOLD.format("message") + "{%- set before ="), id="by attributes"),
    ],
)
def test_the_edit_that_folds_the_field_in_is_wrong_alone(text: str, edit: tuple[str, str]) -> None:
    assert refusal(text, edit)
