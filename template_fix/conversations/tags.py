"""Reasoning tags: which texts open and close a block of reasoning in a family of templates.

Nothing here knows a family: `discovery` finds a template's tags in what it does, and a vocabulary names them in its
added tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

# A token that is longer, or isn't text at all, is no tag.
_TAG = re.compile(r"[^\ud800-\udfff]{1,100}")
# Words by which vendors name reasoning; a tag whose name holds one of them delimits it.
REASONING = re.compile(r"think|thought|reason|analysis|inner|rationale|scratchpad|reflection|channel", re.IGNORECASE)
# What models use as markup: <x>, </x>, <|x|>, <|x>, <x|>, <<x>>, [[x]], [X], [/X], ◁x▷, and DeepSeek's wide bars.
MARKUP = re.compile(
    r"<<[\w:./ -]{1,40}>>|\[\[[\w:./ -]{1,40}\]\]"
    r"|<[|｜]?/?[\w:.▁ -]{1,40}[|｜]?>|\[/?[A-Z][A-Z_]{1,30}\]|◁/?\w{1,40}▷"
)
# A tag may be made of several: a mark, the name of what it opens or closes, and a mark (<|open|>think<|sep|>).
NAMED = re.compile(rf"(?:{MARKUP.pattern})(?P<name>[\w -]{{1,40}})(?:{MARKUP.pattern})")


# The tags that most models have, tried where nothing tells of others.
USUAL = ("<think>", "</think>")


@dataclass(frozen=True)
class Tags:
    """A pair of reasoning delimiters and the whitespace that a family puts inside and behind them.

    ``before_call`` is what closes a block in front of a tool call, where a family has another tag for that.
    """

    open: str
    close: str
    lead: str = "\n"
    trail: str = "\n"
    gap: str = "\n\n"
    before_call: str = ""

    def wrap(self, reasoning: str, answer: str) -> str:
        """Return one message's content with its reasoning inline, as the family spells it."""
        return f"{self.block(reasoning)}{self.gap}{answer}" if answer else self.block(reasoning)

    def block(self, reasoning: str) -> str:
        """Return the reasoning between its tags."""
        return f"{self.open}{self.lead}{reasoning}{self.trail}{self.close}"

    @cached_property
    def paired(self) -> bool:
        """Whether the closing tag is this pair's own, and not one that ends other things too (``<|end|>``)."""
        return self.close in closings(self.open) or not MARKUP.match(self.close)

    def closes(self, text: str) -> bool:
        """Whether a text begins with a tag that closes a block."""
        return text.startswith((self.close, self.before_call or self.close))


def closings(opening: str) -> Iterator[str]:
    """Yield the tags that would close ``opening``, by the ways in which vendors name pairs."""
    tag = match.group() if (match := MARKUP.match(opening)) else opening
    if "open" in tag:
        yield opening.replace("open", "close", 1)
    if tag.startswith("<|") and not tag.endswith("|>"):  # <|channel> … <channel|>
        yield f"<{tag[2:-1]}|>"
    yield re.sub(r"^([<\[◁][|｜]?)", r"\1/", tag)
    for start, end in (("START", "END"), ("start", "end"), ("begin", "end"), ("prefix", "suffix"), ("BEGIN", "END")):
        if start in tag:
            yield tag.replace(start, end)


def pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of reasoning tags among ``names``, in their order; each name is one tag."""
    known = dict.fromkeys(names)
    return [
        (name, close)
        for name in known
        if _TAG.fullmatch(name) and REASONING.search(name)
        for close in list(dict.fromkeys(closings(name)))
        if close in known and close != name
    ]
