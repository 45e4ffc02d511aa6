"""Where turns end: the marks that a template puts behind answers, learned from what it prints."""

from __future__ import annotations

import re
from typing import NamedTuple

from template_fix.contract.examination import Examination
from template_fix.contract.placing import locate
from template_fix.conversations.probe import Key, Probe
from template_fix.text.edits import common_prefix

# What stands for a token of its own: <x>, </x>, <|x|>, <|x>, <x|>, [/X], [|x|], and the fullwidth bars of DeepSeek.
MARK = re.compile(r"<[|｜]?/?[\w:.▁ -]{1,40}[|｜]?>|\[/?[A-Z][A-Z_]{1,30}\]|\[\|/?\w{1,30}\|\]")


# Why nothing can be said of a template, as to where turns end, and at all.
UNORDERED = "questions and answers aren't printed in their order"
NOTHING_PRINTED = "no conversation that was tried is printed"


class TurnEnds(NamedTuple):
    """The mark that ends a turn ``between`` it and the next message, and behind the ``last`` message; "" for none.

    ``headed`` says whether a mark begins what follows a turn. Where that is the only one, it may end the turn as well.
    """

    between: str
    last: str
    headed: bool

    def within(self, text: str) -> bool:
        """Whether a turn ends somewhere in a text."""
        return any(mark and mark in text for mark in (self.between, self.last))


def turn_ends(examined: Examination) -> TurnEnds | None:
    """Return the marks behind answers, None where a template prints questions and answers in another order, or not."""
    one, two = (parts_around_texts(examined, shape) for shape in ("ua", "uaua"))
    if one is None or two is None:
        return None
    begins, prompt, behind = one
    front, _, between, *_ = two
    marks = MARK.findall(between)
    first = MARK.search(begins.removeprefix(str(examined.renderer.variables.get("bos_token", ""))))
    # A mark in front of the first question, too, begins a message, unless another does and a default system text ends.
    ends = marks and (marks[0] not in front or (len(marks) > 1 and first is not None and marks[0] != first.group()))
    end = marks[0] if ends else ""
    last = next((mark for mark in MARK.findall(behind) if mark == end or mark not in prompt), "")
    return TurnEnds(end, last, bool(marks))


def closing(examined: Examination) -> str:
    """Return all that the template prints behind an answer, whatever follows, "" for nothing."""
    one, two = (parts_around_texts(examined, shape) for shape in ("ua", "uaua"))
    return one[-1][: common_prefix(one[-1], two[2])].strip() if one and two else ""


def parts_around_texts(examined: Examination, shape: str) -> list[str] | None:
    """Return what stands in front of, between and behind the texts of a plain conversation, None where one is lost."""
    probe = examined.probes.get((shape, Key("plain")))
    return around(probe, examined.text(probe)) if probe else None


def around(probe: Probe, text: object) -> list[str] | None:
    """Return what is printed in front of, between and behind the texts of a conversation, in their order, or None."""
    spans = locate(probe.parts, text) if isinstance(text, str) else (None,)
    found = [span for span in spans if span]
    if len(found) < len(spans) or not isinstance(text, str) or found != sorted(found):
        return None
    starts, ends = [span.start for span in found] + [len(text)], [0] + [span.end for span in found]
    return [text[end:start] for end, start in zip(ends, starts, strict=True)]
