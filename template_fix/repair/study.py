"""Everything that one template's behaviour tells, gathered once: what rules look at and repairs start from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import nodes

from template_fix.bounds.limits import LimitExceeded, step
from template_fix.contract.examination import Case, Examination, Observation
from template_fix.conversations.battery import LONE_CLOSING_TAG, SEVERAL_BLOCKS, battery
from template_fix.conversations.discovery import asked_for, asking, discover, find_asked, find_block_types
from template_fix.conversations.growth import (
    unusual,
    with_block,
    with_blocks_of,
    with_listed_answers,
    with_literal,
    with_other_arguments,
    with_switch,
    without_ids,
)
from template_fix.conversations.probe import IN_FIELDS, Part, Probe, as_lists, probe
from template_fix.conversations.tags import USUAL, Tags
from template_fix.jinja.folding import CAPTURED, SWITCH, guard
from template_fix.jinja.queries import is_marker, optional, undeclared
from template_fix.jinja.renderer import Failure, Message, Renderer, RenderError, Variables
from template_fix.jinja.templates import ParseError, Template
from template_fix.options import Flags
from template_fix.repair.proposers import Basis, Proposal
from template_fix.repair.search import Search
from template_fix.results import Evidence, Level
from template_fix.text.edits import Span
from template_fix.trace.coverage import Coverage, find_own_names, find_reaching
from template_fix.trace.recorder import Trace, trace_template

if TYPE_CHECKING:
    from template_fix.repair.blame import Blame

# What the battery is spelled with for a template that has no tags of its own: to it they are text like any other.
NEUTRAL = Tags(*USUAL)
# Of the texts that a template looks for in contents, how many are tried.
_ASKED = 3


class Setting(NamedTuple):
    """How a template is studied: its variables, the tags that the user chose, and the default of the switch.

    ``captured`` has repairs note the switch first of all, for templates that bind it themselves. ``ends`` are the texts
    of the tokens that generation stops at, as far as they are known. ``switch`` is what ``preserve_thinking`` is set
    to, None where it isn't passed. ``assumed`` are the tags of a template that has none, None to take it as it is.
    """

    variables: Flags = ()
    tags: tuple[str, str] | None = None
    default: bool = True
    captured: bool = False
    ends: tuple[str, ...] = ()
    switch: object = None
    assumed: tuple[str, str] | None = None


class Found(NamedTuple):
    """A finding on a template, with offsets as its place; ``sought`` says that one was looked for, found or not."""

    message: str
    at: Span | None = None
    evidence: tuple[Evidence, ...] = ()
    fix: str | None = None
    level: Level | None = None
    sought: bool = False


class Study:
    """One template, parsed, compiled and rendered over the battery.

    Proposers are imported where they are asked: a template that is safe needs none, and a check shall be fast.

    ``unreadable`` says why there is nothing to look at: it doesn't parse, doesn't compile, or exceeds its limits.
    """

    def __init__(self, source: str, setting: Setting) -> None:
        self.source, self.setting = source, setting
        self.variables: Variables = dict(setting.variables)
        self.unreadable: ParseError | RenderError | LimitExceeded | None = None
        self.blames = True
        self._search: Search | None = None
        self._blame: Blame | None = None
        try:
            with step("parsing the template"):
                self.template = Template(source)
            renderer = Renderer(source, self.variables)
            self.lists = asking(renderer).lists
            found = discover(renderer, self.template.tree, setting.tags)
            found = found or (Tags(*setting.assumed) if setting.assumed else None)
            self.case = self._case(renderer, found or NEUTRAL)
            self.reasoning = found is not None
            _ = self.examined.unsupported  # renders the battery: what goes wrong goes wrong here
        except (ParseError, RenderError, LimitExceeded) as error:
            self.unreadable = error

    def enlarged(self) -> Study:
        """Return the study on a battery that grows with the template: by its own variables, and by its tests.

        A repair has to hold whatever these are.
        """
        more = [each for name in self.own_variables if name != SWITCH for each in self._varied(name)]
        given = {*self.own_variables, *optional(self.template.tree)}
        for name, text in asked_for(self.template.tree):
            if name in given:
                more += self._as_taken(with_switch(self.tags, self.arguments, name, text))
        if known := self.coverage:
            found, known = find_reaching(known.joined_by(more), self._as_taken(unusual(self.tags, self.arguments)))
            more += found
        listed = with_listed_answers(self.tags, self.arguments)  # what fails on these must not print their braces
        more += (each for each in listed if isinstance(self.examined.text(each), Failure))
        # Calls that a template drops come with arguments that it couldn't print, too.
        more += self._as_taken(with_other_arguments(self.tags, self.arguments))
        if any("id" in (getattr(node, "attr", ""), getattr(node, "value", "")) for node in self.template.all_nodes):
            more += self._as_taken(without_ids(self.tags, self.arguments))
        itself, off = self.case
        larger = itself.enlarged(more)
        made = self._with(Case(larger, larger if off is itself else off.enlarged(more)))
        made.coverage = known
        return made

    def repaired(self, case: Case) -> Study:
        """Return the study of the template with edits made, which doesn't look for where its findings come from."""
        made = self._with(case)
        made.blames = False
        return made

    def _with(self, case: Case) -> Study:
        made = copy(self)
        made.case, made._search, made._blame = case, None, None  # what was tried was judged by another battery
        return made

    def _varied(self, name: str) -> Iterator[Probe]:
        """Yield conversations that set a variable; what it changes where it is set against reasoning is asked for."""
        keeping = self.keeping.get(name, True)
        probes = (with_switch(self.tags, self.arguments, name, value) for value in (keeping, not keeping))
        kept, others = (list(self._as_taken(each)) for each in probes)
        yield from kept
        if name in self.keeping:
            for probe, other in zip(others, kept, strict=True):
                yield replace(probe, fixed=self.examined.text(probe) != self.examined.text(other))

    def _as_taken(self, probes: Iterable[Probe]) -> Iterator[Probe]:
        """Yield conversations in the form in which the template takes contents."""
        return map(as_lists, probes) if self.lists else iter(probes)

    @cached_property
    def arguments(self) -> type:
        """Return the type of the arguments of calls that the template takes."""
        return _arguments(self.examined.renderer, self.tags, self.lists)

    def _case(self, renderer: Renderer, tags: Tags) -> Case:
        probes = battery(tags, _arguments(renderer, tags, self.lists), self.lists)
        for text in find_asked(self.template.tree, tags)[:_ASKED]:
            probes += tuple(self._as_taken(with_literal(tags, _arguments(renderer, tags, self.lists), text)))
        for kind in find_block_types(self.template.tree):
            arguments = _arguments(renderer, tags, self.lists)
            probes += (*with_blocks_of(tags, arguments, kind), *with_block(tags, arguments, "image"))
        given = {} if self.setting.switch is None else {SWITCH: self.setting.switch}
        itself = Examination(renderer, probes, tags, given)
        known = SWITCH in undeclared(self.source)
        return Case(itself, Examination(renderer, probes, tags, {SWITCH: False}) if known else itself)

    @property
    def examined(self) -> Examination:
        """Return what the template does by itself."""
        return self.case.itself

    @property
    def tags(self) -> Tags:
        """Return the template's reasoning tags, or neutral ones where it has none."""
        return self.examined.tags

    @cached_property
    def keeping(self) -> Mapping[str, bool]:
        """Return the template's own variables that keep reasoning, with the value at which they do."""
        from template_fix.repair.proposers import own_switches

        # Which ones conversations reach takes recording all of these, and is asked where it matters alone.
        asked = own_switches.find_booleans(self.template, find_own_names(self.template, self.variables))
        return own_switches.own_switches(self.examined, [each for each in asked if each in self.own_variables])

    @cached_property
    def own_way(self) -> str:
        """Return what a switch of the template's own is good for, to follow a fix; "" where it has none."""
        from template_fix.repair.proposers import own_switches

        return own_switches.advice(self.examined, self.keeping) if self.blames else ""

    @cached_property
    def own_variables(self) -> tuple[str, ...]:
        """Return the variables that only a caller who knows the template sets, as far as conversations reach them."""
        return self.coverage.unset if self.coverage else ()

    @cached_property
    def coverage(self) -> Coverage | None:
        """Return what the battery reaches of the template, None where that can't be traced."""
        return Coverage(self.trace).joined_by(self.examined.probes.values()) if self.trace else None

    @cached_property
    def known(self) -> tuple[Proposal, ...]:
        """Return what the known patches suggest."""
        from template_fix.repair.proposers import known_patches

        return tuple(known_patches.proposals(self.template, self.switch))

    @cached_property
    def trace(self) -> Trace | None:
        """Return the template with its values and tests recorded, None where it is nested too deeply for that."""
        return trace_template(self.template, self.variables)

    @property
    def basis(self) -> Basis | None:
        """Return what experiments are made on, None where the template can't be traced."""
        return Basis(self.trace, self.examined, self.switch) if self.trace else None

    @property
    def switch(self) -> str:
        """Return the test that repairs are switched by, in template syntax."""
        return CAPTURED if self.setting.captured else guard(self.setting.default)

    @cached_property
    def markers(self) -> tuple[Span, ...]:
        """Return where the template's generation markers stand."""
        found = (self.template.span(node) for node in self.template.all_nodes if is_marker(node))
        return tuple(span or Span(0, 0) for span in found)

    @property
    def binds_switch(self) -> bool:
        """Whether the template gives the switch a value of its own."""
        stored = (node for node in self.template.all_nodes if isinstance(node, nodes.Name) and node.ctx == "store")
        return any(node.name == SWITCH for node in stored)

    @property
    def search(self) -> Search:
        """Return the search for a repair."""
        if self._search is None:
            default, captured = self.setting.default, self.setting.captured
            self._search = Search(self.source, self.case, self.variables, default, captured=captured)
        return self._search

    def owed(self) -> Iterator[Observation]:
        """Yield what the template does to each conversation that the contract is owed on."""
        return (seen for seen in self.examined if self.examined.owed(seen.probe))

    def accepted(self) -> int:
        """Return how many conversations of the battery the template renders."""
        return sum(seen.text is not None for seen in self.examined)

    def reasoning_lost(self, *, last: bool) -> tuple[Observation, Part] | None:
        """Return the first reasoning that is lost in text contents, else the first lost in lists of text blocks.

        ``last`` asks for reasoning that is lost even where its turn stands last, otherwise for what is lost only
        later. Messages with several blocks or a lone closing tag are not looked at.
        """
        plain = [seen for seen in self.examined if seen.probe.shape not in (*SEVERAL_BLOCKS, *LONE_CLOSING_TAG)]
        for seen in sorted(plain, key=lambda seen: seen.probe.text_lists) if self.reasoning else ():
            if seen.text is None or seen.probe.features & self.examined.unsupported or seen.as_data:
                continue
            for part in seen.lost:
                if part.kind == "reasoning" and last is not self.printed_when_last(seen, part):
                    return seen, part
        return None

    def printed_when_last(self, seen: Observation, part: Part) -> bool:
        """Whether a part is printed where the conversation ends with its message."""
        text = self.examined.text(seen.probe, part.message + 1)
        return isinstance(text, str) and part.text in text

    def cause(self, probe: Probe, part: Part) -> Span | None:
        """Return the expression or test that keeps a text from being printed, None where none is found."""
        return self._blaming().cause(probe, part) if self.blames else None

    def change(self, seen: Observation) -> Span | None:
        """Return the expression without which a conversation is printed better, None where none is found."""
        return self._blaming().change(seen) if self.blames else None

    def _blaming(self) -> Blame:
        from template_fix.repair import blame

        self._blame = self._blame or blame.Blame(self.search, self.known, self.basis)
        return self._blame

    def asked(
        self,
        shape: str,
        *,
        arguments: type | None = None,
        empty: str | None = "",
        legacy: bool = False,
        text_lists: bool = False,
    ) -> Probe:
        """Return a conversation without reasoning, with calls and contents as the template takes them; see `probe`."""
        given = arguments or self.arguments
        made = probe(shape, self.tags, "plain", arguments=given, empty=empty, legacy=legacy, text_lists=text_lists)
        return next(self._as_taken([made]))

    def prints(self, asked: Probe, *kinds: str) -> bool:
        """Whether a conversation is printed with all its texts, or with all texts of some kinds."""
        text = self.examined.text(asked)
        return isinstance(text, str) and all(
            part.text in text for part in asked.parts if part.kind in kinds or not kinds
        )

    def evidence(self, seen: Observation, message: int, lost: Sequence[Part] = ()) -> Evidence:
        """Return one turn of a conversation as it went in and as it came out."""
        return Evidence(
            seen.probe.describe(),
            given=_given(seen.probe.messages[message]),
            printed=_printed(seen, message),
            lost=tuple(part.text for part in lost),
        )


def _arguments(renderer: Renderer, tags: Tags, lists: bool) -> type:
    """Return the type in which a template takes the arguments of tool calls: a mapping, or a string of JSON."""
    for arguments in (dict, str):
        for empty in ("", None):
            asked = probe("ucta", tags, "plain", arguments=arguments, empty=empty, legacy=True)
            asked = as_lists(asked) if lists else asked
            text = renderer(asked.messages, asked.tools)
            if isinstance(text, str) and all(part.text in text for part in asked.parts if part.kind == "call"):
                return arguments
    return dict


def _given(message: Message) -> str:
    """Return a message's reasoning fields and content as text."""
    reasoning = next((f"{name}: {message[name]}\n" for name in IN_FIELDS if message.get(name)), "")
    content = message.get("content")
    calls = "".join(f"\ntool call: {call['function']}" for call in message.get("tool_calls", ()))
    if isinstance(content, list):
        content = "".join(block.get("text") or f"[{block['type']}: {block.get(block['type'])}] " for block in content)
    return f"{reasoning}content: {content or ''}{calls}" if reasoning or calls else content or ""


def _printed(seen: Observation, message: int) -> str:
    """Return what was printed from the end of the message before to the beginning of the message behind."""
    start = seen.begin(message)
    behind = (span.start for part, span in seen.placed if part.message > message and span.start >= start)
    return (seen.text or "")[start : min(behind, default=None)]
