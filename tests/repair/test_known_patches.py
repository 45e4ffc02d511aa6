from __future__ import annotations

import pytest
from shelf import chat, study

from template_fix.contract.examination import SAFE, Examination
from template_fix.jinja.folding import equal_when_off
from template_fix.repair.proposers import Proposal
from template_fix.repair.proposers.known_patches import Patch, known_patches
from template_fix.repair.search import Choice
from template_fix.rules import RULES

LAST = (
    "{% set ns = namespace(last_query_index=-1) %}{% for m in messages %}{% if m.role == 'user' %}"
    "{% set ns.last_query_index = loop.index0 %}{% endif %}{% endfor %}"
)
TAKEN = (
    "{% set thought = m.reasoning_content or '' %}{% if '</think>' in content and m.content is string %}"
    "{% set thought = content.split('</think>', 1)[0].split('<think>', 1)[-1].strip() %}"
    "{% set content = content.split('</think>', 1)[1].lstrip() %}{% endif %}"
)
THOUGHT = "<think>{{ thought }}</think>"
KEPT = "{% if thought %}" + THOUGHT + "{% endif %}{{ content }}"
# The opening tag is cut off by its length, as somebody counted it.
SLICED = (
    "{{% set thought = m.reasoning_content or '' %}}{{% if '</think>' in content and m.content is string %}}"
    "{{% set thought = content.split('</think>', 1)[0].strip() %}}"
    "{{% set content = content.split('</think>', 1)[1].lstrip() %}}"
    "{{% if thought.startswith('<think>') %}}{{% set thought = thought[{}:].strip() %}}{{% endif %}}{{% endif %}}"
)


def gated(test: str) -> str:
    """Reasoning is taken out of the content and printed where a test holds."""
    return LAST + chat(
        TAKEN + "{% if thought %}{% if " + test + " %}" + THOUGHT + "{% endif %}{% endif %}{{ content }}"
    )


def macro(body: str, turn: str) -> str:
    return "{% macro strip_thinking(text) %}" + body + "{% endmacro %}" + chat(turn)


def unasked(value: str) -> str:
    """What begins a turn is printed behind each question, by a value that is set and not by the caller's."""
    told = chat(TAKEN + KEPT, "A: <think>").replace(
        "if add_generation_prompt", "if add_generation_prompt and messages[-1].role != 'assistant'"
    )
    return "{% set add_generation_prompt = " + value + " %}" + told


# For each patch a template that it alone repairs, but for fields that are ignored.
REPAIRED = {
    "strip-before-closing-tag": chat(
        "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{ content }}"
    ),
    "strip-before-closing-tag-trimmed": chat(
        "{% if '</think>' in content %}{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
        "{{ content }}"
    ),
    "split-last": chat("{{ '' + content.split('</think>')[-1] }}"),
    "split-once": chat("{{ content.split('</think>', 1)[1] if '</think>' in content else content }}"),
    "split-last-at-first-closing-tag": chat(
        "{% if '</think>' in content %}{{ content.split('</think>', 1)[0] + '</think>' }}"
        "{{ content.split('</think>')[-1] }}{% else %}{{ content }}{% endif %}"
    ),
    "split-first-closing-tag": chat(
        "{% if '</think>' in content %}{{ content.split('</think>', 1)[0] + '</think>' }}"
        "{{ content.split('</think>')[-1] }}{% else %}{{ content }}{% endif %}"
    ),
    "strip-call": macro("{{ text.split('</think>') | last }}", "{{ '' + strip_thinking(content) }}"),
    "strip-call-trimmed": macro(
        "{{ text.split('</think>') | last | trim }}", "{% set content = '' + content %}{{ strip_thinking(content) }}"
    ),
    "after-last-question": gated("loop.index0 > ns.last_query_index"),
    "after-last-question-inclusive": gated("loop.index0 >= ns.last_query_index"),
    "last-or-reasoned": chat(
        TAKEN + "{% if loop.last or (not loop.last and thought) %}" + THOUGHT + "{% endif %}{{ content }}"
    ),
    "last-turn": gated("loop.last"),
    "behind-last-question-reversed": LAST
    + chat(
        TAKEN
        + "{% set i = loop.index0 %}{% if thought and i > ns.last_query_index %}"
        + THOUGHT
        + "{% endif %}{{ content }}"
    ),
    "only-with-tool-calls": gated("loop.index0 > ns.last_query_index and m.get('tool_calls')"),
    "slice-behind-opening-tag": chat(SLICED.format(9) + KEPT),
    "prompt-unasked": unasked("true"),
}

# For each patch a template in which its pattern does no harm.
LEFT_ALONE = {
    "strip-before-closing-tag": chat(
        "{% if '</tool>' in content %}{% set content = content.split('</tool>')[-1] %}{% endif %}" + TAKEN + KEPT
    ),
    "strip-before-closing-tag-trimmed": chat(
        "{% if '</tool>' in content %}{% set content = content.split('</tool>')[-1].strip('x') %}{% endif %}"
        + TAKEN
        + KEPT
    ),
    "split-last": chat(TAKEN + "{% if thought %}" + THOUGHT + "{% endif %}{{ content.split('<|start|>')[-1] }}"),
    "split-once": chat(TAKEN + KEPT),
    "split-last-at-first-closing-tag": chat(
        TAKEN + "{% if thought %}" + THOUGHT + "{% endif %}{{ content.split('<|start|>')[-1] }}"
    ),
    "split-first-closing-tag": chat(
        "{% if '</think>' in content %}{{ content.split('</think>')[0] + '</think>' }}"
        "{{ content.split('</think>', 1)[1] }}{% else %}{{ content }}{% endif %}"
    ),
    "strip-call": macro(
        "{{ text | trim }}", TAKEN + "{% if thought %}" + THOUGHT + "{% endif %}{{ strip_thinking(content) }}"
    ),
    "strip-call-trimmed": macro(
        "{{ text | trim }}", TAKEN + "{% if thought %}" + THOUGHT + "{% endif %}{{ strip_thinking(content) }}"
    ),
    "after-last-question": chat("{% if loop.index0 > 1 %} {% endif %}" + TAKEN + KEPT),
    "after-last-question-inclusive": chat("{% if loop.index0 >= 2 %} {% endif %}" + TAKEN + KEPT),
    "last-or-reasoned": chat(
        TAKEN + KEPT + "{% if loop.last or (not loop.last and messages[loop.index0 + 1].x) %}.{% endif %}"
    ),
    "last-turn": chat(TAKEN + KEPT + "{% if loop.last %}<|endoftext|>{% endif %}"),
    "behind-last-question-reversed": LAST + chat(TAKEN + KEPT + "{% if -1 > ns.last_query_index %}?{% endif %}"),
    "only-with-tool-calls": chat(TAKEN + KEPT + "{% if content and m.get('tool_calls') %} {% endif %}"),
    "slice-behind-opening-tag": chat(SLICED.format(7) + KEPT),
    "prompt-unasked": unasked("add_generation_prompt or false"),
}


def suggested(patch: str, template: str) -> list[Proposal]:
    return [each for each in study(template).known if each.source == f"patch {patch}"]


def best(patch: str, template: str) -> Choice | None:
    """What a patch alone comes to, wherever it matches."""
    return study(template).search.best(suggested(patch, template))


def broken(examined: Examination) -> list[str]:
    return [seen.probe.describe() for seen in examined if examined.owed(seen.probe) and seen.breaks(*SAFE)]


def test_every_patch_has_its_two_templates() -> None:
    ids = [patch.id for patch in known_patches()]
    assert len(set(ids)) == len(ids)
    assert REPAIRED.keys() == LEFT_ALONE.keys() == set(ids)


@pytest.mark.parametrize("patch", REPAIRED)
def test_a_patch_repairs_the_template_that_it_is_for(patch: str) -> None:
    template = REPAIRED[patch]
    assert broken(study(template).examined)
    found = best(patch, template)
    assert found is not None and found.verdict.reason == ""
    assert broken(found.case.itself) == []
    assert equal_when_off(template, found.source)


@pytest.mark.parametrize("patch", LEFT_ALONE)
def test_a_patch_leaves_alone_what_does_no_harm(patch: str) -> None:
    template = LEFT_ALONE[patch]
    assert suggested(patch, template), "the pattern is there"
    assert best(patch, template) is None


@pytest.mark.parametrize("patch", known_patches(), ids=lambda patch: patch.id)
def test_a_patch_says_what_it_is_and_keeps_the_original_behind_the_switch(patch: Patch) -> None:
    assert all(text.strip() for text in (patch.title, patch.why, patch.seen))
    assert patch.rule in {rule.code for rule in RULES}
    assert "SWITCH" in patch.replacement
