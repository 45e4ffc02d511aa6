"""One conversation as a template gets it, and a list of every text in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import Message, Tool, prepare_messages
from template_fix.options import Flags

_FUNCTION = {
    "name": "look_up",
    "description": "Look a word up.",
    "parameters": {
        "type": "object",
        "properties": {"word": {"type": "string", "description": "The word."}},
        "required": ["word"],
    },
}
TOOLS: tuple[Tool, ...] = ({"type": "function", "function": _FUNCTION},)


# How reasoning comes: not at all, inside of content, in a field, or inside of content and then in a field.
Form: TypeAlias = Literal["plain", "inline", "reasoning_content", "reasoning", "thinking", "mixed"]
FORMS: tuple[Form, ...] = ("inline", "reasoning_content")
IN_FIELDS: tuple[Form, ...] = ("reasoning_content", "reasoning", "thinking")
# The letters of turns that have reasoning, and of those that call tools.
REASONS, CALLS = "rkwdb", "ckvwd"


class Part(NamedTuple):
    """One text of a conversation: what it is, in which message it stands, and the text that must be printed.

    ``feature`` names what a template may not support at all: it then prints no part of that feature, ever.
    """

    kind: str
    message: int
    text: str
    feature: str = ""


class Key(NamedTuple):
    """Identifies a conversation among all of its shape; see `Probe`."""

    form: Form
    flags: Flags = ()
    legacy: bool = False
    text_lists: bool = False
    empty: str | None = ""
    offered: bool = False
    toolset: str = ""
    special: str = ""


# Identifies a probe: its shape and its key.
ProbeId = tuple[str, Key]


@dataclass(frozen=True)
class Probe:
    """One conversation as a template gets it.

    ``shape`` is its spelling, ``form`` how reasoning comes, ``special`` says in words what else no other has.
    ``ordinary`` conversations are owed the contract; on others nothing may be lost that was kept. ``flags`` are the
    template variables, ``cuts`` the numbers of messages after which the conversation could have ended. ``varied`` ones
    set a variable of the template's own; where they are ``fixed``, too, that is a switch by which the caller
    asks for reasoning to be left out, and gets what is asked for. Those who call tools are given some; where tools are
    ``offered``, so are others. ``toolset`` is ``none`` where calls come without tools, as training rows have them, and
    ``bare`` and a type of arguments where tools and calls are functions by themselves, not wrapped in an object.
    ``listed`` ones have lists of text blocks as contents as all others of their template do, which takes no text.
    """

    shape: str
    form: Form
    messages: tuple[Message, ...]
    parts: tuple[Part, ...]
    ordinary: bool = True
    flags: Flags = ()
    legacy: bool = False
    text_lists: bool = False
    empty: str | None = ""
    cuts: tuple[int, ...] = field(default=())
    varied: bool = False
    fixed: bool = False
    offered: bool = False
    toolset: str = ""
    special: str = ""
    listed: bool = False

    @cached_property
    def features(self) -> frozenset[str]:
        """Return what a template has to support to print this conversation."""
        return frozenset(part.feature for part in self.parts if part.feature)

    @cached_property
    def key(self) -> Key:
        """Tell this probe from every other of its shape; a prefix of it has the same key."""
        given = self.flags, self.legacy, self.text_lists, self.empty, self.offered, self.toolset
        return Key(self.form, *given, self.special)

    @cached_property
    def tools(self) -> tuple[Tool, ...] | None:
        """Return the tools that this conversation may use."""
        if self.toolset == "none" or not (self.offered or set(self.shape) & set(CALLS)):
            return None
        return tuple({**tool, **_FUNCTION} for tool in TOOLS) if self.toolset.startswith("bare") else TOOLS

    def turns(self) -> Iterator[int]:
        """Yield the index of each assistant message that answers somebody else's."""
        for index, letter in enumerate(self.shape):
            if letter not in "sut":
                yield index

    def describe(self) -> str:
        """Say in words what kind of conversation this is."""
        roles = ", ".join(_WORDS[letter] for letter in self.shape)
        form = _FORMS.get(self.form, f"; reasoning in the field {self.form!r}")
        form = f"; with {self.special}" if self.special else form
        flags = "".join(f"; {name}={value}" for name, value in self.flags)
        lists = "; contents as lists of text blocks" if self.text_lists or self.listed else ""
        tools = "; tools that aren't called" if self.offered else _TOOLSETS[self.toolset]
        return f"{roles}{form}{flags}{lists}{tools}" + ("; as transformers 4 passes it" if self.legacy else "")


_FORMS = {
    "plain": "",
    "inline": "; reasoning inside of content",
    "mixed": "; reasoning inside of content, then in a field",
}
_TOOLSETS = {
    "": "",
    "none": "; without its tools",
    "bare dict": "; calls and tools that are bare functions",
    "bare str": "; calls and tools that are bare functions, with their arguments as text",
}


_WORDS = {
    "s": "system prompt",
    "u": "question",
    "a": "answer",
    "r": "reasoned answer",
    "m": "answer that mentions the closing tag",
    "l": "reasoned answer without its opening tag",
    "b": "answer with two blocks of reasoning",
    "c": "tool call",
    "v": "text and a tool call",
    "k": "reasoned tool call",
    "w": "reasoned text and a tool call",
    "d": "two reasoned tool calls at once",
    "e": "empty answer",
    "t": "tool result",
}


class _Writer:
    """Writes the messages of one conversation, and notes every text in it."""

    def __init__(
        self, tags: Tags, form: Form, arguments: type, empty: str | None, text_lists: bool, legacy: bool
    ) -> None:
        self.tags, self.form, self.arguments, self.empty, self.text_lists = tags, form, arguments, empty, text_lists
        self.convention = " in transformers 4" if legacy else ""
        self.parts: list[Part] = []
        self.messages: list[dict[str, object]] = []
        self.calls: list[str] = []

    def say(self, kind: str, pattern: str, feature: str = "") -> str:
        number = 1 + sum(part.kind == kind for part in self.parts)
        text = pattern.format(number)
        feature = "text lists" if self.text_lists and not feature else feature
        self.parts.append(Part(kind, len(self.messages), text, feature))
        return text

    def add(self, letter: str) -> None:
        if letter == "s":
            self.post("system", self.say("system", "Answer shortly, rule {}.", "system"))
        elif letter == "u":
            self.post("user", self.say("question", "What about question {}?"))
        elif letter == "t":
            self.result()
        else:
            self.turn(letter)

    def post(self, role: str, content: str | None, **rest: object) -> None:
        shown: object = [{"type": "text", "text": content}] if self.text_lists and content else content
        self.messages.append({"role": role, "content": shown, **rest})

    def result(self) -> None:
        done = sum(message["role"] == "tool" for message in self.messages)
        self.post(
            "tool", self.say("result", "Found entry {}.", "result"), name="look_up", tool_call_id=self.calls[done]
        )

    def turn(self, letter: str) -> None:
        fields: dict[str, str] = {}
        if letter in "ml":
            content = self.lone_closing_tag(letter)
        elif letter == "b":
            content = self.tags.wrap(self.reasoning(), self.answer())
            content += self.tags.gap + self.tags.wrap(self.reasoning(), self.answer())
        else:
            content, fields = self.reasoned(letter)
        beside = "text" if content else repr(self.empty) + self.convention
        features = [f"call beside {beside}", "several calls at once"][: {"d": 2}.get(letter, letter in CALLS)]
        calls = [self.call(feature) for feature in features]
        self.post("assistant", content or self.empty, **fields, **({"tool_calls": calls} if calls else {}))

    def lone_closing_tag(self, letter: str) -> str:
        if letter == "l":
            return f"{self.reasoning()}{self.tags.trail}{self.tags.close}{self.tags.gap}{self.answer()}"
        before = self.say("before", "To close it, tip {}, write")
        return f"{before} {self.tags.close} {self.say('behind', 'where tip {} ends.')}"

    def reasoned(self, letter: str) -> tuple[str, dict[str, str]]:
        turns = sum(message["role"] == "assistant" for message in self.messages)
        form = FORMS[turns % 2] if self.form == "mixed" else self.form
        in_field = letter in REASONS and form != "inline"
        reasoning = self.reasoning(f"field {form}{self.convention}" if in_field else "") if letter in REASONS else ""
        answer = self.answer() if letter in "arvw" else ""
        if in_field or not reasoning:
            return answer, ({form: reasoning} if in_field else {})
        return self.tags.wrap(reasoning, answer), {}

    def reasoning(self, feature: str = "") -> str:
        return self.say("reasoning", "Weighing idea {0}.\nSettling on idea {0}.", feature)

    def answer(self) -> str:
        return self.say("answer", "This is answer {}.")

    def call(self, feature: str) -> dict[str, object]:
        word = self.say("call", "word{}", feature)
        arguments: object = {"word": word} if self.arguments is dict else f'{{"word": "{word}"}}'
        self.calls.append(f"call{len(self.calls):05d}")
        return {"id": self.calls[-1], "type": "function", "function": {"name": "look_up", "arguments": arguments}}


def as_lists(told: Probe) -> Probe:
    """Return the same conversation with lists of text blocks as contents, for a template that takes nothing else.

    One that has such lists as a form of its own stays as it is.
    """
    if told.text_lists:
        return told
    messages = tuple(
        {**each, "content": [{"type": "text", "text": content}]}
        if isinstance(content := each.get("content"), str) and content
        else each
        for each in told.messages
    )
    return replace(told, messages=messages, listed=True)


def probe(
    shape: str,
    tags: Tags,
    form: Form = "inline",
    *,
    arguments: type = dict,
    empty: str | None = "",
    text_lists: bool = False,
    legacy: bool = False,
    flags: Flags = (),
) -> Probe:
    """Return the conversation that ``shape`` spells.

    ``arguments`` is dict or str, as the template takes those of tool calls; ``empty`` is the content of a turn that
    only calls tools, ``""`` or None; ``text_lists`` makes each content a list of blocks; ``legacy`` leaves out what
    transformers 5.23 does to messages before it renders them.
    """
    writer = _Writer(tags, form, arguments, empty, text_lists, legacy)
    for letter in shape:
        writer.add(letter)
    messages = tuple(writer.messages if legacy else prepare_messages(writer.messages))
    cuts = [k for k in range(1, len(shape)) if not (shape[k] == "t" and shape[k - 1] == "t") and shape[:k] != "s"]
    return Probe(
        shape=shape,
        form=form if set(shape) & set(REASONS + "l") else "plain",
        messages=messages,
        parts=tuple(writer.parts),
        ordinary=not text_lists,
        flags=flags,
        legacy=legacy,
        text_lists=text_lists,
        empty=empty,
        cuts=tuple(cuts),
    )
