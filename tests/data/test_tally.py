"""What the verdicts on rows add up to."""

from __future__ import annotations

from functools import reduce
from operator import add

from hypothesis import given
from hypothesis import strategies as st

from template_fix.data.losses import Verdict
from template_fix.data.tally import Tally, shortened, tallied
from template_fix.data.troubles.kinds import Trouble
from template_fix.data.verdicts import STOPPED
from template_fix.text.display import cut

COUNTS = st.integers(0, 3)
TROUBLES = st.builds(
    Trouble,
    st.sampled_from(["layout", "nulls", "no_turn", "unclosed"]),
    COUNTS,
    st.builds("messages[{}]: {}".format, COUNTS, st.integers(0, 90)),
)
VERDICTS = st.builds(
    Verdict,
    *(COUNTS, COUNTS, COUNTS, COUNTS, st.booleans(), st.sampled_from(["", "cut", "cut more"]), COUNTS),
    failure=st.sampled_from(["", "", "it fails", STOPPED + "it takes too long"]),
    broken=st.sampled_from(["", "", "has no role"]),
    troubles=st.lists(TROUBLES, max_size=2).map(tuple),
)


@given(st.lists(VERDICTS, max_size=80))
def test_the_rows_of_a_batch_add_up_to_what_each_by_itself_does(verdicts: list[Verdict]) -> None:
    each = (tallied("a", [number], [verdict]) for number, verdict in enumerate(verdicts, 5))
    assert tallied("a", range(5, 5 + len(verdicts)), verdicts) == reduce(add, each, Tally())


def test_the_worst_rows_are_shown_in_part_and_no_secret_is_in_them() -> None:
    text = "a" * 1300 + " hf_" + "b" * 90 + "c" * 50_000
    told = tallied("a", [1], [Verdict(reasoning=9, reasoning_lost=9, cut=text)])
    assert shortened(told) == shortened(shortened(told)) != told
    [worst] = shortened(told).worst
    assert worst.verdict.cut == cut(text, 2000) and "hf_" not in worst.verdict.cut


def test_rows_that_show_the_same_are_one_example_the_first() -> None:
    troubles = [Trouble("nulls", 1, f"messages[{number % 2}]: a") for number in range(100)]
    tally = tallied("a", range(1, 101), [Verdict(troubles=(trouble,)) for trouble in troubles])
    [counted] = tally.troubles
    assert (counted.rows, [(each.number, each.rows) for each in counted.examples]) == (100, [(1, 100)])
