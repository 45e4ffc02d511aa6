"""Templates that cut the last turn off the messages, and print it as if the model went on writing behind its prompt."""

from __future__ import annotations

import pytest
from shelf import patched, repaired, study
from test_wrong_edits import SWITCH, refusal

from template_fix.repair.search import broken

# What a question says decides whether the block of the prompt is closed.
IN_MODES = """\
{%- set mode = namespace(quiet=false) %}
{%- for m in messages if m.role == 'user' %}
    {%- set mode.quiet = '/quiet' in m.content %}
{%- endfor %}
{%- if messages[-1].role == 'assistant' %}
    {%- set mode.last = messages[-1].content %}
    {%- set messages = messages[:-1] %}
{%- endif %}
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {{- '[bot]\\n' + m.content.split('</think>')[-1].strip() }}
        {%- for c in m.tool_calls or [] %}
            {{- '<call>' ~ c.function.arguments | tojson ~ '</call>' }}
        {%- endfor %}
        {{- '[end]\\n' }}
    {%- else %}
        {{- '[' + m.role + ']\\n' + m.content + '[end]\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt or mode.last %}
    {{- '[bot]\\n' }}
    {%- if mode.quiet %}
        {{- '<think></think>' }}
    {%- else %}
        {{- '<think>\\n' }}
    {%- endif %}
    {{- mode.last or '' }}
    {%- if not add_generation_prompt %}
        {{- '[end]\\n' }}
    {%- endif %}
{%- endif %}
"""
AS_TEXT = (
    "{% set told = messages %}{% set begun = none %}"
    "{% if messages and messages[-1]['role'] == 'assistant' %}{% set told = messages[:-1] %}"
    "{% set begun = messages[-1] %}{% endif %}"
    "{% for m in told %}{% if m['role'] == 'assistant' %}<b>{{ m['content'] }}</b>\n"
    "{% else %}<{{ m['role'] }}>{{ m['content'] }}</{{ m['role'] }}>\n{% endif %}{% endfor %}"
    "{% if begun %}<b><think>\n{{ begun['content'] }}</b>\n{% elif add_generation_prompt %}<b><think>\n{% endif %}"
)


@pytest.mark.parametrize("text", [pytest.param(IN_MODES, id="in modes"), pytest.param(AS_TEXT, id="in text")])
def test_a_turn_that_is_cut_off_is_printed_like_the_others(text: str) -> None:
    assert broken(study(text).examined)
    edited = repaired(text)
    assert not broken(study(edited).examined)
    assert not patched(edited).changed


def test_a_turn_behind_an_empty_block_is_printed_as_before() -> None:
    told = [{"role": "user", "content": "Hello? /quiet"}, {"role": "assistant", "content": "Yes."}]
    before, after = (study(text).examined.renderer for text in (IN_MODES, repaired(IN_MODES)))
    assert before(told, None) == after(told, None) == "[user]\nHello? /quiet[end]\n[bot]\n<think></think>Yes.[end]\n"
    assert before(told[:1], None, True) == after(told[:1], None, True)


@pytest.mark.parametrize(
    ("text", "edits", "reason"),
    [
        pytest.param(
            IN_MODES,
            [("messages[-1].role == 'assistant'", f"messages[-1].role == 'assistant' and not {SWITCH}")],
            "it would ",
            id="reasoning is cut off where the turn stands now",
        ),
        pytest.param(
            AS_TEXT,
            [
                ("messages and messages[-1]['role'] == 'assistant'", f"messages and not {SWITCH}"),
            ],
            "it would change a conversation that is printed well",
            id="an opening tag that has been in the prompt is lost",
        ),
    ],
)
def test_a_wrong_edit_is_refused(text: str, edits: list[tuple[str, str]], reason: str) -> None:
    assert refusal(text, *edits).startswith(reason)
