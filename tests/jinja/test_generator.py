"""The code that is generated for templates is jinja2's own, whatever it took to generate it."""

from __future__ import annotations

import pytest
from jinja2.compiler import CodeGenerator

from template_fix.jinja.environment import environment
from template_fix.jinja.queries import copy_tree, parse

TEMPLATES = [
    "{{ 'a' ~ 'b' ~ c ~ ('d' if true else e) }}{{ (1 + 2) * x - -3 }}",
    "{% for m in messages[1 + 0:] if m.role != 'a' ~ 'b' %}{{ loop.index0 * (2 + 3) }}{% endfor %}",
    "{% set ns = namespace(n=1 + 1, s='x' * 3) %}{{ ns.s | upper ~ 'y' | upper }}{{ [1, 2][0] }}{{ {'a': 'b'}['a'] }}",
    "{% macro f(a, b=1 + 1) %}{{ a[b:] | length + 'xyz' | length }}{% endmacro %}{{ f(['q' | upper, z], 2 - 1) }}",
    "{% if not (1 > 2) and x is defined %}{{ x is not none and (1, 2) }}{% elif 'a' in 'abc' %}{{ 1 / 0 }}{% endif %}",
    "{% generation %}{{ messages[0]['content'].split('</' ~ 'think>')[-1].strip() }}{% endgeneration %}",
]


@pytest.mark.parametrize("source", TEMPLATES)
def test_the_generated_code_is_that_of_jinja2(source: str) -> None:
    ours, theirs = environment(), environment().overlay()
    theirs.code_generator_class = CodeGenerator
    made = [each._generate(copy_tree(parse(source)), None, None) for each in (ours, theirs)]
    assert ours.code_generator_class is not CodeGenerator
    assert made[0] == made[1]
