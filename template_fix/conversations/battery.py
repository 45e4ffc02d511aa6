"""The battery: conversations whose every text is distinct, so that what a template does to each can be seen.

A conversation is spelled as a word, one letter a message::

    s  system prompt                      c  tool call alone
    u  user                               v  text and a tool call
    a  answer                             k  reasoning and a tool call
    r  reasoning and answer               w  reasoning, text and a tool call
    m  answer that mentions the closing   d  reasoning and two tool calls at once
       tag                                t  tool result
    l  reasoning whose opening tag was    e  empty content and no tool call
       in the prompt
    b  two blocks of reasoning in one message
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from template_fix.conversations.probe import FORMS, IN_FIELDS, REASONS, Probe, as_lists, probe
from template_fix.conversations.tags import Tags

PLAIN = ("ua", "uaua", "sua", "uauaua")
REASONED = ("ur", "urur", "sur", "surur", "ururur", "uaur", "urua", "uru")
TOOL_CHAINS = (
    *("uktr", "uctr", "ucta", "ukta", "uktktr", "udttr", "uktrur", "uruktr", "uwtr", "uvta", "suktr"),
    *("uktrua", "uktruktr", "uktktrur", "uctaua", "ukt", "uktru"),
)
SEVERAL_BLOCKS = ("ub", "ubua", "urub", "ubur")
LONE_CLOSING_TAG = ("um", "umua", "ul", "ulua", "urum", "umur")
EMPTY = ("ue", "ueua", "ueur", "urue")


def battery(tags: Tags, arguments: type, lists: bool = False) -> tuple[Probe, ...]:
    """Return the probes for a template with these reasoning tags and this form of tool-call arguments.

    ``lists`` says that it takes contents as lists of text blocks, and no others.
    """
    found = {(p.shape, p.key): p for p in _battery(tags, arguments)}.values()
    return tuple(as_lists(each) for each in found if not each.text_lists) if lists else tuple(found)


def _battery(tags: Tags, arguments: type) -> Iterator[Probe]:
    reasoned = (*REASONED, *(shape for shape in TOOL_CHAINS if set(shape) & set(REASONS)))
    plain = (*PLAIN, *(shape for shape in TOOL_CHAINS if not set(shape) & set(REASONS)))
    for shape in plain:
        yield probe(shape, tags, "plain", arguments=arguments)
    for shape, form in product(reasoned, FORMS):
        yield probe(shape, tags, form, arguments=arguments)
    for shape in ("urur", "uruktr", "uktrur", "urub"):
        yield probe(shape, tags, "mixed", arguments=arguments)
    for shape in (*SEVERAL_BLOCKS, *LONE_CLOSING_TAG):
        yield probe(shape, tags, "inline", arguments=arguments)
    for shape, form in product(EMPTY, FORMS):
        # An empty turn has no text to look for, so it can't be judged.
        yield replace(probe(shape, tags, form, arguments=arguments), ordinary=False)
    yield from _other_conventions(tags, arguments)
    for value, shapes in ((True, ("ur", "urur", "uktr", "uktrur")), (False, ("ua", "uaua", "ucta"))):
        for shape, form in product(shapes, FORMS if value else ("plain",)):
            yield probe(shape, tags, form, arguments=arguments, flags=(("enable_thinking", value),))
    for shape, form in (
        *(("ur", "inline"), ("urur", "inline"), ("ur", "reasoning_content"), ("urur", "reasoning_content")),
        *(("uaua", "plain"), ("uvta", "plain"), ("uktr", "reasoning_content"), ("uktrur", "reasoning_content")),
        ("uktr", "inline"),
    ):
        yield probe(shape, tags, form, arguments=arguments, text_lists=True)
    yield _in_two_blocks(probe("ur", tags, "inline", arguments=arguments, text_lists=True), tags)
    yield _with_two_blocks(probe("ur", tags, "reasoning_content", arguments=arguments, text_lists=True))


def _in_two_blocks(base: Probe, tags: Tags) -> Probe:
    """Return a conversation with the reasoning of its turn in a text block of its own, in front of the answer's."""
    asked, turn = base.messages
    front, _, answer = turn["content"][0]["text"].partition(f"{tags.close}{tags.gap}")
    texts = (f"{front}{tags.close}{tags.gap}", answer)
    content = [{"type": "text", "text": text} for text in texts]
    return replace(base, messages=(asked, {**turn, "content": content}), special="two text blocks in a message")


def _with_two_blocks(base: Probe) -> Probe:
    """Return a conversation whose turn has its reasoning in a field, and an answer of two text blocks."""
    asked, turn = base.messages
    more = base.parts[-1]._replace(text="So much for that.")
    content = [*turn["content"], {"type": "text", "text": more.text}]
    messages, parts = (asked, {**turn, "content": content}), (*base.parts, more)
    return replace(base, messages=messages, parts=parts, special="two text blocks beside a field", ordinary=False)


def _other_conventions(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield conversations as transformers 4 passes them: None stays, and no field is renamed."""
    for shape in ("uctr", "ucta", "uctaua"):
        for legacy in (False, True):
            yield probe(shape, tags, "inline", arguments=arguments, empty=None, legacy=legacy)
    for shape in ("uktr", "uktktr", "uktrur", "udttr"):
        for legacy in (False, True):
            yield probe(shape, tags, "reasoning_content", arguments=arguments, empty=None, legacy=legacy)
    for shape, form in product(("ur", "urur", "uktr", "uktrur"), IN_FIELDS):
        yield probe(shape, tags, form, arguments=arguments, legacy=True)
    # In transformers 5 a message that brings `reasoning` has it under every name: a template may print it twice.
    for shape in ("ur", "urur", "uktrur"):
        yield probe(shape, tags, "reasoning", arguments=arguments)
