from __future__ import annotations

import pytest
from jinja2 import nodes

from template_fix.jinja.folding import fold, guard
from template_fix.jinja.queries import alike, parse
from template_fix.jinja.templates import Template
from template_fix.repair.splice import in_front, put_expression, tag_behind, tag_in_front, tidy
from template_fix.text.edits import Span, apply

SWITCH = guard(True)
CUT = "message.content.split('</think>')[-1]"
LONG = f"'<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n\\n' ~ (message.content or '') if {SWITCH} else "


def edited(source: str, old: str, new: str) -> str:
    at = source.index(old)
    edits = [put_expression(Span(at, at + len(old)), new)]
    result = apply(source, tidy(Template(source), edits))
    assert alike(parse(result).body, parse(apply(source, edits)).body)
    return result


def test_a_long_choice_has_a_line_for_each_part_where_its_tag_has_one() -> None:
    source = "{%- for message in messages %}\n    {{- " + CUT + " }}\n{%- endfor %}"
    assert edited(source, CUT, LONG + CUT) == (
        "{%- for message in messages %}\n"
        "    {{- '<think>\\n' ~ message.reasoning_content ~ '\\n</think>\\n\\n' ~ (message.content or '')\n"
        f"        if {SWITCH}\n"
        f"        else {CUT} }}}}\n"
        "{%- endfor %}"
    )


def test_a_choice_in_a_tag_that_ends_on_a_later_line_has_lines_too() -> None:
    source = "{%- for message in messages %}\n    {{- " + CUT + ".lstrip('\n') }}\n{%- endfor %}"
    assert f"\n        if {SWITCH}\n        else {CUT}" in edited(source, CUT, LONG + CUT)


def test_a_test_of_a_choice_has_several_lines_where_it_is_too_long_for_one() -> None:
    source = "{%- for message in messages %}\n  {{- " + CUT + " }}\n{%- endfor %}"
    asked = "'</think>' in (message.content or '') and (message.content is string or not message.content)"
    assert edited(source, CUT, f"message.content if {SWITCH} and {asked} else {CUT}").split("\n")[1:-1] == [
        "  {{- message.content",
        f"    if {SWITCH} and '</think>' in (message.content or '')",
        "        and (message.content is string or not message.content)",
        f"    else {CUT} }}}}",
    ]


def test_a_choice_of_the_templates_own_and_one_in_quotes_stay_on_their_line() -> None:
    own = "message.content if message.content is string else ' if x else '"
    source = "{%- for message in messages %}\n{%- set text = " + own + " %}\n{{- text }}\n{%- endfor %}"
    lines = edited(source, own, f"{LONG}{own}").split("\n")
    assert lines[2:4] == [f"    if {SWITCH}", f"    else {own} %}}"]


@pytest.mark.parametrize(
    "source, new",
    [
        pytest.param("{{ " + CUT + " }}\n", f"message.content if {SWITCH} else {CUT}", id="a short line"),
        pytest.param("{% if x %}{{ " + CUT + " }}{% endif %}\n", LONG + CUT, id="a line with several tags"),
    ],
)
def test_an_edit_stays_on_its_line_where_that_is_short_or_has_other_tags(source: str, new: str) -> None:
    assert edited(source, CUT, new) == source.replace(CUT, new)


def test_parentheses_go_where_they_change_nothing() -> None:
    assert edited("{{ 'a' ~ x }}", "x", "y if z else x") == "{{ 'a' ~ (y if z else x) }}"
    assert edited("{{ x }}", "x", "y if z else x") == "{{ y if z else x }}"


ASKED = "loop.index0 > ns.last_question_index and message.reasoning_content is defined and message.reasoning_content"


@pytest.mark.parametrize(
    ("line", "test", "after"),
    [
        pytest.param(
            f"    {{%- if {ASKED} %}}",
            f"{SWITCH} or {ASKED}",
            f"    {{%- if {SWITCH}\n            or {ASKED} %}}",
            id="the whole test",
        ),
        pytest.param(
            f"  {{% set shown = not ({ASKED}) %}}",
            f"{ASKED} and 'a or b' in [x and y] and not {SWITCH}",
            f"  {{% set shown = not ({ASKED}\n      and 'a or b' in [x and y] and not {SWITCH}) %}}",
            id="a part of what is set",
        ),
    ],
)
def test_a_test_has_several_lines_where_it_is_too_long_for_its_own(line: str, test: str, after: str) -> None:
    source = f"{{%- for message in messages %}}\n{line}\n{{{{ message }}}}\n"
    ends = "{%- endif %}{%- endfor %}" if " if " in line else "{%- endfor %}"
    assert edited(source + ends, ASKED, test) == source.replace(line, after) + ends


@pytest.mark.parametrize(
    ("source", "test"),
    [
        pytest.param(
            f"{{% if x %}}\n{{{{ a }}}}{{% if {ASKED} %}}{{% endif %}}{{% endif %}}",
            f"{SWITCH} or {ASKED}",
            id="beside tags",
        ),
        pytest.param(
            f"{{% if {ASKED} %}}\n{{% endif %}}\n{{% if {ASKED} or {ASKED} %}}\n{{% endif %}}",
            f"{SWITCH} or {ASKED}",
            id="own tests that are as long",
        ),
        pytest.param(f"{{% if {ASKED} %}}\n{{% endif %}}", f"{ASKED} or {ASKED}", id="no switch is asked for"),
    ],
)
def test_a_test_stays_on_its_line_where_the_template_has_such_lines(source: str, test: str) -> None:
    assert edited(source, ASKED, test) == source.replace(ASKED, test, 1)


def test_tags_of_several_lines_are_indented_as_a_whole_where_the_template_has_lines() -> None:
    mapping = ", ".join(f"'key_{number}': message.key_{number}" for number in range(6))
    tags = "{{- message.content }}\n{%- set message = {" + mapping + "} %}"
    source = "{%- for message in messages %}\n    {%- if message.result %}\n    {%- endif %}\n{%- endfor %}"
    made = apply(source, [tag_in_front(Template(source), source.index("if"), (SWITCH, tags))])
    assert made.split("\n")[1:5] == [
        f"    {{%- if {SWITCH} %}}",
        "        {{- message.content }}",
        "        {%- set message = {",
        "            'key_0': message.key_0,",
    ]
    line = source.replace("\n", "")
    made = apply(line, [tag_in_front(Template(line), line.index("if"), (SWITCH, tags))])
    assert "\n" not in made and tags.replace("\n", "") in made


@pytest.mark.parametrize(
    ("source", "before"),
    [
        pytest.param("{#- Whose this is -#}\n{%- set a = 1 %}", "{#- Whose this is -#}\n", id="a comment"),
        pytest.param("{# one #}{# two\nlines #}\n\n{{- bos_token }}", "{# one #}{# two\nlines #}\n", id="two of them"),
        pytest.param("{%- set a = 1 %}\n{# why #}\n{{- x }}", "", id="none in front"),
        pytest.param("{# one #}\n{{ x }}", "", id="a line break that is printed"),
        pytest.param("{# one #} text {# two #}\n{{- x }}", "", id="a text between two"),
    ],
)
def test_what_comes_first_stands_behind_the_comments_at_the_beginning(source: str, before: str) -> None:
    made = apply(source, [in_front(source, "{%- set first = true %}")])
    assert made.startswith(before + "{%- set first = true %}")
    tree = parse(made)
    assert isinstance(tree.body.pop(0), nodes.Assign) and alike(tree.body, parse(source).body)


def test_tags_that_come_first_have_a_line_each_where_no_line_break_is_printed() -> None:
    tags = "{%- if x %}\n    {%- set y = 1 %}\n{%- endif %}"
    assert in_front("{%- if z %}\n  {{- z }}\n{%- endif %}", tags).text == tags.replace("    ", "  ") + "\n"
    assert in_front("<s>\n{%- if z %}{%- endif %}", tags).text == "{%- if x %}{%- set y = 1 %}{%- endif %}"


@pytest.mark.parametrize(
    ("source", "step"),
    [
        pytest.param("{%- for m in ms %}\n  {%- if m %}\n  {%- endif %}\n{%- endfor %}", "  ", id="two spaces"),
        pytest.param("{%- for m in ms %}\n\t{%- if m %}\n\t{%- endif %}\n{%- endfor %}", "\t", id="a tab"),
        pytest.param(
            "{%- for m in ms %}\n{%- if m %}\n{%- endif %}\n{%- endfor %}", "    ", id="four where nothing is"
        ),
        pytest.param(
            "{%- for m in ms %}\n  {%- if m %}\n    {{- a }}\n  {%- endif %}\n{%- endfor %}\n{%- if x %}\n      {{ y }}"
            "\n{%- endif %}",
            "  ",
            id="two spaces most often",
        ),
    ],
)
def test_tags_are_indented_further_by_what_the_template_indents(source: str, step: str) -> None:
    made = apply(source, [tag_behind(Template(source), source.index(" %}"), (SWITCH, "{{- 'x' }}"))])
    indent = source.split("\n")[1].partition("{")[0]
    assert made.split("\n")[1:4] == [
        f"{indent}{{%- if {SWITCH} %}}",
        f"{indent}{step}{{{{- 'x' }}}}",
        f"{indent}{{%- endif %}}",
    ]


GIVEN = "{%- set preserve_thinking = preserve_thinking | default(false) %}"


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(GIVEN, id="a default"),
        pytest.param(
            "{% set x = 1 %}{% set preserve_thinking=preserve_thinking|d(true, true) %}", id="in another spelling"
        ),
    ],
)
def test_the_switch_is_asked_for_by_name_where_the_template_has_given_it_a_default(given: str) -> None:
    source = given + "{% for m in messages %}{{ m.cut }}{% endfor %}"
    at = source.index("m.cut")
    edits = tidy(Template(source), [put_expression(Span(at, at + 5), f"m.whole if {SWITCH} else m.cut")])
    assert apply(source, edits) == source.replace("m.cut", "m.whole if preserve_thinking else m.cut")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{{ m.cut }}" + GIVEN, id="in front of that"),
        pytest.param(GIVEN + "{% macro turn(m) %}{{ m.cut }}{% endmacro %}{{ turn(x) }}", id="in a macro"),
        pytest.param(GIVEN + "{% set preserve_thinking = x %}{{ m.cut }}", id="where another value follows"),
        pytest.param("{% set preserve_thinking = x %}{{ m.cut }}", id="where it is given what may be missing"),
        pytest.param("{% if x %}" + GIVEN + "{% endif %}{{ m.cut }}", id="where it is given one in some cases"),
        pytest.param(
            "{% set x = preserve_thinking | default(false) %}{{ m.cut }}", id="where something else is given it"
        ),
    ],
)
def test_the_switch_is_asked_for_with_a_default_elsewhere(source: str) -> None:
    at = source.index("m.cut")
    edits = tidy(Template(source), [put_expression(Span(at, at + 5), f"m.whole if {SWITCH} else m.cut")])
    assert apply(source, edits) == source.replace("m.cut", f"m.whole if {SWITCH} else m.cut")


def opened_each(source: str, *tests: str) -> str:
    """The template with each of these tests made to hold with the switch on, and tidied."""
    places = [Span(source.index(test), source.index(test) + len(test)) for test in tests]
    edits = [put_expression(at, f"{SWITCH} or {test}") for at, test in zip(places, tests, strict=True)]
    result = apply(source, tidy(Template(source), edits))
    for value in (False, True):
        assert alike(fold(result, value=value), fold(apply(source, edits), value=value))
    return result


@pytest.mark.parametrize(
    ("source", "tests", "after"),
    [
        pytest.param(
            "{% if loop.last and m.plan %}x{% endif %}",
            ("loop.last", "m.plan"),
            f"{{% if {SWITCH} or (loop.last and m.plan) %}}x{{% endif %}}",
            id="all that is asked",
        ),
        pytest.param(
            "{% if loop.index0 > ns.last and ns.keep and m.plan %}x{% endif %}",
            ("loop.index0 > ns.last", "ns.keep"),
            f"{{% if ({SWITCH} or loop.index0 > ns.last and ns.keep) and m.plan %}}x{{% endif %}}",
            id="beside another test",
        ),
        pytest.param(
            "{{ 'x' if not (a and b) else 'y' }}",
            ("a", "b"),
            f"{{{{ 'x' if not ({SWITCH} or (a and b)) else 'y' }}}}",
            id="in a choice",
        ),
    ],
)
def test_tests_that_stand_beside_each_other_are_opened_at_once(source: str, tests: tuple[str, ...], after: str) -> None:
    assert opened_each(source, *tests) == after


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        pytest.param("{% if loop.last or m.plan %}x{% endif %}", ("loop.last", "m.plan"), id="one of them is enough"),
        pytest.param(
            "{% if m.a and last and kept %}x{% endif %}", ("last", "kept"), id="they are no test by themselves"
        ),
        pytest.param("{% if not last and kept %}x{% endif %}", ("last", "kept"), id="one is denied"),
        pytest.param("{% if last and not kept %}x{% endif %}", ("last", "kept"), id="the other is denied"),
        pytest.param("{% if a == last and kept %}x{% endif %}", ("last", "kept"), id="one is compared"),
    ],
)
def test_tests_stay_apart_where_to_open_them_at_once_is_something_else(source: str, tests: tuple[str, ...]) -> None:
    assert opened_each(source, *tests).count(SWITCH) == 2


def test_a_long_test_of_tags_has_several_lines_where_the_template_has() -> None:
    source = "{%- for message in messages %}\n    {{- message.content }}\n{%- endfor %}"
    asked = "message.role == 'a and b' and (message.content is string and message.plan)"
    test = f"{SWITCH} and {asked} and '</x>' in message.content"
    edit = tag_behind(Template(source), source.index(" %}"), (test, "{%- set a = 1 %}"))
    made = apply(source, [edit])
    assert "'a and b'\n            and (message.content is string and message.plan) and '</x>' in" in made
    assert alike(parse(made).body, parse(made.replace("\n            and", " and")).body)
    line = source.replace("\n", "")
    assert "\n" not in apply(line, [tag_behind(Template(line), line.index(" %}"), (test, "{%- set a = 1 %}"))])
