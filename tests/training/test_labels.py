from __future__ import annotations

import pytest

from template_fix.conversations.rows import row_of
from template_fix.training.labels import IGNORED, Labels, Trained, compare_labels, label_lines

TAGS = (("<think>", "</think>"),)
REASONING, ANSWER = "Seventeen sixes are a hundred and two.", "It is 102."
END = ord("$")


def row(text: str, learned: str = "") -> Trained:
    """A row whose tokens are letters, of which those of ``learned`` have labels, or all."""
    ids = [ord(letter) for letter in text]
    start = text.index(learned) if learned else 0
    keep = range(start, start + len(learned or text))
    return Trained(ids, [each if at in keep else IGNORED for at, each in enumerate(ids)])


def looked(*trained: Trained, reasoning: str = REASONING) -> Labels:
    turn = {"role": "assistant", "content": f"<think>{reasoning}</think>{ANSWER}"}
    raw = row_of({"messages": [{"role": "user", "content": "17 times 6?"}, turn]}, {})
    return compare_labels(trained, [raw], TAGS, {END}, lambda ids: "".join(map(chr, ids)), str)


WHOLE = f"17 times 6? <think>\n{REASONING}\n</think>\n{ANSWER}$"


@pytest.mark.parametrize(
    "trained, fate",
    [
        pytest.param(row(WHOLE), "reached", id="all is learned"),
        pytest.param(row(f"other? {ANSWER}$ {WHOLE} more? yes"), "reached", id="several rows are packed into one"),
        pytest.param(row(WHOLE, f"{ANSWER}$"), "masked", id="only the answer has labels"),
        pytest.param(row(f"17 times 6? {ANSWER}$"), "cut", id="the template has cut it"),
        pytest.param(row(WHOLE[:30]), "truncated", id="the row ends in the middle"),
    ],
)
def test_the_way_of_reasoning_to_the_labels(trained: Trained, fate: str) -> None:
    found = looked(trained)
    assert (found.turns, getattr(found, fate)) == (1, 1)
    assert found.wrong == (fate in ("masked", "cut", "truncated"))


def test_reasoning_that_is_found_elsewhere_by_chance_is_not_there() -> None:
    assert looked(row(f"17 times 6? {ANSWER}$"), reasoning="102").cut == 1


def test_a_row_that_is_not_among_the_batches_is_not_judged() -> None:
    assert looked(row("other? yes$")).turns == 0
    assert not looked(row("other? yes$")).wrong


def test_rows_without_labels_or_an_end_are_counted() -> None:
    unlearned = Trained([1, 2], [IGNORED, IGNORED])
    found = looked(row(WHOLE), unlearned, row("17 times 6?"))
    assert (found.rows, found.ignored, found.unended) == (3, 1, 1)
    assert found.wrong


def test_no_end_of_turn_at_all_is_wrong_and_one_that_is_missing_is_told() -> None:
    assert looked(row(WHOLE[:-1])).wrong
    assert not looked(row(WHOLE), row(WHOLE[:-1])).wrong


def test_it_is_told_in_lines() -> None:
    told = ["".join(piece.text for piece in each.pieces) for each in label_lines(Labels(9, 1, 2, 3, 1, 2, 1))]
    assert told == [
        "What is trained on: 9 rows checked before the first step",
        "reasoning: 3 of 7 turns with reasoning have it in the labels; 2 cut out of the text; "
        "1 in the input, but masked; 1 beyond the maximum length",
        "end of turn: in the labels of 6 rows",
        "1 rows are not trained on: all of their labels are ignored",
    ]
