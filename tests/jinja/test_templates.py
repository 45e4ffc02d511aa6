from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

from template_fix.jinja.environment import environment
from template_fix.jinja.queries import undeclared, walk
from template_fix.jinja.templates import ParseError, Template, lex

FRAGMENTS = [
    "{%- for message in messages %}",
    "{% endfor -%}",
    "{{ message['content'] | trim }}",
    "{{- 'a' + b ~ c -}}",
    "{%+ if x is not defined +%}",
    "{% endif %}",
    "{# a comment #}",
    "{% raw %}{{ not read }}{% endraw %}",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "text",
    "\N{NO-BREAK SPACE}",
    "</think>",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_the_tokens_of_a_template_joined_are_the_template(source: str) -> None:
    try:
        tokens = lex(source)
    except ParseError:
        return
    assert "".join(token.text for token in tokens) == source
    assert all(token.text == source[token.start : token.end] for token in tokens)


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        pytest.param("{{ (a + b).c }}", nodes.Add, "(a + b)", id="parentheses belong to what they enclose"),
        pytest.param("{{ a + b + c }}", nodes.Add, "a + b + c", id="a chain of additions spans all its operands"),
        pytest.param("{{ x|trim|upper }}", nodes.Filter, "x|trim|upper", id="a chain of filters spans every link"),
        pytest.param("{{ a.b['c'](d)[-1] }}", nodes.Call, "a.b['c'](d)", id="a call ends at its parenthesis"),
        pytest.param("{{ x is not defined }}", nodes.Not, "x is not defined", id="a negated test is one expression"),
        pytest.param("{{ a if b else c }}", nodes.CondExpr, "a if b else c", id="a conditional spans both branches"),
        pytest.param("{% if a %}b{% endif %}", nodes.If, "if a %}b{% endif", id="a statement lies between its marks"),
        pytest.param(
            "{% for a in b %}{% set c = 1 %}{% if d %}e{% endif %}{% endfor %}",
            nodes.If,
            "if d %}e{% endif",
            id="a statement begins behind the one before it",
        ),
        pytest.param("a\r\n{{ b }}\r\n", nodes.Name, "b", id="offsets count carriage returns"),
        pytest.param("x  \n  {%- set é = 'ü' %}", nodes.Const, "'ü'", id="offsets survive stripped whitespace"),
    ],
)
def test_a_node_knows_its_text(source: str, kind: type[nodes.Node], text: str) -> None:
    template = Template(source)
    found = next(node for node in walk(template.tree) if isinstance(node, kind))
    assert template.text(found) == text


@pytest.mark.parametrize(
    ("source", "at"),
    [
        pytest.param("a\n{% if %}", "%}", id="a missing condition"),
        pytest.param("a\n{{ b c }}", "c }}", id="two words in an expression"),
        pytest.param("{{" + "(" * 2000 + "1" + ")" * 2000 + "}}", "{{", id="nesting without end"),
    ],
)
def test_a_template_that_does_not_parse_says_where(source: str, at: str) -> None:
    with pytest.raises(ParseError) as error:
        Template(source)
    assert source[error.value.offset :].startswith(at)


def test_variables_that_a_template_sets_or_transformers_provides_are_not_undeclared() -> None:
    source = "{% set a = b %}{{ a }}{{ namespace() }}{{ strftime_now('%d') }}{{ messages }}"
    assert undeclared(source) == {"b", "messages"}


@pytest.mark.slow
def test_every_span_in_real_templates_parses_to_its_node(shared: Path) -> None:
    checked = 0
    for path in sorted(shared.glob("corpus/templates/*/*.jinja")):
        source = path.read_bytes().decode()
        try:
            template = Template(source)
        except ParseError:
            continue
        assert template.tree == environment().parse(source), path
        for node in walk(template.tree):
            if _is_an_expression_with_text(template, node):
                again = environment().parse("{{ " + template.text(node) + "\n}}").body[0]
                assert isinstance(again, nodes.Output) and again.nodes == [node], (path, template.text(node))
                checked += 1
    assert checked > 50_000


def _is_an_expression_with_text(template: Template, node: nodes.Node) -> bool:
    if not isinstance(node, nodes.Expr) or isinstance(node, nodes.TemplateData | nodes.Slice | nodes.NSRef):
        return False
    return getattr(node, "ctx", "load") == "load" and template.span(node) is not None
