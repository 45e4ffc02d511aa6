"""Generation markers: every conversation is printed as before, and the mask is what the model has to write."""

from __future__ import annotations

import json

import pytest
from oracle import faults
from shelf import NAMES, source

from template_fix.jinja.renderer import Renderer
from template_fix.markers.mark_template import Marked, find_wrong_masks, mark_template, mask_of
from template_fix.markers.places import Unmarkable
from template_fix.markers.proof import same_but_for_markers
from template_fix.markers.remove_markers import remove_markers
from template_fix.markers.wanted_mask import Mask
from template_fix.repair.study import Setting, Study

LOOP = "{% for m in messages %}"
END = "{% endfor %}{% if add_generation_prompt %}{{ '<|a|>\\n' }}{% endif %}"
OTHERS = "{% if m.role != 'assistant' %}{{ '<|' + m.role + '|>' + m.content + '<|e|>\\n' }}{% endif %}"
FIRST = "{% if loop.first %}{% set x = bos_token + x %}{% endif %}"
SETTING = Setting((("bos_token", "<s>"), ("eos_token", "</s>")))


def turns(text: str) -> str:
    return LOOP + OTHERS + "{% if m.role == 'assistant' %}" + text + "{% endif %}" + END


def marked(template: str) -> Marked:
    return mark_template(Study(template, SETTING))


def assert_right(before: str, after: str, stops: tuple[str, ...] = ("<|e|>",)) -> None:
    """The marked template prints the same, and marks what the model writes, as the conversations' own texts tell."""
    study = Study(before, SETTING)
    bare, renderer = (Renderer(each, study.variables) for each in (before, after))
    wrong = {
        fault for probe in mask_of(study).examined.probes.values() for fault in faults(bare, renderer, probe, stops)
    }
    assert not wrong
    assert same_but_for_markers(before, after)


@pytest.mark.parametrize(
    ("template", "changed"),
    [
        pytest.param(
            turns("{{ '<|a|>\\n' }}{{ m.content }}<|e|>{{ '\\n' }}"),
            "{{ '<|a|>\\n' }}{% generation %}{{ m.content }}<|e|>{% endgeneration %}{{ '\\n' }}",
            id="outputs that print a turn and nothing else are wrapped",
        ),
        pytest.param(
            turns("{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}"),
            "{{ '<|a|>\\n' }}{% generation %}{{ m.content + '<|e|>' }}{% endgeneration %}{{ '\\n' }}",
            id="a sum is cut between its operands and inside of a literal",
        ),
        pytest.param(
            turns("{{ '<|a|>\\n' ~ m.content ~ '<|e|>' }}"),
            "{{ '<|a|>\\n' }}{% generation %}{{ m.content ~ '<|e|>' }}{% endgeneration %}",
            id="a chain is cut as well",
        ),
        pytest.param(
            turns("{{ '<|a|>\\n' + m.content }}<|e|>"),
            "{{ '<|a|>\\n' }}{% generation %}{{ '' + m.content }}<|e|>{% endgeneration %}",
            id="an operand that stands alone still has to be a text",
        ),
        pytest.param(
            turns("\n    {{- '<|a|>\\n' + m.content + '<|e|>\\n' }}\n    {%- if m.x %}{% endif %}\n"),
            "\n    {{- '<|a|>\\n' }}\n    {%- generation %}\n    {{- m.content + '<|e|>' }}\n    {%- endgeneration %}\n"
            "    {{- '\\n' }}",
            id="tags stand on lines of their own where the outputs do",
        ),
        pytest.param(
            turns("{{ '<|a|>\\n' }}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}{{ m.content }}<|e|>"),
            "{% generation %}{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}{{ m.content }}<|e|>"
            "{% endgeneration %}",
            id="a block that prints a part of a turn is inside",
        ),
        pytest.param(
            turns("{{ '<|a|>\\n' }}{{ m.note or '' }}{{ m.content }}<|e|>"),
            "{% generation %}{{ m.note or '' }}{{ m.content }}<|e|>{% endgeneration %}",
            id="a field in front of the answer is the turn's",
        ),
        pytest.param(
            "{% macro show(m) %}{{ m.content }}{% endmacro %}" + turns("{{ '<|a|>\\n' }}{{ show(m) }}<|e|>"),
            "{% generation %}{{ show(m) }}<|e|>{% endgeneration %}",
            id="a macro that prints what the model writes is marked round the call",
        ),
    ],
)
def test_tags_stand_round_the_outputs_of_a_turn(template: str, changed: str) -> None:
    made = marked(template)
    assert changed in made.source
    assert not made.captured
    assert_right(template, made.source)


@pytest.mark.parametrize(
    ("template", "changed"),
    [
        pytest.param(
            turns("{% set x = '<|a|>\\n' + m.content + '<|e|>' %}" + FIRST + "{{ x }}"),
            ("{% set turn_text %}{{ x }}{% endset %}", "set turn_header = turn_text.split('<|a|>\\n')[0] + '<|a|>\\n'"),
            id="a turn that is put together in a variable",
        ),
        pytest.param(
            turns("{{ '<|a|>' + m.content + '<|e|>' }}").replace("<|a|>\\n", "<|a|><think>\\n"),
            ("turn_header + ('<think>\\n' if turn_text[turn_header | length:].startswith('<think>\\n') else '')",),
            id="content that begins with what is prompted with",
        ),
        pytest.param(
            LOOP + "{{ '<|' + m.role + '|>\\n' + m.content + '<|e|>\\n' }}" + END.replace("<|a|>", "<|assistant|>"),
            (
                "set turn_header = turn_text.split('<|assistant|>\\n')[0] + '<|assistant|>\\n'",
                "set turn_rest = turn_text[turn_start:].split('<|e|>')[-1]",
                "if m.role == 'assistant' and turn_start < turn_end",
            ),
            id="an output that prints all roles",
        ),
        pytest.param(
            turns(
                "{% if m.reasoning_content %}{{ '<|a|>\\n<think>' + m.reasoning_content + '</think>' + m.content }}"
                "{% else %}{{ '<|a|>\\n' + m.content }}{% endif %}<|e|>"
            ),
            ("{% set turn_text %}{% if m.reasoning_content %}", "if turn_start < turn_end"),
            id="a header that all branches print",
        ),
        pytest.param(
            LOOP + "<|{{ m.role }}|>\n    {% if m.role == 'assistant' %}{{ m.content }}<|e|>{% else %}"
            "{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
            ("if m.role == 'assistant' and turn_start < turn_end",),
            id="white space that all roles share",
        ),
        pytest.param(
            LOOP + "{% if m.role == 'user' %}U:{{ m.content }}{% else %}A:{{ m.content }}{% endif %}"
            "{{ '\n' if not loop.last else '' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '\nA:' }}{% else %}{{ eos_token }}{% endif %}",
            ("if messages and messages[-1].role == 'assistant' and turn",),
            id="an end behind the loop is the last message's",
        ),
        pytest.param(
            turns(
                "{{ ('<|a|><r>\\n' ~ m.reasoning_content if m.reasoning_content else '<|a|>') + m.content + '<|e|>' }}"
            ).replace("<|a|>\\n", "<|a|><r>\\n"),
            ("turn_header + ('<r>\\n' if",),
            id="an expression that chooses between two beginnings",
        ),
        pytest.param(
            "{% macro show(m) %}{{ '<|a|>\\n' + m.content + '<|e|>' }}{% endmacro %}" + turns("{{ show(m) }}"),
            ("{% set turn_text %}{{ show(m) }}{% endset %}",),
            id="a macro that prints the header, too",
        ),
        pytest.param(
            turns(
                "{% set t = m.parts | map('trim') if m.parts else [m.content] %}{{ '<|a|>' }}{{ t | join }}<|e|>"
            ).replace("<|a|>\\n", "<|a|><think>\\n"),
            ("{% set turn_text %}{{ t | join }}<|e|>{% endset %}",),
            id="a text that can be read but once",
        ),
        pytest.param(
            LOOP + "{% if m.role == 'user' %}{{ 'U: ' + m.content + ' ' }}{% else %}{{ 'A: ' + m.content + '<|e|>' }}"
            "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'A: ' }}{% endif %}",
            ("if m.role == 'assistant' and turn_start < turn_end",),
            id="a branch that prints results as it prints turns, where no conversation with results has a mask",
        ),
        pytest.param(
            "{% for i in range(messages | length) %}{% set m = messages[i] %}"
            "{{ '<|' + m.role + '|>\\n' + m.content + '<|e|>\\n' }}" + END.replace("<|a|>", "<|assistant|>"),
            ("if m.role == 'assistant' and turn_start < turn_end",),
            id="a message that is read by its number",
        ),
        pytest.param(
            LOOP + "{% if m.role == 'system' %}{% continue %}{% endif %}"
            "{{ '<|' + m.role + '|>\\n' + m.content + '<|e|>\\n' }}" + END.replace("<|a|>", "<|assistant|>"),
            ("{% continue %}{% endif %}{% set turn_text %}",),
            id="what stands behind a continue",
        ),
        pytest.param(
            turns(
                "{{ '<|a|>\\n' }}{% if m.phase == 'plan' and m.x is sameas 7 %}{{ '<plan>' + m.content + '<|e|>\\n' }}"
                "{% else %}{{ m.content + '<|e|>\\n' }}{% endif %}"
            ),
            ("{% set turn_text %}{% if m.phase == 'plan'",),
            id="a branch of turns that nobody reaches, with the one beside it",
        ),
    ],
)
def test_what_no_output_prints_alone_is_captured(template: str, changed: tuple[str, ...]) -> None:
    made = marked(template)
    assert [each for each in changed if each not in made.source] == []
    assert made.captured
    assert_right(template, made.source)


@pytest.mark.parametrize("name", NAMES)
def test_the_templates_of_ours_are_marked(name: str) -> None:
    template = source(name)
    study = Study(template, SETTING)
    assert_right(template, mark_template(study).source, Mask(study.examined).stops)


@pytest.mark.parametrize(
    ("turn", "named"),
    [
        pytest.param(
            "{{ '<|a|>\\n' }}{% if m.x is sameas 7 %}{{ '<pre>' }}{% endif %}{{ m.content }}<|e|>",
            "{{ '<pre>' }}",
            id="between prompt and text",
        ),
        pytest.param(
            "{% if m.content is sameas 7 %}{{ 'never' }}{% else %}{{ '<|a|>\\n' + m.content + '<|e|>' }}{% endif %}",
            "{{ 'never' }}",
            id="in the place of a turn",
        ),
        pytest.param(
            "{{ '<|a|>\\n' + (m.content or '') }}{% for c in m.tool_calls or [] %}"
            "{{ c.function.arguments | tojson }}{% if c.mark is sameas 7 %}{{ '<r>' + c.mark }}{% endif %}"
            "{% endfor %}<|e|>",
            "{{ '<r>' + c.mark }}",
            id="in a call",
        ),
    ],
)
def test_what_nobody_reaches_inside_of_a_turn_is_marked_and_named(turn: str, named: str) -> None:
    made = marked(turns(turn))
    assert made.unreached == (named,)
    assert_right(turns(turn), made.source)


def test_a_template_that_takes_lists_of_text_blocks_alone_is_marked() -> None:
    template = (
        LOOP + "{{ '<|' + m.role + '|>\\n' }}{% for b in m.content or [] %}{{ b.text }}{% endfor %}"
        "{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{% endfor %}<|e|>"
        + END.replace("<|a|>", "<|assistant|>")
    )
    assert_right(template, marked(template).source)


def test_an_end_in_double_brackets_is_marked_whole() -> None:
    template = (
        "{% macro say(who, text) %}{{ '<<' ~ who ~ '>>' ~ text ~ '<<end>>' }}{% endmacro %}"
        + LOOP
        + "{% if m.role == 'assistant' %}{{ say('ai', m.content or '') }}{% for c in m.tool_calls or [] %}"
        "{{ say('call', c.function | tojson) }}{% endfor %}{% else %}{{ say(m.role, m.content) }}{% endif %}"
        "{{ '\\n' if not loop.last }}{% endfor %}{% if add_generation_prompt %}{{ '\\n<<ai>>' }}{% endif %}"
    )
    assert_right(template, marked(template).source, ("<<end>>",))


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(
            "{% macro turn(who, text, last) %}[{{ who }}]\n{{ text }}<|e|>{{ '' if last else '\n' }}{% endmacro %}"
            + LOOP
            + "{% if m.role == 'assistant' %}{% set text = m.content or '' %}{% for c in m.tool_calls or [] %}"
            "{% set text = text ~ '<c>' ~ (c.function | tojson) ~ '</c>' %}{% endfor %}"
            "{{ turn('bot', '<think>' ~ m.reasoning_content ~ '</think>' ~ text if m.reasoning_content else text,"
            " loop.last) }}{% else %}{{ turn('human', m.content, loop.last) }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}\n[bot]\n{% endif %}",
            id="turns are printed by a macro, and their end hangs on the last one",
        ),
        pytest.param(
            "{% macro calls(all) %}{% for c in all %}<c>{{ c.function.name ~ (c.function.arguments | tojson) }}</c>"
            "{% endfor %}{% endmacro %}" + LOOP + "{% if m.role == 'end' %}{% break %}{% endif %}"
            "{% if m.role == 'system' and not loop.first %}{% continue %}{% endif %}"
            "<|{{ {'user': 'U', 'assistant': 'A'}.get(m.role, 'X') }}|>"
            "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}"
            "{{ m.content or '' }}{{ calls(m.tool_calls) if m.tool_calls else '' }}<|e|>{% endfor %}"
            "{% if add_generation_prompt %}<|A|>{% endif %}",
            id="a table of headers behind a break, and calls by a macro",
        ),
        pytest.param(
            "{% set names = {'user': 'Person', 'assistant': 'Helper', 'system': 'Rules', 'tool': 'Output'} %}"
            + LOOP
            + "{% if loop.first %}{{ names[m.role] ~ ': ' }}{% endif %}"
            "{% if m.role == 'assistant' and m.reasoning_content %}{{ '<think>' ~ m.reasoning_content ~ '</think>' }}"
            "{% endif %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}"
            "{{ '|' ~ c.function.name ~ '|' ~ (c.function.arguments | tojson) }}{% endfor %}<|e|>"
            "{% if loop.nextitem is defined %}{{ '\n' ~ names[loop.nextitem.role] ~ ': ' }}"
            "{% elif add_generation_prompt %}{{ '\nHelper: ' }}{% endif %}{% endfor %}",
            id="the header of the next turn stands behind each one",
        ),
        pytest.param(
            "{% for m in messages if m.role == 'system' %}=S=\n{{ m.content }}\n{% endfor %}"
            "{% for m in messages if m.role != 'system' %}{% if m.role != 'assistant' %}=U=\n{{ m.content }}{% else %}"
            "=M={% if m.reasoning_content %}\n(( {{ m.reasoning_content }} )){% endif %}"
            "{% if m.content %}\n{{ m.content }}{% endif %}{% for c in m.tool_calls or [] %}"
            "\nCALL {{ c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}\n<|e|>"
            "{% endif %}\n{% endfor %}"
            "{% if add_generation_prompt %}=M=\n{% endif %}",
            id="two loops",
        ),
        pytest.param(
            "{% for m in messages %}\n  {% if m.role == 'assistant' %}\n    <a>\n    {% if m.reasoning_content %}\n"
            "      <think>{{ m.reasoning_content }}</think>\n    {% endif %}\n    {{ m.content }}\n"
            "    {% for c in m.tool_calls or [] %}\n      <c>{{ c.function.arguments | tojson }}</c>\n    {% endfor %}"
            "\n    <|e|>\n  {% else %}\n    <{{ m.role }}>\n    {{ m.content }}\n    </{{ m.role }}>\n  {% endif %}\n"
            "{% endfor %}\n{% if add_generation_prompt %}\n    <a>\n{% endif %}\n",
            id="indentation that is printed, too",
        ),
        pytest.param(
            "{% set head = {'assistant': '⟪m⟫', 'user': '⟪u⟫', 'system': '⟪s⟫'} %}"
            + LOOP
            + "{% if m.role == 'tool' %}{% if loop.previtem.role != 'tool' %}{{ head['user'] ~ '\n' }}{% endif %}"
            "{{ '<r>' ~ m.content ~ '</r>' }}{% if not loop.nextitem or loop.nextitem.role != 'tool' %}{{ '<|e|>\n' }}"
            "{% endif %}{% else %}{{ head[m.role] ~ '\n' }}"
            "{% if m.reasoning_content %}{{ '<think>' ~ m.reasoning_content ~ '</think>' }}{% endif %}"
            "{{ m.content or '' }}{% for c in m.tool_calls or [] %}{{ '\n' ~ (c.function | tojson) }}{% endfor %}"
            "{{ '<|e|>\n' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ head['assistant'] ~ '\n' }}{% endif %}",
            id="results grouped in a turn of the user's",
        ),
    ],
)
def test_unusual_templates_are_marked(template: str) -> None:
    assert_right(template, marked(template).source)


def test_what_may_be_another_message_is_refused_by_name() -> None:
    turn = (
        "{{ '<|a|>\\n' + (m.content or '') }}"
        "{% if loop.nextitem is sameas 7 %}{{ loop.nextitem.content }}{% endif %}<|e|>"
    )
    with pytest.raises(Unmarkable, match=r"`\{\{ loop.nextitem.content \}\}`, which may print another message"):
        marked(turns(turn))


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(
            "{% set ns = namespace(out='') %}" + LOOP + "{% set ns.out = ns.out + '<|' + m.role + '|>' + m.content %}"
            "{% endfor %}{{ ns.out }}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
            id="a text that all turns are put together in",
        ),
        pytest.param(
            turns("{{ '<|a|>\\n' + m.content + '<|e|>' }}").replace("messages %}", "messages recursive %}"),
            id="a recursive loop",
        ),
    ],
)
def test_several_turns_that_one_output_prints_are_refused(template: str) -> None:
    with pytest.raises(Unmarkable, match="a turn begins or ends inside of what"):
        marked(template)


def test_results_that_come_in_the_same_message_stay_outside() -> None:
    """As where a template looks ahead for the results of a turn's calls, and goes on with its text behind them."""
    template = (
        LOOP + "{% if m.role == 'user' %}{{ '<|u|>' + m.content + '<|e|>\\n' }}{% elif m.role == 'assistant' %}"
        "{% set ns = namespace(open=true) %}{{ '<|a|>\\n' if not (loop.previtem and loop.previtem.role == 'tool') }}"
        "{% for c in m.tool_calls or [] %}{{ '<call>' + c.function.arguments | tojson + '</call>' }}{% endfor %}"
        "{% if m.tool_calls %}{% for r in messages[loop.index:] %}{% if r.role != 'tool' %}{% set ns.open = false %}"
        "{% elif ns.open %}{{ '<|r|>' + r.content + '</r>' }}{% endif %}{% endfor %}{% endif %}"
        "{{ m.content or '' }}{% if m.content or not m.tool_calls %}<|e|>{{ '\\n' }}{% endif %}{% endif %}" + END
    )
    made = marked(template)
    told = Renderer(made.source, {}).generated(
        [
            {"role": "user", "content": "Q"},
            {"role": "assistant", "content": "SAID", "tool_calls": [{"function": {"arguments": {"x": 1}}}]},
            {"role": "tool", "content": "FOUND"},
            {"role": "assistant", "content": "DONE"},
        ]
    )
    assert isinstance(told, tuple)
    inside = "|".join(span.of(told[0]) for span in told[1])
    assert "SAID<|e|>" in inside and "DONE<|e|>" in inside and '{"x": 1}' in inside and "FOUND" not in inside
    assert_right(template, made.source)


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(
            turns(
                "{{ '<|a|>\n' }}{% if m.tool_calls and not tools %}{{ m.tool_calls[0].function.arguments | tojson }}"
                "{% elif m.tool_calls %}{{ m.tool_calls | tojson }}{% else %}{{ '' + m.content }}{% endif %}<|e|>"
            ),
            id="calls that come without tools",
        ),
        pytest.param(
            "{% for t in tools or [] %}{{ '' + t.name }}{% endfor %}"
            + turns(
                "{{ '<|a|>\n' }}{% if m.tool_calls %}"
                "{% for c in m.tool_calls %}{{ c.name + (c.arguments | tojson) }}{% endfor %}"
                "{% else %}{{ '' + m.content }}{% endif %}<|e|>"
            ),
            id="calls and tools that are bare functions",
        ),
    ],
)
def test_what_only_other_rows_reach_is_reached(template: str) -> None:
    assert_right(template, marked(template).source)


@pytest.mark.parametrize(
    ("turn", "changed"),
    [
        pytest.param(
            "{{ '<|a|>\\n' }}{% if m.phase == 'plan' %}{{ '<plan>' + m.content }}"
            "{% else %}{{ m.content }}{% endif %}<|e|>",
            "{{ '<|a|>\\n' }}{% generation %}{% if m.phase == 'plan' %}{{ '<plan>' + m.content }}{% else %}",
            id="a field with the value that it is compared with",
        ),
        pytest.param(
            "{{ '<|a|>\\n' }}{% if effort == 'none' %}<think></think>{% endif %}{{ m.content }}<|e|>",
            "{{ '<|a|>\\n' }}{% generation %}{% if effort == 'none' %}<think></think>{% endif %}",
            id="a variable with the value that it is compared with",
        ),
    ],
)
def test_what_is_asked_for_is_set(turn: str, changed: str) -> None:
    made = marked(turns(turn)).source
    assert changed in made
    assert_right(turns(turn), made)


@pytest.mark.parametrize("content", ["", None, "  "])
@pytest.mark.parametrize(
    "template",
    [
        pytest.param(
            LOOP + "{{ '<|' + m.role + '|>' }}{% if m.role == 'assistant' %}{{ m.content | default('', true) | trim }}"
            "{% else %}{{ m.content }}{% endif %}{{ '<|e|>\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}",
            id="an end that all roles share",
        ),
        pytest.param(
            LOOP + "{% if m.role == 'user' %}{{ 'U:' + m.content }}{{ '\\n' }}{% else %}{{ 'A:' }}"
            "{{ (m.content or '') | trim }}{{ '\\n' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ 'A:' }}{% endif %}",
            id="no end but the line's",
        ),
        pytest.param(
            turns("{{ '<|a|>\\n' }}{{ (m.content or '') | trim }}{% if not loop.last %}<|e|>{% endif %}"),
            id="an end behind all but the last turn",
        ),
        pytest.param(
            "{% macro said(m) %}{{ (m.content or '') | trim }}{% endmacro %}" + turns("{{ '<|a|>\\n' }}{{ said(m) }}"),
            id="a macro that prints no text of its own",
        ),
        pytest.param(
            LOOP + "{{ '<|' + m.role + '|>' }}{{ (m.content or '') | trim }}{% if not loop.last %}<|e|>{% endif %}"
            "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
            id="an end behind all but the last, whoever speaks",
        ),
    ],
)
def test_no_marker_encloses_nothing(template: str, content: str | None) -> None:
    renderer = Renderer(marked(template).source, {})
    told = renderer.generated([{"role": "user", "content": "Q"}, {"role": "assistant", "content": content}])
    assert isinstance(told, tuple) and not [span for span in told[1] if span.start == span.end]


def test_another_role_that_is_printed_like_a_turn_is_not_marked() -> None:
    template = (
        LOOP + "{% if m.role in ['assistant', 'critic'] %}<|{{ m.role }}|>{{ m.content }}<|e|>"
        "{% else %}<|u|>{{ m.content }}<|e|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    made = marked(template).source
    assert_right(template, made)
    asked = [{"role": role, "content": role.upper()} for role in ("user", "critic", "assistant")]
    told = Renderer(made, {}).generated(asked)
    assert isinstance(told, tuple) and [span.of(told[0]) for span in told[1]] == ["ASSISTANT<|e|>"]


def test_no_variable_is_set_between_markers_and_read_behind_them() -> None:
    template = turns(
        "{{ '<|a|>\\n' }}x{{ m.content }}{% set end = '<|e|>' %}{{ end }}{{ '\\n' }}{% if end %} {% endif %}"
    )
    made = marked(template).source
    assert_right(template, made)


def test_markers_that_are_right_stay() -> None:
    template = turns("{{ '<|a|>\\n' }}{% generation %}{{ m.content }}<|e|>{% endgeneration %}")
    assert next(find_wrong_masks(mask_of(Study(template, SETTING)), Renderer(template, {})), None) is None


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param("{% generation %}{{ '<|a|>\\n' + m.content }}<|e|>{% endgeneration %}", id="the header is inside"),
        pytest.param(
            "{{ '<|a|>\\n' }}{% generation %}{{ m.content }}{% endgeneration %}<|e|>", id="the end is outside"
        ),
        pytest.param(
            "{{ '<|a|>\\n' + m.content }}<|e|>{% generation %}{{ '' }}{% endgeneration %}", id="nothing is inside"
        ),
    ],
)
def test_markers_that_are_wrong_are_put_right(turn: str) -> None:
    template = turns(turn)
    assert_right(remove_markers(template), marked(template).source)


@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(
            "{{ '<|a|>\\n' }}\n{% generation %}\n{{ m.content }}<|e|>\n{% endgeneration %}\n", id="plain tags"
        ),
        pytest.param(
            "\n  {{- '<|a|>\\n' + m.content + '<|e|>' }}\n  {% generation %}\n  {{- m.x or '' }}\n"
            "  {% endgeneration %}\n  {%- if m.y %}{% endif %}",
            id="tags whose white space is printed, in front of what would strip it",
        ),
        pytest.param(
            "{{ '<|a|>\\n' }}{%- generation -%} {{ m.content }} {%- endgeneration -%} <|e|>",
            id="tags that strip what is around them",
        ),
    ],
)
def test_a_template_without_its_markers_prints_what_it_printed(turn: str) -> None:
    bare = remove_markers(turns(turn))
    assert "generation %}" not in bare
    asked = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A", "x": "X"}]
    assert Renderer(bare, {})(asked) == Renderer(turns(turn), {})(asked)


def test_a_repair_of_generation_markers_changes_nothing_unasked() -> None:
    from template_fix.checkpoint.checkpoint import Checkpoint
    from template_fix.engine.patch import check, patch
    from template_fix.options import Options

    checkpoint = Checkpoint("m", {"chat_template.jinja": turns("{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}")})
    assert not patch(checkpoint, Options(select=frozenset({"TF5"}))).changed
    assert "TF501" not in {finding.code for finding in check(checkpoint).findings}
    result = patch(checkpoint, Options(mark=True))
    assert {code for repair in result.kept for code in repair.codes} >= {"TF501"}
    assert not {finding.code for finding in result.after.findings} & {"TF501", "TF502"}


def test_all_templates_of_a_file_are_marked() -> None:
    from template_fix.checkpoint.checkpoint import Checkpoint
    from template_fix.engine.patch import patch
    from template_fix.options import Options

    named = [
        {"name": "default", "template": turns("{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}")},
        {"name": "tool_use", "template": turns("{{ '<|a|>\\n' + m.content }}<|e|>{{ '\\n' }}")},
        {"name": "rag", "template": turns("{{ '<|a|>\\n' ~ m.content ~ '<|e|>' }}")},
    ]
    result = patch(Checkpoint("m", {"tokenizer_config.json": json.dumps({"chat_template": named})}), Options(mark=True))
    after = json.loads(result.changed["tokenizer_config.json"][1])["chat_template"]
    for one, other in zip(named, after, strict=True):
        assert_right(one["template"], other["template"])
    assert not {finding.code for finding in result.after.findings} & {"TF501", "TF502"}
