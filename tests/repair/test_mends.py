from __future__ import annotations

import pytest
from rendering import render
from shelf import FILE, study

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.contract.examination import Rendering
from template_fix.engine.mending import is_mendable
from template_fix.engine.patch import Options, patch
from template_fix.jinja.renderer import Failure
from template_fix.repair.mends import Mend
from template_fix.repair.mends.mending import _best
from template_fix.repair.proposers import Proposal
from template_fix.results import PatchResult
from template_fix.rules import WHOLE_RULES
from template_fix.text.edits import Edit, Span

CONFIG = '{"bos_token": "<s>", "eos_token": "</s>"}'
# A right one; each test puts a defect in.
RIGHT = """\
{%- for m in messages %}
    {{- '<|im_start|>' ~ m.role ~ '\\n' }}
    {%- if m.reasoning_content %}{{- '<think>\\n' ~ m.reasoning_content ~ '\\n</think>\\n\\n' }}{%- endif %}
    {{- CONTENT }}
    {%- for call in m.tool_calls or [] %}
        {{- '<tool_call>' ~ call.function.name ~ ARGUMENTS ~ '</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
PARAMETERS = """\
call.function.name }}
    {%- for name, value in call.function.arguments.items() %}
        {{- '<' ~ name ~ '>' ~ VALUE ~ '</' ~ name ~ '>' }}
    {%- endfor %}
    {{- ''"""


def template(content: str = "(m.content or '')", arguments: str = "(call.function.arguments | tojson)") -> str:
    return RIGHT.replace("CONTENT", content).replace("ARGUMENTS", arguments)


def parameters(value: str) -> str:
    return template().replace(
        "call.function.name ~ (call.function.arguments | tojson)", PARAMETERS.replace("VALUE", value)
    )


def plain(text: str) -> str:
    """The same template without any notion of reasoning."""
    [gone] = [line for line in text.splitlines() if "reasoning_content" in line]
    return text.replace(gone + "\n", "")


def patched(text: str, options: Options | None = None) -> PatchResult:
    return patch(Checkpoint("model", {FILE: text, "tokenizer_config.json": CONFIG}), options)


def mended(text: str, code: str) -> str:
    result = patched(text, Options(select=code))
    assert code not in {finding.code for finding in result.after.findings}
    [repair] = result.kept
    assert repair.codes == (code,)
    return result.changed[FILE][1]


def talk(value: object, **call: object) -> list[dict[str, object]]:
    calls = [{"type": "function", "function": {"name": "f", "arguments": {"a": "text", "b": value}}}]
    return [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": calls, **call},
        {"role": "tool", "content": "r"},
        {"role": "assistant", "content": "done"},
    ]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("m.content", id="a text that isn't there is no text"),
        pytest.param("m.content.strip()", id="a method"),
        pytest.param("m['content'] + ''", id="an item that is added to"),
        pytest.param(
            "(m['content'].split('<x>')[-1] if '<x>' in m['content'] else m['content'].strip())", id="three reads"
        ),
    ],
)
def test_a_call_without_content_is_printed_as_one_with_an_empty_text(content: str) -> None:
    text = template(content)
    if content == "m.content":
        assert patched(text, Options(select="TF211")).kept == ()
        return
    after = mended(text, "TF211")
    for form in ({}, {"content": ""}, {"content": None}):
        assert render(after, talk("x", **form)) == render(template(), talk("x"))
    assert render(after, talk("x", content="said")) == render(text, talk("x", content="said"))


def test_a_template_that_refuses_goes_on_refusing_in_its_own_words() -> None:
    text = template("(m.content if m.content is string else raise_exception('no text'))")
    assert patched(text, Options(select="TF211")).kept == ()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("value", id="as it is"),
        pytest.param("(value | string)", id="as a string"),
        pytest.param("(value | tojson if value is mapping else value | string)", id="objects alone"),
    ],
)
@pytest.mark.parametrize("given", [None, True, {"k": ["v", None]}, ["é", 1], "text", 3])
def test_arguments_are_printed_as_json_and_texts_as_before(value: str, given: object) -> None:
    right = parameters("(value if value is string else value | tojson)")
    assert render(mended(parameters(value), "TF213"), talk(given)) == render(right, talk(given))


def test_arguments_that_may_be_text_already_are_not_encoded_twice() -> None:
    text = template(arguments="(call.function.arguments | string)")
    calls = [{"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    as_text = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "", "tool_calls": calls}]
    after = mended(text, "TF213")
    assert render(after, as_text) == render(text, as_text)
    assert render(after, talk(None)) == render(template(), talk(None))


def test_calls_of_pythons_own_are_left_alone() -> None:
    text = parameters("value").replace("'<' ~ name ~ '>'", "'(' ~ name ~ '='").replace("'</' ~ name ~ '>'", "')'")
    assert (
        patched(text.replace("call.function.name }}", "call.function.name ~ '(' }}"), Options(select="TF213")).kept
        == ()
    )


def test_spellings_that_a_model_may_have_learned_are_changed_only_where_that_is_asked_for() -> None:
    text = parameters("value")
    assert patched(text).kept == ()
    [found] = [each for each in patched(text).before.findings if each.code == "TF213"]
    assert found.patch_with == "--select TF213"


def test_a_template_without_reasoning_is_mended_of_warnings_only_where_that_is_asked_for() -> None:
    text = plain(template("m.content.strip()"))
    assert patched(text).kept == ()
    [found] = [each for each in patched(text).before.findings if each.code == "TF211"]
    assert found.patch_with == "--select TF211"
    assert patched(text, Options(select="TF211")).kept


def test_a_mend_is_made_beside_a_repair_of_reasoning_and_leaves_that_as_it_is() -> None:
    text = template("m.content.strip().split('</think>')[-1]")
    without = patched(text, Options(ignore="TF211"))
    both = patched(text)
    reasoning = [repair for repair in both.kept if repair.codes != ("TF211",)]
    assert [repair.edits for repair in reasoning] == [repair.edits for repair in without.kept]
    assert [repair.codes for repair in both.kept][-1] == ("TF211",)
    assert render(both.changed[FILE][1], talk("x")) == render(template(), talk("x"))


def test_what_changes_prompts_is_refused_where_those_are_to_stay() -> None:
    result = patched(parameters("value"), Options(select="TF213", default="original"))
    assert not result.kept
    assert "pass nothing" in result.refused[0].reason
    assert patched(template("m.content.strip()"), Options(select="TF211", default="original")).kept


def test_what_a_comment_says_is_meant_so_is_left_alone() -> None:
    text = "{# template-fix: ignore[TF211] never comes #}" + template("m.content.strip()")
    assert patched(text, Options(select="TF211", comments=True)).kept == ()
    assert patched(text, Options(select="TF211")).kept


def test_what_was_found_before_is_made_again() -> None:
    first, again = (patched(template("m.content.strip()"), Options(select="TF211")) for _ in range(2))
    assert first == again and first.kept


def test_every_copy_of_a_template_is_mended() -> None:
    text = template("m.content.strip()")
    files = {FILE: text, "additional_chat_templates/tool_use.jinja": text.replace("{%- for", "{%-  for", 1)}
    assert patch(Checkpoint("model", files), Options(select="TF211")).changed.keys() == files.keys()


END = "    {{- '<|im_end|>\\n' }}\n"
UNENDED = "    {%- if not loop.last %}\n        {{- '<|im_end|>\\n' }}\n    {%- endif %}\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(template().replace(END, UNENDED), id="a test round the end"),
        pytest.param(
            template().replace(END, UNENDED.replace("not loop.last", "not loop.last or keep")), id="an operand"
        ),
        pytest.param(
            template().replace(END, "    {{- '' if loop.last else '<|im_end|>\\n' }}\n"), id="an end in an expression"
        ),
        pytest.param(
            template()
            .replace(END, "")
            .replace(
                "    {{- '<|im_start|>'",
                "    {%- if loop.previtem %}{{- '<|im_end|>\\n' }}{%- endif %}{{- '<|im_start|>'",
            ),
            id="an end that joins turns",
        ),
    ],
)
def test_the_last_turn_gets_the_end_that_others_have(text: str) -> None:
    after = mended(text, "TF210")
    for messages in (talk("x", content=""), talk("x", content="")[:1] + talk("x")[-1:]):
        assert render(after, messages) == render(template(), messages)
        prompted = [render(each, messages[:1], add_generation_prompt=True) for each in (after, template())]
        assert prompted[0] == prompted[1]


def test_tags_that_had_lines_of_their_own_go_with_these() -> None:
    assert mended(template().replace(END, UNENDED), "TF210") == template().replace(END, "    " + END)


# Calls, results and answers are one turn; `SILENT` is when a turn is left open.
ONE_TURN = """\
{%- set ns = namespace(open=false) %}
{%- for m in messages %}
    {%- if m.role in ('assistant', 'tool') %}
        {%- if not ns.open %}{{- '<turn>model\\n' }}{%- set ns.open = true %}{%- endif %}
        {%- if m.reasoning_content %}{{- '<think>\\n' ~ m.reasoning_content ~ '\\n</think>\\n\\n' }}{%- endif %}
        {%- if m.role == 'tool' %}{{- '<result>' ~ m.content ~ '</result>' }}
        {%- else %}{{- m.content or '' }}{%- endif %}
        {%- for call in m.tool_calls or [] %}{{- '<call>' ~ (call.function | tojson) ~ '</call>' }}{%- endfor %}
        {%- if m.role == 'assistant' and SAID %}{{- '<end_of_turn>\\n' }}{%- set ns.open = false %}{%- endif %}
    {%- else %}
        CLOSE{{- '<turn>' ~ m.role ~ '\\n' ~ m.content ~ '<end_of_turn>\\n' }}
        {%- set ns.open = false %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt and not ns.open %}{{- '<turn>model\\n' }}{%- endif %}
""".replace("SAID", "not m.tool_calls")
CLOSED = "{%- if ns.open %}{{- '<end_of_turn>\\n' }}{%- endif %}"


def test_a_turn_is_ended_before_the_user_speaks_up() -> None:
    text, right = ONE_TURN.replace("CLOSE", ""), ONE_TURN.replace("CLOSE", CLOSED)
    after = mended(text, "TF209")
    called = talk("x", content="")
    for messages in (called, [*called[:3], called[0], called[3]], [*called[:3], called[0]], [*called, *called]):
        assert render(after, messages) == render(right, messages)
    assert render(after, called) == render(text, called)


def test_a_result_that_no_call_precedes_makes_a_mended_template_neither_fail_nor_end_a_turn_twice() -> None:
    text = ONE_TURN.replace("CLOSE", "")
    rare = [{"role": "tool", "content": "r"}, {"role": "user", "content": "q"}]
    assert "<end_of_turn>\n<end_of_turn>" not in render(mended(text, "TF209"), rare)


def test_an_end_that_only_the_last_turn_has_is_refused_with_a_reason() -> None:
    text = "{%- for m in messages %}{{- '<|' ~ m.role ~ '|>' ~ m.content }}{%- endfor %}{{- eos_token }}"
    result = patched(text, Options(select="TF209"))
    assert not result.kept and result.refused[0].reason


@pytest.mark.parametrize(
    "when",
    [
        pytest.param("messages | length == 1 or messages[0].content is not string", id="and behind lists"),
        pytest.param("not messages[1:] or messages[0]['role'] == 'system'", id="and behind a system text"),
    ],
)
def test_a_mend_that_comes_close_shows_what_it_would_change(when: str) -> None:
    text = "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
    end = Edit(Span(len(text), len(text)), f"{{% if {when} %}}.{{% endif %}}")
    near = Proposal("TF210", "mend", "end a lone message", "", end.span, (end,))

    def owed(each: Rendering, old: str | Failure) -> tuple[str, ...]:
        return (f"{old}.",) if each.upto == 1 and isinstance(each.probe.messages[0]["content"], str) else ()

    refused = _best(study(text), Mend(lambda _: iter(()), lambda _: owed, lambda *_: iter([near])), near)
    assert refused.reason == "it would change a text that is right"
    mends, decides = (
        "With this edit, texts that are wrong now are printed as they are owed",
        "change a text that is right",
    )
    assert refused.decide == f"{mends}: decide whether the edit may {decides}."
    [shown] = refused.evidence
    assert shown.printed == f"{shown.given}." and shown.stray[0].endswith(".") and shown.labels == ("before", "after")


START, ENDIF = "    {{- '<|im_start|>'", "    {%- endif %}\n"
SILENT = template().replace(START, f"    {{%- if m.role != 'system' %}}{START}").replace(END, END + ENDIF)
SYSTEM = {"role": "system", "content": "be short"}
LATER = [SYSTEM, *talk("x", content="")[:1], {"role": "assistant", "content": "a"}, SYSTEM | {"content": "be long"}]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            template()
            .replace(START, f"    {{%- if m.role != 'system' or loop.first %}}{START}")
            .replace(END, END + ENDIF),
            id="a test",
        ),
        pytest.param(
            "{%- if messages[0].role == 'system' %}"
            "{{- '<|im_start|>system\\n' ~ messages[0].content ~ '<|im_end|>\\n' }}{%- endif %}\n" + SILENT,
            id="a first one that is printed by itself",
        ),
    ],
)
def test_a_system_text_further_on_is_printed_as_the_first_one(text: str) -> None:
    after = mended(text, "TF214")
    for messages in (LATER, LATER[1:], [*LATER, *talk("x", content=""), SYSTEM | {"content": "be kind"}], LATER[:3]):
        assert render(after, messages) == render(template(), messages)


# Each prints, or drops, system texts in a form of its own: `DROPS` becomes what would be right.
FORMS = {
    "a block that only a system text brings": (
        "{%- if messages[0].role == 'system' %}{{- '<|start|>developer<|message|># Rules\\n' ~ messages[0].content"
        " ~ '<|end|>' }}{%- endif %}\n{%- set rest = messages[1:] if messages[0].role == 'system' else messages %}"
        "{%- for m in rest %}DROPS"
        "{%- if m.role != 'system' %}{{- '<|start|>' ~ m.role ~ '<|message|>' ~ m.content ~ '<|end|>' }}{%- endif %}"
        "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start|>assistant<|message|>' }}{%- endif %}",
        "{%- if m.role == 'system' %}{{- '<|start|>developer<|message|># Rules\\n' ~ m.content ~ '<|end|>' }}"
        "{%- endif %}",
    ),
    "a header in place of the default's": (
        "{{- '<|rules|>' ~ (messages[0].content if messages[0].role == 'system' else 'Play a part.') }}\n"
        "{%- for m in messages %}DROPS{%- if m.role == 'user' %}{{- '<|user|>' ~ m.content }}"
        "{%- elif m.role == 'assistant' %}{{- '<|model|>' ~ m.content }}{%- endif %}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<|model|>' }}{%- endif %}",
        "{%- if m.role == 'system' and not loop.first %}{{- '<|rules|>' ~ m.content }}{%- endif %}",
    ),
    "the default's own turn": (
        "{{- '<turn>system\\nHelp.<end>\\n' }}{%- for m in messages %}DROPS{%- if m.role != 'system' %}"
        "{{- '<turn>' ~ m.role ~ '\\n' ~ m.content ~ '<end>\\n' }}{%- endif %}{%- endfor %}"
        "{%- if add_generation_prompt %}{{- '<turn>assistant\\n' }}{%- endif %}",
        "{%- if m.role == 'system' %}{{- '<turn>system\\n' ~ m.content ~ '<end>\\n' }}{%- endif %}",
    ),
}


def test_a_first_system_text_is_printed_in_front_of_a_loop_that_leaves_it_out() -> None:
    loop = (
        "{%- for m in messages if m.role != 'system' %}{{- '<turn>' ~ m.role ~ '\\n' ~ m.content ~ '<end>\\n' }}"
        "{%- endfor %}{%- if add_generation_prompt %}{{- '<turn>assistant\\n' }}{%- endif %}"
    )
    first = (
        "{%- if messages[0].role == 'system' %}{{- '<turn>system\\n' ~ messages[0].content ~ '<end>\\n' }}{%- endif %}"
    )
    default = "{{- '<turn>system\\nHelp.<end>\\n' }}"
    after = patched(default + loop, Options(select="TF214")).changed[FILE][1]
    for messages in (LATER, LATER[1:], LATER[:2], LATER[:3]):
        assert render(after, messages) == render(default + first + loop, messages)


@pytest.mark.parametrize(("text", "right"), FORMS.values(), ids=list(FORMS))
def test_a_system_text_is_printed_in_the_form_that_the_template_has_for_one(text: str, right: str) -> None:
    dropping, printing = text.replace("DROPS", ""), text.replace("DROPS", right)
    after = mended(dropping, "TF214")
    for messages in (LATER, LATER[1:], [*LATER, LATER[1]], LATER[:2], LATER[:3], [LATER[1], SYSTEM]):
        for prompt in (False, True):
            printed = [render(each, messages, add_generation_prompt=prompt) for each in (after, printing)]
            assert printed[0] == printed[1]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "{{- bos_token ~ (messages[0].content if messages[0].role == 'system' else '') }}{%- for m in messages %}"
            "{%- if m.role == 'user' %}{{- '<|user|>' ~ m.content }}{%- elif m.role == 'assistant' %}"
            "{{- '<|model|>' ~ m.content ~ eos_token }}{%- endif %}{%- endfor %}",
            id="text without a marker",
        ),
        pytest.param(
            "{{- '<turn>system\\nToday is Monday.\\n\\n' ~ (messages[0].content if messages[0].role == 'system' else"
            " 'Help.') ~ '<end>\\n' }}{%- for m in messages %}{%- if m.role != 'system' %}"
            "{{- '<turn>' ~ m.role ~ '\\n' ~ m.content ~ '<end>\\n' }}{%- endif %}{%- endfor %}",
            id="text among other text",
        ),
    ],
)
def test_a_system_text_that_is_no_turn_by_itself_tells_no_form(text: str) -> None:
    result = patched(text, Options(select="TF214"))
    assert not result.kept
    assert "in which form the model knows a system text" in result.refused[0].reason


def test_a_system_text_of_which_no_form_is_known_is_refused_with_a_reason() -> None:
    result = patched(SILENT, Options(select="TF214"))
    assert not result.kept
    assert "in which form the model knows a system text" in result.refused[0].reason


def test_rules_that_say_they_are_mended_are() -> None:
    assert {rule.code for rule in WHOLE_RULES if rule.patch_with is not None} == {
        rule.code for rule in WHOLE_RULES if is_mendable(rule.code)
    }
