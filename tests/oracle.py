"""What a marked template should mask, found without the product's own wanted mask.

All that is known is the conversation's texts, each distinct, who wrote them, what the template prints where the
conversation ends earlier, with the generation prompt, and the tokens that end turns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Renderer

MODELS = ("reasoning", "answer", "call", "before", "behind")


def faults(bare: Renderer, marked: Renderer, probe: Probe, stops: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the mask of one conversation; the templates without markers and with them are given."""
    text, told = bare(probe.messages, probe.tools, **dict(probe.flags)), None
    told = marked.generated(probe.messages, probe.tools, **dict(probe.flags))
    if not isinstance(text, str):
        if isinstance(told, tuple):
            yield "it prints what was refused"
        return
    if not isinstance(told, tuple) or told[0] != text:
        yield "another text is printed"
        return
    for prompt in (False, True):
        one, other = (each(probe.messages, probe.tools, prompt, **dict(probe.flags)) for each in (bare, marked))
        if one != other and isinstance(one, str):
            yield f"another text is printed (generation prompt: {prompt})"
    inside = [False] * len(text)
    for span in told[1]:
        if span.start >= span.end:
            yield "a marker encloses nothing"
        inside[span.start : span.end] = [True] * (span.end - span.start)
    for token in re.finditer(r"<+[^<>\s]+>+", text):
        if len(set(inside[token.start() : token.end()])) > 1:
            yield f"{token.group()!r} is cut in two"
    yield from _texts(probe, text, inside)
    yield from _prompts(bare, probe, text, inside)
    yield from _stops(probe, text, inside, stops)


def _texts(probe: Probe, text: str, inside: list[bool]) -> Iterator[str]:
    for part in probe.parts:
        at = text.find(part.text)
        if at < 0:
            continue
        covered = inside[at : at + len(part.text)]
        models = part.kind in MODELS and probe.messages[part.message]["role"] == "assistant"
        if models and not all(covered):
            yield f"{part.text!r} is outside"
        if not models and any(covered):
            yield f"{part.text!r} is inside"


def _prompts(bare: Renderer, probe: Probe, text: str, inside: list[bool]) -> Iterator[str]:
    """Yield what is wrong where a turn follows what the model is prompted with, however thinking is set."""
    for turn in probe.turns():
        shorter = bare(probe.messages[:turn], probe.tools, False, **dict(probe.flags))
        printed = any(part.message == turn and part.text in text for part in probe.parts)
        if not isinstance(shorter, str) or not text.startswith(shorter) or not printed:
            continue
        flags = {name: value for name, value in probe.flags if name != "enable_thinking"}
        settings = ({}, {"enable_thinking": True}, {"enable_thinking": False})
        prompts = [bare(probe.messages[:turn], probe.tools, True, **flags, **each) for each in settings]
        told = [each for each in prompts if isinstance(each, str)]
        own = _in_common(told)[len(shorter) :] if len(told) == len(settings) else ""
        if own.strip() and text.startswith(shorter + own) and any(inside[len(shorter) : len(shorter) + len(own)]):
            yield f"the prompt {own!r} is inside"


def _stops(probe: Probe, text: str, inside: list[bool], stops: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong behind the last text of each turn."""
    for turn in probe.turns():
        ends = [
            text.find(part.text) + len(part.text)
            for part in probe.parts
            if part.message == turn and part.kind in MODELS and part.text in text
        ]
        later = [at for part in probe.parts if part.message > turn and (at := text.find(part.text)) >= 0]
        if not ends:
            continue
        last, until = max(ends), min([at for at in later if at >= max(ends)], default=len(text))
        found = [(at, stop) for stop in stops if (at := text.find(stop, last, until)) >= 0]
        if found:
            at, stop = min(found)
            if not all(inside[last : at + len(stop)]):
                yield f"the end {text[last : at + len(stop)]!r} is outside"
            if at + len(stop) < len(text) and inside[at + len(stop)]:
                yield f"{text[at + len(stop) : until][:20]!r} behind the end is inside"


def _in_common(texts: Sequence[str]) -> str:
    """Return what texts begin with in common, without the half of a token such as ``<|end|>``."""
    shortest = min(texts, key=len)
    ends = range(len(shortest), -1, -1)
    common = next(shortest[:end] for end in ends if all(each.startswith(shortest[:end]) for each in texts))
    return re.sub(r"</?[^<>\s]*$", "", common)
