from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from template_fix.conversations.disguise import Disguise


@given(st.lists(st.text("ab \n"), max_size=5))
def test_what_was_put_on_comes_off(texts: list[str]) -> None:
    disguise = Disguise()
    hidden = [disguise.put_on(text) for text in texts]
    assert [disguise.take_off(each) for each in hidden if "\n" not in each] == [t for t in texts if "\n" not in t]
    assert [len(each) for each in hidden] == [len(text) for text in texts]


@pytest.mark.parametrize(
    "form, fits",
    [
        pytest.param("<{}>", True, id="as it stands"),
        pytest.param("<{:.3}>", True, id="cut"),
        pytest.param("<{}{}>", False, id="longer than it was"),
    ],
)
def test_renderings_are_alike_but_for_the_letters(form: str, fits: bool) -> None:
    disguise = Disguise()
    hidden = disguise.put_on("said so")
    assert disguise.fits(form.format(hidden, "!"), form.format("said so", "")) is fits
    assert not disguise.fits(f"{hidden}.", "said so!")
    assert not disguise.fits(hidden, "said it")


def test_a_letter_that_nobody_asked_for_stands_for_nothing() -> None:
    assert Disguise().take_off("\U000f0000 a") == " a"
    assert not Disguise().fits("\U000f0000", "a")
