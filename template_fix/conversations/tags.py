"""Reasoning tags: which texts open and close a block of reasoning in a family of templates.

Nothing here knows a family. A template that prints reasoning from a field shows its tags by printing it; one that
only handles reasoning inside of content names them in its literals; a vocabulary names them in its added tokens.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import nodes

from template_fix.jinja.queries import walk
from template_fix.jinja.renderer import REASONING_FIELDS, Failure, Renderer

# A token that is longer, or isn't text at all, is no tag.
_TAG = re.compile(r"[^\ud800-\udfff]{1,100}")
# Words by which vendors name reasoning; a tag whose name holds one of them delimits it.
_REASONING = re.compile(r"think|thought|reason|analysis|inner|rationale|scratchpad|reflection|channel", re.IGNORECASE)
# What a channel for reasoning is called where a template opens none.
_CHANNEL = "thought"
# What models use as markup: <x>, </x>, <|x|>, <|x>, <x|>, [X], [/X], and the fullwidth bars of DeepSeek.
MARKUP = re.compile(r"<[|｜]?/?[\w:.▁ -]{1,40}[|｜]?>|\[/?[A-Z][A-Z_]{1,30}\]")
# A tag may be made of several: a mark, the name of what it opens or closes, and a mark (<|open|>think<|sep|>).
_NAMED = re.compile(rf"(?:{MARKUP.pattern})(?P<name>[\w -]{{1,40}})(?:{MARKUP.pattern})")


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

    @property
    def paired(self) -> bool:
        """Whether the closing tag is this pair's own, and not one that ends other things too (``<|end|>``)."""
        return self.close in closings(self.open)

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
        if _TAG.fullmatch(name) and _REASONING.search(name)
        for close in list(dict.fromkeys(closings(name)))
        if close in known and close != name
    ]


def literals(tree: nodes.Template) -> Iterator[str]:
    """Yield every text that a template holds: its own and its string constants; comments are none."""
    for node in walk(tree):
        if isinstance(node, nodes.TemplateData):
            yield node.data
        elif isinstance(node, nodes.Const) and isinstance(node.value, str):
            yield node.value


def find_in_literals(tree: nodes.Template) -> tuple[str, str] | None:
    """Return the reasoning tags that a template's literals name most often, a closing tag alone being enough."""
    found = Counter(tag for text in literals(tree) for tag in MARKUP.findall(text) if _REASONING.search(tag))
    openings = [_opening(tag) for tag in found if _is_closing(tag)]
    complete = [*pairs(found), *((tag, next(closings(tag))) for tag in openings)]
    if not complete:
        return None
    opening, closing = max(dict.fromkeys(complete), key=lambda pair: found[pair[0]] + found[pair[1]])
    if "channel" not in opening or opening.endswith("|>"):
        return opening, closing
    # A channel is named behind the tag that opens it: <|channel>thought.
    words = (re.match(r"\w+", text.partition(opening)[2]) for text in literals(tree) if opening in text)
    kind = next((word.group() for word in words if word and _REASONING.search(word.group())), _CHANNEL)
    return opening + kind, closing


def find_in_prompt(renderer: Renderer) -> tuple[str, str] | None:
    """Return the reasoning tags of which a generation prompt ends with the opening one."""
    asked = renderer([{"role": "user", "content": "Which word comes first?"}], None, True)
    tags = [] if isinstance(asked, Failure) else list(MARKUP.finditer(asked.rstrip()))
    last = tags[-1] if tags else None
    if last is None or not _REASONING.search(last.group()) or _is_closing(last.group()):
        return None
    return (last.group(), next(closings(last.group()))) if last.end() == len(str(asked).rstrip()) else None


def _is_closing(tag: str) -> bool:
    return bool(re.match(r"[<\[][|｜]?/|<[^|>]+\|>$", tag))


def _opening(tag: str) -> str:
    return tag.replace("/", "", 1) if "/" in tag else f"<|{tag[1:-2]}>"


def find_in_output(renderer: Renderer, tree: nodes.Template) -> Tags | None:
    """Return the tags between which a template prints reasoning that comes in a field, or None where it never does.

    Variables get the values that the template asks for: some print reasoning only where ``reasoning == 'always'``.
    """
    asked = asked_for(tree)
    settings: list[dict[str, Any]] = [{}, {"enable_thinking": True}, *({name: value} for name, value in asked)]
    for flags in settings:
        for tools in (False, True):
            found = _around(renderer, tools, flags)
            if found:
                return found if found.paired else _with_calls(found, _around(renderer, True, flags, answer=""))
    return None


def asked_for(tree: nodes.Template) -> list[tuple[str, str]]:
    """Return each variable that is compared with a text, with the text."""
    found: dict[tuple[str, str], None] = {}
    for node in walk(tree):
        if isinstance(node, nodes.Compare) and isinstance(node.expr, nodes.Name) and node.ops[0].op == "eq":
            text = node.ops[0].expr
            if isinstance(text, nodes.Const) and isinstance(text.value, str):
                found[node.expr.name, text.value] = None
    return list(found)


def _with_calls(tags: Tags, calling: Tags | None) -> Tags:
    """Return the tags with what closes a block in front of a call, where that is another than in front of an answer."""
    if calling is None or calling.open != tags.open or calling.close == tags.close:
        return tags
    return replace(tags, before_call=calling.close)


def _around(
    renderer: Renderer, tools: bool, flags: dict[str, Any], answer: str = "The second one follows."
) -> Tags | None:
    question, reasoning = "Which word comes first?", "It is the one before."
    turn: dict[str, object] = {"role": "assistant", "content": answer}
    if tools:
        call = {"name": "look", "arguments": {"at": "things"}}
        turn["tool_calls"] = [{"id": "call00001", "type": "function", "function": call}]
    user = {"role": "user", "content": question}
    plain = renderer([user, turn], **flags)
    printed = renderer([user, {**turn, **dict.fromkeys(REASONING_FIELDS, reasoning)}], **flags)
    if isinstance(printed, Failure) or reasoning not in printed or question not in printed:
        return None
    start = printed.index(reasoning)
    header = _behind(printed[:start], question)
    shown = "" if isinstance(plain, Failure) else _behind(plain, question)
    behind = printed[start + len(reasoning) :]
    return _delimiters(header, behind[: behind.index(answer)] if answer and answer in behind else behind, shown)


def _behind(text: str, part: str) -> str:
    """Return what stands behind ``part``, or all of the text where it isn't there."""
    before, found, rest = text.partition(part)
    return rest if found else before


def _delimiters(header: str, behind: str, plain: str) -> Tags | None:
    """Cut the tags out of what a template prints before and behind a reasoning text.

    ``plain`` is what it prints for the same turn without reasoning: where the tag just before the reasoning has no
    closing partner (gpt-oss's ``<|message|>``), the opening reaches back to where the two begin to differ.
    """
    marks = list(MARKUP.finditer(header))
    closing = MARKUP.match(behind.lstrip())
    if not marks or not closing:
        return None
    close, first = closing.group(), marks[-1].start()
    opened, closed = list(_NAMED.finditer(header.rstrip()))[-1:], _NAMED.match(behind.lstrip())
    if opened and closed and opened[0]["name"] == closed["name"] and opened[0].end() == len(header.rstrip()):
        close, first = closed.group(), opened[0].start()
    elif close not in closings(marks[-1].group()):
        differs = next((i for i, (a, b) in enumerate(zip(header, plain, strict=False)) if a != b), first)
        first = max((mark.start() for mark in marks if mark.start() <= differs), default=first)
    opening = header[first:].rstrip()
    lead = header[first + len(opening) :]
    trail = behind[: len(behind) - len(behind.lstrip())]
    gap = behind.lstrip()[len(close) :]
    return Tags(opening, close, lead, trail, gap if not gap.strip() else "\n\n")


def discover(renderer: Renderer, tree: nodes.Template, chosen: tuple[str, str] | None = None) -> Tags | None:
    """Return the reasoning tags of a template, or None where it has no notion of reasoning.

    ``chosen`` overrides what is found.
    """
    field = find_in_output(renderer, tree)
    named = chosen or find_in_literals(tree) or find_in_prompt(renderer)
    if field and (not chosen or chosen == (field.open, field.close)):
        return field
    return Tags(*named) if named else None
