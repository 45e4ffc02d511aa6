"""Generation markers: every conversation is printed as before, and the mask is what the model has to write."""

from __future__ import annotations

import json

import pytest
from shelf import NAMES, source
from template_fix.cells import Unmarkable
from template_fix.marked import unmarked
from template_fix.sameness import same_but_for_markers

from template_fix.generation import differences
from template_fix.render import Renderer
from template_fix.study import Setting, Study

LOOP = "{% for m in messages %}"
END = "{% endfor %}{% if add_generation_prompt %}{{ '<|a|>\\n' }}{% endif %}"
OTHERS = "{% if m.role != 'assistant' %}{{ '<|' + m.role + '|>' + m.content + '<|e|>\\n' }}{% endif %}"
FIRST = "{% if loop.first %}{% set x = bos_token + x %}{% endif %}"
SETTING = Setting((("bos_token", "<s>"), ("eos_token", "</s>")))


def turns(text: str) -> str:
    return LOOP + OTHERS + "{% if m.role == 'assistant' %}" + text + "{% endif %}" + END


def marked(template: str) -> str:
    return Study(template, SETTING).marked()


def assert_right(before: str, after: str) -> None:
    """The marked template prints the same, and marks what the model writes."""
    study = Study(before, SETTING)
    renderer = Renderer(after, study.variables)
    for probe in study.mask.examined.probes.values():
        told = renderer(probe.messages, probe.tools, **dict(probe.flags))
        assert told == study.mask.examined.text(probe) or not isinstance(told, str)
    assert next(differences(study.mask, renderer), None) is None
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
            turns("{% set x = '<|a|>\\n' + m.content + '<|e|>' %}" + FIRST + "{{ x }}"),
            "{% if loop.first %}{{ '' + bos_token }}{% endif %}{{ '<|a|>\\n' }}"
            "{% generation %}{{ m.content + '<|e|>' }}{% endgeneration %}",
            id="a turn that is put together in a variable is printed part by part",
        ),
        pytest.param(
            turns("{{ '<|a|>' + m.content + '<|e|>' }}").replace("<|a|>\\n", "<|a|><think>\\n"),
            "{% if m.content.startswith('<think>\\n') %}{{ '<think>\\n' }}{% endif %}"
            "{% generation %}{{ m.content.removeprefix('<think>\\n') + '<|e|>' }}{% endgeneration %}",
            id="content that begins with what is prompted with is printed in two",
        ),
        pytest.param(
            LOOP + "{{ '<|' + m.role + '|>\\n' + m.content + '<|e|>\\n' }}" + END.replace("<|a|>", "<|assistant|>"),
            "{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|e|>' }}{% endgeneration %}"
            "{% else %}{{ m.content + '<|e|>' }}{% endif %}{{ '\\n' }}",
            id="what prints all roles gets a branch",
        ),
        pytest.param(
            turns(
                "{% if m.reasoning_content %}{{ '<|a|>\\n<think>' + m.reasoning_content + '</think>' + m.content }}"
                "{% else %}{{ '<|a|>\\n' + m.content }}{% endif %}<|e|>"
            ),
            "{{ '<|a|>\\n' }}{% generation %}{% if m.reasoning_content %}"
            "{{ '<think>' + m.reasoning_content + '</think>' + m.content }}"
            "{% else %}{{ '' + m.content }}{% endif %}<|e|>{% endgeneration %}",
            id="a header that all branches print is moved in front of them",
        ),
        pytest.param(
            LOOP + "<|{{ m.role }}|>\n    {% if m.role == 'assistant' %}{{ m.content }}<|e|>{% else %}"
            "{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}",
            "{% if m.role == 'assistant' %}{% generation %}{{ '\\n' }}{% endgeneration %}",
            id="white space that all roles share is printed as a literal, which tags leave alone",
        ),
        pytest.param(
            LOOP + "{% if m.role == 'user' %}U:{{ m.content }}{% else %}A:{{ m.content }}{% endif %}"
            "{{ '\n' if not loop.last else '' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '\nA:' }}{% else %}{{ eos_token }}{% endif %}",
            "{% if messages and messages[-1].role == 'assistant' %}{% generation %}",
            id="an end behind the loop is the last message's",
        ),
        pytest.param(
            turns(
                "{{ ('<|a|><r>\\n' ~ m.reasoning_content if m.reasoning_content else '<|a|>') + m.content + '<|e|>' }}"
            ).replace("<|a|>\\n", "<|a|><r>\\n"),
            "{% if m.reasoning_content %}{{ '<|a|><r>\\n' }}{% else %}{{ '<|a|>' }}{% endif %}",
            id="an expression that chooses between two beginnings is printed by a block",
        ),
        pytest.param(
            LOOP + "{{ '<|' + m.role + '|>' + m.content | string }}{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}",
            "loop.previtem is defined and loop.previtem.role == 'assistant'",
            id="a header that ends the turn before it is that turn's",
        ),
        pytest.param(
            turns(
                "{% if m.draft and deep %}{{ '<|a|>\n<d>' + m.content }}"
                "{% else %}{{ '<|a|>\n' + m.content }}{% endif %}<|e|>"
            ),
            "{% generation %}{% if m.draft and deep %}{{ '<d>' + m.content }}",
            id="a field and a variable that are asked for together are set together",
        ),
    ],
)
def test_where_markers_are_put(template: str, changed: str) -> None:
    made = marked(template)
    assert changed in made
    assert_right(template, made)


# It ends the turns of all roles with one output, where none of its tests tells whose they are.
REFUSED = "channel_macro"


@pytest.mark.parametrize("name", [name for name in NAMES if name != REFUSED])
def test_the_templates_of_ours_are_marked(name: str) -> None:
    template = source(name)
    assert_right(template, marked(template))


def test_an_output_for_all_roles_is_refused_where_no_test_tells_them_apart() -> None:
    with pytest.raises(Unmarkable, match="prints other messages, too"):
        marked(source(REFUSED))


def test_what_nobody_reaches_is_refused_by_name() -> None:
    hidden = "{% if m.content is sameas 7 %}{{ 'never' }}{% else %}{{ '<|a|>\\n' + m.content + '<|e|>' }}{% endif %}"
    with pytest.raises(Unmarkable, match=r"no conversation reaches the output `\{\{ 'never' \}\}`"):
        marked(turns(hidden))


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
    assert_right(template, marked(template))


@pytest.mark.parametrize(
    ("template", "why"),
    [
        pytest.param(
            turns("{{ '<|a|>\\n' }}{{ m.content ~ (suffix or '') }}<|e|>").replace(
                "{% endfor %}", "{% set suffix = '!' %}{% endfor %}"
            ),
            "a variable is read in a turn and set behind it",
            id="a caller's variable that the template sets later",
        ),
        pytest.param(
            turns(
                "{% set t = m.parts | map('trim') if m.parts else [m.content] %}{{ '<|a|>' }}{{ t | join }}<|e|>"
            ).replace("<|a|>\\n", "<|a|><think>\\n"),
            "can't be proved",
            id="a text that can be read but once",
        ),
        pytest.param(
            turns("{{ '<|a|>\\n' }}{% if m.x is sameas 7 %}{{ '<pre>' }}{% endif %}{{ m.content }}<|e|>"),
            "no conversation reaches the output",
            id="what nobody reaches between prompt and turn",
        ),
        pytest.param(
            turns(
                "{{ '<|a|>\\n' }}{% if m.phase == 'plan' and m.x is sameas 7 %}{{ '<plan>' + m.content + '<|e|>\\n' }}"
                "{% else %}{{ m.content + '<|e|>\\n' }}{% endif %}"
            ),
            "no conversation reaches the output",
            id="a branch of turns that another field than the role tells",
        ),
        pytest.param(
            turns(
                "{{ '<|a|>\\n' + (m.content or '') }}{% for c in m.tool_calls or [] %}"
                "{{ c.function.arguments | tojson }}{% if c.result is sameas 7 %}<r>{{ c.result }}</r>{% endif %}"
                "{% endfor %}<|e|>"
            ),
            "no conversation reaches the output",
            id="a result that nobody reaches inside of a turn",
        ),
        pytest.param(
            turns(
                "{{ '<|a|>\\n' + (m.content or '') }}"
                "{% if loop.nextitem is sameas 7 %}{{ loop.nextitem.content }}{% endif %}<|e|>"
            ),
            "no conversation reaches the output",
            id="the next message, inside of a turn",
        ),
    ],
)
def test_what_may_be_marked_wrongly_is_refused(template: str, why: str) -> None:
    with pytest.raises(Unmarkable, match=why):
        marked(template)


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
    made = marked(turns(turn))
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
    renderer = Renderer(marked(template), {})
    told = renderer.generated([{"role": "user", "content": "Q"}, {"role": "assistant", "content": content}])
    assert isinstance(told, tuple) and not [span for span in told[1] if span.start == span.end]


def test_another_role_that_is_printed_like_a_turn_is_not_marked() -> None:
    template = (
        LOOP + "{% if m.role in ['assistant', 'critic'] %}<|{{ m.role }}|>{{ m.content }}<|e|>"
        "{% else %}<|u|>{{ m.content }}<|e|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    made = marked(template)
    assert_right(template, made)
    asked = [{"role": role, "content": role.upper()} for role in ("user", "critic", "assistant")]
    told = Renderer(made, {}).generated(asked)
    assert isinstance(told, tuple) and [span.of(told[0]) for span in told[1]] == ["ASSISTANT<|e|>"]


def test_a_field_in_front_of_the_answer_is_the_turns() -> None:
    template = turns("{{ '<|a|>\\n' }}{{ m.note or '' }}{{ m.content }}<|e|>")
    assert "{% generation %}{{ m.note or '' }}{{ m.content }}<|e|>{% endgeneration %}" in marked(template)


def test_a_macro_that_prints_the_header_too_is_called_without_it() -> None:
    macro = "{% macro show(m) %}{{ '<|a|>\\n' + m.content + '<|e|>' }}{% endmacro %}"
    made = marked(macro + turns("{{ show(m) }}"))
    front = "{{ '<|a|>\\n' }}{% generation %}{{ show(m).removeprefix('<|a|>\\n') }}{% endgeneration %}"
    assert front in made
    assert_right(macro + turns("{{ show(m) }}"), made)


def test_a_macro_that_prints_what_the_model_writes_is_marked_round_the_call() -> None:
    macro = "{% macro show(m) %}{{ m.content }}{% endmacro %}"
    template = macro + turns("{{ '<|a|>\\n' }}{{ show(m) }}<|e|>")
    assert "{% generation %}{{ show(m) }}<|e|>{% endgeneration %}" in marked(template)


def test_no_variable_is_set_between_markers_and_read_behind_them() -> None:
    template = turns(
        "{{ '<|a|>\\n' }}x{{ m.content }}{% set end = '<|e|>' %}{{ end }}{{ '\\n' }}{% if end %} {% endif %}"
    )
    made = marked(template)
    assert_right(template, made)
    assert made.count("endgeneration") == 2


def test_markers_that_are_right_stay() -> None:
    template = turns("{{ '<|a|>\\n' }}{% generation %}{{ m.content }}<|e|>{% endgeneration %}")
    assert next(differences(Study(template, SETTING).mask, Renderer(template, {})), None) is None


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
    assert_right(unmarked(template), marked(template))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("{{ a + 'x' }}", "{{ a }}{{ 'x' }}", id="an operand that need not be a text any more"),
        pytest.param("{{ 'x' + a }}", "{{ 'y' }}{{ '' + a }}", id="another literal"),
        pytest.param("a{{ x }}", "a{% generation %}{{ y }}{% endgeneration %}", id="another variable"),
        pytest.param("{% if a %}x{% else %}y{% endif %}", "{% if b %}x{% else %}y{% endif %}", id="another test"),
        pytest.param("{{ x }}", "{{ x.removeprefix('a') }}", id="a front that is left out"),
        pytest.param(
            "{% set x = 'a' + b %}{{ x }}{{ x }}", "{{ 'a' + b }}{{ x }}", id="a variable that is read once more"
        ),
        pytest.param("{% if a %}{{ b }}{% endif %}", "{{ b }}", id="an output that was asked for by something else"),
    ],
)
def test_what_is_another_program_is_not_proved(before: str, after: str) -> None:
    assert not same_but_for_markers(before, after)


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
    bare = unmarked(turns(turn))
    assert "generation %}" not in bare
    asked = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A", "x": "X"}]
    assert Renderer(bare, {})(asked) == Renderer(turns(turn), {})(asked)


def test_a_repair_of_generation_markers_changes_nothing_unasked() -> None:
    from template_fix.checkpoint import Checkpoint
    from template_fix.options import Options
    from template_fix.repair import check, patch

    checkpoint = Checkpoint("m", {"chat_template.jinja": turns("{{ '<|a|>\\n' + m.content + '<|e|>\\n' }}")})
    assert not patch(checkpoint, Options(select=frozenset({"TF5"}))).changed
    assert "TF501" not in {finding.code for finding in check(checkpoint).findings}
    result = patch(checkpoint, Options(mark=True))
    assert {code for repair in result.kept for code in repair.codes} >= {"TF501"}
    assert not {finding.code for finding in result.after.findings} & {"TF501", "TF502"}


def test_all_templates_of_a_file_are_marked() -> None:
    from template_fix.checkpoint import Checkpoint
    from template_fix.options import Options
    from template_fix.repair import patch

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
