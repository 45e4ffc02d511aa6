from __future__ import annotations

import pytest

from template_fix.jinja.engines import why_unportable

BASE = "{% for m in messages %}{{ m.role ~ m.content.split('a', 1)[0] }}{% endfor %}"
EVERYWHERE = [
    "{% set c = m.content if keep | default(true) else '' %}",
    "{% set m = {'role': m.role, 'content': (m.content.split('x')[1:] | join('x')).lstrip()} %}",
    "{{ [m.content, m.role][0] + '' if m.content is string and not m.name is defined else m['x'] or '' }}",
    "{{ (messages[:loop.index0] | selectattr('role', 'equalto', 'user') | list)[-1:] }}",
    "{% macro f(x) %}{{ x | trim }}{% endmacro %}{{ f(m) }}",
    "{% if '<a>' in m.content and loop.first %}{{ m.content.strip().startswith('<a>') }}{% endif %}",
]
ELSEWHERE = {
    "{% set m = dict(m, content='') %}": "dict() isn't known to transformers.js, llama.cpp, google/minja, swift-jinja",
    "{{ m.content.partition('a')[0] }}": ".partition(1) isn't known to",
    "{{ m.content.lstrip('a') }}": ".lstrip(1) isn't known to transformers.js",
    "{{ m.content | default('', true) }}": "|default(2) isn't known to swift-jinja",
    "{{ 'a' if m.content }}": "a if b isn't known to",
    "{{ m.content | indent }}": "no engine was tried with |indent",
    "{{ messages | selectattr('role', 'in', 'ab') }}": "no engine was tried with |selectattr(3)",
    "{{ -m.number }}": "no engine was tried with Neg",
    "{{ 7 % 3 }}": "no engine was tried with Mod",
    "{% generation %}{{ m.content }}{% endgeneration %}": "{% generation %} isn't known to minijinja",
    "{{ cycler(1) }}": "no engine was tried with cycler()",
}


@pytest.mark.parametrize("added", EVERYWHERE)
def test_what_every_engine_knows_may_be_added(added: str) -> None:
    assert why_unportable(BASE, BASE.replace("{{ m.role", f"{added}{{{{ m.role")) is None


@pytest.mark.parametrize(("added", "told"), ELSEWHERE.items(), ids=ELSEWHERE)
def test_what_an_engine_does_not_know_is_told_with_the_engines(added: str, told: str) -> None:
    assert (why_unportable(BASE, BASE.replace("{{ m.role", f"{added}{{{{ m.role")) or "").startswith(told)


def test_what_the_template_has_already_may_be_added_once_more() -> None:
    assert why_unportable(BASE, BASE + "{{ messages[0].content.split('b', 1)[1] }}") is None
    assert why_unportable(BASE, BASE) is None
