"""What programs read in the text of a template, and what an edit takes from them."""

from __future__ import annotations

import pytest

from template_fix.jinja.text_readers import find_lost_features

BASE = "{% for m in messages %}{{ m.content }}{% endfor %}"
TAKEN = {
    "tags": (BASE + "<think>", BASE, "SGLang no longer looks for reasoning"),
    "both tags": (BASE + "<think></think>", BASE + "<think>", "Unsloth Studio no longer looks for reasoning"),
    "a field": (BASE + "{{ m.reasoning_content }}", BASE, "NeMo no longer passes reasoning in a field"),
    "a prompt that opens a block": (
        BASE + r"{{ '<|im_start|>assistant\n<think>\n' }}",
        BASE + r"{{ '<|im_start|>assistant\n<think>\n' }}{{ preserve_thinking }}",
        "SGLang no longer takes all that a model writes",
    ),
    "a split at the closing tag": (
        BASE + "{{ content.split('</think>') }}",
        BASE + "{{ content.split('</think>') }}{{ m.reasoning_content }}",
        "llama.cpp no longer takes a model for one that reasons",
    ),
    "a loop over the content": (
        BASE + "{% for part in m['content'] | list %}{% endfor %}",
        BASE,
        "vLLM and SGLang no longer pass contents as they come",
    ),
    "content that wasn't looped over": (
        BASE,
        BASE + "{% for part in m.content[1:] %}{% endfor %}",
        "vLLM and SGLang no longer pass contents as plain texts",
    ),
}


@pytest.mark.parametrize(("before", "after", "told"), TAKEN.values(), ids=TAKEN)
def test_what_an_edit_takes_away_is_told(before: str, after: str, told: str) -> None:
    assert any(each.startswith(told) for each in find_lost_features(before, after))


@pytest.mark.parametrize("source", [each for before, after, _ in TAKEN.values() for each in (before, after)])
def test_no_edit_takes_nothing_away(source: str) -> None:
    assert find_lost_features(source, source) == ()


def test_what_is_added_is_no_loss() -> None:
    assert find_lost_features(BASE, BASE + "<think>{{ m.reasoning_content }}</think>") == ()
    assert find_lost_features(BASE, BASE + "{% for tool in tools %}{% endfor %}") == ()
