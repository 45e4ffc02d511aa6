from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import pytest
from shelf import study
from test_search import HARM, IDLE, KEEP, OPEN, SPLIT, SWITCH, TWO, proposal

from template_fix.contract.examination import Case
from template_fix.jinja.renderer import Failure, Renderer
from template_fix.repair.candidates import Candidates, are_apart
from template_fix.repair.proposers import Proposal
from template_fix.text.edits import Edit, Span

PLAIN = proposal(TWO, "<think>", "<thinking>", "plain")
# A template that binds the switch by itself: what an edit asks for is what the template made of it.
BOUND = "{%- set preserve_thinking = preserve_thinking | default(false) -%}" + TWO
EVERY = (KEEP, OPEN, HARM, IDLE, PLAIN)
# What is put in takes the space in front of it away, whether the switch is on or off.
SPACED = TWO.replace("A:{% if", "A: {% if")
_AT = SPACED.index("{% if m.reasoning_content")
GREEDY = Proposal(
    "TF202", "greedy", "", "", Span(_AT, _AT), (Edit(Span(_AT, _AT), f"{{%- if {SWITCH} %}}{{% endif %}}"),)
)


def spaced(each: Proposal) -> Proposal:
    """The same proposal for the template with a space in front of its texts."""
    edit = each.edits[0]
    return proposal(SPACED, edit.span.of(TWO), edit.text, each.source)


def moved(each: Proposal) -> Proposal:
    """The same proposal for the template that binds the switch."""
    edit = each.edits[0]
    return proposal(BOUND, edit.span.of(TWO) if each is not IDLE else "{% if m.role", edit.text, each.source)


def sets(proposals: tuple[Proposal, ...]) -> list[tuple[Proposal, ...]]:
    chosen = chain.from_iterable(combinations(proposals, n) for n in range(1, len(proposals) + 1))
    return [each for each in chosen if are_apart(each)]


def candidates(text: str) -> Candidates:
    return Candidates(text, study(text).case, {}, default=True)


@pytest.mark.parametrize(
    ("text", "proposals"),
    [
        pytest.param(TWO, EVERY, id="a template that doesn't know the switch"),
        pytest.param(BOUND, tuple(map(moved, (KEEP, OPEN, HARM))), id="a template that sets the switch itself"),
        pytest.param(SPACED, (*map(spaced, (KEEP, OPEN)), GREEDY), id="a tag that takes white space away"),
    ],
)
def test_compiled_in_with_others_a_set_prints_what_it_prints_alone(text: str, proposals: tuple[Proposal, ...]) -> None:
    made = candidates(text)
    made.offer(proposals)
    for chosen in sets(proposals):
        together, alone = made.case(chosen), made.alone(chosen)
        assert isinstance(together, Case) and isinstance(alone, Case)
        for probe in list(together.itself.probes.values())[::7]:
            for prompt in (False, True):
                assert together.itself.text(probe, prompt=prompt) == alone.itself.text(probe, prompt=prompt)
                if not {PLAIN, GREEDY} & {*chosen}:
                    assert together.off.text(probe, prompt=prompt) == alone.off.text(probe, prompt=prompt)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(proposal(TWO, SPLIT, f"(content if {SWITCH} else )"), id="in the place of an expression"),
        pytest.param(
            Proposal("TF202", "open", "", "", Span(0, 0), (Edit(Span(0, 0), f"{{% if {SWITCH} %}}"),)),
            id="put in",
        ),
    ],
)
def test_a_set_that_is_no_template_tells_why(broken: Proposal) -> None:
    made = candidates(TWO)
    made.offer([OPEN, broken])
    assert "doesn't compile" in str(made.case([broken]))
    assert isinstance(made.case([OPEN]), Case), "the others go on without it"


def test_edits_of_the_same_text_are_not_apart() -> None:
    assert (
        are_apart([KEEP, OPEN]) and not are_apart([KEEP, KEEP]) and not are_apart([KEEP, proposal(TWO, "[-1]", "[0]")])
    )


def test_a_conversation_that_reaches_no_edit_is_rendered_once_for_all_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    made, rendered = candidates(TWO), list[str]()
    made.offer([KEEP, OPEN])
    cases = [made.case(chosen) for chosen in ([KEEP], [OPEN], [KEEP, OPEN])]
    render = Renderer.__call__

    def noted(self: Renderer, *given: Any, **flags: Any) -> str | Failure:
        rendered.append(str(given[0]))
        return render(self, *given, **flags)

    monkeypatch.setattr(Renderer, "__call__", noted)
    asked = next(probe for probe in made.before.itself.probes.values() if probe.shape.startswith("ua"))
    for upto, times in (1, 1), (2, 2):  # its answer is asked of what keeps text, and not of what opens a branch
        rendered.clear()
        texts = [case.itself.text(asked, upto) for case in cases if isinstance(case, Case)]
        assert len(texts) == 3 and len(rendered) == times


def test_proposals_that_are_proved_together_need_no_proof_of_their_own() -> None:
    made = candidates(TWO)
    behind = proposal(TWO, "{{ " + SPLIT, f"{{% if {SWITCH} %}}{{% endif %}}{{{{ {SPLIT}", "behind")
    inserts = [
        each._replace(edits=(Edit(Span(at, at), f"{{% if {SWITCH} %}}{{% endif %}}"),))
        for each, at in ((IDLE, IDLE.at.start), (behind, behind.at.start))
    ]
    made.offer(inserts)
    made.case(inserts[:1])
    assert made._folding == dict.fromkeys(inserts, True)


def test_where_one_of_several_takes_white_space_away_each_is_proved_by_itself() -> None:
    made = candidates(SPACED)
    at = SPACED.index("{{ " + SPLIT)
    idle = GREEDY._replace(
        source="idle", at=Span(at, at), edits=(Edit(Span(at, at), GREEDY.edits[0].text.replace("-", "")),)
    )
    made.offer([idle, GREEDY])
    made.case([idle])
    assert made._folding == {idle: True, GREEDY: False}


def test_edits_of_a_part_are_compiled_in_with_those_of_the_whole_and_of_each_other() -> None:
    whole = proposal(TWO, SPLIT, f"({SPLIT} | upper if {SWITCH} else {SPLIT})", "whole")
    part, other = (
        proposal(TWO, "content.split('</think>')", f"({new} if {SWITCH} else content.split('</think>'))", new)
        for new in ("[content]", "content.split('e')")
    )
    made = candidates(TWO)
    made.offer([whole, part, other, OPEN])
    for chosen in sets((whole, part, other, OPEN)):
        together, alone = made.case(chosen), made.alone(chosen)
        assert isinstance(together, Case) and isinstance(alone, Case)
        for probe in list(together.itself.probes.values())[::7]:
            assert together.itself.text(probe) == alone.itself.text(probe)
    assert len(made._unions) == 1
