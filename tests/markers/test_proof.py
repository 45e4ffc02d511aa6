"""Programs that look alike and aren't: for each there is something to render that tells them apart."""

from __future__ import annotations

import pytest

from template_fix.markers.proof import same_but_for_markers

G, E = "{% generation %}", "{% endgeneration %}"
ITERATOR = '{% set g = ["a", "b"] | map("upper") %}'
SPACE = "{% set ns = namespace(x=0) %}"
COUNTS = "{% macro bump() %}{% set ns.x = ns.x + 1 %}{{ ns.x }}{% endmacro %}"
TWICE = ("{% if bump() %}{{ bump() }}{% endif %}", "{{ bump() }}")


def either(test: str) -> tuple[str, str]:
    """A test that decides nothing, and may fail."""
    return f"{{% if {test} %}}A{{% else %}}A{{% endif %}}", "A"


@pytest.mark.parametrize(
    ("start", "before", "after"),
    [
        pytest.param(
            ITERATOR, "{{ g | join }}", f"{{% if g | join %}}{G}{{{{ g | join }}}}{E}{{% endif %}}", id="a map"
        ),
        pytest.param(
            ITERATOR,
            '{% if g | first == "A" %}X{% endif %}{% if g | first == "A" %}Y{% endif %}',
            '{% if g | first == "A" %}XY{% endif %}',
            id="what a map has left, asked twice",
        ),
        pytest.param(
            ITERATOR,
            '{% if g | first == "A" %}{{ g | join }}1{% else %}{{ g | join }}2{% endif %}',
            '{{ g | join }}{% if g | first == "A" %}1{% else %}2{% endif %}',
            id="what a map has left, read before and behind",
        ),
        pytest.param(
            ITERATOR + "{% set h = g | default([]) %}",
            "{{ h | join }}",
            "{% if h | join %}{{ h | join }}{% endif %}",
            id="a map by another name",
        ),
        pytest.param(
            "",
            "{% if [0, 1] | random %}A{% endif %}{% if [0, 1] | random %}B{% endif %}",
            "{% if [0, 1] | random %}AB{% endif %}",
            id="chance",
        ),
        pytest.param(
            SPACE + COUNTS,
            '{% if bump() == "" %}{{ ns.x }}A{% else %}{{ ns.x }}B{% endif %}',
            '{{ ns.x }}{% if bump() == "" %}A{% else %}B{% endif %}',
            id="an output in front of a test that changes it",
        ),
        pytest.param(
            "",
            "{% macro w() %}{{ caller() }}{% endmacro %}{% call w() %}X{% endcall %}",
            f"{{% macro w() %}}{G}{{{{ caller() }}}}{E}{{% endmacro %}}{{% call w() %}}X{{% endcall %}}",
            id="a caller, which markers have none of",
        ),
        pytest.param(SPACE + COUNTS, *TWICE, id="a macro that counts"),
        pytest.param(
            SPACE + "{% macro bump(n) %}{% if false %}{% set n = namespace() %}{% endif %}{% set n.x = n.x + 1 %}"
            "{{ n.x }}{% endmacro %}",
            "{% if bump(ns) %}{{ bump(ns) }}{% endif %}",
            "{{ bump(ns) }}",
            id="a macro that counts in what it is given",
        ),
        pytest.param(
            SPACE + '{% set d = {"n": ns} %}{% macro bump() %}{% set n = d.get("n") %}{% set n.x = n.x + 1 %}'
            "{{ n.x }}{% endmacro %}",
            *TWICE,
            id="a macro that counts under another name",
        ),
        pytest.param(
            SPACE + COUNTS.replace("bump", "range"),
            "{% if range() | trim %}{{ range() | trim }}{% endif %}",
            "{{ range() | trim }}",
            id="a macro with the name of a function",
        ),
        pytest.param(
            SPACE + COUNTS + "{% set k = namespace(get=bump) %}",
            "{% if k.get() | trim %}{{ k.get() | trim }}{% endif %}",
            "{{ k.get() | trim }}",
            id="a macro with the name of a method",
        ),
        pytest.param(
            "{% set ns = namespace(x=1) %}",
            '{% if ns["x"] > 1 %}{% endif %}{% set ns.x = "a" %}' + either('ns["x"] > 1')[0],
            '{% if ns["x"] > 1 %}{% endif %}{% set ns.x = "a" %}A',
            id="a field that is asked for by its key",
        ),
        pytest.param(
            "{% macro m() %}{{ x + 1 }}{% endmacro %}{% set x = 1 %}",
            '{% if m() %}{% endif %}{% set x = "a" %}' + either("m()")[0],
            '{% if m() %}{% endif %}{% set x = "a" %}A',
            id="what a macro reads",
        ),
        pytest.param("", "{% if messages %}{{ true }}{% else %}{{ 1 }}{% endif %}", "{{ true }}", id="1 and true"),
        pytest.param(
            "{% set y = m | safe %}",
            "{{ '<' + y }}",
            "{{ '<' }}{{ '' + y }}",
            id="a text that escapes what it is added to",
        ),
        pytest.param(SPACE + COUNTS, "{{ ns.x ~ bump() }}", "{{ ns.x }}{{ bump() }}", id="a chain with a call"),
        pytest.param(
            "", "{% set x = 1 %}{{ x }}", f"{G}{{% set x = 1 %}}{E}{{{{ x }}}}", id="what is set inside of a marker"
        ),
        pytest.param(
            "", "{{ x }}{% set x = 1 %}", f"{G}{{{{ x }}}}{E}{{% set x = 1 %}}", id="what is set behind a marker"
        ),
        pytest.param(
            "",
            "{{ x }}{{ y }}",
            "{% if a.b %}{{ x }}{% else %}{{ x }}{% endif %}{% if a.b %}{{ y }}{% else %}{{ y }}{% endif %}",
            id="two tests, each of which is asked because of the other",
        ),
        pytest.param(
            "",
            "{% with g = m | map('upper') %}{% if g | list %}A{% endif %}{% if g | list %}B{% endif %}{% endwith %}",
            "{% with g = m | map('upper') %}{% if g | list %}AB{% endif %}{% endwith %}",
            id="a map that a block binds",
        ),
        pytest.param(
            "{% set d = {'v': m | map('upper')} %}{% set g = d.get('v') %}",
            "{% if g | list %}A{% endif %}{% if g | list %}B{% endif %}",
            "{% if g | list %}AB{% endif %}",
            id="a map that comes out of a mapping",
        ),
        pytest.param(
            "{% set d = namespace(get=joiner(',')) %}",
            "{% if d.get() %}A{% endif %}{% if d.get() %}B{% endif %}",
            "{% if d.get() %}AB{% endif %}",
            id="what counts its calls, by the name of a method",
        ),
        pytest.param(
            "{% for m in messages + [extra] %}",
            *(f"{each}{{% endfor %}}" for each in either("m.role")),
            id="a list of the template's",
        ),
        pytest.param(
            "{% for m in messages %}{% with m = m.x %}",
            *(f"{each}{{% endwith %}}{{% endfor %}}" for each in either("m.role")),
            id="a name that a block binds",
        ),
        pytest.param(
            "{% if w %}{% set messages = messages | selectattr('role') %}{% endif %}",
            *either("messages and messages[-1].role"),
            id="messages that are something else",
        ),
        pytest.param(
            "",
            *(f"{{% for m in messages %}}x{{% else %}}{each}{{% endfor %}}" for each in either("m.role")),
            id="no message",
        ),
        pytest.param(
            "",
            *(f"{each}{{% set ns = namespace(x=1) %}}" for each in either("ns.x")),
            id="a namespace in front of itself",
        ),
        pytest.param(
            "{% for m in messages %}{% set m = messages %}",
            *(f"{each}{{% endfor %}}" for each in either("m.get('x')")),
            id="a message that is made a list",
        ),
        pytest.param(
            "{% if c %}{% set ms = messages %}{% endif %}{% for m in ms %}",
            *(f"{each}{{% endfor %}}" for each in either("m.get('x')")),
            id="a list that is one of messages at times",
        ),
        pytest.param(
            "{% set ns = namespace(a={}) %}{% if ns[k].x %}p{% else %}q{% endif %}{% set ns.a = nope %}",
            *either("ns[k].x"),
            id="a field that is named by a variable",
        ),
        pytest.param(
            "{% for x in y | map('abs') %}",
            *(f"{each}{{% endfor %}}" for each in either("loop.last")),
            id="what comes next",
        ),
        pytest.param("", *either("foo.bar"), id="a field of what may be undefined"),
        pytest.param("{% if a %}{% set last = a %}{% endif %}", *either("last.role"), id="what is set at times"),
        pytest.param("", *either("loop.index > 1"), id="a loop where there is none"),
        pytest.param("", *either('x | trim(z=1) == ""'), id="an argument that no filter has"),
        pytest.param("", *either("x is defined(1)"), id="an argument that no test has"),
    ],
)
def test_another_program_is_not_proved(start: str, before: str, after: str) -> None:
    assert not same_but_for_markers(start + before, start + after)


@pytest.mark.parametrize(
    "test",
    [
        pytest.param('m.get("x", d=1)', id="an argument that get has not"),
        pytest.param("m.get()", id="a get of nothing"),
        pytest.param("1 == 1 in m", id="a chain of comparisons"),
        pytest.param("m.content in m", id="a key that may be a list"),
    ],
)
def test_a_test_that_may_fail_is_kept(test: str) -> None:
    before, after = (f"{{% for m in messages %}}{each}{{% endfor %}}" for each in either(test))
    assert not same_but_for_markers(before, after)


CAPTURED = (
    "{% set turn_text %}{{ x }}{% endset %}"
    "{% set turn_header = turn_text.split('H')[0] + 'H' %}{% set turn_start = turn_header | length %}"
    "{% set turn_rest = turn_text[turn_start:].split('E')[-1] %}"
    "{% set turn_end = (turn_text | length) - (turn_rest | length) %}"
    "{% if turn_start < turn_end %}{{ turn_text[:turn_start] }}{% generation %}{{ turn_text[turn_start:turn_end] }}"
    "{% endgeneration %}{{ turn_text[turn_end:] }}{% else %}{{ turn_text }}{% endif %}"
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("{{ a ~ b }}", "{{ a }}{{ b }}", id="a chain"),
        pytest.param("{{ 'x' + a + 'yz' }}", f"x{G}{{{{ a + 'y' }}}}{E}z", id="a sum, cut in a constant"),
        pytest.param("{{ 'x' + a }}", f"x{G}{{{{ '' + a }}}}{E}", id="an operand that is asked to be a text"),
        pytest.param("{{ 'x' + (a | trim) }}", f"x{G}{{{{ a | trim }}}}{E}", id="an operand that can only be a text"),
        pytest.param("{{ x }}", CAPTURED, id="a text that is captured and printed in three"),
        pytest.param(
            "{% if a %}{{ x }}{% endif %}",
            f"{{% if a %}}{CAPTURED.replace('if turn_start', 'if m.role == 2 and turn_start')}{{% endif %}}",
            id="one that is told from others by a test",
        ),
        pytest.param(
            "{{ x }}",
            CAPTURED.replace("turn_text.split('H')[0] + 'H'", "''"),
            id="one that has no header",
        ),
    ],
)
def test_the_same_program_is_proved(before: str, after: str) -> None:
    assert same_but_for_markers(before, after)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("{{ turn_text[:turn_start] }}", "", id="without its front"),
        pytest.param("{{ turn_text[turn_end:] }}", "{{ turn_text[turn_start:] }}", id="with its text twice"),
        pytest.param("{{ turn_text[turn_end:] }}", "{{ turn_text[turn_end:] }}!", id="with something behind it"),
        pytest.param("{% else %}{{ turn_text }}", "", id="not printed where there is nothing to mark"),
        pytest.param("start < turn_end", "start < turn_end or m", id="cut where it must not be"),
        pytest.param("header | length", "header | int", id="from a place that may be in front of it"),
        pytest.param("turn_text.split('H')[0]", "turn_text.pop('H')[0]", id="by a method that may do anything"),
        pytest.param("{{ x }}", "{{ x }}{% if y %}{% break %}{% endif %}", id="and left before it is printed"),
        pytest.param("{{ x }}", "{% set y = 1 %}{{ x }}", id="with what is read behind it"),
        pytest.param("{% if turn_start", "{{ turn_text }}{% if turn_start", id="printed before"),
        pytest.param("{% set turn_end = ", "{% set turn_rest = ", id="to an end that a caller gives"),
    ],
)
def test_a_captured_text_is_printed_whole_and_once(old: str, new: str) -> None:
    start, end = "{% for m in messages %}", "{{ y }}{% endfor %}"
    after = CAPTURED.replace(old, new, 1)
    assert after != CAPTURED
    body = "{% if y %}{% break %}{% endif %}" if "break" in new else "{% set y = 1 %}" if "set y" in new else ""
    assert not same_but_for_markers(f"{start}{'' if 'set y' not in new else body}{{{{ x }}}}{end}", start + after + end)
    assert not same_but_for_markers(f"{start}{{{{ x }}}}{body if 'break' in new else ''}{end}", start + after + end)


def test_the_names_of_a_capture_mean_nothing_elsewhere() -> None:
    assert not same_but_for_markers("{{ x }}{{ turn_header }}", CAPTURED + "{{ turn_header }}")
