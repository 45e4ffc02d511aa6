"""What is printed where loops leak: by the engine's stand-in, and by what a repair does about it."""

from __future__ import annotations

import pytest

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.conversations.tags import Tags
from template_fix.engine.patch import patch
from template_fix.jinja.renderer import Renderer
from template_fix.repair.loop_leaks import find_leak, make_leaking
from template_fix.report.findings import describe_elsewhere
from template_fix.results import PatchResult

FILE = "chat_template.jinja"
TAGS = Tags("<think>", "</think>")
NUMBERS = [{"role": "a", "content": each} for each in ("1", "", "3", "")]
ALIKE = {
    "set in every iteration": "{% for m in messages %}{% set x = m.content %}[{{ x }}]{% endfor %}",
    "a name of its own in each loop": (
        "{% for m in messages %}{% set x = 'o' %}{% for n in messages %}{% set x = n.content %}{{ x }}{% endfor %}"
        "{{ x }};{% endfor %}"
    ),
    "the loop's own variable": (
        "{% for m in messages %}{% if m.content %}{% set m = m.content %}{% endif %}{{ m }}{% endfor %}"
    ),
    "a namespace": (
        "{% set ns = namespace(x=0) %}{% for m in messages %}{% set ns.x = ns.x + 1 %}{{ ns.x }}"
        "{% set own = namespace(y=1) %}{% set own.y = 2 %}{{ own.y }}{% endfor %}"
    ),
    "a variable of around the loop": "{% set x = 'a' %}{% for m in messages %}{{ x }}{% endfor %}{{ x }}",
    "a loop that is over": "{% for m in messages %}{% set x = 1 %}{% endfor %}{{ x is defined }}",
}
SOME = "{% for m in messages %}{% if m.content %}{% set _x = m.content %}{% endif %}[{{ _x }}]{% endfor %}"
# The reasoning of a turn that has none is whatever was there before; TEST decides whether it is printed.
TURN = """{% set ns = namespace(last=-1) %}
{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{% for m in messages %}
{% if m.role == 'assistant' %}
A:{% set c = m.content or '' %}
{% if m.reasoning_content %}
{% set r = m.reasoning_content %}
{% elif '</think>' in c %}
{% set r = c.split('</think>')[0].split('<think>')[-1] | trim %}
{% set c = (c.split('</think>')[1:] | join('</think>')) | trim %}
{% endif %}
{% if TEST and loop.index0 > ns.last %}<think>{{ r }}</think>{% endif %}{{ c }}
{%- for call in m.tool_calls or [] %}[{{ call.function.arguments | tojson }}]{% endfor %};
{% else %}
{{ m.role }}: {{ m.content }};
{% endif %}
{% endfor %}{% if add_generation_prompt %}A:{% endif %}
"""
SHOWN = TURN.replace("TEST", "r")
HIDDEN = TURN.replace("TEST and loop.index0 > ns.last", "false")
# Nothing is not as good as no value here, so that it can't be reset.
ASKED = TURN.replace("TEST", "r is defined").replace("{{ r }}", "{{ r or 'none' }}")


def patched(source: str) -> PatchResult:
    return patch(Checkpoint("m", {FILE: source}))


@pytest.mark.parametrize("source", ALIKE.values(), ids=ALIKE)
def test_what_does_not_leak_is_printed_as_in_jinja(source: str) -> None:
    assert make_leaking(source, {})(NUMBERS) == Renderer(source)(NUMBERS)


def test_what_was_set_in_an_iteration_is_still_there_in_the_next() -> None:
    assert Renderer(SOME)(NUMBERS) == "[1][][3][]"
    assert make_leaking(SOME, {})(NUMBERS) == "[1][1][3][3]"


def test_a_leak_counts_where_it_did_not_show_before() -> None:
    found = find_leak(HIDDEN, SHOWN, TAGS, {}, {})
    assert found is not None and found.printed.count("Weighing idea 1.") > found.expected.count("Weighing idea 1.")
    assert find_leak(SHOWN, SHOWN, TAGS, {}, {}) is None
    assert find_leak(SHOWN, HIDDEN, TAGS, {}, {}) is None


def test_a_variable_that_a_repair_lets_leak_is_emptied_in_each_turn() -> None:
    result = patched(SHOWN)
    after = result.changed[FILE][1]
    assert "{% set r = ''" in after.replace("{%-", "{%") and result.elsewhere and result.elsewhere.leaks is None
    assert find_leak(SHOWN, after, TAGS, {}, {}) is None
    assert any("beginning of each turn" in repair.title for repair in result.kept)


def test_where_it_cannot_be_emptied_the_report_says_so() -> None:
    result = patched(ASKED)
    assert result.changed and result.elsewhere and result.elsewhere.leaks is not None
    assert any("outlives its iteration" in each for each in describe_elsewhere(result))


def test_a_repair_that_exposes_no_leak_says_nothing_of_it() -> None:
    result = patched("{% for m in messages %}{{ m.role }}: {{ m.content.split('</think>')[-1] }};\n{% endfor %}")
    assert result.changed and result.elsewhere and result.elsewhere.leaks is None
    assert not any("outlives" in each for each in describe_elsewhere(result))
