"""Templates of families that nobody has: each is repaired whole, and needs no repair once it is."""

from __future__ import annotations

import pytest
from shelf import chat, patched, repaired, study

from template_fix.repair.search import count_wrong

# What both loops of a template do with calls, and with all messages but the model's.
CALLS_AND_OTHERS = (
    "        {%- for c in m.tool_calls or [] -%}\n"
    "            {{- '[CALL]' + c.function.name + ' ' + c.function.arguments | tojson +"
    " '[/CALL]' -}}\n"
    "        {%- endfor -%}\n"
    "        {{- '[/BOT]\\n' -}}\n"
    "    {%- elif m.role == 'tool' -%}\n"
    "        {{- '[OUT]' + m.content + '[/OUT]\\n' -}}\n"
    "    {%- else -%}\n"
    "        {{- '[USR]' + m.content + '[/USR]\\n' -}}\n"
    "    {%- endif -%}\n"
    "{%- endfor -%}\n"
)
FAMILIES = {
    "a variable of the caller's decides whether any turn reasons": (
        "{%- set state = namespace(open=true) %}\n"
        "{%- set wants = reason | default(false) %}\n"
        "{%- for message in messages %}\n"
        "    {%- if message['role'] == 'assistant' %}\n"
        "        {{- '[bot]' }}\n"
        "        {%- if wants and message['thoughts'] is defined %}\n"
        "            {{- '<scratch>' + message['thoughts'] + '</scratch>' }}\n"
        "        {%- elif wants and message['reasoning_content'] %}\n"
        "            {{- '<scratch>' + message['reasoning_content'] + '</scratch>' }}\n"
        "        {%- endif %}\n"
        "        {{- message['content'] }}\n"
        "        {{- '[/bot]' }}\n"
        "        {%- set state.open = false %}\n"
        "    {%- else %}\n"
        "        {{- '[' + message['role'] + ']' + message['content'] + '[/' + message['role'] + ']' }}\n"
        "        {%- set state.open = true %}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n"
        "    {{- '[bot]' + ('<scratch>' if wants else '<scratch></scratch>') }}\n"
        "{%- endif %}"
    ),
    "a namespace notes what is to be closed": (
        "{%- if thinking is not defined %}{% set thinking = false %}{% endif %}\n"
        "{%- set ns = namespace(pending=false, after_tool=false) %}\n"
        "{{- bos_token }}\n"
        "{%- for m in messages %}\n"
        "{%- if m.role == 'user' %}\n"
        "{%- set ns.after_tool = false %}{%- set ns.pending = true %}\n"
        "{{- '<|U|>' + m.content }}\n"
        "{%- elif m.role == 'assistant' %}\n"
        "{%- if ns.pending %}{{- '<|B|>' }}\n"
        "{%- if m.prefix and thinking %}{{- '<think>' }}{%- else %}{{- '</think>' }}{%- endif %}\n"
        "{%- endif %}\n"
        "{%- if m.tool_calls %}\n"
        "{%- for c in m.tool_calls %}{{- '<|call|>' + c.function.arguments | tojson + '<|/call|>' }}"
        "{%- endfor %}\n"
        "{%- set ns.after_tool = true %}\n"
        "{%- else %}\n"
        "{%- set content = m.content %}\n"
        "{%- if '</think>' in content %}{%- set content = content.split('</think>', 1)[1] %}{%- endif %}\n"
        "{{- content }}\n"
        "{%- endif %}\n"
        "{{- '<|E|>' }}{%- set ns.pending = false %}\n"
        "{%- elif m.role == 'tool' %}\n"
        "{{- '<|R|>' + m.content + '<|/R|>' }}{%- set ns.pending = true %}\n"
        "{%- else %}{{- m.content }}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt and ns.pending %}"
        "{{- '<|B|>' + ('<think>' if thinking else '</think>') }}{%- endif %}"
    ),
    "a namespace notes who spoke last": (
        "{% set ns = namespace(prev='') %}{% for m in messages %}{% if m.role == 'assistant' %}"
        "{% if ns.prev != 'bot' %}<|bot|>{% endif %}"
        "{% if thinking_mode is defined and thinking_mode == 'on' and m.reasoning_content %}<think>"
        "{{ m.reasoning_content }}</think>{% else %}<think></think>{% endif %}{{ m.content or '' }}"
        "{% for c in m.tool_calls or [] %}<tool>{{ c.function.arguments | tojson }}</tool>"
        "{% endfor %}<|end|>{% set ns.prev = 'bot' %}{% else %}<|{{ m.role }}|>{{ m.content }}<|end|>"
        "{% set ns.prev = m.role %}{% endif %}{% endfor %}{% if add_generation_prompt %}<|bot|>"
        "{% if thinking_mode is defined and thinking_mode == 'on' %}<think>{% else %}<think></think>"
        "{% endif %}{% endif %}"
    ),
    "sentences delimit the reasoning of the last turn": (
        "{% for m in messages %}{% if m.role == 'assistant' %}### Assistant\n"
        "{% if m.reasoning_content and loop.last %}Let me think step by step.\n"
        "{{ m.reasoning_content }}\n"
        "Final answer: {% endif %}{{ m.content }}</s>\n"
        "{% else %}### {{ m.role | capitalize }}\n"
        "{{ m.content }}</s>\n"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}### Assistant\n"
        "Let me think step by step.\n"
        "{% endif %}"
    ),
    "history is cut at a sentence, and the prompt ends in another": (
        "{%- for m in messages %}\n"
        "{%- if m.role == 'assistant' %}\n"
        "{%- set text = m.content %}\n"
        "{%- if 'Here is my response:' in text %}"
        "{%- set text = text.split('Here is my response:')[1] | trim %}{%- endif %}\n"
        "{{- '<|r|>assistant<|/r|>' + text + '<|eot|>\\n' }}\n"
        "{%- else %}\n"
        "{{- '<|r|>' + m.role + '<|/r|>' + m.content + '<|eot|>\\n' }}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}{{- '<|r|>assistant<|/r|>Here is my thought process:' }}"
        "{%- endif %}"
    ),
    "tags with blanks inside, named by a macro alone": (
        "{%- macro strip_inner(t) -%}{%- if '<|/ inner |>' in t -%}"
        "{{- t.split('<|/ inner |>')[-1] | trim -}}{%- else -%}{{- t -}}{%- endif -%}{%- endmacro -%}\n"
        "{%- for m in messages -%}\n"
        "{{- '<|t|>' + m.role + '\\n' -}}\n"
        "{%- if m.role == 'assistant' -%}{{- strip_inner(m.content) -}}{%- else -%}{{- m.content -}}"
        "{%- endif -%}\n"
        "{{- '<|/t|>\\n' -}}\n"
        "{%- endfor -%}\n"
        "{%- if add_generation_prompt -%}{{- '<|t|>assistant\\n' -}}{%- endif -%}"
    ),
    "a system message has to come first": (
        "{%- if messages[0].role != 'system' %}"
        "{{ raise_exception('A system message has to come first.') }}{%- endif %}\n"
        "{{- '<sys>' + messages[0].content + '</sys>' }}\n"
        "{%- for m in messages[1:] %}\n"
        "{%- if m.role == 'assistant' %}\n"
        "{%- if m.reasoning_content is defined and m.reasoning_content and loop.last %}\n"
        "{{- '<bot><mull>' + m.reasoning_content + '</mull>' + m.content + '</bot>' }}\n"
        "{%- else %}\n"
        "{{- '<bot>' + m.content + '</bot>' }}\n"
        "{%- endif %}\n"
        "{%- else %}\n"
        "{{- '<usr>' + m.content + '</usr>' }}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}{{- '<bot>' }}{%- endif %}"
    ),
    "roles have to alternate": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
        "{% set sys = messages[0]['content'] + '\\n\\n' %}{% else %}{% set loop_messages = messages %}"
        "{% set sys = '' %}{% endif %}{% for message in loop_messages %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
        "{% if message['role'] == 'user' %}"
        "{{ '[Q] ' + (sys if loop.first else '') + message['content'] + ' [/Q]' }}"
        "{% elif message['role'] == 'assistant' %}"
        "{{ ' ' + (message['content'].split('</think>')|last).strip() + '<end>' }}{% endif %}"
        "{% endfor %}"
    ),
    "a header with a number": (
        "<dialog>{% for m in messages %}{% if m.role == 'assistant' %}<reply n=\"{{ loop.index0 }}\">"
        "{% if m.reasoning_content and (loop.last or messages[loop.index].role == 'tool') %}<why>"
        "{{ m.reasoning_content }}</why>{% endif %}{{ m.content or '' }}"
        '{% for c in m.tool_calls or [] %}<do name="{{ c.function.name }}">'
        "{{ c.function.arguments | tojson }}</do>{% endfor %}</reply>{% else %}<{{ m.role }}>"
        '{{ m.content }}</{{ m.role }}>{% endif %}{% endfor %}{% if add_generation_prompt %}<reply n="'
        '{{ messages | length }}">{% endif %}'
    ),
    "a turn in a single expression": (
        "{{- bos_token -}}\n"
        "{%- set last_q = messages | selectattr('role', 'equalto', 'user') | list | length -%}\n"
        "{%- set seen = namespace(q=0) -%}\n"
        "{%- for msg in messages -%}\n"
        "{%- if msg.role == 'user' -%}{%- set seen.q = seen.q + 1 -%}{%- endif -%}\n"
        "{{- '<|begin|>' ~ ('model' if msg.role == 'assistant' else msg.role) ~ '\\n' ~ (('<thinking>' ~"
        " msg.reasoning_content ~ '</thinking>\\n') if msg.role == 'assistant' and msg.reasoning_content"
        " and seen.q == last_q else '') ~ (msg.content or '') -}}\n"
        "{%- for c in (msg.tool_calls or []) -%}{{- '<|fn|>' ~ (c.function | tojson) -}}{%- endfor -%}\n"
        "{{- '<|finish|>' -}}\n"
        "{%- endfor -%}\n"
        "{%- if add_generation_prompt -%}{{- '<|begin|>model\\n' -}}{%- endif -%}"
    ),
    "a macro in a macro, and triangles": (
        "{% macro think(text) %}{% if text %}◁think▷{{ text }}◁/think▷{% endif %}{% endmacro %}\n"
        "{% macro turn(m, keep) %}{% if m.role == 'assistant' %}<|ai|>{% if keep %}"
        "{{ think(m.reasoning_content) }}{% endif %}{{ m.content }}{% else %}<|{{ m.role }}|>"
        "{{ m.content }}{% endif %}<|stop|>{% endmacro %}\n"
        "{% for m in messages %}{{ turn(m, loop.last) }}{% endfor %}"
        "{% if add_generation_prompt %}<|ai|>{% endif %}"
    ),
    "a text that is split by a set, and taken apart further down": (
        "{%- for m in messages -%}\n"
        "  {%- if m.role == 'assistant' -%}\n"
        "    {%- set pieces = (m.content or '').split('</cot>') -%}\n"
        "    {{- 'BOT> ' + (pieces | last | trim) + '\\n' -}}\n"
        "    {%- for c in m.tool_calls | default([], true) -%}"
        "{{- 'CALL> ' + c.function.arguments | tojson + '\\n' -}}{%- endfor -%}\n"
        "  {%- else -%}\n"
        "    {{- m.role | upper + '> ' + m.content + '\\n' -}}\n"
        "  {%- endif -%}\n"
        "{%- endfor -%}\n"
        "{%- if add_generation_prompt -%}{{- 'BOT> <cot>' -}}{%- endif -%}"
    ),
    "a text that is sliced behind a tag": (
        "{%- for m in messages %}\n"
        "{%- if m.role == 'assistant' %}\n"
        "{%- set c = m.content if m.content is string else '' %}\n"
        "{%- if '</think>' in c and not loop.last %}\n"
        "{%- set c = c[c.find('</think>') + 8:].lstrip('\\n') %}\n"
        "{%- endif %}\n"
        "{{- '<<model>>' ~ c }}\n"
        "{%- for t in m.tool_calls or [] %}"
        "{{- '<<use>>' ~ t.function.name ~ '(' ~ t.function.arguments | tojson ~ ')' }}{%- endfor %}\n"
        "{{- '<<over>>' }}\n"
        "{%- else %}\n"
        "{{- '<<' ~ m.role ~ '>>' ~ m.content ~ '<<over>>' }}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}{{- '<<model>>' }}{%- endif %}"
    ),
    "a turn that is captured": (
        "{% for m in messages %}{% set body %}{% if m.role == 'assistant' %}"
        "{% if m.reasoning_content and loop.revindex <= 1 %}<ponder>{{ m.reasoning_content }}</ponder>"
        "{% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}[["
        "{{ c.function.arguments | tojson }}]]{% endfor %}{% else %}{{ m.content }}{% endif %}"
        "{% endset %}<{{ m.role }}|{{ body }}|>{% endfor %}{% if add_generation_prompt %}<assistant|"
        "{% endif %}"
    ),
    "a conversation that is summed up in a namespace": (
        "{%- set ns = namespace(out='') %}\n"
        "{%- for m in messages %}\n"
        "{%- if m.role == 'assistant' %}\n"
        "{%- set bits = m.content.split('</think>') %}\n"
        "{%- if bits | length > 1 and loop.index != messages | length %}\n"
        "{%- set ns.out = ns.out ~ '<A>' ~ bits[1:] | join('</think>') | trim ~ '</A>' %}\n"
        "{%- else %}\n"
        "{%- set ns.out = ns.out ~ '<A>' ~ m.content ~ '</A>' %}\n"
        "{%- endif %}\n"
        "{%- else %}\n"
        "{%- set ns.out = ns.out ~ '<' ~ m.role ~ '>' ~ m.content ~ '</' ~ m.role ~ '>' %}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
        "{{- ns.out }}\n"
        "{%- if add_generation_prompt %}{{- '<A>' }}{%- endif %}"
    ),
    "channels with a header each": (
        "{%- for m in messages %}\n"
        "{%- if m.role == 'assistant' %}\n"
        "{{- '<|model|>' }}\n"
        "{%- if m.thinking is defined and m.thinking and not m.tool_calls %}"
        "{{- '<|chan|>inner<|msg|>' + m.thinking + '<|fin|><|model|>' }}{%- endif %}\n"
        "{%- if m.tool_calls %}\n"
        "{%- for c in m.tool_calls %}"
        "{{- '<|chan|>call<|msg|>' + c.function.arguments | tojson + '<|fin|>' }}{%- endfor %}\n"
        "{%- else %}\n"
        "{{- '<|chan|>outer<|msg|>' + m.content + '<|fin|>' }}\n"
        "{%- endif %}\n"
        "{%- else %}\n"
        "{{- '<|' + m.role + '|><|msg|>' + m.content + '<|fin|>' }}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}{{- '<|model|>' }}{%- endif %}"
    ),
    "channels in doubled brackets, whose prompt stops inside of one": (
        "{%- for m in messages -%}\n"
        "{%- if m.role == 'assistant' -%}\n"
        "  {%- if m.thinking and (m.tool_calls or loop.last) -%}<<bot:notes>>{{ m.thinking }}<<over>>{%- endif -%}\n"
        "  {%- if m.tool_calls -%}\n"
        "    {%- for c in m.tool_calls -%}<<bot:call>>{{ c.function.arguments | tojson }}<<called>>{%- endfor -%}\n"
        "  {%- else -%}<<bot:reply>>{{ m.content }}<<over>>\n"
        "  {%- endif -%}\n"
        "{%- else -%}<<{{ m.role }}>>{{ m.content }}<<over>>\n"
        "{%- endif -%}\n"
        "{%- endfor -%}\n"
        "{%- if add_generation_prompt -%}<<bot:{%- endif -%}"
    ),
    "history has a loop of its own that prints no field": (
        "{#- Orla chat format, v2 -#}\n"
        "{%- if messages[0].role == 'system' -%}\n"
        "    {{- '[SYS]' + messages[0].content + '[/SYS]\\n' -}}\n"
        "    {%- set turns = messages[1:] -%}\n"
        "{%- else -%}\n"
        "    {%- set turns = messages -%}\n"
        "{%- endif -%}\n"
        "{%- set pos = namespace(last=-1) -%}\n"
        "{%- for m in turns -%}\n"
        "    {%- if m.role == 'user' -%}{%- set pos.last = loop.index0 -%}{%- endif -%}\n"
        "{%- endfor -%}\n"
        "{%- if tools -%}\n"
        "    {{- '[TOOLS]' + tools | tojson + '[/TOOLS]\\n' -}}\n"
        "{%- endif -%}\n"
        "{%- for m in turns[:pos.last] -%}\n"
        "    {%- if m.role == 'assistant' -%}\n"
        "        {{- '[BOT]' + (m.content or '').split('[/MUSE]')[-1].strip() -}}\n"
        + CALLS_AND_OTHERS
        + "{%- for m in turns[pos.last:] if pos.last >= 0 -%}\n"
        "    {%- if m.role == 'assistant' -%}\n"
        "        {{- '[BOT]' -}}\n"
        "        {%- if m.reasoning_content -%}\n"
        "            {{- '[MUSE]' + m.reasoning_content + '[/MUSE]' -}}\n"
        "        {%- endif -%}\n"
        "        {{- m.content or '' -}}\n" + CALLS_AND_OTHERS + "{%- if add_generation_prompt -%}\n"
        "    {{- '[BOT][MUSE]' -}}\n"
        "{%- endif -%}\n"
    ),
    "calls come with a plan, and answers without one": (
        "{% if enable_thinking is not defined %}{% set enable_thinking = true %}{% endif %}{{"
        " bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'Human:"
        " ' + message['content'] + '\\n\\n' }}{% elif message['role'] == 'system' %}{{"
        " message['content'] + '\\n\\n' }}{% elif message['role'] == 'assistant' %}{{ 'Assistant:"
        " ' }}{% if message['tool_calls'] %}{% if message['tool_plan'] %}{{ '<plan>' +"
        " message['tool_plan'] + '</plan>' }}{% endif %}{% for tc in message['tool_calls'] %}{{"
        " '<fc>' + tc['function']['name'] + '(' + (tc['function']['arguments'] | tojson) +"
        " ')</fc>' }}{% endfor %}{% else %}{% if '</plan>' in message['content'] %}{{"
        " message['content'].split('</plan>')[1].strip() }}{% else %}{{ message['content'] }}{%"
        " endif %}{% endif %}{{ '<eos>\\n\\n' }}{% elif message['role'] == 'tool' %}{{"
        " 'Result: ' + message['content'] + '\\n\\n' }}{% endif %}{% endfor %}{% if"
        " add_generation_prompt %}{{ 'Assistant: ' + ('<plan>' if enable_thinking else"
        " '<plan></plan>') }}{% endif %}\n"
    ),
    "all but the last message, without the opening tag and cut at the closing one": (
        "{{ bos_token }}\n"
        "{%- if tools %}{{ '<tools>\\n' }}{% for t in tools %}{{ t.function | tojson }}{{ '\\n'"
        " }}{% endfor %}{{ '</tools>\\n' }}{% endif %}\n"
        "{%- for m in messages[:-1] %}\n"
        "{%- if m.role == 'assistant' %}\n"
        "{{- '### Response:\\n' + (m.content | replace('<reason>', '')"
        " ).split('</reason>')[-1].lstrip() + '\\n' }}\n"
        "{%- else %}\n"
        "{{- '### ' + m.role | capitalize + ':\\n' + m.content + '\\n' }}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
        "{%- set m = messages[-1] %}\n"
        "{%- if m.role == 'assistant' %}\n"
        "{{- '### Response:\\n' }}\n"
        "{%- if m.reasoning_content %}{{ '<reason>' + m.reasoning_content + '</reason>\\n' }}{%"
        " endif %}\n"
        "{{- m.content + '\\n' }}\n"
        "{%- else %}\n"
        "{{- '### ' + m.role | capitalize + ':\\n' + m.content + '\\n' }}\n"
        "{%- endif %}\n"
        "{%- if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}\n"
    ),
    "calls in one bracket that begins outside of their loop, and no generation prompt": (
        '{%- if messages[0]["role"] == "system" %}{%- set system_message ='
        ' messages[0]["content"] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set'
        " loop_messages = messages %}{%- endif %}\n"
        "{{- bos_token }}\n"
        "{%- for message in loop_messages %}\n"
        '{%- if message["role"] == "user" %}\n'
        "{%- if loop.first and system_message is defined %}\n"
        '{{- "[INS] " + system_message + "\\n\\n" + message["content"] + "[/INS]" }}\n'
        "{%- else %}\n"
        '{{- "[INS] " + message["content"] + "[/INS]" }}\n'
        "{%- endif %}\n"
        '{%- elif message["role"] == "tool" %}\n'
        '{{- "[RES] " + message["content"] + "[/RES]" }}\n'
        '{%- elif message["tool_calls"] is defined and message["tool_calls"] %}\n'
        '{{- "[FC] [" }}\n'
        '{%- for tool_call in message["tool_calls"] %}\n'
        '{{- tool_call["function"] | tojson }}{{- ", " if not loop.last else "]" }}\n'
        "{%- endfor %}\n"
        '{{- "<eos>" }}\n'
        '{%- elif message["role"] == "assistant" %}\n'
        '{%- if message["reasoning_content"] is defined and message["reasoning_content"] %}\n'
        '{{- "[R]" + message["reasoning_content"] + "[/R]" + message["content"] + "<eos>" }}\n'
        "{%- else %}\n"
        '{{- message["content"].split("[/R]")[-1] + "<eos>" }}\n'
        "{%- endif %}\n"
        "{%- endif %}\n"
        "{%- endfor %}\n"
    ),
    "a field that is printed beside texts alone": (
        "{%- set has_sys = messages[0].role == 'system' %}\n"
        "{{- bos_token }}\n"
        "{%- if tools %}\n"
        "    {{- '<|sys|>' }}\n"
        "    {%- if has_sys %}\n"
        "        {%- if messages[0].content is string %}{{- messages[0].content }}{%- else %}{%-"
        " for p in messages[0].content %}{{- p.text }}{%- endfor %}{%- endif %}\n"
        "    {%- endif %}\n"
        "    {{- '\\nTools: ' + tools | tojson + '<|end|>' }}\n"
        "{%- elif has_sys %}\n"
        "    {{- '<|sys|>' }}\n"
        "    {%- if messages[0].content is string %}{{- messages[0].content }}{%- else %}{%- for"
        " p in messages[0].content %}{{- p.text }}{%- endfor %}{%- endif %}\n"
        "    {{- '<|end|>' }}\n"
        "{%- endif %}\n"
        "{%- for m in messages %}\n"
        "    {%- if m.role == 'system' and loop.first %}{%- continue %}{%- endif %}\n"
        "    {%- if m.role == 'assistant' %}\n"
        "        {{- '<|bot|>' }}\n"
        "        {%- if m.content is string %}\n"
        "            {%- if m.reasoning_content and loop.last %}\n"
        "                {{- '<scratchpad>' + m.reasoning_content + '</scratchpad>' }}\n"
        "            {%- endif %}\n"
        "            {{- m.content.split('</scratchpad>')[-1] }}\n"
        "        {%- elif m.content %}\n"
        "            {%- for p in m.content %}{{- p.text }}{%- endfor %}\n"
        "        {%- endif %}\n"
        "        {%- for c in m.tool_calls or [] %}\n"
        "            {{- '<|do|>' + c.function.name + ':' + c.function.arguments | tojson }}\n"
        "        {%- endfor %}\n"
        "        {{- '<|end|>' }}\n"
        "    {%- else %}\n"
        "        {{- '<|' + m.role + '|>' }}\n"
        "        {%- if m.content is string %}{{- m.content }}{%- else %}{%- for p in m.content"
        " %}{{- p.text }}{%- endfor %}{%- endif %}\n"
        "        {{- '<|end|>' }}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}{{- '<|bot|>' }}{%- endif %}\n"
    ),
    "the same test opens three places, and none alone": (
        "{%- set ns = namespace(query=-1) %}\n"
        "{%- for m in messages %}{%- if m.role == 'user' %}{%- set ns.query = loop.index0 %}{%- endif %}{%- endfor %}\n"
        "{%- for message in messages %}\n"
        "    {%- if message.role == 'assistant' %}\n"
        "        {%- set content = message.content or '' %}\n"
        "        {%- set trace = '' %}\n"
        "        {%- if message.reasoning_content and loop.index0 > ns.query %}\n"
        "            {%- set trace = message.reasoning_content %}\n"
        "        {%- elif '</trace>' in content %}\n"
        "            {%- if loop.index0 > ns.query %}\n"
        "                {%- set trace = content.split('</trace>')[0].split('<trace>')[-1].strip('\\n') %}\n"
        "            {%- endif %}\n"
        "            {%- set content = content.split('</trace>')[-1].lstrip('\\n') %}\n"
        "        {%- endif %}\n"
        "        {{- '<|bot|>' }}\n"
        "        {%- if loop.index0 > ns.query and trace %}\n"
        "            {{- '<trace>\\n' + trace + '\\n</trace>\\n\\n' }}\n"
        "        {%- endif %}\n"
        "        {{- content + '<|end|>' }}\n"
        "    {%- else %}\n"
        "        {{- '<|' + message.role + '|>' + message.content + '<|end|>' }}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}{{- '<|bot|>' }}{%- endif %}\n"
    ),
    "the last turn is asked for twice": (
        "{% for m in messages %}{% if m['role'] == 'assistant' %}{% set why = '' %}"
        "{% if loop.last %}{% set why = m['reasoning_content'] or '' %}{% endif %}<bot>"
        "{% if loop.last %}{{ '<weigh>' + why + '</weigh>' if why else '' }}{% endif %}{{ m['content'] }}</bot>"
        "{% else %}<{{ m['role'] }}>{{ m['content'] }}</{{ m['role'] }}>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<bot>{% endif %}"
    ),
    "a plan of the family's own is printed in front of calls, with nothing else": (
        "{%- for message in messages %}\n"
        "    {%- if message['role'] == 'assistant' %}\n"
        "        {{- '<|bot|>' }}\n"
        "        {%- if message['tool_calls'] %}\n"
        "            {{- '<rationale>' + (message['tool_plan'] or '') + '</rationale>' }}\n"
        "            {%- for call in message['tool_calls'] %}\n"
        "                {{- '<|action|>' + (call['function']['arguments'] | tojson) }}\n"
        "            {%- endfor %}\n"
        "        {%- else %}\n"
        "            {%- if message['reasoning_content'] %}\n"
        "                {{- '<rationale>' + message['reasoning_content'] | trim + '</rationale>' }}\n"
        "            {%- endif %}\n"
        "            {{- message['content'] | trim }}\n"
        "        {%- endif %}\n"
        "        {{- '<|eot|>' }}\n"
        "    {%- else %}\n"
        "        {{- '<|' + message['role'] + '|>' + message['content'] + '<|eot|>' }}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}{{- '<|bot|>' }}{%- endif %}\n"
    ),
    "notes of the family's own stand in the block in front of calls": (
        "{% for m in messages %}{% if m.role == 'assistant' %}[A]{% if m.tool_calls %}"
        "{{ '[NOTES]' ~ (m.notes or '') ~ '[/NOTES]' }}{% for c in m.tool_calls %}"
        "{{ '[DO]' ~ c.function.arguments | tojson }}{% endfor %}{% else %}{% if m.reasoning_content %}"
        "{{ '[NOTES]' ~ m.reasoning_content ~ '[/NOTES]' }}{% endif %}{{ m.content }}{% endif %}[E]{% else %}"
        "{{ '[' ~ m.role ~ ']' ~ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}[A]{% endif %}"
    ),
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in FAMILIES.items()])
def test_a_family_of_its_own_is_repaired_whole(text: str) -> None:
    before, mended = study(text).examined, repaired(text)
    assert count_wrong(before)[0]
    after = study(mended).examined
    assert count_wrong(after)[0] == 0
    assert not any(part.kind == "reasoning" for seen in after if after.owed(seen.probe) for part in seen.lost)


def test_where_a_block_ends_as_everything_else_no_empty_one_is_told_of() -> None:
    result = patched(FAMILIES["channels in doubled brackets, whose prompt stops inside of one"])
    assert [repair for repair in result.kept if "empty block" in repair.why] == []


def test_a_closing_tag_that_an_answer_mentions_is_told_of_as_no_empty_block() -> None:
    result = patched(chat("</think>{{ content.split('</think>')[-1] }}"))
    assert "split-last" in " ".join(repair.source for repair in result.kept)
    assert [repair for repair in result.kept if "empty block" in repair.why] == []


PLAN = FAMILIES["a plan of the family's own is printed in front of calls, with nothing else"]
NOTES = FAMILIES["notes of the family's own stand in the block in front of calls"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [(PLAN, "message['tool_plan'] or message['reasoning_content']"), (NOTES, "m.notes or m.reasoning_content")],
)
def test_reasoning_stands_in_the_block_of_a_field_of_the_familys_own(text: str, shown: str) -> None:
    mended = repaired(text)
    assert shown in mended
    assert "stray tag" not in [repair.source for repair in patched(text).kept]


@pytest.mark.slow
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in FAMILIES.items()])
def test_a_family_of_its_own_is_repaired_once(text: str) -> None:
    assert not patched(repaired(text)).changed
