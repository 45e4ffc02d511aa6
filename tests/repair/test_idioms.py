"""Idioms that lose reasoning, each in a template of its own, and what the repair makes of it.

The templates are spelled as nobody spells them, so that no known patch is what helps; the repaired ones are studied
anew, and print every conversation well.
"""

from __future__ import annotations

import pytest
from shelf import chat, patched, repaired, study
from test_wrong_edits import refusal

from template_fix.repair.search import broken

SWITCH = "(preserve_thinking | default(true))"
SPLIT = "{% set content = content.split('</think>', 1)[1] if '</think>' in content else content %}"
PROMPT = "{% if add_generation_prompt %}A:{% endif %}"

# A turn in messages of their own, as some families have it: reasoning, answer and calls each begin with the header.
CHANNELS = (
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{% if m.reasoning_content %}<|bot|><|why|>{{ m.reasoning_content }}<|end|>{% endif %}"
    "{% if m.content %}<|bot|><|say|>{{ m.get('content') }}<|end|>{% endif %}"
    "{% for call in m.tool_calls or [] %}<|bot|><|do|>{{ call.function.arguments | tojson }}<|end|>{% endfor %}"
    "{% else %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|bot|>{% endif %}"
)
# Calls of a second turn are printed as if they belonged to the first, without the turn's text.
NEVER_RESET = (
    "{% set ns = namespace(called=false) %}{% for m in messages %}{% if m.role == 'assistant' and m.tool_calls %}"
    "{% for call in m.tool_calls %}{% if not ns.called %}A:{{ m.content or '' }}"
    "[{{ call.function.arguments | tojson }}]{% set ns.called = true %}"
    "{% else %},[{{ call.function.arguments | tojson }}]{% endif %}{% endfor %};\n"
    "{% elif m.role == 'assistant' %}A:{{ m.content.split('</think>') | last }};\n"
    "{% else %}{{ m.role }}: {{ m.content }};\n{% endif %}{% endfor %}" + PROMPT
)
# Everything but questions goes through one branch, in which the last message keeps its reasoning.
SHARED_BRANCH = (
    "{% for m in messages %}{% if m.role == 'user' %}user: {{ m.content }};\n{% else %}"
    "{% if loop.revindex == 1 %}A:{{ m.content }};\n"
    "{% else %}A:<think></think>{{ (m.content or '').split('</think>') | last }};\n{% endif %}{% endif %}{% endfor %}"
    + PROMPT
)
# A turn in pieces, each with a header: text is printed only where no tools are called, reasoning in a field alone.
PIECES = (
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{% if m.reasoning_content %}<|bot|><|why|>{{ m.reasoning_content }}<|end|>{% endif %}"
    "{% if m.tool_calls %}{% for call in m.tool_calls %}<|bot|><|do|>{{ call.function.arguments | tojson }}<|end|>"
    "{% endfor %}{% else %}<|bot|><|say|>{{ m.content }}<|end|>{% endif %}"
    "{% else %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|bot|>{% endif %}"
)
# What one channel ends with is what the next begins with.
SWITCHED = (
    "{% macro turn(message) %}{% if message.get('thinking') %}<|muse|>{{ message.get('thinking') }}{% endif %}"
    "{% if message.get('content') %}<|say|>{{ message.get('content') }}{% endif %}"
    "{% for call in message.get('tool_calls') or [] %}<|do|>{{ call.function.arguments | tojson }}{% endfor %}<|stop|>"
    "{% endmacro %}{% for m in messages %}{% if m.role == 'assistant' %}{{ turn(m) }}"
    "{% else %}<|{{ m.role }}|>{{ m.content }}<|stop|>{% endif %}{% endfor %}"
)
# The switch is bound to something else, whose absence may not come to mean anything else: it has a second use.
BOUND = (
    "{%- set preserve_thinking = preserve_thinking | default(false) -%}{%- for m in messages -%}"
    "{%- if m.role == 'assistant' -%}A:<think>{{ m.reasoning_content }}</think>{{ m.content }}"
    "{% for call in m.tool_calls or [] %}[{{ call.function.arguments | tojson }}]{% endfor %};\n"
    "{% else %}{{ m.role }}{{ '!' if preserve_thinking else '' }}: {{ m.content }};\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}A:<think>{% endif %}"
)
# Reasoning is printed only where the caller asks for it, by a word.
ASKED = "{% if effort is not defined %}{% set effort = 'low' %}{% endif %}" + chat(
    "{% if m.reasoning_content and effort == 'high' %}<cot>{{ m.reasoning_content }}</cot>{% endif %}{{ content }}"
)
IDIOMS = [
    pytest.param(ASKED, f"({SWITCH} or effort == 'high')", id="reasoning that a caller asks for by a word"),
    pytest.param(
        BOUND,
        "{%- set keep_reasoning = preserve_thinking | default(true) %}\n",
        id="a switch that the template binds to something else",
    ),
    pytest.param(PIECES, f"{SWITCH} and m.content %}}<|bot|><|say|>{{{{ m.content", id="text beside calls in pieces"),
    pytest.param(SWITCHED, "{'thinking': (message.get(", id="channels that end where the next begins, in a macro"),
    pytest.param(
        "{% for m in messages %}<|{{ m.role }}|>\r\n<think>\r\n</think>{{ m.content }}<|stop|>{% endfor %}",
        "else '<think>\\n</think>' }}",
        id="an empty block in the template's own text, in lines of another system",
    ),
    pytest.param(
        "{% for m in messages %}<|{{ m.role }}|>\n<think>\n</think>{{ m.content }}<|stop|>{% endfor %}",
        f"'' if {SWITCH} and '<think>' in (m.content or '') else '<think>\\n</think>' }}}}",
        id="an empty block in the template's own text, whoever speaks",
    ),
    pytest.param(
        chat("{{ content }}", "").replace(
            "{% if add", "{% if enable_thinking is false %}<think></think>{% endif %}{% if add"
        ),
        f"enable_thinking is false and (not {SWITCH} or add_generation_prompt)",
        id="a generation prompt that nobody asked for",
    ),
    pytest.param(
        chat(
            "{% if loop.revindex0 == 0 and not m.content.startswith('<think>') %}<think>\n\n</think>\n\n{% endif %}"
            "{{ m.content }}"
        ),
        f"{SWITCH} and m.content is string or loop.revindex0 == 0",
        id="an empty block in the last turn, by a test that fails for missing content",
    ),
    pytest.param(CHANNELS, "{'role': m.role, ", id="reasoning inside of content, in the message of the answer"),
    pytest.param(NEVER_RESET, "and loop.first", id="a second turn with calls that loses its text"),
    pytest.param(
        SHARED_BRANCH, "m.role == 'assistant'", id="a last message that is printed differently, whoever wrote it"
    ),
]


@pytest.mark.parametrize(("text", "edit"), IDIOMS)
def test_an_idiom_is_repaired_whole(text: str, edit: str) -> None:
    assert broken(study(text).examined)
    mended = repaired(text)
    assert edit in mended and edit not in text
    assert not broken(study(mended).examined)


@pytest.mark.parametrize(("text", "edit"), IDIOMS)
def test_a_repaired_idiom_needs_no_repair(text: str, edit: str) -> None:
    again = patched(repaired(text))
    assert not again.kept and not again.changed


def test_reasoning_comes_back_behind_the_header_of_its_turn_even_where_there_is_no_prompt() -> None:
    """The generation prompt is printed always, so that asking for it adds nothing that a header could be known by."""
    text = chat(SPLIT + "{{ content }}").replace(PROMPT, "A:")
    mended = repaired(text)
    assert mended != text
    printed = study(mended).examined
    for seen in printed:
        assert seen.text is None or ("<think>\nA:" not in seen.text and "</think>\n\nA:" not in seen.text)


def test_what_a_conversation_prints_before_it_goes_on_may_not_be_lost() -> None:
    """Making turns alike by dropping reasoning wherever a question follows would be stable, and lose it."""
    text = chat(
        "{% if m.reasoning_content and (loop.last or loop.index0 == messages | length - 2) %}"
        "<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ content }}"
    )
    before = study(text).examined
    after = study(repaired(text)).examined
    for seen in before:
        if seen.text is not None:
            assert {part.text for part in after.observe(seen.probe).lost} <= {part.text for part in seen.lost}


# History is recognised by a text that the template looks for in contents: by a tag of another kind, or by words.
ANSWER_TAG = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- set said = m.content %}
        {%- if not loop.last and '<answer>' in said %}
            {%- set said = said.split('<answer>')[1].split('</answer>')[0] %}
        {%- endif %}
        {{- '<|assistant|>' + said + '<|end|>' }}
    {%- else %}
        {{- '<|' + m.role + '|>' + m.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|><think>' }}
{%- endif %}
"""
FINAL_WORDS = (
    "{% for m in messages %}{{ '<turn ' ~ m.role ~ '>' }}"
    "{% if m.role == 'assistant' and 'FINAL ANSWER:' in m.content and loop.index < messages | length %}"
    "{{ m.content.split('FINAL ANSWER:') | last | trim }}{% elif m.role == 'assistant' %}"
    "{% if m.reasoning %}{{ '<think>' ~ m.reasoning ~ '</think>\n' }}{% endif %}{{ m.content }}"
    "{% else %}{{ m.content }}{% endif %}{{ '</turn>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn assistant>' }}{% endif %}"
)


@pytest.mark.parametrize(("text", "asked"), [(ANSWER_TAG, "<answer>"), (FINAL_WORDS, "FINAL ANSWER:")])
def test_a_text_that_a_template_looks_for_in_contents_is_tried_there(text: str, asked: str) -> None:
    special = [seen for seen in study(text).examined if seen.probe.special == f"{asked} in contents"]
    assert any(part.kind == "reasoning" for seen in special for part in seen.lost)
    mended = study(repaired(text)).examined
    assert not any(mended.observe(seen.probe).lost for seen in special)
    assert not broken(mended)


def test_an_answer_that_is_still_cut_behind_its_tag_is_not_repaired() -> None:
    half = ANSWER_TAG.replace("said.split('<answer>')[1]", f"(said if {SWITCH} else said.split('<answer>')[1])")
    assert half != ANSWER_TAG and broken(study(half).examined)


def test_a_cut_at_words_that_is_another_with_the_switch_off_is_refused() -> None:
    cut = "m.content.split('FINAL ANSWER:') | last | trim"
    assert "preserve_thinking=false" in refusal(FINAL_WORDS, (cut, f"(m.content if {SWITCH} else m.content[2:])"))


CHOSEN = """\
{%- for m in messages %}
    {%- set said = m.content if m.content is string else '' %}
    {%- if m.role == 'assistant' %}
        {{- 'A:' + said + ';\\n' }}
    {%- else %}
        {{- m.role + ': ' + said + ';\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- 'A:' }}
    {%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CHOSEN, id="an attribute"),
        pytest.param(CHOSEN.replace("m.content", "m['content']"), id="a key"),
    ],
)
def test_what_a_choice_of_the_template_asks_is_not_asked_again(text: str) -> None:
    assert repaired(text).count("is string") == 1


def test_it_is_asked_where_the_choice_asks_something_else() -> None:
    text = CHOSEN.replace("m.content is string else", "m.content is defined and m.content is string else")
    assert repaired(text).count("is string") == 2


# Both branches cut what isn't last; a call without content is only printed where nothing is cut.
TWICE = """\
{%- for m in messages %}
    {%- if m.role == 'assistant' and not m.tool_calls %}
        {%- set said = m.content %}
        {%- if not loop.last %}
            {%- set said = m.content.split('<sure>')[-1].lstrip() %}
            {%- if '</think>' in said %}{%- set said = said.split('</think>')[-1].lstrip() %}{%- endif %}
        {%- endif %}
        {{- 'A:' + said + ';\\n' }}
    {%- elif m.role == 'assistant' %}
        {%- set said = m.content %}
        {%- if not loop.last %}
            {%- set said = m.content.split('<sure>')[-1].lstrip() %}
            {%- set said = said.split('</think>')[-1].lstrip() %}
        {%- endif %}
        {{- 'A:' }}{%- if said %}{{- said }}{%- endif %}
        {%- for call in m.tool_calls %}{{- '[' ~ call.function.arguments | tojson ~ ']' }}{%- endfor %}
        {{- ';\\n' }}
    {%- else %}
        {{- m.role + ': ' + m.content + ';\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'A:' }}{%- endif %}
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TWICE, id="attributes"),
        pytest.param(TWICE.replace("m.content", "m['content']").replace("not loop.last", "not (loop.last)"), id="keys"),
    ],
)
def test_branches_that_cut_alike_are_repaired_alike(text: str) -> None:
    after = repaired(text)
    assert after.count("or loop.last)") == 2 and "said if" not in after
