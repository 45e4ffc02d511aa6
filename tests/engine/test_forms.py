"""What one of transformers 4.57 and 5 loses of the conversations: told once, and only where they differ."""

from __future__ import annotations

import json

import pytest

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.engine.patch import check
from template_fix.report.checks import check_lines
from template_fix.results import Report

NULL = "{% if m.content is none %}{% elif m.content %}{{ m.content }}{% else %}{{ raise_exception('none') }}{% endif %}"


def block(*names: str, inside: str = "{{ m.content }}") -> str:
    """A template that prints reasoning of these fields, one after the other."""
    fields = "".join(f"{{% if m.{name} %}}<think>\n{{{{ m.{name} }}}}\n</think>\n\n{{% endif %}}" for name in names)
    turn = f"{{% if m.role == 'assistant' %}}{fields}{inside}{{% else %}}{{{{ m.content }}}}{{% endif %}}"
    calls = "{% for c in m.tool_calls or [] %}{{ c.function.arguments.word }}{% endfor %}"
    prompt = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    return f"{{% for m in messages %}}<|{{{{ m.role }}}}|>{turn}{calls}<|end|>{{% endfor %}}{prompt}"


def report(template: str) -> Report:
    return check(Checkpoint("m", {"chat_template.jinja": template, "tokenizer_config.json": "{}"}))


@pytest.mark.parametrize(
    ("template", "told"),
    [
        pytest.param(
            block("reasoning_content"),
            ["with transformers 4.57 it loses reasoning of messages with the field reasoning, with 5 not"],
            id="one name alone",
        ),
        pytest.param(
            block("reasoning_content", "reasoning"),
            ["with transformers 5 it doubles reasoning of messages with the field reasoning, with 4.57 not"],
            id="two names one after the other",
        ),
        pytest.param(block("thinking or m.reasoning or m.reasoning_content"), [], id="every name"),
        pytest.param(
            block("thinking or m.reasoning or m.reasoning_content", inside=NULL),
            ["with transformers 5 it refuses messages with null as content, with 4.57 not"],
            id="null is asked for",
        ),
        pytest.param(block(), [], id="no notion of reasoning"),
    ],
)
def test_what_one_version_alone_loses_is_told(template: str, told: list[str]) -> None:
    (found,) = report(template).templates
    assert list(found.versions) == told


def test_it_is_told_once_with_the_option_for_rows() -> None:
    source = block("reasoning_content")
    files = {"chat_template.jinja": source, "chat_template.json": json.dumps({"chat_template": f"x{source}"})}
    lines = check_lines(check(Checkpoint("m", files)))
    text = " ".join(piece.text for line in lines for piece in line.pieces)
    assert text.count("loses reasoning of messages") == 1
    assert "--transformers 4.57 renders rows as that version does" in text


ALTERNATING = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}"
    "{% endif %}<|{{ m.role }}|>{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
FIRST = (
    "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('system comes first') }}"
    "{% endif %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ONE = (
    "{% if messages | selectattr('role', 'equalto', 'system') | list | length > 1 %}{{ raise_exception('one') }}"
    "{% endif %}" + block("reasoning_content")
)


@pytest.mark.parametrize(
    ("template", "refused"),
    [
        pytest.param(
            ALTERNATING,
            ("a system prompt", "tool calls", "contents as lists", "roles that don't alternate", "an answer first"),
            id="roles that alternate",
        ),
        pytest.param(FIRST, ("a system prompt later on", "a second system prompt"), id="a system message comes first"),
        pytest.param(ONE, ("a second system prompt",), id="one system message"),
        pytest.param(block("reasoning_content"), (), id="whatever comes"),
        pytest.param("{{ raise_exception('never') }}", (), id="nothing at all"),
    ],
)
def test_forms_that_are_refused_as_a_whole_are_named(template: str, refused: tuple[str, ...]) -> None:
    (found,) = report(template).templates
    assert found.forms == refused


def test_a_template_is_judged_by_the_conversations_of_the_forms_that_it_takes() -> None:
    found = report(ALTERNATING)
    (template,) = found.templates
    assert template.accepted < template.probes / 2
    assert not found.unjudged
    assert not [each for each in found.findings if each.code in ("TF201", "TF203", "TF206")]


def test_a_template_that_refuses_nearly_all_of_every_form_is_not_judged() -> None:
    never = "{% if messages | length > 2 %}{{ raise_exception('two') }}{% endif %}" + block("reasoning_content")
    assert "the template refuses most of the conversations" in report(never).unjudged
