from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from shelf import FILE, source

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import Options, check
from template_fix.results import Finding, Level
from template_fix.rules import REPAIRABLE_RULES, rule_of

FRAME = """\
{%- for m in messages %}
    {%- set content = m.content or '' %}
    {%- if m.role == 'assistant' %}
        {{- 'A:' }}
        TURN
        {%- for call in m.tool_calls or [] %}{{- '[' ~ call.function.arguments | tojson ~ ']' }}{% endfor %}
        {{- ';\\n' }}
    {%- else %}
        {{- m.role ~ ': ' ~ content ~ ';\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'PROMPT' }}{% endif %}
"""
FIELD = "{%- if m.reasoning_content %}{{- '<think>\\n' ~ m.reasoning_content ~ '\\n</think>\\n\\n' }}{% endif %}"
KEEP = FIELD + "{{- content }}"
REASONING = "Weighing idea 1.\nSettling on idea 1."


def framed(turn: str, prompt: str = "A:") -> str:
    return FRAME.replace("TURN", turn).replace("PROMPT", prompt)


class Marked(NamedTuple):
    """A template and the place between the marks « and » in it, as people count."""

    source: str
    line: int
    column: int
    width: int
    shown: str


def marked(text: str) -> Marked:
    before, rest = text.split("«")
    within, behind = rest.split("»")
    plain = before + within + behind
    line = before.count("\n") + 1
    return Marked(plain, line, len(before) - before.rfind("\n"), len(within), plain.split("\n")[line - 1])


def findings(code: str, files: dict[str, str]) -> list[Finding]:
    found = check(Checkpoint("model", files), Options(select=frozenset({code}))).findings
    assert {finding.code for finding in found} <= {code}
    assert all(finding.level in (rule_of(code).level, Level.NOTE, Level.ERROR) for finding in found)
    return list(found)


PLACED = [
    pytest.param("TF102", "{{ 'a' }}\n{% if x %}\n  {{ a «b» }}\n", "", id="TF102: two words in an expression"),
    pytest.param("TF103", "«»{{ raise_exception('only on Sundays') }}", "", id="TF103: an exception whatever comes"),
    pytest.param(
        "TF103",
        "«»{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "",
        id="TF103: a loop without end",
        marks=pytest.mark.slow,
    ),
    pytest.param("TF201", framed(FIELD + "{{- «content.split('</think>')[-1]» }}"), REASONING, id="TF201: a split"),
    pytest.param(
        "TF201",
        framed(FIELD + "{{- «content.rpartition('</think>')[2]» }}"),
        REASONING,
        id="TF201: a partition, which no patch knows",
    ),
    pytest.param(
        "TF201",
        framed(
            FIELD + "\n        {%- if «'</think>' in content» %}\n"
            "            {%- set content = content.split('</think>')[-1].strip('\\n') %}\n"
            "        {%- endif %}\n{{- content }}"
        ),
        REASONING,
        id="TF201: a statement",
    ),
    pytest.param(
        "TF202",
        framed("{%- if «loop.last» %}" + KEEP + "{% else %}{{- content.split('</think>') | last }}{% endif %}"),
        REASONING,
        id="TF202: the last turn alone",
    ),
    pytest.param(
        "TF202",
        framed(
            "{%- set thought = m.reasoning_content or '' %}{%- if '</think>' in content and m.content is string %}"
            "{%- set thought = content.split('</think>', 1)[0].split('<think>', 1)[-1].strip() %}"
            "{%- set content = content.split('</think>', 1)[1].lstrip() %}{%- endif %}\n"
            "{%- if thought %}{%- if «loop.revindex < 2» %}{{- '<think>\\n' ~ thought ~ '\\n</think>\\n\\n' }}"
            "{% endif %}{% endif %}{{- content }}"
        ),
        REASONING,
        id="TF202: a test that no patch knows",
    ),
    pytest.param(
        "TF204",
        framed(
            "{%- if '</think>' not in content and not m.reasoning_content and «loop.last» %}"
            "{{- '<think>\\n\\n</think>\\n\\n' }}{% endif %}" + KEEP
        ),
        "",
        id="TF204: an empty block in the last turn",
    ),
    pytest.param(
        "TF206",
        framed(
            FIELD + "{{- content.split('</think>', 1)[0] ~ '</think>' ~ «content.split('</think>')[-1]»"
            " if '</think>' in content else content }}"
        ),
        "This is answer 2.",
        id="TF206: what stands between several blocks",
    ),
    pytest.param(
        "TF207",
        framed("{{- «'</think>'» }}{{- content.split('</think>')[-1] if content[:1] != '<' else content }}"),
        "",
        id="TF207: a stray tag in front",
    ),
    pytest.param(
        "TF207",
        framed(FIELD + "{{- content.replace(«'</think>'», '') }}"),
        "",
        id="TF207: a tag that is taken out",
    ),
    pytest.param(
        "TF208",
        framed(FIELD + "{{- content if content[:7] == '<think>' else «content.split('</think>')[-1]» }}"),
        "To close it, tip 1, write",
        id="TF208: text in front of a tag that is only mentioned",
    ),
]


@pytest.mark.parametrize(("code", "text", "lost"), PLACED)
def test_a_defect_is_found_in_its_place(code: str, text: str, lost: str) -> None:
    expected = marked(text)
    found = findings(code, {FILE: expected.source})
    assert found
    place = found[0].place
    assert place is not None and place.file == FILE and place.template == "default"
    assert (place.line, place.column) == (place.template_line, place.template_column) == expected[1:3]
    assert place.source == expected.shown
    assert code < "TF2" or place.width == expected.width
    shown = found[0].evidence
    assert (lost in [text for each in shown for text in each.lost]) if lost else not any(each.lost for each in shown)


UNPLACED = [
    pytest.param(
        "TF206",
        framed(FIELD + "{%- if not m.tool_calls %}{{- content }}{% endif %}"),
        "This is answer 1.",
        id="TF206: text beside a tool call",
    ),
    pytest.param("TF203", framed("{{- content or '</think>'[:0] }}"), REASONING, id="TF203: a field that is ignored"),
    pytest.param("TF205", framed(KEEP, "A:<think>\\n"), "", id="TF205: a tag that the prompt opens"),
    pytest.param(
        "TF205", framed(KEEP, "A:<think>\\n\\n</think>\\n\\n"), "", id="TF205: a block that the prompt closes"
    ),
]


@pytest.mark.parametrize(("code", "text", "lost"), UNPLACED)
def test_a_defect_without_a_place_is_one_of_the_template(code: str, text: str, lost: str) -> None:
    found = findings(code, {FILE: text})
    assert found
    place = found[0].place
    assert place is not None and (place.file, place.line, place.template) == (FILE, None, "default")
    shown = found[0].evidence[0]
    assert shown.subject and shown.given and shown.printed
    assert shown.lost == ((lost,) if lost else ())


SOUND = [
    pytest.param("TF102", "{{ 'a' }}\n", id="TF102: a template that parses"),
    pytest.param(
        "TF103",
        "{{ raise_exception('no tools') if tools }}{{ messages[0].content }}",
        id="TF103: one that fails at times",
    ),
    pytest.param("TF201", framed(FIELD + "{{- content.split('</tool>')[-1] }}"), id="TF201: a split at something else"),
    pytest.param(
        "TF201",
        framed("{%- if loop.last %}" + KEEP + "{% else %}{{- content.split('</think>') | last }}{% endif %}"),
        id="TF201: reasoning that is lost later alone",
    ),
    pytest.param(
        "TF202", framed(FIELD + "{{- content.split('</think>')[-1] }}"), id="TF202: reasoning that is lost at once"
    ),
    pytest.param("TF203", framed(KEEP), id="TF203: a field that is printed"),
    pytest.param(
        "TF204",
        framed(KEEP).replace(
            "';\\n' }}\n    {%- else", "';\\n' ~ ('<|endoftext|>' if loop.last else '') }}\n    {%- else"
        ),
        id="TF204: an end of text",
    ),
    pytest.param(
        "TF204", framed(FIELD + "{{- content.split('</think>')[-1] }}"), id="TF204: reasoning that is lost at once"
    ),
    pytest.param("TF205", framed(KEEP), id="TF205: a prompt that is the header"),
    pytest.param(
        "TF205",
        framed(
            "{{- '<think>' }}{{- content.replace('<think>', '') if '</think>' in content else '</think>' ~ content }}",
            "A:<think>",
        ),
        id="TF205: a block in every turn, and in the prompt",
    ),
    pytest.param(
        "TF206",
        framed(
            FIELD + "{{- content.split('</think>', 1)[0] ~ '</think>' ~ content.split('</think>', 1)[1]"
            " if '</think>' in content else content }}"
        ),
        id="TF206: a split at the first tag",
    ),
    pytest.param(
        "TF206",
        "{% for m in messages %}{{ m.role ~ m.content }}{% endfor %}{{ '</think>'[:0] }}",
        id="TF206: no tool calls at all",
    ),
    pytest.param(
        "TF207",
        framed("{{- '<think></think>' if '</think>' not in content and not m.reasoning_content else '' }}" + KEEP),
        id="TF207: an empty block in front of answers",
    ),
    pytest.param("TF208", framed(KEEP), id="TF208: a tag that stays"),
]


@pytest.mark.parametrize(("code", "text"), SOUND)
def test_a_template_without_the_defect_has_no_such_finding(code: str, text: str) -> None:
    assert findings(code, {FILE: text}) == []


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        pytest.param({"tokenizer_config.json": "{}"}, True, id="a config without a template"),
        pytest.param({"tokenizer_config.json": '{"chat_template": null}'}, True, id="a template that is null"),
        pytest.param({"tokenizer_config.json": '{"chat_template": "a"}'}, False, id="a template in the config"),
        pytest.param({"tokenizer_config.json": "{}", FILE: "a"}, False, id="a template in a file"),
        pytest.param({"tokenizer_config.json": "{}", FILE: " \n"}, True, id="a file of blank space"),
    ],
)
def test_a_missing_template_is_found(files: dict[str, str], missing: bool) -> None:
    assert bool(findings("TF101", files)) is missing


def test_a_finding_in_a_config_has_its_place_in_the_file_and_in_the_template() -> None:
    expected = marked(framed(FIELD + "{{- «content.split('</think>')[-1]» }}"))
    config = json.dumps({"a": 1, "chat_template": expected.source}, indent=2)
    (found,) = findings("TF201", {"tokenizer_config.json": config})
    place = found.place
    assert place is not None and place.file == "tokenizer_config.json"
    assert (place.template_line, place.template_column, place.width) == expected[1:4]
    assert place.source == expected.shown
    line = config.split("\n")[(place.line or 0) - 1]
    assert line[(place.column or 0) - 1 :].startswith("content.split('</think>')[-1]")


def test_every_copy_of_a_template_with_the_same_text_is_named() -> None:
    text = framed(FIELD + "{{- content.split('</think>')[-1] }}")
    files = {FILE: text, "tokenizer_config.json": json.dumps({"chat_template": [{"name": "rag", "template": text}]})}
    report = check(Checkpoint("model", files), Options(select=frozenset({"TF201"})))
    assert len(report.findings) == 1
    assert {(each.file, each.variant) for each in report.templates} == {
        (FILE, "default"),
        ("tokenizer_config.json", "rag"),
    }


def test_a_sound_template_has_no_findings_at_all() -> None:
    assert check(Checkpoint("model", {FILE: source("safe")})).findings == ()
    assert check(Checkpoint("model", {FILE: source("plain")})).findings == ()


def test_every_rule_on_templates_has_a_template_with_the_defect_and_one_without() -> None:
    tried = {param.values[0] for param in [*PLACED, *UNPLACED]} | {"TF101"}
    sound = {param.values[0] for param in SOUND} | {"TF101"}
    assert tried == sound == {"TF101", *(rule.code for rule in REPAIRABLE_RULES)}


def test_levels_follow_what_is_lost() -> None:
    errors = {rule.code for rule in REPAIRABLE_RULES if rule.level is Level.ERROR}
    assert errors == {"TF102", "TF103", "TF201", "TF202", "TF203", "TF207"}


def test_a_block_that_is_not_its_own_is_one_fault_and_shown_where_it_is() -> None:
    doubled = "{{- '<think></think>' if '</think>' in content else '' }}"
    found = findings("TF207", {FILE: framed(doubled + KEEP)})
    assert [finding.message.partition(";")[0] for finding in found] == [
        "reasoning isn't printed in one block of its own"
    ]
    assert found[0].evidence[0].stray[0].startswith("<think></think>")


LISTS = (
    "{%- set ns = namespace(all='') %}{%- set text = m.content if m.content is string else '' %}"
    "{%- if m.content is not string %}{%- for part in m.content %}SUM{%- endfor %}{%- endif %}"
)


def in_lists(total: str, text: str) -> str:
    taken = LISTS.replace("SUM", f"{{%- set {total} = {total} + part.text %}}")
    turn = f"{{{{- m.role ~ ': ' ~ {text} ~ ';\\n' }}}}"
    asked = "{{- m.role ~ ': ' ~ (m.content if m.content is string else m.content[0].text) ~ ';\\n' }}"
    body = f"{taken}{{%- if m.role == 'assistant' %}}{turn}{{%- else %}}{asked}{{%- endif %}}"
    return "{%- for m in messages %}" + body + "{%- endfor %}{{ '</think>'[:0] }}"


def test_an_answer_in_a_list_that_is_added_up_in_a_loop_is_lost_where_it_is_set() -> None:
    source = in_lists("text", "text")
    [found] = [each for each in findings("TF206", {FILE: source}) if "lists of text blocks" in each.message]
    assert found.level is Level.ERROR
    assert found.place and found.place.template_column == source.index("text + part.text") + 1


def test_an_answer_in_a_list_that_is_added_up_in_a_namespace_is_kept() -> None:
    source = in_lists("ns.all", "(text or ns.all)")
    assert not [each for each in findings("TF206", {FILE: source}) if "lists of text blocks" in each.message]


PARTS_ALONE = """\
{%- for m in messages %}
    {{- m.role ~ ': ' }}
    {%- for part in m.content %}{%- if part.type == 'text' %}{{- part.text }}{%- endif %}{%- endfor %}
    {{- ';\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- 'assistant: ' }}{%- endif %}
"""


def test_a_template_that_takes_lists_alone_is_told_once_and_loses_nothing_else() -> None:
    [found] = findings("TF206", {FILE: PARTS_ALONE})
    assert "only where they are lists of text blocks" in found.message
    assert '[{"type": "text"' in (found.fix or "")


def test_a_template_that_takes_text_as_well_is_no_finding() -> None:
    both = PARTS_ALONE.replace(
        "{%- for part in m.content %}",
        "{%- for part in (m.content if m.content is not string else [{'type': 'text', 'text': m.content}]) %}",
    )
    assert both != PARTS_ALONE
    assert findings("TF206", {FILE: both}) == []


def test_a_sum_that_is_lost_in_every_message_is_found_by_its_set() -> None:
    summed = PARTS_ALONE.replace(
        "{%- for part in m.content %}{%- if part.type == 'text' %}{{- part.text }}{%- endif %}{%- endfor %}",
        "{%- set all = '' %}{%- if m.content is string %}{%- set all = m.content %}{%- else %}"
        "{%- for part in m.content %}{%- set all = all ~ part.text %}{%- endfor %}{%- endif %}{{- all }}",
    )
    [found] = findings("TF206", {FILE: summed})
    assert (found.level, "lists of text blocks" in found.message) == (Level.ERROR, True)
    assert found.place is not None
    assert found.place.source is not None
    assert "set all = all ~ part.text" in found.place.source
