from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shelf import NAMES, chat, source, study

from template_fix.conversations.battery import battery
from template_fix.conversations.probe import Probe, probe
from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import Failure, Renderer, RenderError
from template_fix.jinja.templates import ParseError, Template
from template_fix.trace.recorder import Recording, Trace

THINK = Tags("<think>", "</think>")
REASONED = probe("ur", THINK)
REASONING = next(part.text for part in REASONED.parts if part.kind == "reasoning")


def traced(text: str) -> Trace:
    return Trace(Template(text), {})


def drops(text: str, wanted: str = REASONING) -> set[tuple[str, str]]:
    """The expressions that a text went into and didn't come out of, each with the one that it came by."""
    trace = traced(text)
    seen = trace.record(REASONED, wanted=wanted)
    assert isinstance(seen.text, str)
    spans = {number: site.span.of(text) for number, site in trace.values.items()}
    return {(spans[number], spans[fed]) for number, fed in seen.drops}


def saying(*messages: dict[str, Any]) -> Probe:
    return replace(REASONED, messages=messages)


@pytest.mark.parametrize("name", NAMES)
def test_a_traced_template_prints_what_the_plain_one_prints(name: str) -> None:
    text = source(name)
    plain, trace = study(text).examined, traced(text)
    for each in plain.probes.values():
        assert trace.record(each, wanted="Weighing idea 1.").text == plain.text(each)
        assert trace.record(each, 1, prompt=True).text == plain.text(each, 1, prompt=True)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{{ x is defined }}{{ messages is defined }}{{ x is none }}", id="tests of what is undefined"),
        pytest.param("{{ x | default('a') }}{{ messages[0].y | d('b', true) }}", id="defaults"),
        pytest.param("{{ messages[0]['role'] ~ messages[0].content | upper | trim }}", id="chains of filters"),
        pytest.param("{{ messages | selectattr('role', 'eq', 'user') | map(attribute='content') | list }}", id="maps"),
        pytest.param("{{ 'a' if x else 'b' if messages else 'c' }}{{ 'd' if x }}", id="conditionals"),
        pytest.param("{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c %}d{{ a }}{% endset %}{{ c }}", id="assignments"),
        pytest.param(
            "{% set n = namespace(a=1) %}{% for m in messages %}{% set n.a = n.a + 1 %}{% endfor %}{{ n.a }}",
            id="a namespace",
        ),
        pytest.param(
            "{% for k, v in messages[0] | dictsort %}{{ loop.index }}{{ loop.last }}{{ k }}={{ v }}{% endfor %}",
            id="a loop over pairs",
        ),
        pytest.param("{% for m in messages if m.role == 'x' %}a{% else %}b{% endfor %}", id="a loop that never runs"),
        pytest.param(
            "{% for m in [1, [2, [3]]] recursive %}{{ m if m is number else loop(m) }}{% endfor %}",
            id="a loop that calls itself",
        ),
        pytest.param(
            "{% for m in messages %}{{ loop.previtem.role }}{{ loop.nextitem.role }}{% endfor %}",
            id="neighbours in a loop",
        ),
        pytest.param(
            "{% for m in messages %}{% if loop.index0 %}{% break %}{% endif %}{{ m.role }}{% endfor %}", id="break"
        ),
        pytest.param(
            "{% macro f(a, b=messages[0].role) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}"
            "{{ f(1) }}{{ f(2, 3, 4, c=5) }}",
            id="a macro with defaults",
        ),
        pytest.param(
            "{% macro f() %}<{{ caller(1) }}>{% endmacro %}{% call(x) f() %}{{ x }}!{% endcall %}",
            id="a macro that is called with a body",
        ),
        pytest.param("{% filter upper %}{{ messages[0].role }}{% endfilter %}", id="a filter block"),
        pytest.param("{% generation %}{{ messages[0].role }}{% endgeneration %}", id="generation marks"),
        pytest.param("{% with a = messages[0] %}{{ a.role }}{% endwith %}", id="a scope"),
        pytest.param("{{ messages[0].get('content')[:-1].split('o')[0].rstrip('l') }}", id="methods and slices"),
        pytest.param("{{ messages[0] | tojson }}{{ {'a': messages[0].role, 'b': [x, 1]} }}", id="mappings and lists"),
        pytest.param("{{ dict(messages[0], role='z').role }}{{ range(3) | list }}", id="globals that are called"),
        pytest.param("{{ messages and x }}{{ messages[0].role or x }}{{ not x }}", id="truths that are printed"),
        pytest.param("{{ messages[0].role in ['user'] and 1 < 2 <= 3 != 4 }}", id="comparisons"),
        pytest.param("{{ x.y.z }}", id="an attribute of what is undefined"),
        pytest.param("{{ raise_exception(messages[0].role) }}", id="an exception of its own"),
    ],
)
def test_tracing_leaves_every_part_of_the_language_as_it_is(text: str) -> None:
    messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes"}]
    trace = traced(text)
    assert trace.record(saying(*messages), wanted="hello").text == Renderer(text)(messages)


def test_a_template_that_is_nested_too_deeply_to_be_traced_is_an_error() -> None:
    text = "{% if " + " or ".join(["x"] * 100) + " %}a{% endif %}"
    assert Renderer(text)([]) == ""
    with pytest.raises(RenderError, match="too deeply"):
        traced(text)


LOOP = "{%% for m in messages %%}{%% set content = m.content %%}%s{%% endfor %%}"


@pytest.mark.parametrize(
    ("body", "dropped", "operand"),
    [
        pytest.param("{{ content.split('</think>')[-1] }}", "content.split('</think>')[-1]", "content", id="a split"),
        pytest.param(
            "{{ content | replace('Weighing', '') }}", "content | replace('Weighing', '')", "content", id="a filter"
        ),
        pytest.param(
            "{{ content[content.rfind('</think>'):] }}", "content[content.rfind('</think>'):]", "content", id="a slice"
        ),
        pytest.param(
            "{{ content.partition('</think>')[2] }}", "content.partition('</think>')[2]", "content", id="a partition"
        ),
        pytest.param(
            "{{ '' if '</think>' in content else content }}",
            "'' if '</think>' in content else content",
            "content",
            id="a conditional",
        ),
        pytest.param(
            "{% macro cut(t) %}{{ t.split('>')[-1] }}{% endmacro %}{{ cut(content) }}",
            "cut(content)",
            "content",
            id="a macro",
        ),
        pytest.param(
            "{{ (content.split('</think>') | last) }}",
            "(content.split('</think>') | last)",
            "content",
            id="a filter on a list",
        ),
    ],
)
def test_the_expression_that_drops_a_text_is_found(body: str, dropped: str, operand: str) -> None:
    assert (dropped, operand) in drops(LOOP % body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("{{ content }}", id="a text that is printed"),
        pytest.param("{{ content | trim }}{{ content.strip('x') }}", id="a text that is trimmed"),
        pytest.param("{% if '</think>' in content %}{{ content }}{% endif %}", id="a test that looks at a text"),
        pytest.param("{{ m.role }}{{ content }}", id="another field of the message"),
        pytest.param("{{ content | length }}{{ content }}", id="a number made of a text"),
    ],
)
def test_what_keeps_a_text_or_makes_no_text_of_it_drops_nothing(body: str) -> None:
    assert not drops(LOOP % body)


def test_messages_that_are_left_out_are_found() -> None:
    text = "{% for m in messages[:1] %}{{ m.content }}{% endfor %}"
    assert ("messages[:1]", "messages") in drops(text)


def test_only_the_text_that_is_looked_for_is_followed() -> None:
    text = LOOP % "{{ content.split('</think>')[-1] }}"
    assert drops(text)
    assert not drops(text, "This is answer 1.")
    assert not drops(text, "This is nowhere.")


def test_a_recording_knows_of_its_own_rendering_alone() -> None:
    trace = traced(LOOP % "{{ content.split('</think>')[-1] }}")
    first = trace.record(REASONED, wanted=REASONING)
    other = trace.record(REASONED)
    assert first.drops and first.holders and first.outputs == other.outputs
    assert not other.drops and not other.holders


GATED = LOOP % "{% if m.role == 'assistant' and not loop.last or content == 'x' %}[{{ content }}]{% else %}-{% endif %}"


def sites(trace: Trace, text: str) -> dict[str, int]:
    return {site.span.of(text): number for number, site in trace.tests.items()}


def test_tests_and_their_operands_are_seen_with_the_outcomes_that_they_had() -> None:
    trace = traced(GATED)
    outcomes = trace.record(saying({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"})).outcomes
    seen = {text: outcomes.get(number) for text, number in sites(trace, GATED).items()}
    assert seen == {
        "m.role == 'assistant' and not loop.last or content == 'x'": {False},
        "m.role == 'assistant' and not loop.last": {False},
        "m.role == 'assistant'": {False, True},
        "not loop.last": {False},
        "loop.last": {True},
        "content == 'x'": {False},
    }


@pytest.mark.parametrize(
    ("test", "outcome", "printed"),
    [
        pytest.param("m.role == 'assistant' and not loop.last or content == 'x'", True, "[a][b]", id="the whole test"),
        pytest.param("not loop.last", True, "-[b]", id="an operand"),
        pytest.param("loop.last", False, "-[b]", id="an operand of a negation"),
        pytest.param("m.role == 'assistant'", True, "[a]-", id="another operand"),
        pytest.param("content == 'x'", False, "--", id="the outcome that it has anyway"),
    ],
)
def test_a_test_can_be_forced(test: str, outcome: bool, printed: str) -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    trace = traced(GATED)
    forced = {sites(trace, GATED)[test]: outcome}
    assert trace.forced(tests=forced)(messages) == trace.record(saying(*messages), tests=forced).text == printed
    assert trace.record(saying(*messages)).text == "--"


def test_an_expression_can_be_given_the_value_of_its_operand() -> None:
    text = "{% for m in messages %}{{ m.content.split('/')[-1] | upper }};{% endfor %}"
    messages = [{"role": "user", "content": "a/b"}, {"role": "user", "content": "c"}]
    trace = traced(text)
    number = {site.span.of(text): number for number, site in trace.values.items()}
    kept = {number["m.content.split('/')[-1]"]: number["m.content"]}
    assert trace.forced(operands=kept)(messages) == "A/B;C;"
    assert trace.forced()(messages) == "B;C;"


def test_a_cause_that_was_found_leaves_the_template_as_it_was() -> None:
    text = chat("{{ content.split('</think>') | last }}")
    made = study(text)
    lost = made.reasoning_lost(last=True)
    assert lost is not None and made.trace is not None
    at = made.cause(lost[0].probe, lost[1])
    assert at is not None and at.of(text) == "content.split('</think>') | last"
    assert made.trace.record(REASONED).text == Renderer(text)(REASONED.messages)


def test_the_filter_of_a_loop_and_a_conditional_are_tests_too() -> None:
    text = "{% for m in messages if m.role == 'user' %}{{ 'x' if m.content else 'y' }}{% endfor %}"
    trace = traced(text)
    assert set(sites(trace, text)) == {"m.role == 'user'", "m.content"}
    forced = {sites(trace, text)["m.role == 'user'"]: True, sites(trace, text)["m.content"]: False}
    assert trace.forced(tests=forced)([{"role": "assistant", "content": "b"}]) == "y"


def test_what_is_printed_is_seen_piece_by_piece() -> None:
    text = "a{{ messages[0].content }}b{{ 'c' ~ messages[0].role }}{{ 'd' }}"
    trace = traced(text)
    seen = trace.record(saying({"role": "r", "content": "x"}))
    assert seen.text == "".join(seen.parts) == "axbcrd"
    assert [(trace.outputs[n].span.of(text), out) for n, out in seen.outputs] == [
        ("messages[0].content", "x"),
        ("'c' ~ messages[0].role", "cr"),
        ("'d'", "d"),
    ]


@pytest.mark.parametrize(
    ("value", "held"),
    [
        pytest.param("a needle b", True, id="a text"),
        pytest.param("a b", False, id="a text without"),
        pytest.param([1, {"x": ("needle",)}], True, id="a text inside of lists and mappings"),
        pytest.param({"needle": 1}, False, id="a key"),
        pytest.param(None, False, id="nothing"),
        pytest.param(7, False, id="a number"),
    ],
)
def test_a_text_is_held_by_what_it_is_in(value: Any, held: bool) -> None:
    assert Recording({}, "needle").holds(value) is held


@pytest.mark.slow
def test_tracing_changes_nothing_in_real_templates(shared: Path) -> None:
    probes = battery(THINK, dict)[::7]
    compared = 0
    for path in sorted(shared.glob("corpus/templates/*/*.jinja")):
        text = path.read_bytes().decode()
        try:
            plain, trace = Renderer(text), Trace(Template(text), {})
        except (ParseError, RenderError):
            continue
        for each in probes:
            printed = plain(each.messages, each.tools, True, **dict(each.flags))
            recorded = trace.record(each, prompt=True, wanted="Weighing idea 1.").text
            assert recorded == printed or {type(recorded), type(printed)} == {Failure}, (path, each.describe())
            compared += isinstance(printed, str)
    assert compared > 3000
