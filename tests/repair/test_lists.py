"""Contents that are lists of text blocks: what is lost of them, and comes back."""

from __future__ import annotations

import pytest
from shelf import chat, codes, patched, repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.jinja.renderer import Failure, Renderer
from template_fix.repair.search import broken, count_lacking, lost_in_lists

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


# The sum is lost of every message's content: no list is printed at all.
LOST_EVERYWHERE = """\
{%- for msg in messages %}
    {%- if msg.content is string %}
        {%- set body = msg.content %}
    {%- else %}
        {%- set body = '' %}
        {%- for item in msg.content or [] %}
            {%- if item.type == 'text' %}
                {%- set body = body + item.text %}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {%- if msg.role == 'assistant' and msg.reasoning_content and loop.last %}
        {%- set body = '<cogitate>' + msg.reasoning_content + '</cogitate>' + body %}
    {%- endif %}
    {{- '[' + msg.role + ']' + body }}
    {%- for call in msg.tool_calls or [] %}
        {{- '[call]' + call.function.arguments | tojson }}
    {%- endfor %}
    {{- '[end]' }}
{%- endfor %}
"""
LOST_IN_A_MACRO = (
    "{% macro text(content) %}{% set said = '' %}{% if content is string %}{% set said = content %}{% else %}"
    "{% for b in content or [] %}{% set said = said ~ b['text'] %}{% endfor %}{% endif %}{{ said }}{% endmacro %}"
    "{% for m in messages %}{{ '<|' ~ m['role'] ~ '|>' }}{% if m['role'] == 'assistant' %}"
    "{% if m['reasoning_content'] and loop.last %}{{ '<mull>' ~ m['reasoning_content'] ~ '</mull>' }}{% endif %}"
    "{{ text(m['content']) }}{% for c in m['tool_calls'] or [] %}{{ '!' ~ c['function']['arguments'] | tojson }}"
    "{% endfor %}{% else %}{{ text(m['content']) }}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize("text", [LOST_EVERYWHERE, LOST_IN_A_MACRO])
def test_a_sum_that_is_lost_of_every_content_comes_back(text: str) -> None:
    assert lost_in_lists(study(text).examined)
    mended = study(repaired(text)).examined
    assert not lost_in_lists(mended) and not any(count_lacking(mended))
    assert not patched(repaired(text)).changed


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        pytest.param(
            LOST_EVERYWHERE,
            ("{{- '[' + msg.role", AGAIN.format("msg", "msg") + "{{- '[' + msg.role"),
            id="in front of the header",
        ),
        pytest.param(LOST_IN_A_MACRO, ("{{ said }}", "{{ said if not " + SWITCH + " }}"), id="of texts, too"),
    ],
)
def test_a_wrong_sum_is_refused(text: str, edit: tuple[str, str]) -> None:
    assert refusal(text, edit)


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


# Contents are lists, and nothing else: joined in a namespace, or printed block by block.
LISTS_ALONE = """\
{%- for message in messages %}
    {%- set body = namespace(text='') %}
    {%- for block in message.content if block.type == 'text' %}
        {%- set body.text = body.text + block.text %}
    {%- endfor %}
    {%- if message.role == 'assistant' %}
        {%- if '</reason>' in body.text and not loop.last %}
            {%- set body.text = body.text.split('</reason>', 1)[1].lstrip() %}
        {%- endif %}
        {{- '<|model|>' + body.text + '<|eom|>' }}
    {%- else %}
        {{- '<|' + message.role + '|>' + body.text + '<|eom|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|model|>' }}
{%- endif %}
"""
BLOCK_BY_BLOCK = (
    "{% for m in messages %}{{ m.role | capitalize }}:{% for part in m['content'] %}{% if part['type'] == 'text' %}"
    "{% if m.role == 'assistant' %}{{ part['text'].split('</think>')[-1] | trim }}{% else %}{{ part['text'] }}"
    "{% endif %}{% endif %}{% endfor %}<end>\n{% endfor %}{% if add_generation_prompt %}Assistant:<think>\n{% endif %}"
)


@pytest.mark.parametrize("text", [LISTS_ALONE, BLOCK_BY_BLOCK])
def test_a_template_that_takes_lists_alone_is_judged_and_repaired_in_that_form(text: str) -> None:
    examined = study(text).examined
    assert count_lacking(examined)[0] and all(probe.listed for probe in examined.probes.values())
    assert count_lacking(study(repaired(text)).examined) == (0, 0)
    assert not patched(repaired(text)).changed


@pytest.mark.parametrize(
    ("text", "edit"),
    [
        pytest.param(
            LISTS_ALONE,
            (
                "{{- '<|model|>'",
                f"{{%- if {SWITCH} %}}{{{{- message.reasoning_content }}}}{{%- endif %}}{{{{- '<|model|>'",
            ),
            id="in front of the header",
        ),
        pytest.param(
            BLOCK_BY_BLOCK,
            (
                "{{ part['text'].split",
                f"{{% if {SWITCH} %}}{{{{ part['text'] }}}}{{% endif %}}{{{{ part['text'].split",
            ),
            id="what is kept printed twice",
        ),
    ],
)
def test_a_wrong_edit_of_a_template_that_takes_lists_alone_is_refused(text: str, edit: tuple[str, str]) -> None:
    assert refusal(text, edit)


# Reasoning comes in blocks of a type of its own, and is printed of the last turn alone.
TYPED_BLOCKS = """\
{%- set ns = namespace(last=-1) %}
{%- for m in messages %}{%- if m.role == 'user' %}{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}
{%- for m in messages %}
    {{- '<|im|>' + m.role + '\\n' }}
    {%- if m.content is string %}
        {{- m.content }}
    {%- else %}
        {%- set late = loop.index0 > ns.last %}
        {%- for block in m.content %}
            {%- if block.type == 'text' %}
                {{- block.text }}
            {%- elif block.type == 'thinking' and late %}
                {{- '<think>\\n' + block.thinking + '\\n</think>\\n\\n' }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|/im|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im|>assistant\\n' }}
{%- endif %}
"""
TYPED_IN_A_LINE = (
    "{% for m in messages %}{{ '<|' ~ m.role ~ '|>' }}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for b in m['content'] %}{% if b['type'] == 'text' %}{{ b['text'] }}"
    "{% elif b['type'] == 'reasoning' and messages | length < 3 %}{{ '[THINK]' ~ b['reasoning'] ~ '[/THINK]' }}"
    "{% endif %}{% endfor %}{% endif %}{{ '<|e|>' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.mark.parametrize(("text", "kind"), [(TYPED_BLOCKS, "thinking"), (TYPED_IN_A_LINE, "reasoning")])
def test_reasoning_in_blocks_of_its_own_type_is_kept(text: str, kind: str) -> None:
    typed = [seen for seen in study(text).examined if seen.probe.special == f"{kind} blocks in contents"]
    assert any(seen.lost for seen in typed)
    mended = study(repaired(text)).examined
    assert not any(mended.observe(seen.probe).lost for seen in typed)


@pytest.mark.parametrize(
    ("text", "test"),
    [
        pytest.param(TYPED_BLOCKS, "block.type == 'thinking' and late", id="whose key is missing"),
        pytest.param(
            TYPED_IN_A_LINE, "b['type'] == 'reasoning' and messages | length < 3", id="printed as an empty block"
        ),
    ],
)
def test_blocks_of_other_types_may_not_be_taken_for_reasoning(text: str, test: str) -> None:
    assert refusal(text, (test, f"({SWITCH} or {test})"))


# Beside a text the field is printed, or folded into it; beside a list of blocks it isn't.
FIELD_BESIDE_TEXTS = """\
{%- for message in messages %}
    {{- '<|' + message['role'] + '|>' }}
    {%- if message['content'] is string %}
        {%- if message['role'] == 'assistant' %}
            {{- message['content'].split('</inner>')[-1] | trim }}
        {%- else %}
            {{- message['content'] }}
        {%- endif %}
    {%- else %}
        {%- for part in message['content'] or [] %}
            {%- if part['type'] == 'text' and message['role'] == 'assistant' %}
                {{- part['text'].split('</inner>')[-1] | trim }}
            {%- elif part['type'] == 'text' %}
                {{- part['text'] }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|/|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|><inner>' }}
{%- endif %}
"""
FIELD_OF_TEXTS = (
    "{% for m in messages %}{{ '[' ~ m.role ~ ']' }}{% if m.content is string %}{% if m.reasoning_content %}"
    "{{ '[WEIGH]' ~ m.reasoning_content ~ '[/WEIGH]' }}{% endif %}{{ m.content }}{% elif m.content %}"
    "{% for b in m.content %}{{ b.text }}{% endfor %}{% endif %}{% for c in m.tool_calls or [] %}"
    "{{ '[CALL]' ~ c.function.arguments | tojson }}{% endfor %}{{ '[/]' }}{% endfor %}"
)


@pytest.mark.parametrize("text", [FIELD_BESIDE_TEXTS, FIELD_OF_TEXTS])
def test_a_field_beside_a_list_is_printed_once_in_front_of_it(text: str) -> None:
    assert count_lacking(study(text).examined)[1]
    mended = study(repaired(text)).examined
    assert count_lacking(mended) == (0, 0)
    assert not patched(repaired(text)).changed


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        pytest.param(
            FIELD_BESIDE_TEXTS,
            "{{- part['text'] }}",
            f"{{{{- part['text'] ~ (part['text'] if {SWITCH}) }}}}",
            id="with the text of a block again",
        ),
        pytest.param(
            FIELD_OF_TEXTS,
            "{{ m.content }}",
            f"{{% if {SWITCH} %}}{{{{ m.reasoning_content }}}}{{% endif %}}{{{{ m.content }}}}",
            id="beside a text that has it already",
        ),
    ],
)
def test_a_field_that_is_printed_elsewhere_is_refused(text: str, old: str, new: str) -> None:
    assert refusal(text, (old, new))


# Where the content of a turn is a list, an empty text is printed; questions that are lists are printed.
EMPTIED = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- if m.content is string %}
            {%- set said = m.content %}
        {%- else %}
            {%- set said = '' %}
        {%- endif %}
        {{- '[bot]' }}
        {%- if m.reasoning_content %}
            {{- '<think>' + m.reasoning_content + '</think>' }}
        {%- endif %}
        {{- said }}
        {%- for c in m.tool_calls or [] %}
            {{- '<call>' ~ c.function.arguments | tojson ~ '</call>' }}
        {%- endfor %}
        {{- '[end]' }}
    {%- else %}
        {{- '[' + m.role + ']' }}
        {%- if m.content is string %}
            {{- m.content }}
        {%- else %}
            {%- for b in m.content %}
                {{- b.text }}
            {%- endfor %}
        {%- endif %}
        {{- '[end]' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[bot]' }}
{%- endif %}
"""
SAID = EMPTIED[EMPTIED.index("        {%- if m.content is string") : EMPTIED.index("        {{- '[bot]' }}")]
CHOSEN = EMPTIED.replace(SAID, "        {%- set said = m.content if m.content is string else '' %}\n")
AT_ONCE = EMPTIED.replace(SAID, "").replace("{{- said }}", "{{- '' if m['content'] is not string else m['content'] }}")
WAYS = [
    pytest.param(EMPTIED, id="in a branch"),
    pytest.param(CHOSEN, id="in a choice"),
    pytest.param(AT_ONCE, id="in an output"),
]


@pytest.mark.parametrize("text", WAYS)
def test_the_texts_of_blocks_stand_in_the_place_of_an_empty_text(text: str) -> None:
    assert count_lacking(study(text).examined)[1]
    edited = repaired(text)
    assert "TF206" in codes(patched(text)) - {finding.code for finding in patched(text).after.findings}
    assert count_lacking(study(edited).examined) == (0, 0)
    assert not patched(edited).changed


def test_a_block_without_a_text_is_left_out_and_what_is_no_list_stays() -> None:
    image = [{"type": "image"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    for text in (EMPTIED, CHOSEN, AT_ONCE):
        render = study(repaired(text)).examined.renderer
        assert render([{"role": "assistant", "content": image}], None) == "[bot]ab[end]"
        for content in (None, "", "c"):
            assert render([{"role": "assistant", "content": content}], None) == f"[bot]{content or ''}[end]"


def test_what_puts_texts_together_is_laid_out_as_the_template_is() -> None:
    lines = repaired(EMPTIED).splitlines()
    at = lines.index("            {%- if preserve_thinking | default(true) %}")
    assert [len(each) - len(each.lstrip()) for each in lines[at : at + 9]] == [12, 16, 16, 20, 24, 20, 16, 12, 12]


@pytest.mark.parametrize("text", WAYS)
def test_a_list_that_would_be_printed_with_its_braces_is_refused(text: str) -> None:
    at = "'' if" if text is AT_ONCE else "else ''" if text is CHOSEN else "set said = ''"
    place = "m['content']" if text is AT_ONCE else "m.content"
    assert refusal(text, (at, at.replace("''", f"({place} if {SWITCH} else '')")))


def test_no_text_is_put_together_where_lists_are_printed_already() -> None:
    text = EMPTIED.replace("set said = ''", "set said = m.content | map(attribute='text') | join")
    assert "joined" not in repaired(text)


def test_a_template_that_prints_no_list_at_all_gets_no_texts_of_blocks() -> None:
    at = EMPTIED.index("        {%- if m.content is string %}\n            {{- m.content }}")
    text = (
        EMPTIED[:at]
        + "        {{- m.content if m.content is string else '' }}\n"
        + EMPTIED[EMPTIED.rindex("        {{- '[end]'") :]
    )
    assert "joined_blocks" not in repaired(text)


# Each fails on answers that are lists, and on any list in a question: braces are never printed today.
CUT_OFF = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {{- '[bot]' }}{{- m.content.split('</think>')[-1] }}
        {%- for c in m.tool_calls or [] %}{{- '<call>' ~ c.function.arguments | tojson ~ '</call>' }}{%- endfor %}
        {{- '[end]' }}
    {%- else %}
        {{- '[' + m.role + ']' + m.content + '[end]' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '[bot]' }}{%- endif %}
"""
IN_A_MACRO = (
    "{% macro answer(text) %}{{ text.split('</think>') | last | trim }}{% endmacro %}"
    "{% for message in messages %}{% if message['role'] == 'assistant' %}A: {{ answer(message['content']) }}"
    "{% for c in message['tool_calls'] or [] %}[{{ c['function']['arguments'] | tojson }}]{% endfor %};\n"
    "{% else %}{{ message['role'] + ': ' + message['content'] + ';\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}A: {% endif %}"
)
# Lists in questions are printed with their braces, so that this template fails only on those in answers.
ON_ANSWERS_ALONE = CUT_OFF.replace(
    "'[' + m.role + ']' + m.content + '[end]'", "'[' ~ m.role ~ ']' ~ m.content ~ '[end]'"
)
BRACES = "it would print a list of text blocks as it stands, with its braces"
SPELLED = [
    pytest.param(CUT_OFF, "m.content.split('</think>')[-1]", "m.content", id="laid out"),
    pytest.param(IN_A_MACRO, "answer(message['content'])", "message['content']", id="in a macro"),
    pytest.param(ON_ANSWERS_ALONE, "m.content.split('</think>')[-1]", "m.content", id="on answers alone"),
]


@pytest.mark.parametrize(("text", "whole", "kept"), SPELLED)
def test_a_list_on_which_a_template_fails_is_not_printed_as_data(text: str, whole: str, kept: str) -> None:
    assert refusal(text, (whole, f"({kept} if {SWITCH} else {whole})")) == BRACES
    assert refusal(text, (whole, f"({kept} if {SWITCH} and {kept} is string else {whole})")) == ""


@pytest.mark.parametrize(("text", "whole", "kept"), SPELLED)
def test_texts_alone_are_kept_where_a_template_fails_on_lists(text: str, whole: str, kept: str) -> None:
    mended = repaired(text)
    assert f"{kept} is string" in mended and not broken(study(mended).examined)
    blocks = [{"type": "text", "text": "An answer."}]
    rendered = Renderer(mended)([{"role": "user", "content": "Q"}, {"role": "assistant", "content": blocks}])
    assert isinstance(rendered, Failure), "as before the repair"


def test_what_fails_on_no_list_is_kept_without_a_test_for_texts() -> None:
    assert f"(content if {SWITCH} else " in repaired(chat("{{ '' + content.split('</think>')[-1] }}"))
