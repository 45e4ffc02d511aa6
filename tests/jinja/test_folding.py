from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import Template as Compiled
from shelf import EACH, patched, repaired, source

from template_fix.jinja.environment import environment
from template_fix.jinja.folding import equal_when_off, fold
from template_fix.jinja.renderer import Renderer


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("{{ a }}", "{{ a }}", id="nothing changed"),
        pytest.param("{{ a['b'] }}", '{{- a["b"] -}}', id="quotes and dashes where they change nothing"),
        pytest.param("{{ a }}", "{# why #}{{ a }}", id="a comment"),
        pytest.param("{{ f(a) }}", "{{ a if preserve_thinking | default(true) else f(a) }}", id="an expression kept"),
        pytest.param("{{ f(a) }}", "{{ a if preserve_thinking else f(a) }}", id="no default"),
        pytest.param(
            "{% set preserve_thinking = preserve_thinking | default(true, true) %}{{ f(a) }}",
            "{% set k = preserve_thinking | default(true) %}"
            "{% set preserve_thinking = preserve_thinking | default(true, true) %}{{ a if k else f(a) }}",
            id="the switch noted before T binds it to something else",
        ),
        pytest.param("x<t>y", "x{{ '' if preserve_thinking else '<t>' }}y", id="a text of the template itself"),
        pytest.param("{{ f(a) }}", "{{ f(a) if not preserve_thinking else a }}", id="turned round"),
        pytest.param("{% if a %}b{% endif %}", "{% if preserve_thinking or a %}b{% endif %}", id="a test opened"),
        pytest.param(
            "{% if a %}b{% endif %}",
            "{% if a or preserve_thinking | default(true) %}b{% endif %}",
            id="a test opened at its end",
        ),
        pytest.param(
            "{% if a %}b{% endif %}",
            "{% if a and not (preserve_thinking | default(true)) %}b{% endif %}",
            id="a test closed",
        ),
        pytest.param(
            "{% if a and b %}c{% endif %}",
            "{% if a and (preserve_thinking or b) %}c{% endif %}",
            id="an operand of a test opened",
        ),
        pytest.param(
            "{% if not (a or b) %}c{% endif %}",
            "{% if not (a and not preserve_thinking or b) %}c{% endif %}",
            id="an operand below a negation",
        ),
        pytest.param(
            "{% for a in b if c %}d{% endfor %}",
            "{% for a in b if preserve_thinking or c %}d{% endfor %}",
            id="the filter of a loop",
        ),
        pytest.param(
            "{% if a %}b{% elif c %}d{% endif %}",
            "{% if a %}b{% elif c and not preserve_thinking %}d{% endif %}",
            id="a later branch",
        ),
        pytest.param(
            "{% if a %}b{% elif c %}d{% else %}e{% endif %}",
            "{% if preserve_thinking %}x{% elif a %}b{% elif c %}d{% else %}e{% endif %}",
            id="a branch in front",
        ),
        pytest.param(
            "{% if a %}b{% endif %}", "{% if a %}b{% elif preserve_thinking %}x{% endif %}", id="a branch behind"
        ),
        pytest.param(
            "x{{ a }}y", "x{% if preserve_thinking %}{% set a = b %}{% endif %}{{ a }}y", id="a statement between"
        ),
        pytest.param("xy", "x{% if preserve_thinking %}z{% endif %}y", id="a text between texts"),
        pytest.param("xy", "x{% if preserve_thinking %}z{% else %}{% endif %}y", id="an empty branch"),
        pytest.param(
            "{% for a in b %}xy{% endfor %}",
            "{% for a in b %}x{% if preserve_thinking %}z{% endif %}y{% endfor %}",
            id="a text between texts in a loop",
        ),
        pytest.param(
            "{{ a }}", "{{ a if preserve_thinking is not defined or preserve_thinking else a }}", id="is defined"
        ),
        pytest.param(
            "{% if a %}b{% else %}c{% endif %}",
            "{% if a %}b{% elif not preserve_thinking %}c{% else %}d{% endif %}",
            id="a branch that is on",
        ),
        pytest.param("{{ b }}", "{{ a if preserve_thinking is true else b }}", id="is true"),
        pytest.param("{{ b }}", "{{ b if preserve_thinking is false else a }}", id="is false"),
        pytest.param(
            "{{ b }}",
            "{{ a if preserve_thinking | default(true, true) and preserve_thinking else b }}",
            id="a default that goes before false",
        ),
        pytest.param(
            "{% if preserve_thinking | default(false) or a %}b{% endif %}",
            "{% if preserve_thinking | default(true) or a %}b{% endif %}",
            id="a switch that T has, turned on",
        ),
        pytest.param(
            "{% set preserve_thinking = preserve_thinking | default(false) %}{% if preserve_thinking %}a{% endif %}",
            "{% set preserve_thinking = preserve_thinking | default(true) %}{% if preserve_thinking %}a{% endif %}",
            id="a switch that T keeps in a variable of the same name",
        ),
        pytest.param(
            "{% macro m(a) %}{{ f(a) }}{% endmacro %}",
            "{% macro m(a) %}{{ a if preserve_thinking else f(a) }}{% endmacro %}",
            id="inside of a macro",
        ),
    ],
)
def test_what_is_the_same_program_when_switched_off(before: str, after: str) -> None:
    assert equal_when_off(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("{{ f(a) }}", "{{ a }}", id="an edit without a switch"),
        pytest.param("{{ f(a) }}", "{{ a if keep | default(true) else f(a) }}", id="a switch of another name"),
        pytest.param("{{ f(a) }}", "{{ f(a) if preserve_thinking else a }}", id="the branches exchanged"),
        pytest.param("{{ f(a) }}", "{{ a if preserve_thinking else f(b) }}", id="the other branch changed"),
        pytest.param(
            "{{ f(a) }}",
            "{{ a if preserve_thinking | default(true, true) else f(a) }}",
            id="a default that swallows false",
        ),
        pytest.param("{{ a }}", "{{ a and not preserve_thinking }}", id="and true where the value is printed"),
        pytest.param("{{ a }}", "{{ a or preserve_thinking }}", id="or false where the value is printed"),
        pytest.param(
            "{% set b = a %}", "{% set b = a and not preserve_thinking %}", id="and true where it is remembered"
        ),
        pytest.param("{{ f(a) }}", "{{ f(a and not preserve_thinking) }}", id="and true in an argument"),
        pytest.param(
            "{% if a == b %}c{% endif %}",
            "{% if (a and not preserve_thinking) == b %}c{% endif %}",
            id="and true in a comparison",
        ),
        pytest.param(
            "{% if a %}b{% endif %}", "{% if a or not preserve_thinking %}b{% endif %}", id="a test that is on"
        ),
        pytest.param("{% if a %}b{% endif %}", "{% if a and preserve_thinking %}b{% endif %}", id="a test that is off"),
        pytest.param(
            "{% if a %}b{% endif %}{{ c }}",
            "{% if a or preserve_thinking %}b{% endif %}{{ d }}",
            id="an edit beside the switch",
        ),
        pytest.param(
            "{% if a %}b{% endif %}\n\nc", "{% if a or preserve_thinking %}b{% endif %}\nc", id="a newline less"
        ),
        pytest.param(
            "x {{ a }}",
            "x {%- if preserve_thinking %}{% set a = b %}{% endif %}{{ a }}",
            id="a dash that eats whitespace",
        ),
        pytest.param(
            "{% set preserve_thinking = true %}{{ b }}",
            "{% set preserve_thinking = true %}{{ a if preserve_thinking else b }}",
            id="a switch that T sets",
        ),
        pytest.param(
            "{% for preserve_thinking in c %}{{ b }}{% endfor %}",
            "{% for preserve_thinking in c %}{{ a if preserve_thinking else b }}{% endfor %}",
            id="a switch that is a loop's variable",
        ),
        pytest.param(
            "{% macro m(preserve_thinking) %}{{ b }}{% endmacro %}",
            "{% macro m(preserve_thinking) %}{{ a if preserve_thinking else b }}{% endmacro %}",
            id="a switch that is a macro's parameter",
        ),
        pytest.param(
            "{% set preserve_thinking %}x{% endset %}{{ b }}",
            "{% set preserve_thinking %}x{% endset %}{{ a if preserve_thinking else b }}",
            id="a switch that is set to a text",
        ),
        pytest.param(
            "{{ b }}",
            "{% set preserve_thinking = true %}{{ a if preserve_thinking else b }}",
            id="a switch that the edit sets",
        ),
        pytest.param(
            "{{ a }}", "{{ a if preserve_thinking | default(true, false) else b }}", id="a default that isn't for false"
        ),
        pytest.param(
            "{{ a }}",
            "{{ a if preserve_thinking | default(true, c) else b }}",
            id="a default of which nobody knows whether it is for false",
        ),
        pytest.param(
            "{% if a %}x{% else %}y{% endif %}",
            "{% if a %}x{% elif b %}{% else %}y{% endif %}",
            id="a branch that prints nothing",
        ),
        pytest.param(
            "{% if a %}x{% endif %}",
            "{% if a %}x{% elif not preserve_thinking %}y{% endif %}",
            id="a branch that is on",
        ),
        pytest.param(
            "{{ b }}",
            "{% set k = preserve_thinking | default(true) %}{% set k = true %}{{ a if k else b }}",
            id="a name that notes the switch and is set again",
        ),
        pytest.param(
            "{% set preserve_thinking = true %}{{ b }}",
            "{% set preserve_thinking = true %}{% set k = preserve_thinking %}{{ a if k else b }}",
            id="a name that notes the switch when it is bound already",
        ),
        pytest.param("{{ 1 }}", "{{ true }}", id="true in the place of one"),
        pytest.param("{{ 0 }}", "{{ preserve_thinking }}", id="false in the place of zero"),
        pytest.param("{{ 1 }}", "{{ 1.0 }}", id="a float in the place of an integer"),
    ],
)
def test_what_is_another_program_when_switched_off(before: str, after: str) -> None:
    assert not equal_when_off(before, after)


def test_another_switch_can_be_folded_at_either_value() -> None:
    text = "{{ a if keep else b }}"
    assert equal_when_off("{{ b }}", text, "keep") and not equal_when_off("{{ a }}", text, "keep")
    assert fold(text, "keep", True) == fold("{{ a }}", "keep", True)


@pytest.mark.parametrize("name", EACH)
def test_every_repair_of_our_templates_is_the_same_program_when_switched_off(name: str) -> None:
    after = repaired(source(name))
    assert equal_when_off(source(name), after)
    assert (after == source(name)) is not any(repair.codes[0] < "TF3" for repair in patched(source(name)).kept)


VALUES: dict[str, list[Any]] = {"a": ["", "x", True, False, 0, 1], "b": ["", "y", None], "c": [[], [1, 2]]}
VARIABLES = st.fixed_dictionaries({name: st.sampled_from(each) for name, each in VALUES.items()})
NAMES_AND_CONSTANTS = st.sampled_from(["a", "b", "true", "false", "'t'", "''", "0", "1", "none"])
SWITCHES = st.sampled_from(
    [
        *("s", "(s | default(true))", "(s | d(false))", "(s | default(true, true))", "(s | default(false, false))"),
        *("(s is defined)", "(s is not defined)", "(s is true)", "(s is false)", "(s is none)", "(s is undefined)"),
    ]
)
EXPRESSIONS = st.recursive(
    NAMES_AND_CONSTANTS | SWITCHES,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or", "~", "=="]), inner)
        | st.builds("(not {})".format, inner)
        | st.builds("({} if {} else {})".format, inner, inner, inner)
        | st.builds("({} | default({}, {}))".format, inner, inner, st.sampled_from(["true", "false", "a"]))
    ),
    max_leaves=6,
)
STATEMENTS = st.recursive(
    st.builds("{{{{ {} }}}}".format, EXPRESSIONS)
    | st.sampled_from([" x ", "\n", "{% set a = b %}"])
    | st.builds("{{% set b = {} %}}".format, EXPRESSIONS),
    lambda inner: (
        st.builds("{{% if {} %}}{}{{% endif %}}".format, EXPRESSIONS, inner)
        | st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, EXPRESSIONS, inner, inner)
        | st.builds(
            "{{% if {} %}}{}{{% elif {} %}}{}{{% elif {} %}}{}{{% else %}}{}{{% endif %}}".format,
            EXPRESSIONS,
            inner,
            EXPRESSIONS,
            inner,
            EXPRESSIONS,
            inner,
            inner,
        )
        | st.builds("{{% for i in c if {} %}}{}{{% else %}}{}{{% endfor %}}".format, EXPRESSIONS, inner, inner)
        | st.lists(inner, max_size=3).map("".join)
    ),
    max_leaves=5,
)


@settings(max_examples=60)
@given(STATEMENTS, st.booleans(), VARIABLES)
@example("{{ (a if (s | default(true, false)) else b) }}", False, {"a": "x", "b": "y", "c": []})
@example("{% if a %}{% elif s %}x{% else %}y{% endif %}", True, {"a": 0, "b": "y", "c": []})
@example("{% if a %}x{% elif b %}{% else %}y{% endif %}", True, {"a": 0, "b": "y", "c": []})
def test_folding_changes_nothing_where_the_switch_has_that_value(
    text: str, value: bool, variables: dict[str, Any]
) -> None:
    plain = Renderer(text, {**variables, "s": value})([])
    fold.cache_clear()
    env = environment()
    code = env.compile(fold(text, "s", value))
    assert Compiled.from_code(env, code, env.make_globals(None)).render({**variables, "s": value}) == plain


@settings(max_examples=40)
@given(STATEMENTS, STATEMENTS, VARIABLES)
def test_templates_that_are_equal_when_switched_off_print_alike(
    one: str, other: str, variables: dict[str, Any]
) -> None:
    after = f"{{% if s %}}{other}{{% else %}}{one}{{% endif %}}"
    before, off = Renderer(one, {**variables, "s": False})([]), Renderer(after, {**variables, "s": False})([])
    assert not equal_when_off(one, after, "s") or before == off
