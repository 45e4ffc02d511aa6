from __future__ import annotations

import pytest
from shelf import chat, source, study

from template_fix.contract.examination import SAFE, Case
from template_fix.repair.candidates import are_apart
from template_fix.repair.proposers import Proposal
from template_fix.repair.search import Choice, Search, _with_same_effect, broken
from template_fix.repair.study import Study
from template_fix.text.edits import Edit, Span

SWITCH = "(preserve_thinking | default(true))"
SPLIT = "content.split('</think>')[-1]"
KEPT = f"(content if {SWITCH} and content is string else {SPLIT})"
# The field is printed in the last turn alone, and reasoning inside of content never.
TWO = chat(
    "{% if m.reasoning_content %}{% if loop.last %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{% endif %}{{ " + SPLIT + " }}"
)
OPENED = f"{{% if ({SWITCH} or loop.last) %}}"


def proposal(text: str, old: str, new: str, name: str = "test") -> Proposal:
    """The edit that puts ``new`` in the place of ``old``, which stands once in the template."""
    assert text.count(old) == 1
    at = Span(text.index(old), text.index(old) + len(old))
    return Proposal("TF202", name, f"put {new} for {old}", "", at, (Edit(at, new),))


def titles(choice: Choice | None) -> list[str]:
    assert choice is not None
    return [each.source for each in choice.kept]


@pytest.fixture
def two() -> Study:
    return study(TWO)


KEEP = proposal(TWO, SPLIT, KEPT, "keep")
OPEN = proposal(TWO, "{% if loop.last %}", OPENED, "open")
HARM = proposal(TWO, "A:{% if", f"{{{{ 'B:' if {SWITCH} else 'A:' }}}}{{% if", "harm")
IDLE = proposal(TWO, "{% if m.role", f"{{% if {SWITCH} %}}{{% endif %}}{{% if m.role", "idle")


def test_edits_that_mend_different_things_are_combined(two: Study) -> None:
    best = two.search.best([KEEP, OPEN])
    assert sorted(titles(best)) == ["keep", "open"]
    assert best is not None and broken(best.case.itself) == 0 and not best.verdict.reason
    assert best.source == TWO.replace(SPLIT, KEPT).replace("{% if loop.last %}", OPENED)


def test_the_order_of_proposals_makes_no_difference(two: Study) -> None:
    forward, backward = two.search.best([KEEP, OPEN, HARM, IDLE]), two.search.best([IDLE, HARM, OPEN, KEEP])
    assert forward is not None and backward is not None and forward.source == backward.source


def test_what_harms_or_changes_nothing_is_left_out(two: Study) -> None:
    assert titles(two.search.best([HARM, IDLE, KEEP])) == ["keep"]


def test_a_part_of_the_repair_is_better_than_none(two: Study) -> None:
    best = two.search.best([OPEN])
    assert titles(best) == ["open"]
    assert best is not None and 0 < broken(best.case.itself) < broken(two.examined)


@pytest.mark.parametrize(
    "proposals",
    [
        pytest.param([], id="no proposal"),
        pytest.param([HARM], id="a harmful one"),
        pytest.param([IDLE], id="one that changes nothing"),
        pytest.param([proposal(TWO, SPLIT, "content", "unswitched")], id="one that can't be switched off"),
        pytest.param([proposal(TWO, SPLIT, f"content if {SWITCH} else (", "unparsed")], id="one that doesn't parse"),
    ],
)
def test_where_nothing_may_stand_there_is_no_choice(two: Study, proposals: list[Proposal]) -> None:
    assert two.search.best(proposals) is None


def test_a_template_that_is_safe_is_left_alone() -> None:
    text = source("safe")
    pointless = proposal(
        text, "message.content or ''", f"(message.content or '') if {SWITCH} else (message.content or '')"
    )
    assert study(text).search.best([pointless]) is None


def test_of_edits_that_do_the_same_the_smallest_is_taken(two: Study) -> None:
    turned = proposal(TWO, SPLIT, f"({SPLIT} if not {SWITCH} else content)", "turned")
    assert titles(two.search.best([KEEP, turned])) == ["keep"]
    assert titles(two.search.best([turned, KEEP])) == ["keep"]


def test_of_edits_that_overlap_the_one_that_mends_more_is_taken(two: Study) -> None:
    first = proposal(TWO, SPLIT, f"(content if {SWITCH} and loop.index0 < 2 else {SPLIT})", "first turn")
    for order in ([first, KEEP], [KEEP, first]):
        assert titles(two.search.best(order)) == ["keep"]


def test_an_edit_that_another_makes_unneeded_goes_again() -> None:
    """Of three edits each mends something, and two together all of it."""
    text = chat(
        "{% set thought = m.reasoning_content or '' %}"
        "{% if loop.last and thought %}<think>\n{{ thought }}\n</think>\n\n{% endif %}{{ " + SPLIT + " }}"
    )
    keep = proposal(text, SPLIT, KEPT, "keep")
    early = proposal(text, "loop.last and", f"({SWITCH} and loop.index0 < 4 or loop.last) and", "early")
    every = proposal(text, "loop.last and thought %}<", f"({SWITCH} or loop.last) and thought %}}<", "every")
    assert sorted(titles(study(text).search.best([early, keep, every]))) == ["every", "keep"]


def test_edits_that_may_only_stand_together_are_found_together() -> None:
    """The split is there because of the tag in front of it: without either the block is malformed."""
    text = chat("{{ '</think>' }}{{ content.split('</think>', 1)[1] if '</think>' in content else content }}")
    split = "content.split('</think>', 1)[1] if '</think>' in content else content"
    keep = proposal(text, split, f"(content if {SWITCH} else {split})", "keep")
    bare = proposal(text, "'</think>' }}", f"('' if {SWITCH} and '</think>' in content else '</think>') }}}}", "bare")
    search = study(text).search
    assert not search.tried([keep]).verdict.hopeless and not search.tried([bare]).verdict.hopeless
    assert sorted(titles(search.best([keep, bare]))) == ["bare", "keep"]


def test_a_choice_can_be_built_upon(two: Study) -> None:
    base = two.search.best([KEEP])
    assert base is not None
    assert titles(two.search.best([HARM], base)) == titles(base)
    assert sorted(titles(two.search.best([OPEN, HARM], base))) == ["keep", "open"]


def test_with_the_original_as_default_the_switch_has_to_be_asked_for(two: Study) -> None:
    asked = Search(TWO, two.case, {}, default=False)
    off = proposal(TWO, SPLIT, KEPT.replace("true", "false"), "keep")
    best = asked.best([off])
    assert best is not None and not best.verdict.reason
    probe = next(seen.probe for seen in two.examined if seen.lost and seen.probe.form == "inline")
    assert best.case.off.text(probe) == two.examined.text(probe)
    assert not best.case.itself.observe(probe).breaks(*SAFE)
    assert asked.best([KEEP]) is None, "an edit whose default is on"


def test_a_verdict_says_why_an_edit_may_not_stand(two: Study) -> None:
    assert "another program" in two.search.tried([proposal(TWO, SPLIT, "content.strip()")]).verdict.reason
    assert "doesn't compile" in two.search.tried([proposal(TWO, SPLIT, "content (")]).verdict.reason
    assert two.search.tried([HARM]).verdict.hopeless


@pytest.mark.parametrize(
    ("spans", "separate"),
    [
        pytest.param([(0, 3), (3, 5)], True, id="side by side"),
        pytest.param([(0, 3), (2, 5)], False, id="overlapping"),
        pytest.param([(0, 5), (2, 3)], False, id="one inside of the other"),
        pytest.param([(2, 2), (2, 2)], False, id="two insertions at one place"),
        pytest.param([(2, 2), (3, 3)], True, id="insertions at two places"),
        pytest.param([], True, id="nothing"),
    ],
)
def test_edits_are_apart_where_they_claim_different_text(spans: list[tuple[int, int]], separate: bool) -> None:
    made = [Proposal("TF202", "", "", "", Span(*span), (Edit(Span(*span), "x"),)) for span in spans]
    assert are_apart(made) is separate


def test_proposals_with_the_same_effect_are_told_from_all_others(two: Study) -> None:
    longer = proposal(TWO, SPLIT, f"((content) if {SWITCH} and content is string else {SPLIT})", "longer")
    upper = proposal(TWO, SPLIT, f"(content | upper if {SWITCH} else {SPLIT})", "upper")
    given = [OPEN, longer, upper, KEEP]
    two.search.candidates.offer(given)
    cases = {each: two.search.candidates.case([each]) for each in given}
    groups = _with_same_effect(
        two.examined, {each: case.itself for each, case in cases.items() if isinstance(case, Case)}
    )
    assert groups == [[OPEN], [longer, KEEP], [upper]]
