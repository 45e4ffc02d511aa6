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

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

from template_fix.render import prepared
from template_fix.tags import Tags

TOOLS: tuple[dict[str, Any], ...] = (
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": "Look a word up.",
            "parameters": {
                "type": "object",
                "properties": {"word": {"type": "string", "description": "The word."}},
                "required": ["word"],
            },
        },
    },
)
PLAIN = ("ua", "uaua", "sua", "uauaua")
REASONED = ("ur", "urur", "sur", "surur", "ururur", "uaur", "urua", "uru")
TOOL_CHAINS = (
    *("uktr", "uctr", "ucta", "ukta", "uktktr", "udttr", "uktrur", "uruktr", "uwtr", "uvta", "suktr"),
    *("uktrua", "uktruktr", "uktktrur", "uctaua", "ukt", "uktru"),
)
SEVERAL_BLOCKS = ("ub", "ubua", "urub", "ubur")
LONE_CLOSING_TAG = ("um", "umua", "ul", "ulua", "urum", "umur")
EMPTY = ("ue", "ueua", "ueur", "urue")
_BOTH = ("inline", "reasoning_content")
REASONS = "rkwdb"
CALLS = "ckvwd"


class Part(NamedTuple):
    """One text of a conversation: what it is, in which message it stands, and the text that must be printed.

    ``feature`` names what a template may not support at all: it then prints no part of that feature, ever.
    """

    kind: str
    message: int
    text: str
    feature: str = ""


class Key(NamedTuple):
    """What tells a conversation from others of its shape; see `Probe`."""

    form: str
    flags: tuple[tuple[str, Any], ...] = ()
    legacy: bool = False
    text_lists: bool = False
    empty: str | None = ""
    offered: bool = False
    toolset: str = ""


@dataclass(frozen=True)
class Probe:
    """One conversation as a template gets it.

    ``shape`` is its spelling, ``form`` how reasoning comes (``inline``, ``plain`` for none, or a field's name).
    ``ordinary`` conversations are owed the contract; on others nothing may be lost that was kept. ``flags`` are the
    template variables, ``cuts`` the numbers of messages after which the conversation could have ended. ``varied`` ones
    set a variable of the template's own; where they are ``fixed``, too, that is a switch by which the caller
    asks for reasoning to be left out, and gets what is asked for. Those who call tools are given some; where tools are
    ``offered``, so are others. ``toolset`` is ``none`` where calls come without tools, as training rows have them, and
    ``bare`` and a type of arguments where tools and calls are functions by themselves, not wrapped in an object.
    """

    shape: str
    form: str
    messages: tuple[dict[str, Any], ...]
    parts: tuple[Part, ...]
    ordinary: bool = True
    flags: tuple[tuple[str, Any], ...] = ()
    legacy: bool = False
    text_lists: bool = False
    empty: str | None = ""
    cuts: tuple[int, ...] = field(default=())
    varied: bool = False
    fixed: bool = False
    offered: bool = False
    toolset: str = ""

    @cached_property
    def features(self) -> frozenset[str]:
        """Return what a template has to support to print this conversation."""
        return frozenset(part.feature for part in self.parts if part.feature)

    @cached_property
    def key(self) -> Key:
        """Tell this probe from every other of its shape; a prefix of it has the same key."""
        return Key(self.form, self.flags, self.legacy, self.text_lists, self.empty, self.offered, self.toolset)

    @cached_property
    def tools(self) -> tuple[dict[str, Any], ...] | None:
        """Return the tools that this conversation may use."""
        if self.toolset == "none" or not (self.offered or set(self.shape) & set(CALLS)):
            return None
        return tuple({**tool, **tool["function"]} for tool in TOOLS) if self.toolset.startswith("bare") else TOOLS

    def turns(self) -> Iterator[int]:
        """Yield the index of each assistant message that answers somebody else's."""
        for index, letter in enumerate(self.shape):
            if letter not in "sut":
                yield index

    def describe(self) -> str:
        """Say in words what kind of conversation this is."""
        told = ", ".join(_WORDS[letter] for letter in self.shape)
        form = {"plain": "", "inline": "; reasoning inside of content"}.get(
            self.form, f"; reasoning in the field {self.form!r}"
        )
        form = "; reasoning inside of content, then in a field" if self.form == "mixed" else form
        form = f"; with {self.form}" if " " in self.form else form
        flags = "".join(f"; {name}={value}" for name, value in self.flags)
        lists = "; contents as lists of text blocks" if self.text_lists else ""
        tools = "; tools that aren't called" if self.offered else _TOOLSETS[self.toolset]
        return f"{told}{form}{flags}{lists}{tools}" + ("; as transformers 4 passes it" if self.legacy else "")


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
    """Writes the messages of one conversation, keeping account of every text in it."""

    def __init__(
        self, tags: Tags, form: str, arguments: type, empty: str | None, text_lists: bool, legacy: bool
    ) -> None:
        self.tags, self.form, self.arguments, self.empty, self.text_lists = tags, form, arguments, empty, text_lists
        self.convention = " in transformers 4" if legacy else ""
        self.parts: list[Part] = []
        self.messages: list[dict[str, Any]] = []
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

    def post(self, role: str, content: str | None, **rest: Any) -> None:
        shown: Any = [{"type": "text", "text": content}] if self.text_lists and content else content
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
        form = ("inline", "reasoning_content")[turns % 2] if self.form == "mixed" else self.form
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

    def call(self, feature: str) -> dict[str, Any]:
        word = self.say("call", "word{}", feature)
        arguments: Any = {"word": word} if self.arguments is dict else f'{{"word": "{word}"}}'
        self.calls.append(f"call{len(self.calls):05d}")
        return {"id": self.calls[-1], "type": "function", "function": {"name": "look_up", "arguments": arguments}}


def probe(
    shape: str,
    tags: Tags,
    form: str = "inline",
    *,
    arguments: type = dict,
    empty: str | None = "",
    text_lists: bool = False,
    legacy: bool = False,
    flags: tuple[tuple[str, Any], ...] = (),
) -> Probe:
    """Return the conversation that ``shape`` spells.

    ``arguments`` is dict or str, as the template takes those of tool calls; ``empty`` is the content of a turn that
    only calls tools, ``""`` or None; ``text_lists`` makes each content a list of blocks; ``legacy`` leaves out what
    transformers 5.23 does to messages before it renders them.
    """
    writer = _Writer(tags, form, arguments, empty, text_lists, legacy)
    for letter in shape:
        writer.add(letter)
    messages = tuple(writer.messages if legacy else prepared(writer.messages))
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


def varied(tags: Tags, arguments: type, name: str, value: bool | str) -> tuple[Probe, ...]:
    """Return conversations that set a variable of the template's own."""
    shapes = product(("ur", "urur", "uaur", "uktr", "uktrur"), _BOTH)
    probes = [probe(shape, tags, form, arguments=arguments, flags=((name, value),)) for shape, form in shapes]
    probes.append(probe("uaua", tags, "plain", arguments=arguments, flags=((name, value),)))
    return tuple(replace(each, ordinary=False, varied=True) for each in probes)


def further(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield conversations that are less ordinary, for tests of a template that the battery doesn't take either way."""
    for shape, form in product(("ur", "urur", "uur", "urr", "usur", "aur", "ukur", "udtr"), _BOTH):
        yield replace(probe(shape, tags, form, arguments=arguments), ordinary=False, offered=shape in ("ur", "urur"))
    for shape, form in product(("ur", "urur", "uktrur"), _BOTH):
        yield replace(
            probe(shape, tags, form, arguments=arguments, flags=(("enable_thinking", False),)), ordinary=False
        )
    for shape in ("uktr", "udttr", "suktrur"):
        yield probe(shape, tags, "reasoning_content", arguments=arguments, text_lists=True)


def unfinished(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield conversations that end with a call or its result, have a result that is no text, or come without tools."""
    for shape, form in product(("uc", "uct", "uv", "uvt", "uk", "uw", "uwt", "urukt"), _BOTH):
        yield probe(shape, tags, form, arguments=arguments)
    for shape in ("ucta", "uktr", "udttr"):
        yield probe(shape, tags, "reasoning_content", arguments=arguments, text_lists=True)
    for form, shown in (("mapped results", lambda text: {"content": {"found": text}}), ("empty results", lambda _: {})):
        for shape in ("ucta", "udttr"):
            yield _with_results(probe(shape, tags, "reasoning_content", arguments=arguments), form, shown)
    for shape in ("ucta", "uvta", "uktr", "udttr"):
        called = probe(shape, tags, "reasoning_content", arguments=arguments)
        yield replace(called, ordinary=False, toolset="none")


def bare(tags: Tags) -> Iterator[Probe]:
    """Yield conversations whose tools and calls are functions by themselves, as some templates take either."""
    for shape, arguments in product(("ucta", "uvta", "uktr", "udttr"), (dict, str)):
        yield _bare(probe(shape, tags, "reasoning_content", arguments=arguments), arguments.__name__)


def _bare(called: Probe, arguments: str) -> Probe:
    messages = tuple(
        {**each, "tool_calls": [{**call, **call["function"]} for call in each["tool_calls"]]}
        if "tool_calls" in each
        else each
        for each in called.messages
    )
    return replace(called, messages=messages, ordinary=False, toolset=f"bare {arguments}")


def _with_results(called: Probe, form: str, shown: Callable[[str], dict[str, Any]]) -> Probe:
    """Return a conversation with the texts of its tool results in another form; they need not be printed."""
    messages = tuple(
        {**{key: value for key, value in each.items() if key != "content"}, **shown(each["content"])}
        if each["role"] == "tool"
        else each
        for each in called.messages
    )
    parts = tuple(part for part in called.parts if part.kind != "result" or shown(part.text))
    return replace(called, messages=messages, parts=parts, form=form, ordinary=False)


def with_variable(tags: Tags, arguments: type, name: str, wanted: Any = None) -> Iterator[Probe]:
    """Yield conversations that set a variable of the template's own: as wanted, else true, false, or names of tools."""
    values: tuple[Any, ...] = (True, False, ("look_up",)) if wanted is None else (wanted,)
    for value, shape in product(values, ("ua", "ur", "ucta", "uktr")):
        yield replace(
            probe(shape, tags, "reasoning_content", arguments=arguments, flags=((name, value),)), ordinary=False
        )


def with_role(tags: Tags, arguments: type, role: str) -> Iterator[Probe]:
    """Yield conversations in which another role than the usual ones speaks in front of a turn, and behind one."""
    for shape, at in (("uua", 1), ("uaua", 2)):
        told = probe(shape, tags, "plain", arguments=arguments)
        messages = tuple({**each, "role": role} if number == at else each for number, each in enumerate(told.messages))
        yield replace(told, messages=messages, form=f"role {role}", ordinary=False)


def with_block(tags: Tags, arguments: type, kind: str) -> Iterator[Probe]:
    """Yield conversations of text blocks with one of another type, ``image`` for one, in front of each or behind."""
    block = {"type": kind, kind: "one"}
    for shape, front in product(("ua", "uaua"), (True, False)):
        told = probe(shape, tags, "plain", arguments=arguments, text_lists=True)
        messages = tuple(
            {**each, "content": [block, *each["content"]] if front else [*each["content"], block]}
            for each in told.messages
        )
        form = f"{kind} {'in front' if front else 'behind'}"
        yield replace(told, messages=messages, form=form, ordinary=False)


def with_field(
    tags: Tags, arguments: type, name: str, wanted: Any = None, flags: tuple[tuple[str, Any], ...] = ()
) -> Iterator[Probe]:
    """Yield conversations whose turns have a field of the template's own, with variables of its own.

    The field holds results that come with a call, the result of one in the call itself, a text in front of the answer
    or behind it, or what is wanted, else true.
    """
    yield from (replace(each, flags=flags, ordinary=False) for each in _with_field(tags, arguments, name, wanted))


def _with_field(tags: Tags, arguments: type, name: str, wanted: Any) -> Iterator[Probe]:
    called = probe("uca", tags, "plain", arguments=arguments)
    user, call, answer = called.messages
    results = [Part("result", 1, f"Found entry {number}.", f"field {name}") for number in (1, 2)]
    records = {**call, name: [{"name": "look_up", "response": result.text} for result in results]}
    first = [part for part in called.parts if part.message < 2]
    parts = (*first, *results, *(part for part in called.parts if part.message == 2))
    yield replace(called, messages=(user, records, answer), parts=parts, form=name)
    inside = {**call, "tool_calls": [{**each, name: results[0].text} for each in call["tool_calls"]]}
    parts = (*first, results[0], *(part for part in called.parts if part.message == 2))
    yield replace(called, messages=(user, inside, answer), parts=parts, form=f"{name} in a call")
    thought = Part("reasoning", 1, "Weighing idea 1.", f"field {name}")
    parts = (called.parts[0], thought, *called.parts[1:])
    yield replace(called, messages=(user, {**call, name: thought.text}, answer), parts=parts, form=f"{name} of a call")
    asked = probe("ua", tags, "plain", arguments=arguments)
    user, answer = asked.messages
    behind = Part("call", 1, "Calling word1.", f"field {name}")
    for value, parts in (
        (thought.text, (asked.parts[0], thought, *asked.parts[1:])),
        (behind.text, (*asked.parts, behind)),
        (True if wanted is None else wanted, asked.parts),
    ):
        yield replace(asked, messages=(user, {**answer, name: value}), parts=parts, form=f"{name} {value}")


def battery(tags: Tags, arguments: type) -> tuple[Probe, ...]:
    """Return the probes for a template with these reasoning tags and this form of tool-call arguments."""
    return tuple({(p.shape, p.key): p for p in _battery(tags, arguments)}.values())


def _battery(tags: Tags, arguments: type) -> Iterator[Probe]:
    reasoned = (*REASONED, *(shape for shape in TOOL_CHAINS if set(shape) & set(REASONS)))
    plain = (*PLAIN, *(shape for shape in TOOL_CHAINS if not set(shape) & set(REASONS)))
    for shape in plain:
        yield probe(shape, tags, "plain", arguments=arguments)
    for shape, form in product(reasoned, _BOTH):
        yield probe(shape, tags, form, arguments=arguments)
    for shape in ("urur", "uruktr", "uktrur", "urub"):
        yield probe(shape, tags, "mixed", arguments=arguments)
    for shape in (*SEVERAL_BLOCKS, *LONE_CLOSING_TAG):
        yield probe(shape, tags, "inline", arguments=arguments)
    for shape, form in product(EMPTY, _BOTH):
        # Nothing of an empty turn has to be printed, so nothing tells whether it is printed well.
        yield replace(probe(shape, tags, form, arguments=arguments), ordinary=False)
    yield from _other_conventions(tags, arguments)
    for value, shapes in ((True, ("ur", "urur", "uktr", "uktrur")), (False, ("ua", "uaua", "ucta"))):
        for shape, form in product(shapes, _BOTH if value else ("plain",)):
            yield probe(shape, tags, form, arguments=arguments, flags=(("enable_thinking", value),))
    for shape, form in (
        *(("ur", "inline"), ("urur", "inline"), ("ur", "reasoning_content"), ("urur", "reasoning_content")),
        *(("uaua", "plain"), ("uvta", "plain"), ("uktr", "reasoning_content"), ("uktrur", "reasoning_content")),
    ):
        yield probe(shape, tags, form, arguments=arguments, text_lists=True)


def _other_conventions(tags: Tags, arguments: type) -> Iterator[Probe]:
    """Yield what reaches a template otherwise in transformers 4: None stays, and no field is renamed."""
    for shape in ("uctr", "ucta", "uctaua"):
        for legacy in (False, True):
            yield probe(shape, tags, "inline", arguments=arguments, empty=None, legacy=legacy)
    for shape in ("uktr", "uktktr", "uktrur", "udttr"):
        for legacy in (False, True):
            yield probe(shape, tags, "reasoning_content", arguments=arguments, empty=None, legacy=legacy)
    for shape, form in product(("ur", "urur", "uktr", "uktrur"), ("reasoning_content", "reasoning", "thinking")):
        yield probe(shape, tags, form, arguments=arguments, legacy=True)
    # In transformers 5 a message that brings `reasoning` has it under every name: a template may print it twice.
    for shape in ("ur", "urur", "uktrur"):
        yield probe(shape, tags, "reasoning", arguments=arguments)
