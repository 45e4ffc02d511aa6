from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateSyntaxError

from template_fix.jinja.patterns import Pattern, fill
from template_fix.jinja.templates import Template

SPLIT = "$TEXT.split($TAG)[-1]"
STRIP = "{% if $TEST %}{% set $TEXT = $TEXT.split($TAG)[-1] %}{% endif %}"
GATE = "loop.index0 > $LAST"


def matched(pattern: str, text: str) -> list[str]:
    template = Template(text)
    return [template.text(node) for node, _ in Pattern.parse(pattern).matches(template)]


def bound(pattern: str, text: str) -> list[dict[str, str]]:
    template = Template(text)
    return [
        {name: fill(f"${name}", bindings, template) for name in bindings}
        for _, bindings in Pattern.parse(pattern).matches(template)
    ]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param(SPLIT, "{{ content.split('</think>')[-1] }}", id="as it is written"),
        pytest.param(SPLIT, '{{- content . split ( "</think>" ) [ - 1 ] -}}', id="other spacing and quotes"),
        pytest.param(SPLIT, "{{ c.split('[/T]')[-1] }}", id="another name, another tag"),
        pytest.param(
            SPLIT, "{{ message['content'].split(tag)[-1] }}", id="an expression for the text, a name for the tag"
        ),
        pytest.param(SPLIT, "{{ (content).split('</think>')[-1] }}", id="parentheses"),
        pytest.param(SPLIT, "{{ content['split']('</think>')[-1] }}", id="a subscript in the place of an attribute"),
        pytest.param(SPLIT, "{% set x = f(content.split('a')[-1] | trim) %}", id="deep inside of an expression"),
        pytest.param(SPLIT, "{{ content.split('</think>')\n    [-1] }}", id="several lines"),
        pytest.param(
            GATE, "{% if loop.index0 > ns.last_query_index and x %}{% endif %}", id="an attribute of anything"
        ),
        pytest.param(GATE, "{% if loop['index0'] > n %}{% endif %}", id="a subscript of the loop"),
        pytest.param("$A.get('x')", '{{ m.get("x") }}', id="quotes of an argument"),
        pytest.param(STRIP, "{% if '</t>' in c %}{% set c = c.split('</t>')[-1] %}{% endif %}", id="a statement"),
        pytest.param(
            STRIP, "{%- if a -%}\n\n  {%- set c = c.split(t)[-1] -%}\n{%- endif -%}", id="whitespace in a statement"
        ),
        pytest.param(
            STRIP, "{% if a %}{# why #}{% set c = c.split(t)[-1] %}{% endif %}", id="a comment in a statement"
        ),
        pytest.param(STRIP, "{% if a %} {% set (c) = c.split(t)[-1] %} {% endif %}", id="whitespace that is printed"),
        pytest.param(
            "loop.last or (not loop.last and $R)",
            "{% if loop.last or not loop.last and x %}{% endif %}",
            id="parentheses that change nothing",
        ),
    ],
)
def test_a_pattern_matches_every_spelling(pattern: str, text: str) -> None:
    assert len(matched(pattern, text)) == 1


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        pytest.param(SPLIT, "{{ content.split('</think>')[0] }}", id="another part"),
        pytest.param(SPLIT, "{{ content.split('</think>')[1] }}", id="the second part"),
        pytest.param(SPLIT, "{{ content.split('</think>', 1)[-1] }}", id="one argument more"),
        pytest.param(SPLIT, "{{ content.split()[-1] }}", id="one argument less"),
        pytest.param(SPLIT, "{{ content.rsplit('</think>')[-1] }}", id="another method"),
        pytest.param(SPLIT, "{{ content.split('</think>') }}", id="no part"),
        pytest.param(SPLIT, "{{ content.split('</think>')[:-1] }}", id="a slice"),
        pytest.param(SPLIT, "{{ content.split(sep='</think>')[-1] }}", id="a named argument"),
        pytest.param(
            SPLIT, "{# content.split('</think>')[-1] #}{{ 'content.split(x)[-1]' }}", id="a comment and a text"
        ),
        pytest.param(STRIP, "{% if a %}{% set c = d.split(t)[-1] %}{% endif %}", id="two variables for one name"),
        pytest.param(STRIP, "{% if a %}{% set c = c.split(t)[-1] %}{% else %}x{% endif %}", id="an else"),
        pytest.param(STRIP, "{% if a %}{% set c = c.split(t)[-1] %}{{ c }}{% endif %}", id="a statement more"),
        pytest.param(STRIP, "{% if a %}x{% set c = c.split(t)[-1] %}{% endif %}", id="a text more"),
        pytest.param(STRIP, "{% if a %}{% set n.c = n.c.split(t)[-1] %}{% endif %}", id="an attribute that is set"),
        pytest.param(GATE, "{% if loop.index0 >= n %}{% endif %}", id="another comparison"),
        pytest.param(GATE, "{% if n < loop.index0 %}{% endif %}", id="the sides exchanged"),
        pytest.param(GATE, "{% if loop.index > n %}{% endif %}", id="another attribute"),
        pytest.param("$A.get('x')", "{{ m.get('y') }}", id="another constant"),
        pytest.param("$A.get(1)", "{{ m.get(true) }}", id="true is not one"),
        pytest.param("$A == $A", "{{ a == b }}", id="two things for one name"),
    ],
)
def test_near_misses_do_not_match(pattern: str, text: str) -> None:
    assert matched(pattern, text) == []


def test_every_match_is_found_in_the_order_of_the_source() -> None:
    text = "{{ a.split(x)[-1] }}{% if y %}{{ b.split('z')[-1].split('w')[-1] }}{% endif %}"
    assert matched(SPLIT, text) == ["a.split(x)[-1]", "b.split('z')[-1].split('w')[-1]", "b.split('z')[-1]"]


@pytest.mark.parametrize(
    ("pattern", "text", "names"),
    [
        pytest.param(
            SPLIT,
            "{{ m['content'].split( '</think>' )[-1] }}",
            {"TEXT": "m['content']", "TAG": "'</think>'"},
            id="expressions as they are spelled",
        ),
        pytest.param(
            STRIP,
            "{% if (a or b) %}{% set c = c.split(t)[-1] %}{% endif %}",
            {"TEST": "(a or b)", "TEXT": "c", "TAG": "t"},
            id="a test and a variable that is set",
        ),
        pytest.param(
            "$TEXT.$METHOD($ARGUMENT)",
            "{{ c.strip('x') }}",
            {"TEXT": "c", "METHOD": "strip", "ARGUMENT": "'x'"},
            id="the name of a method",
        ),
        pytest.param("$A == $A", "{{ x.y == x . y }}", {"A": "x.y"}, id="one thing that comes twice"),
    ],
)
def test_metavariables_stand_for_what_was_found(pattern: str, text: str, names: dict[str, str]) -> None:
    assert bound(pattern, text) == [names]


def test_a_replacement_is_filled_with_the_source() -> None:
    template = Template("{{ m['content'].split( '</think>' )[-1] }}")
    ((_, bindings),) = Pattern.parse(SPLIT).matches(template)
    assert fill("$TEXT if SWITCH else $TEXT.split($TAG)[-1]", bindings, template) == (
        "m['content'] if SWITCH else m['content'].split('</think>')[-1]"
    )


def test_a_pattern_that_does_not_parse_is_an_error() -> None:
    with pytest.raises(TemplateSyntaxError):
        Pattern.parse("{% if $TEST %}")


SPACE = st.sampled_from(["", " ", "  ", "\n", "\t"])
NAME = st.sampled_from(["content", "c", "message['content']", "message.content", "m[0].x"])
TAG = st.sampled_from(["'</think>'", '"</think>"', "'[/T]'", "tag"])


@given(NAME, TAG, st.lists(SPACE, min_size=7, max_size=7), st.sampled_from(["{{%s}}", "{{-%s-}}", "{%% set x =%s%%}"]))
def test_spacing_quotes_and_names_make_no_difference(name: str, tag: str, space: list[str], around: str) -> None:
    a, b, c, d, e, f, g = space
    call = f"{name}{a}.{b}split{c}({d}{tag}{e}){f}[{g}-1]"
    assert matched(SPLIT, around % f" {call} ") == [call]
