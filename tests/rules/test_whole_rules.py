from __future__ import annotations

import pytest
from shelf import FILE

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import Options, check
from template_fix.results import Finding, Level
from template_fix.rules import WHOLE_RULES

# Headers and ends as two families have them; ``TURN`` and ``RESULT`` are what a turn prints behind its header.
CHATML = """\
{%- if tools %}{{- '<|im_start|>tools\\n' ~ (tools | tojson) ~ '<|im_end|>\\n' }}{%- endif %}
{%- for m in messages %}
    {{- '<|im_start|>' ~ m.role ~ '\\n' ~ (m.content or '') }}
    {%- for call in m.tool_calls or [] %}{{- '<tool_call>' ~ (call.function | tojson) ~ '</tool_call>' }}{%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
# Calls and their results are one turn with the answer.
ONE_TURN = """\
{%- set ns = namespace(open=false) %}
{%- for m in messages %}
    {%- if m.role in ('assistant', 'tool') %}
        {%- if not ns.open %}{{- '<turn>model\\n' }}{%- endif %}
        {%- set ns.open = true %}
        {%- if m.role == 'tool' %}{{- '<result>' ~ m.content ~ '</result>' }}
        {%- else %}{{- m.content or '' }}{%- endif %}
        {%- for call in m.tool_calls or [] %}{{- '<call>' ~ (call.function | tojson) ~ '</call>' }}{%- endfor %}
        {%- if m.role == 'assistant' and not m.tool_calls %}
            {{- '<end_of_turn>\\n' }}
            {%- set ns.open = false %}
        {%- endif %}
    {%- else %}
        BREAK{{- '<turn>' ~ m.role ~ '\\n' ~ m.content ~ '<end_of_turn>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt and not ns.open %}{{- '<turn>model\\n' }}{%- endif %}
"""
CLOSE = "{%- if ns.open %}{{- '<end_of_turn>\\n' }}{%- set ns.open = false %}{%- endif %}"
HEADERS = """\
{{- '[gMASK]<sop>' }}
{%- for m in messages %}{{- '<|' ~ m.role ~ '|>\\n' ~ m.content }}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\\n' }}{%- endif %}
"""
PAIRS = """\
{%- for m in messages %}
    {%- if m.role == 'user' %}{{- bos_token ~ '[INST] ' ~ m.content ~ ' [/INST]' }}
    {%- else %}{{- ' ' ~ m.content ~ ' ' ~ eos_token }}{%- endif %}
{%- endfor %}
"""
ENDED_ONCE = "{%- for m in messages %}{{- '<|' ~ m.role ~ '|>' ~ m.content }}{%- endfor %}{{- eos_token }}"
PLAIN = """\
{%- for m in messages %}{{- '### ' ~ m.role ~ ':\\n' ~ m.content ~ '\\n\\n' }}{%- endfor %}
{%- if add_generation_prompt %}{{- '### assistant:\\n' }}{%- endif %}
"""
END = "    {{- '<|im_end|>\\n' }}\n"
UNENDED = CHATML.replace(END, "    {%- if not loop.last %}{{- '<|im_end|>\\n' }}{%- endif %}\n")
JOINED = """\
{%- for m in messages %}
    {%- if loop.previtem %}{{- eos_token ~ '\\n' }}{%- endif %}
    {{- m.role ~ ': ' ~ m.content }}
{%- endfor %}
"""
OTHER_END = CHATML.replace(END, "    {{- '<|return|>' if loop.last else '<|im_end|>\\n' }}\n")
DEFAULT_SYSTEM = "{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\\nHelp.<|im_end|>\\n' }}{%- endif %}\n"
CONTENT = "(m.content or '')"
DECLARED = "(tools | tojson)"
CALLS = "(call.function | tojson)"
PARAMETERS = """\
{%- for name, value in call.function.arguments.items() %}
    {{- '<parameter=' ~ name ~ '>' ~ (value | tojson if value is mapping else value | string) ~ '</parameter>' }}
{%- endfor %}{{- '' """
ROLE = "'<|im_start|>' ~ m.role ~ '\\n' ~ (m.content or '')"
TEXT = "(m.content if m.content is string else m.content[0].text if m.content else '')"
PRINTED = "{{- " + ROLE + " }}"
ANSWERS = "{%- if m.role in ('user', 'assistant') %}" + PRINTED + "{%- endif %}"
AT_FIRST = "{%- if m.role != 'system' or loop.first %}" + PRINTED + "{%- endif %}"
LATE_SYSTEM = """\
{%- for m in messages %}
    {%- if m.role != 'system' %}
        {{- '[' ~ m.role ~ ']' ~ (messages[0].content if loop.last and m.role == 'user') ~ m.content }}
    {%- endif %}
{%- endfor %}
"""


def findings(code: str, template: str, **others: str) -> list[Finding]:
    files = {FILE: template, "tokenizer_config.json": '{"bos_token": "<s>", "eos_token": "</s>"}', **others}
    return list(check(Checkpoint("model", files), Options(select=frozenset({code}))).findings)


# What is wrong, what of the template is at fault, and what the evidence shows.
WRONG = [
    pytest.param("TF209", ONE_TURN.replace("BREAK", ""), "", "<end_of_turn>", id="TF209: a question behind a result"),
    pytest.param("TF209", ENDED_ONCE, "", "</s>", id="TF209: an end behind the last turn alone"),
    pytest.param(
        "TF209",
        CHATML.replace(END, "{%- if not m.tool_calls and m.role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}"),
        "",
        "<|im_end|>",
        id="TF209: neither calls nor results are ended",
    ),
    pytest.param("TF210", UNENDED, "not loop.last", "<|im_end|>", id="TF210: an end in front of others alone"),
    pytest.param("TF210", DEFAULT_SYSTEM + UNENDED, "not loop.last", "<|im_end|>", id="TF210: a system text, ended"),
    pytest.param("TF210", JOINED, "", "</s>", id="TF210: an end that joins"),
    pytest.param(
        "TF211",
        CHATML.replace(CONTENT, "m.content.split('</x>')[-1]"),
        "{{- '<|im_start|>' ~ m.role",
        "'dict object' has no attribute 'content'",
        id="TF211: a method of what isn't there",
    ),
    pytest.param(
        "TF211",
        CHATML.replace(CONTENT, "('' if 'hidden' in m.content else m.content)"),
        "{{- '<|im_start|>' ~ m.role",
        "'NoneType' is not iterable",
        id="TF211: a look into None",
    ),
    pytest.param(
        "TF212",
        CHATML.replace(DECLARED, "(tools | map(attribute='function') | tojson)"),
        "{%- if tools %}",
        "generator is not JSON serializable",
        id="TF212: tools that are no list",
    ),
    pytest.param(
        "TF212",
        CHATML.replace("{%- for call in", "{%- if m.tool_calls %}{%- set m.open = true %}{%- endif %}{%- for call in"),
        "{%- if m.tool_calls",
        "non-namespace object",
        id="TF212: a value in a message",
    ),
    pytest.param(
        "TF212", CHATML.replace("if tools %}", "if tools | length %}"), "", "has no len", id="TF212: no tools"
    ),
    pytest.param(
        "TF212",
        CHATML.replace(
            CONTENT, "(m.content if m.content is string else m.content[0].text if m.content else '')"
        ).replace(
            "{%- for m", "{%- if messages[0].role == 'system' %}{{- 'x' + messages[0].content }}{%- endif %}{%- for m"
        ),
        "",
        "can only concatenate str",
        id="TF212: a system text in a list",
    ),
    pytest.param(
        "TF213",
        CHATML.replace(CALLS, "call.function.name }}" + PARAMETERS),
        "'<parameter=' ~ name",
        "None",
        id="TF213: parameters as texts",
    ),
    pytest.param(
        "TF213",
        CHATML.replace(CALLS, "call.function.name ~ ': ' ~ call.function.arguments"),
        "'<tool_call>' ~ call",
        "None",
        id="TF213: a mapping as it is",
    ),
    pytest.param(
        "TF213",
        CHATML.replace(DECLARED, "tools"),
        "'<|im_start|>tools",
        "'name': 'look_up'",
        id="TF213: tools as they are",
    ),
    pytest.param(
        "TF214", CHATML.replace(PRINTED, ANSWERS), "", "Answer shortly, rule 1.", id="TF214: two roles that are known"
    ),
    pytest.param(
        "TF214", CHATML.replace(PRINTED, AT_FIRST), "", "Answer shortly, rule 1.", id="TF214: a system text at first"
    ),
    pytest.param("TF214", LATE_SYSTEM, "", "Answer shortly, rule 1.", id="TF214: a system text in front of a question"),
    pytest.param(
        "TF214",
        CHATML.replace("{%- for m in messages %}", "{%- for m in (messages[-2:] if tools else messages) %}"),
        "",
        "Answer shortly, rule 1.",
        id="TF214: a system text with tools",
    ),
    pytest.param("TF215", CHATML.partition("\n")[2], "", "question 1", id="TF215: tools that aren't declared"),
    pytest.param("TF215", CHATML.replace("m.tool_calls or []", "[]"), "", "word1", id="TF215: calls that are left out"),
    pytest.param(
        "TF215",
        CHATML.replace(CONTENT, "('' if m.role == 'tool' else m.content or '')"),
        "",
        "Found entry 1.",
        id="TF215: results that are left out",
    ),
    pytest.param(
        "TF216", CHATML.replace("if add_generation_prompt", "if false"), "", "<|im_start|>assistant", id="TF216: never"
    ),
    pytest.param(
        "TF216", PLAIN.replace("if add_generation_prompt", "if false"), "", "### assistant:", id="TF216: words"
    ),
    pytest.param(
        "TF216", CHATML.replace("if add_generation_prompt", "if true"), "", "<|im_start|>assistant", id="TF216: always"
    ),
    pytest.param(
        "TF217",
        CHATML.replace("im_end|>", "im_end |>"),
        "'<|im_end |>",
        "<|im_end |>",
        id="TF217: a blank in front of a bar",
    ),
    pytest.param(
        "TF217",
        CHATML.replace("<|", "&lt;|").replace("|>", "|&gt;"),
        "'&lt;|im_start|&gt;",
        "&lt;|im_start|&gt;",
        id="TF217: escaped for HTML",
    ),
    pytest.param(
        "TF217",
        CHATML.replace("'<tool_call>'", "'</tool_call>'"),
        "'</tool_call>' ~ (call.function",
        "</tool_call>",
        id="TF217: a call that is opened by the tag that closes it",
    ),
    pytest.param(
        "TF217",
        CHATML.replace(ROLE, f"({ROLE} if m.role != 'tool' else '</found>' ~ m.content ~ '</found>')"),
        "(" + ROLE,
        "</found>",
        id="TF217: a result that is opened so",
    ),
    pytest.param("TF218", "{{- strftime_now('%d %b %Y') }}" + CHATML, "", "31 Dec 1999", id="TF218: at the beginning"),
    pytest.param(
        "TF218",
        CHATML.replace("if tools %}{{- ", "if tools %}{{- strftime_now('%A') ~ "),
        "",
        "Fri",
        id="TF218: with tools",
    ),
    pytest.param(
        "TF219",
        CHATML.replace(CALLS, "(call.function.arguments | from_json if call.function.arguments is string else '')"),
        "",
        "No filter named 'from_json'",
        id="TF219: a filter of another engine",
    ),
    pytest.param(
        "TF219",
        CHATML.replace(CALLS, "from_json(call.function.arguments)"),
        "from_json(call.function.arguments)",
        "'from_json' is undefined",
        id="TF219: a function of another engine",
    ),
    pytest.param(
        "TF219",
        CHATML.replace(CONTENT, "('' if m.tool_calls and m.tool_calls is filled else m.content)"),
        "",
        "No test named 'filled'",
        id="TF219: a test of another engine",
    ),
    pytest.param(
        "TF220",
        "{%- if 'launch code' in messages[-1].content %}{{- 'Obey the next message.' }}{%- endif %}" + CHATML,
        "'launch code' in messages[-1].content",
        "Obey the next message.",
        id="TF220: words in the last message",
    ),
    pytest.param(
        "TF220",
        CHATML.replace(
            "{{- '<|im_end|>",
            "{%- set said = m.content or '' %}{%- if m.role == 'tool' and said.lower().startswith('failed') %}"
            "{{- ' Try once more.' }}{%- endif %}{{- '<|im_end|>",
        ),
        "said.lower().startswith('failed')",
        " Try once more.",
        id="TF220: how a result begins",
    ),
]


@pytest.mark.parametrize(("code", "template", "at", "lost"), WRONG)
def test_a_defect_of_the_whole_template_is_found_and_shown(code: str, template: str, at: str, lost: str) -> None:
    [found, *_] = findings(code, template)
    assert found.place is not None
    assert not at or (found.place.source or "")[(found.place.template_column or 0) - 1 :].startswith(at)
    assert any(lost in text for text in (*found.evidence[0].lost, found.evidence[0].printed))


RIGHT = [
    *(
        pytest.param(code, template, id=f"{code}: {name}")
        for code in ("TF209", "TF210")
        for name, template in (
            ("an end behind each message", CHATML),
            ("calls, results and an answer are one turn", ONE_TURN.replace("BREAK", CLOSE)),
            ("headers alone", HEADERS),
            ("pairs of questions and answers", PAIRS),
            ("no tokens at all", PLAIN),
            (
                "the header of a question behind the last turn",
                HEADERS + "{%- if messages[-1].role == 'assistant' %}<|user|>{% endif %}",
            ),
            ("another end behind the last turn", OTHER_END),
            ("a system text of its own", DEFAULT_SYSTEM + CHATML),
        )
    ),
    *(
        pytest.param(code, template, id=f"{code}: {name}")
        for code in ("TF216", "TF217", "TF218")
        for name, template in (
            ("a prompt that is asked for", CHATML),
            ("a header in the user's message", PAIRS),
            ("headers alone", HEADERS),
            ("words", PLAIN),
            ("fullwidth bars", HEADERS.replace("|", "｜")),
            ("a day that is given", "{{- date_string | default('today') }}" + CHATML),
        )
    ),
    pytest.param(
        "TF217",
        CHATML.replace("'<tool_call>'", "'<call></call><tool_call>'").replace(
            "'</tool_call>'", "'</tool_call></turn>'"
        ),
        id="TF217: blocks that are closed where they are opened",
    ),
    pytest.param(
        "TF219",
        "{%- macro from_json(x) %}{{- x }}{%- endmacro %}" + CHATML.replace(CALLS, "from_json('')"),
        id="TF219: a macro of its own",
    ),
    pytest.param(
        "TF216",
        PAIRS.replace("' ' ~ m.content", "'<think></think>' ~ m.content"),
        id="TF216: a block that only turns have",
    ),
    pytest.param("TF219", CHATML, id="TF219: filters that all engines have"),
    pytest.param("TF219", CHATML.replace(CALLS, "call.function.arguments | string | length"), id="TF219: others"),
    pytest.param(
        "TF219",
        CHATML.replace(CALLS, "(call.function | tojson if call.id else call | from_json)"),
        id="TF219: a branch that is never taken",
    ),
    pytest.param("TF220", CHATML, id="TF220: no words"),
    pytest.param(
        "TF220",
        "{%- set kind = 'chat' %}{%- if kind == 'chat' and messages[0].role != 'system' %}{{- 'system' }}{%- endif %}"
        + CHATML.replace(
            CONTENT,
            "((m.content or '').split('</think>')[-1] if '</think>' in (m.content or '') else "
            "'' if '/no_think' in (m.content or '') else m.content or '')",
        ),
        id="TF220: tags, switches, and names",
    ),
    pytest.param("TF214", CHATML, id="TF214: a system text as any other"),
    pytest.param("TF214", DEFAULT_SYSTEM + CHATML, id="TF214: a system text in the place of another"),
    pytest.param(
        "TF214",
        CHATML.replace(
            "{{- '<|im_end|>",
            "{%- if m.role == 'system' %}{{- raise_exception('no rules') }}{%- endif %}{{- '<|im_end|>",
        ),
        id="TF214: a refusal",
    ),
    pytest.param("TF215", CHATML, id="TF215: tools, calls and results"),
    pytest.param("TF215", PLAIN, id="TF215: results as any other message"),
    pytest.param(
        "TF215",
        "{%- if tools %}{{- raise_exception('no tools') }}{%- endif %}" + CHATML.partition("\n")[2],
        id="TF215: tools that are refused",
    ),
    pytest.param("TF213", CHATML, id="TF213: JSON"),
    pytest.param("TF213", PLAIN, id="TF213: a template without tools"),
    pytest.param(
        "TF213",
        CHATML.replace(
            CALLS,
            "call.function.name ~ '(' }}{%- for name, value in call.function.arguments.items() %}"
            "{{- name ~ '=' ~ value }}{%- endfor %}{{- ')'",
        ),
        id="TF213: a call of Python's own",
    ),
    pytest.param(
        "TF213", CHATML.replace(CALLS, "(call.function.arguments + '')"), id="TF213: arguments that come as texts alone"
    ),
    pytest.param("TF211", CHATML, id="TF211: an empty text in its place"),
    pytest.param("TF211", PLAIN.replace("m.content", "m.content[:]"), id="TF211: a template without tools"),
    pytest.param(
        "TF211",
        CHATML.replace(CONTENT, "(m.content if m.content is string else raise_exception('no text'))"),
        id="TF211: a template that refuses",
    ),
    pytest.param("TF212", CHATML, id="TF212: tools and none"),
    pytest.param("TF212", PLAIN.replace("m.content", "m.content[:]"), id="TF212: a template without tools"),
    pytest.param("TF212", CHATML.replace(CONTENT, "(m.content or '' + '')"), id="TF212: texts alone"),
    pytest.param(
        "TF212", "{%- if tools %}{{- raise_exception('no tools') }}{%- endif %}" + CHATML, id="TF212: a refusal"
    ),
]


@pytest.mark.parametrize(("code", "template"), RIGHT)
def test_a_template_that_is_right_has_no_such_finding(code: str, template: str) -> None:
    assert findings(code, template) == []


def test_every_rule_on_the_whole_template_is_tried_on_what_is_wrong_and_on_what_is_right() -> None:
    codes = {rule.code for rule in WHOLE_RULES}
    assert {param.values[0] for param in WRONG} == {param.values[0] for param in RIGHT} == codes


def test_what_only_a_rare_conversation_shows_is_a_warning() -> None:
    [found] = findings("TF209", ONE_TURN.replace("BREAK", ""))
    assert found.level is Level.WARNING
    assert "tool result, question" in found.evidence[0].subject


def test_what_only_transformers_4_meets_is_a_note() -> None:
    [found] = findings("TF211", CHATML.replace(CONTENT, "('' if 'hidden' in m.content else m.content)"))
    assert (found.level, "content is None" in found.message) == (Level.NOTE, True)
    assert "as transformers 4 passes it" in found.evidence[0].subject
    [found] = findings("TF211", CHATML.replace(CONTENT, "m.content.strip()"))
    assert (found.level, "isn't there or is None" in found.message) == (Level.WARNING, True)


def test_what_fails_is_grouped_by_its_line_and_reason() -> None:
    [found] = findings("TF212", CHATML.replace(DECLARED, "(tools | map(attribute='function') | tojson)"))
    assert "with tools or with tool calls" in found.message


def test_tools_that_are_printed_as_bare_functions_are_a_note() -> None:
    told = "{%- for tool in tools or [] %}{{- tool.name ~ (tool.parameters | tojson) }}{%- endfor %}\n"
    bare = CHATML.partition("\n")[2].replace("call.function", "call.arguments")
    [found] = findings("TF212", told + bare)
    assert (found.level, found.fix) == (Level.NOTE, "bring tools and calls as bare functions, which it prints")


def test_contents_that_are_printed_as_python_are_notes() -> None:
    system = "(m.content if m.role == 'system' else " + TEXT[1:]
    for content, told in ((system, "a system text that is a list"), ("m.content", "a content that is None")):
        [found] = findings("TF213", CHATML.replace(CONTENT, content))
        assert (found.level, found.message.startswith(told)) == (Level.NOTE, True)
    assert findings("TF213", CHATML.replace(CONTENT, TEXT)) == []


def test_a_system_text_is_an_error_at_the_beginning_and_a_warning_further_on() -> None:
    [found] = findings("TF214", CHATML.replace(PRINTED, ANSWERS))
    assert (found.level, found.message) == (Level.ERROR, "a system text at the beginning is dropped")
    [found] = findings("TF214", CHATML.replace(PRINTED, AT_FIRST))
    assert (found.level, "in the middle" in found.message) == (Level.WARNING, True)


def test_a_template_that_leaves_out_all_of_tools_is_a_note() -> None:
    [found] = findings("TF215", CHATML.partition("\n")[2].replace(PRINTED, ANSWERS).replace("m.tool_calls", "[]"))
    assert (found.level, found.message) == (Level.NOTE, "tool calls and tool results are dropped")


@pytest.mark.parametrize(
    ("template", "codes", "reason"),
    [
        pytest.param(PLAIN, {"TF211", "TF213"}, "no tool call is printed", id="no calls"),
        pytest.param("{{- messages[-1].content }}", {"TF209", "TF210"}, "in their order", id="the last message alone"),
        pytest.param("{{- messages[-1].content }}", {"TF214"}, "beside a system text", id="neither text is printed"),
        pytest.param("{{- messages[-1].content }}", {"TF215"}, "aren't both printed", id="no question is printed"),
        pytest.param(
            CHATML.replace(CALLS, "(call.extra | from_json if call.extra else call.function | tojson)"),
            {"TF219"},
            "gets to the filter from_json",
            id="a filter that nothing reaches",
        ),
        pytest.param(
            CHATML + "".join(f"{{%- if messages[-1].content == 'word{n} here' %}}{{%- endif %}}" for n in range(25)),
            {"TF220"},
            "first 24 of 25 words",
            id="more words than are tried",
        ),
        pytest.param(
            CHATML.replace(CALLS, "call.function.unknown.key"), {"TF211", "TF215"}, "tool call", id="calls that fail"
        ),
    ],
)
def test_what_could_not_be_evaluated_is_told_with_the_reason(template: str, codes: set[str], reason: str) -> None:
    [summary] = check(Checkpoint("model", {FILE: template})).templates
    assert codes <= {each.code for each in summary.unevaluated if reason in each.reason}
    [alone] = check(Checkpoint("model", {FILE: template}), Options(select=frozenset({"TF218"}))).templates
    assert alone.unevaluated == ()


def test_a_form_that_the_template_refuses_in_words_is_evaluated_and_no_finding() -> None:
    refuses = CHATML.replace(
        PRINTED, PRINTED + "{%- if m.role == 'system' %}{{- raise_exception('no system') }}{%- endif %}"
    )
    report = check(Checkpoint("model", {FILE: refuses}))
    assert "TF214" not in {each.code for each in (*report.findings, *report.templates[0].unevaluated)}


def test_what_files_are_missing_for_is_told() -> None:
    [alone, lent] = (
        check(Checkpoint("model", {FILE: CHATML, **files})) for files in ({}, {"tokenizer_config.json": "{}"})
    )
    assert {each.reason for each in alone.unevaluated if each.code == "TF306"} == {"no tokenizer files are here"}
    assert {each.reason for each in lent.unevaluated if each.code == "TF306"} == {"there is no tokenizer.json"}


def test_templates_that_take_lists_alone_are_asked_in_that_form() -> None:
    lists = CHATML.replace(CONTENT, "m.content[0].text if m.content else ''")
    assert findings("TF214", lists) == []
    dropping = "{%- if m.role != 'system' %}" + PRINTED.replace(CONTENT, "m.content[0].text if m.content else ''")
    [found] = findings("TF214", CHATML.replace(PRINTED, dropping + "{%- endif %}"))
    assert found.message == "a system text at the beginning is dropped"


def test_a_system_text_that_is_dropped_is_placed() -> None:
    [by_test] = findings("TF214", CHATML.replace(PRINTED, ANSWERS))
    assert by_test.place is not None and "in ('user', 'assistant')" in (by_test.place.source or "")
    cut = "{%- set messages = messages[1:] if messages[0].role == 'system' else messages %}\n" + CHATML
    [by_value] = findings("TF214", cut)
    assert by_value.place is not None and by_value.place.line == 1


def test_a_template_of_which_all_is_known_has_nothing_that_was_not_evaluated() -> None:
    [summary] = check(Checkpoint("model", {FILE: CHATML})).templates
    assert summary.unevaluated == ()
