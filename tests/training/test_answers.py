from __future__ import annotations

import pytest

from template_fix.training.answers import Answer, answer_shares

TAGS = (("[THINK]", "[/THINK]"), ("<think>", "</think>"))


@pytest.mark.parametrize(
    "prompt, text, told",
    [
        pytest.param("<a>", "<think>so</think>yes", (1, 1, 1), id="a whole block"),
        pytest.param("<a><think>\n", "so\n</think>\n\nyes", (1, 1, 1), id="a block that the prompt opens"),
        pytest.param("<a>", "<think>\n\n</think>yes", (1, 1, 0), id="an empty block"),
        pytest.param("<a>", "<think>so and so", (1, 0, 1), id="a block that doesn't end"),
        pytest.param("<a>", "yes", (0, 0, 0), id="an answer alone"),
        pytest.param("<a>", "so</think>yes", (0, 0, 0), id="a closing tag alone"),
        pytest.param("<a>", "[THINK]so[/THINK]yes", (1, 1, 1), id="other tags"),
    ],
)
def test_a_block_is_opened_closed_and_filled(prompt: str, text: str, told: tuple[int, ...]) -> None:
    assert tuple(answer_shares([Answer(prompt, text)], TAGS).values()) == told


def test_shares_are_of_all_answers() -> None:
    found = answer_shares([Answer("", "<think>a</think>"), Answer("", "b")], TAGS)
    assert found == {"reasoning_opened": 0.5, "reasoning_closed": 0.5, "reasoning_nonempty": 0.5}
    assert answer_shares([], TAGS) == {}
