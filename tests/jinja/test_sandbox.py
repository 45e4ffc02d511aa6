"""The quick sandbox allows, refuses and prints what jinja2's own does."""

from __future__ import annotations

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from template_fix.jinja.sandbox import Sandbox

TEXTS = [
    *("{{ 'a'.upper() }}", "{{ 'a b'.split()[-1] }}", "{{ x.strip().startswith('<') }}", "{{ x.nothing }}"),
    *("{{ m.content }}", "{{ m.items }}", "{{ m.get('role', 'none') }}", "{{ m.nothing is defined }}", "{{ n.real }}"),
    *("{{ x.format(1) }}", "{{ '{0.__class__}'.format(x) }}", "{{ '{a}'.format_map(m) }}", "{{ none.x }}"),
    *("{{ x.__class__ }}", "{{ m.__init__ }}", "{{ l.append(1) }}", "{{ m.update(a=1) }}", "{{ m.clear }}"),
    *("{{ ().__class__.__mro__ }}", "{{ l.__len__() }}", "{{ range(3) | list }}", "{{ m.missing.deeper }}"),
    "{% macro f(a, b=2) %}{{ a }}-{{ b }}{{ caller() if caller else '' }}{% endmacro %}{{ f(1) }}{{ f(1, b=3) }}",
    "{% macro f() %}({{ caller() }}){% endmacro %}{% call f() %}in{% endcall %}",
    "{% for i in l %}{% macro f() %}{{ loop }}{% endmacro %}{{ f() }}{{ x.upper() }}{% endfor %}",
    "{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{{ ns.a }}{{ ns.missing }}",
    *("{{ x.join(l | map('string')) }}", "{{ x.upper.__self__ }}", "{{ x.upper(1) }}", "{{ m['items'] }}", "{{ x() }}"),
]
GIVEN = {"x": "text", "m": {"content": "c", "role": "r", "items": [1]}, "l": [1, 2], "n": 5}


def outcome(environment: ImmutableSandboxedEnvironment, text: str) -> tuple[str, str]:
    """What a template prints, or the kind of its failure and what it says."""
    try:
        return "", environment.from_string(text).render(GIVEN)
    except Exception as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("text", TEXTS)
def test_it_does_what_the_sandbox_of_jinja2_does(text: str) -> None:
    quick, own = Sandbox(), ImmutableSandboxedEnvironment()
    expected = outcome(own, text)
    assert outcome(quick, text) == expected
    assert outcome(quick, text) == expected, "the second time it is known what may be read"


def test_what_is_known_of_one_type_says_nothing_of_a_type_made_from_it() -> None:
    class Tagged(str):
        secret = "shown"

    quick = Sandbox()
    template = quick.from_string("{{ x.secret }}")
    assert (template.render(x="text"), template.render(x=Tagged("text"))) == ("", "shown")
