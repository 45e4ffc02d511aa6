"""Turns that lose what others have printed, beside calls or in another loop: they learn it from these."""

from __future__ import annotations

import pytest
from shelf import patched, repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.repair.search import count_lacking

# The branch for calls reads another field; header and end stand around both branches, or in each.
PLAN = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|bot|>' }}{% if m.tool_calls %}"
    "{% if m.tool_plan %}{{ '<|plan|>' + m.tool_plan + '<|/plan|>' }}{% endif %}"
    "{{ '<|act|>[' }}{% for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}{{ ']<|/act|><|stop|>' }}"
    "{% else %}{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
    "<|say|>{{ m.content }}<|/say|><|stop|>{% endif %}"
    "{% else %}<|{{ m.role }}|>{{ m.content }}<|stop|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|bot|>' }}{% endif %}"
)
PLAN_LAID_OUT = """\
{%- for message in messages %}
    {%- if message['role'] == 'assistant' %}
        {{- '<turn:model>' }}
        {%- if message.get('tool_calls') %}
            {%- if 'tool_plan' in message and message['tool_plan'] %}
                {{- '<think>' ~ message['tool_plan'] ~ '</think>' }}
            {%- endif %}
            {%- for call in message['tool_calls'] %}
                {{- '<call>' ~ call['function']['name'] ~ ' ' ~ (call['function']['arguments'] | tojson) ~ '</call>' }}
            {%- endfor %}
            {{- '<end>' }}
        {%- else %}
            {%- if message.get('thinking') %}{{- '<think>' ~ message['thinking'] ~ '</think>' }}{%- endif %}
            {{- message['content'] ~ '<end>' }}
        {%- endif %}
    {%- else %}
        {{- '<turn:' ~ message['role'] ~ '>' ~ message['content'] ~ '<end>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<turn:model>' }}{%- endif %}
"""
# The branch for calls has a header of its own: a literal, or text of the template.
OWN_HEADER = """\
{{- bos_token }}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|h|>' + message.role + '<|/h|>\\n\\n' }}
        {%- if message.role == 'assistant' and message.reasoning_content %}
            {{- '<think>' + message.reasoning_content + '</think>' }}
        {%- endif %}
        {{- message.content | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {{- '<|h|>assistant<|/h|>\\n\\n' }}
        {%- for call in message.tool_calls %}
            {{- call.function | tojson }}
        {%- endfor %}
        {{- '<|eot|>' }}
    {%- else %}
        {{- '<|h|>ipython<|/h|>\\n\\n' + message.content + '<|eot|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|h|>assistant<|/h|>\\n\\n' }}
{%- endif %}
"""
BARE_HEADER = (
    "{% for m in messages %}{% if m['role'] == 'assistant' and m.get('tool_calls') %}[BOT]"
    "{% for c in m['tool_calls'] %}<call>{{ c['function']['arguments'] | tojson }}</call>{% endfor %}[END]"
    "{% elif m['role'] == 'assistant' %}[BOT]{% if m.get('reasoning_content') %}"
    "<think>{{ m['reasoning_content'] }}</think>{% endif %}{{ m['content'] }}[END]"
    "{% else %}[{{ m['role'] | upper }}]{{ m['content'] }}[END]{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[BOT]{% endif %}"
)
# Calls stand where there is no content at all, and no field is read.
NO_CONTENT = (
    "{% for m in messages %}{% if m.role == 'assistant' and m.content is none %}<|A|>{% for c in m.tool_calls %}"
    "<|call|>{{ c.function.name }} {{ c.function.arguments | tojson }}<|/call|>{% endfor %}<|eos|>"
    "{% elif m.role == 'assistant' %}<|A|>{% if '</think>' in m.content %}{{ m.content.split('</think>')[-1] }}"
    "{% else %}{{ m.content }}{% endif %}<|eos|>{% else %}<|{{ m.role }}|>{{ m.content }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|A|><think>\n{% endif %}"
)
# Two lists with a loop each: the first prints an empty block, and contents as they come.
TWO_LOOPS = (
    "{% set ns = namespace(cut=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.cut = loop.index0 %}"
    "{% endif %}{% endfor %}"
    + "".join(
        f"{{% for m in messages[{part}] %}}{{% if m.role == 'assistant' %}}<|bot|>{block}{{{{ m.content }}}}"
        "{% for c in m.tool_calls or [] %}<call>{{ c.function.arguments | tojson }}</call>{% endfor %}<|end|>"
        "{% else %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
        for part, block in (
            (":ns.cut", "<think></think>"),
            ("ns.cut:", "<think>{{ m.reasoning_content or '' }}</think>"),
        )
    )
    + "{% if add_generation_prompt %}<|bot|><think>{% endif %}"
)
TWO_LOOPS_LAID_OUT = """\
{%- set state = namespace(last_user=-1) %}
{%- for message in messages %}
    {%- if message['role'] == 'user' %}
        {%- set state.last_user = loop.index0 %}
    {%- endif %}
{%- endfor %}
{%- set history = messages[:state.last_user] if state.last_user > 0 else [] %}
{%- set current = messages[state.last_user:] if state.last_user > 0 else messages %}
{%- for message in history %}
    {%- if message['role'] == 'assistant' %}
        {{- '[model]<think>\\n</think>\\n' + (message['content'] or '') }}
        {%- for call in message['tool_calls'] or [] %}
            {{- '{' + call['function']['arguments'] | tojson + '}' }}
        {%- endfor %}
        {{- '[/model]' }}
    {%- else %}
        {{- '[' + message['role'] + ']' + message['content'] + '[/' + message['role'] + ']' }}
    {%- endif %}
{%- endfor %}
{%- for message in current %}
    {%- if message['role'] == 'assistant' %}
        {%- set text = message['content'] or '' %}
        {%- set thought = message['reasoning_content'] or '' %}
        {%- if '</think>' in text %}
            {%- set thought = text.split('</think>')[0].split('<think>')[-1].strip() %}
            {%- set text = text.split('</think>')[-1].lstrip() %}
        {%- endif %}
        {{- '[model]<think>\\n' + thought + '</think>\\n' + text }}
        {%- for call in message['tool_calls'] or [] %}
            {{- '{' + call['function']['arguments'] | tojson + '}' }}
        {%- endfor %}
        {{- '[/model]' }}
    {%- else %}
        {{- '[' + message['role'] + ']' + message['content'] + '[/' + message['role'] + ']' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[model]<think>\\n' }}
{%- endif %}
"""
EACH = [PLAN, PLAN_LAID_OUT, OWN_HEADER, BARE_HEADER, NO_CONTENT, TWO_LOOPS, TWO_LOOPS_LAID_OUT]


@pytest.mark.parametrize("text", EACH)
def test_what_other_turns_print_is_printed_everywhere(text: str) -> None:
    assert count_lacking(study(text).examined)[0]
    assert count_lacking(study(repaired(text)).examined) == (0, 0)


@pytest.mark.parametrize("text", EACH)
def test_what_was_learned_once_is_not_learned_again(text: str) -> None:
    assert not patched(repaired(text)).changed


def test_the_edit_is_what_other_turns_have_without_their_header_and_end() -> None:
    assert "{{- '<|say|>' ~ m.content ~ '<|/say|>' }}" in repaired(PLAN)
    assert "\n                {{- '<think>' ~ message['thinking'] ~ '</think>' }}\n" in repaired(PLAN_LAID_OUT)


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        pytest.param(NO_CONTENT, ("<|call|>", "<|call|>{}"), id="behind what begins a call"),
        pytest.param(
            BARE_HEADER, ("<call>{{ c", "<call>{}{{ c"), id="behind what begins a call, in brackets"
        ),
    ],
)  # fmt: skip
def test_reasoning_in_the_middle_of_a_call_is_refused(text: str, edit: tuple[str, str]) -> None:
    read = "m.reasoning_content"
    block = f"{{% if {SWITCH} and {read} and loop.first %}}<think>\n{{{{ {read} }}}}\n</think>{{% endif %}}"
    assert refusal(text, (edit[0], edit[1].replace("{}", block, 1))) == (
        "it would print reasoning in the middle of a tool call"
    )


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        pytest.param(PLAN, "<|say|>{{ m.content }}<|/say|><|stop|>", id="with the end of the turn"),
        pytest.param(BARE_HEADER, "{{ m.content }}[END][BOT]", id="as a turn of its own"),
    ],
)
def test_a_text_as_a_whole_turn_in_front_of_calls_is_refused(text: str, wrong: str) -> None:
    loop = "{{ '<|act|>[' }}" if text is PLAN else "{% for c in"
    edit = f"{{% if {SWITCH} and m.content %}}{wrong}{{% endif %}}{loop}"
    assert "turn in the middle of one" in refusal(text, (loop, edit))


@pytest.mark.parametrize("only", ["filled", "taken apart"])
def test_of_two_edits_that_are_right_together_each_alone_is_refused(only: str) -> None:
    """History's empty block is filled from a field, and inline reasoning is moved there."""
    loop, block = "{%- for message in history %}", "'[model]<think>\\n</think>\\n'"
    field = "message['reasoning_content']"
    taken = (
        f"{{%- if {SWITCH} and '</think>' in (message['content'] or '') %}}{{%- set message = {{'role': 'assistant', "
        "'reasoning_content': message['content'].split('</think>')[0].split('<think>')[-1].strip(), 'tool_calls': "
        "message['tool_calls'], 'content': message['content'].split('</think>')[1:] | join('</think>')} %}{%- endif %}"
    )
    filled = f"('[model]<think>\\n' ~ {field} ~ '</think>\\n' if {SWITCH} and {field} else {block})"
    edits = {"taken apart": (loop, loop + taken), "filled": (block, filled)}
    assert refusal(TWO_LOOPS_LAID_OUT, edits[only])
    assert not refusal(TWO_LOOPS_LAID_OUT, *edits.values())
