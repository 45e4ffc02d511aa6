"""A template in another spelling is repaired alike: nothing hangs on spacing, quotes, names or line ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from respell import SPELLINGS, respelled
from shelf import EACH, NAMES, codes, patched, repaired, source, study

from template_fix.contract.examination import Examination
from template_fix.jinja.folding import equal_when_off
from template_fix.jinja.renderer import Failure, Renderer


def printed(text: str, like: str, every: int = 1) -> list[str | None]:
    """What a template prints of the battery for another, each conversation with and without the prompt."""
    studied = study(like).examined
    made = Examination(Renderer(text), studied.probes.values(), studied.tags)
    probes = list(studied.probes.values())[::every]
    texts = [made.text(probe, prompt=prompt) for probe in probes for prompt in (False, True)]
    return [None if isinstance(each, Failure) else each for each in texts]


def repaired_alike(text: str, chosen: list[str], seed: int) -> None:
    other = respelled(text, chosen, seed)
    assert codes(patched(other)) == codes(patched(text))
    assert {finding.code for finding in patched(other).after.findings} == {
        finding.code for finding in patched(text).after.findings
    }
    assert len(patched(other).kept) == len(patched(text).kept)
    if "one line" not in chosen:  # what a repair lays out in lines of its own are several edits
        numbers = [[len(repair.edits) for repair in patched(each).kept] for each in (other, text)]
        assert numbers[0] == numbers[1]
    assert printed(repaired(other), text) == printed(repaired(text), text)
    assert equal_when_off(other, repaired(other)) is equal_when_off(text, repaired(text))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_is_the_same_template(name: str, spelling: str) -> None:
    """The tests below mean something only if the spellings change the source, and nothing that is printed."""
    before = respelled(source(name), ["one line"]) if spelling in ("dashes", "comments") else source(name)
    other = respelled(before, [spelling], seed=7)
    assert other != before
    assert printed(other, source(name), every=6) == printed(source(name), source(name), every=6)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        pytest.param("brackets", ["spacing", "quotes", "names"], id="spacing, quotes and names of a slice"),
        pytest.param(
            "brackets", ["one line", "dashes", "comments"], id="a slice in one line, with dashes and comments"
        ),
        pytest.param("ignores_field", ["carriage returns", "quotes"], id="an ignored field in lines of another system"),
        pytest.param("strip", list(SPELLINGS), id="a strip, with everything at once"),
    ],
)
def test_another_spelling_is_repaired_alike(name: str, chosen: list[str]) -> None:
    repaired_alike(source(name), chosen, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", EACH)
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(chosen=st.lists(st.sampled_from(list(SPELLINGS)), min_size=1, unique=True), seed=st.integers(0, 999))
def test_any_spelling_is_repaired_alike(name: str, chosen: list[str], seed: int) -> None:
    repaired_alike(source(name), chosen, seed)


@pytest.mark.slow
def test_real_templates_in_another_spelling_are_repaired_alike(shared: Path) -> None:
    """A sample of those that know reasoning: with other blanks, quotes and names, and every other with line ends."""
    families = [path for path in sorted((shared / "corpus/templates").iterdir()) if path.name != "no-reasoning"]
    texts = [path.read_bytes().decode() for family in families for path in sorted(family.glob("*.jinja"))]
    for seed, text in enumerate(texts[::16]):
        if study(text).unreadable is None:
            chosen = ["spacing", "quotes", "names", *(["carriage returns"] if seed % 2 else [])]
            # A name may be that of something else as well, such as a filter: then it stays.
            if printed(respelled(text, chosen, seed), text, every=9) != printed(text, text, every=9):
                chosen.remove("names")
            repaired_alike(text, chosen, seed)
