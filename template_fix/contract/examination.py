"""The contract: what a template does to each conversation of a battery, and what of it is right."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeAlias

from template_fix.contract.placing import comes_once, counts, end_of, leads, locate, well_formed
from template_fix.conversations.probe import IN_FIELDS, REASONS, Form, Key, Part, Probe, ProbeId
from template_fix.conversations.tags import Tags
from template_fix.jinja.renderer import Failure, Renderer, Variables
from template_fix.text.edits import Span, common_prefix

# Returns what is printed of a conversation: it is given what names it, and what renders it.
Rendered: TypeAlias = "Callable[[object, Callable[[], str | Failure]], str | Failure]"


class Held(NamedTuple):
    """One thing that a template does right in one conversation.

    ``property`` is ``printed``, ``once`` or ``in order`` (of a part), ``well-formed`` or ``alike`` (of the
    conversation), ``stable`` (of its first ``of`` messages) or ``prompted`` (of the message at ``of``).
    """

    property: str
    of: int = 0


# The feature of reasoning in a field: to ignore it is a finding of its own.
FIELD = "field reasoning_content"
SAFE = ("printed", "once", "in order", "well-formed", "alike", "stable")
# How many conversations stand for all those that are printed badly, or well, where experiments are made on them.
SAMPLE = 12
Check = tuple[Held, Callable[[], bool]]


@dataclass(frozen=True)
class Observation:
    """What a template did to one probe.

    ``text`` is None where it refused, for the reason in ``failure``. ``held`` and ``broken`` say how it kept the
    contract; ``spans`` are the places of the probe's parts in the text, None for a part that isn't there in its
    order.
    """

    probe: Probe
    text: str | None
    failure: str
    spans: tuple[Span | None, ...]
    held: frozenset[Held]
    broken: frozenset[Held]

    @cached_property
    def placed(self) -> tuple[tuple[Part, Span], ...]:
        """Return the parts of the conversation that are printed, with their places."""
        return tuple((part, span) for part, span in zip(self.probe.parts, self.spans, strict=True) if span)

    def begin(self, message: int) -> int:
        """Return where the texts of the messages in front of one end."""
        return max((span.end for part, span in self.placed if part.message < message), default=0)

    @cached_property
    def lost(self) -> tuple[Part, ...]:
        """Return the parts of the conversation that aren't printed."""
        return tuple(part for part, span in zip(self.probe.parts, self.spans, strict=True) if span is None)

    @property
    def as_data(self) -> bool:
        """Whether a list of text blocks is printed as it stands, braces and all: the template doesn't know lists."""
        forms = ("'type': 'text'", '"type": "text"')
        return self.probe.text_lists and any(form in (self.text or "") for form in forms)

    def kind(self, held: Held) -> str:
        """Return the kind of the part that something is held of, "" for the conversation."""
        return self.probe.parts[held.of].kind if held.property in ("printed", "once") else ""

    def breaks(self, *properties: str) -> list[Held]:
        """Return what is broken of these properties, in order."""
        return sorted(held for held in self.broken if held.property in properties)


class Examination:
    """A template under a battery: it renders, lazily, and remembers.

    ``renderer`` is the compiled template, ``tags`` its reasoning tags, ``flags`` template variables that are set in
    every conversation besides the conversation's own. ``rendered`` may know a text without rendering it: it is given
    what names the conversation, and what renders it.
    """

    def __init__(
        self,
        renderer: Renderer,
        battery: Iterable[Probe],
        tags: Tags,
        flags: Variables | None = None,
        rendered: Rendered | None = None,
    ) -> None:
        self.renderer = renderer
        self.probes = {(probe.shape, probe.key): probe for probe in battery}
        self.tags = tags
        self.flags = dict(flags or {})
        self._rendered = rendered
        self._texts: dict[tuple[str, Key, bool, bool], str | Failure] = {}
        self._seen: dict[ProbeId, Observation] = {}
        self.prompts: dict[tuple[str, Key, bool], str | None] = {}

    def enlarged(self, probes: Iterable[Probe]) -> Examination:
        """Return the same examination over a larger battery; what was rendered isn't rendered again."""
        larger = Examination(self.renderer, [*self.probes.values(), *probes], self.tags, self.flags, self._rendered)
        larger._texts, larger._seen = self._texts, self._seen
        return larger

    def narrowed(self, probes: Iterable[Probe]) -> Examination:
        """Return the same examination over some of its conversations."""
        fewer = Examination(self.renderer, probes, self.tags, self.flags, self._rendered)
        fewer._texts, fewer._seen = self._texts, self._seen
        return fewer

    def text(self, probe: Probe, upto: int | None = None, prompt: bool = False) -> str | Failure:
        """Return what is printed of the first ``upto`` messages of a probe, with the generation prompt or without."""
        upto = len(probe.messages) if upto is None else upto
        key = (probe.shape[:upto], probe.key, probe.tools is None, prompt)
        if key not in self._texts:
            render = partial(self.renderer, probe.messages[:upto], probe.tools, prompt, **self.set_for(probe))
            self._texts[key] = self._rendered(key, render) if self._rendered else render()
        return self._texts[key]

    def set_for(self, probe: Probe) -> dict[str, Any]:
        """Return the template variables that are set where a probe is rendered."""
        return {**dict(probe.flags), **self.flags}

    def observe(self, probe: Probe) -> Observation:
        """Return what the template does to one probe."""
        key = (probe.shape, probe.key)
        if key not in self._seen:
            self._seen[key] = self._observe(probe)
        return self._seen[key]

    def __iter__(self) -> Iterator[Observation]:
        return (self.observe(probe) for probe in self.probes.values())

    @cached_property
    def unsupported(self) -> frozenset[str]:
        """Return the features that the template refuses wherever they come, or prints nothing of.

        A form that a template doesn't accept is owed nothing; that it ignores reasoning fields is a finding of its own.
        """
        offered: set[str] = set()
        shown: set[str] = set()
        for probe in self.probes.values():
            text = None if probe.varied or probe.features <= shown else self.text(probe)
            if text is not None:
                offered |= probe.features
                spans = () if isinstance(text, Failure) else locate(probe.parts, text)
                shown |= {part.feature for part, span in zip(probe.parts, spans, strict=False) if span}
        return frozenset(offered - shown)

    def owed(self, probe: Probe) -> bool:
        """Whether the contract is owed on this conversation: an ordinary one, of forms that the template accepts."""
        return probe.ordinary and not probe.features & self.unsupported and self.observe(probe).text is not None

    def wanting(self, seen: Observation) -> bool:
        """Whether the contract is owed on a conversation, or would be if the template knew reasoning fields."""
        unsupported = seen.probe.features & self.unsupported
        return seen.probe.ordinary and seen.text is not None and unsupported <= {FIELD}

    def listed(self, seen: Observation) -> bool:
        """Whether contents are lists of text blocks here, and the template reads their texts."""
        listed = seen.probe.text_lists and seen.text is not None and not seen.as_data
        return listed and seen.probe.features & self.unsupported <= {FIELD}

    def safe(self, probe: Probe) -> bool:
        """Whether the template is training-safe on this conversation."""
        return self.owed(probe) and not self.observe(probe).breaks(*SAFE)

    @cached_property
    def well(self) -> tuple[Observation, ...]:
        """Return conversations that are printed well."""
        return tuple(seen for seen in self if self.safe(seen.probe))

    @cached_property
    def failing(self) -> tuple[Observation, ...]:
        """Return conversations that are printed badly, short ones first, each in a way that no shorter one shows.

        Those whose contents are lists come last.
        """
        badly = [seen for seen in self if (self.wanting(seen) or self.listed(seen)) and seen.breaks(*SAFE)]
        distinct: dict[tuple[object, ...], Observation] = {}
        for seen in sorted(badly, key=lambda seen: (seen.probe.text_lists, len(seen.probe.shape))):
            ways = frozenset((held.property, seen.kind(held)) for held in seen.breaks(*SAFE))
            distinct.setdefault((seen.probe.form, "".join(sorted(set(seen.probe.shape))), ways), seen)
        return tuple(distinct.values())

    def in_form(self, probe: Probe, form: Form) -> Probe | None:
        """Return the same conversation with its reasoning in another form, if there is one."""
        return self.probes.get((probe.shape, probe.key._replace(form=form)))

    def holds(self, probe: Probe, held: Held) -> bool:
        """Whether one thing is done right in one conversation; no more is rendered than that takes."""
        return any(right() for each, right in self._checks_of(probe) if each == held)

    def held(self, probe: Probe, *properties: str) -> frozenset[Held]:
        """Return what is done right in one conversation of these properties; no more is rendered than that takes."""
        return frozenset(each for each, right in self._checks_of(probe) if each.property in properties and right())

    def _checks_of(self, probe: Probe) -> Iterable[Check]:
        text = self.text(probe)
        return () if isinstance(text, Failure) else self._checks(probe, text, locate(probe.parts, text))

    def _observe(self, probe: Probe) -> Observation:
        text = self.text(probe)
        if isinstance(text, Failure):
            return Observation(probe, None, text.reason, (None,) * len(probe.parts), frozenset(), frozenset())
        spans = locate(probe.parts, text)
        checks = {each: right() for each, right in self._checks(probe, text, spans)}
        held = frozenset(each for each, right in checks.items() if right)
        return Observation(probe, text, "", spans, held, frozenset(checks) - held)

    def _checks(self, probe: Probe, text: str, spans: tuple[Span | None, ...]) -> Iterator[Check]:
        for index, (part, span) in enumerate(zip(probe.parts, spans, strict=True)):
            yield Held("printed", index), partial(bool, span)
            if counts(part):
                yield Held("once", index), partial(comes_once, text, part)
            if part.kind == "reasoning" and span:
                yield Held("in order", index), partial(leads, part, span, probe.parts, spans)
        yield Held("well-formed"), partial(well_formed, probe, text, spans, self.tags)
        if probe.form in ("inline", "mixed") and None not in spans:
            yield from ((Held("alike"), right) for right in self._alike(probe, text))
        yield from ((Held("stable", cut), partial(self._stable, probe, cut)) for cut in probe.cuts)
        yield from ((Held("prompted", turn), partial(self._prompted, probe, turn)) for turn in probe.turns())

    def _alike(self, probe: Probe, text: str) -> Iterator[Callable[[], bool]]:
        """Yield the check that a conversation is printed like the same with its reasoning in a field, if that is.

        Where it isn't, or no field can hold the reasoning, it is printed as well as that of the simplest conversation.
        """
        simplest = self.probes.get(("ur", Key("inline")))
        other = self.in_field(probe)
        if other is not None:
            yield partial(operator.eq, "".join(text.split()), "".join(str(self.text(other)).split()))
        elif simplest not in (None, probe) and set(probe.shape) & set(REASONS):
            seen = self.observe(simplest)
            if Held("alike") in seen.held | seen.broken:
                yield partial(seen.held.__contains__, Held("alike"))

    def in_field(self, probe: Probe) -> Probe | None:
        """Return the same conversation with its reasoning in the first field of which all is printed."""
        for field in self.in_fields(probe):
            text = self.text(field)
            if isinstance(text, str) and None not in locate(field.parts, text):
                return field
        return None

    def in_fields(self, probe: Probe) -> Iterator[Probe]:
        """Yield the same conversation with its reasoning in each field, as far as there is one."""
        for name in IN_FIELDS:
            legacy = probe.legacy or name != "reasoning_content"
            field = self.probes.get((probe.shape, probe.key._replace(form=name, legacy=legacy)))
            if field:
                yield field

    def _stable(self, probe: Probe, cut: int) -> bool:
        part, whole = self.text(probe, cut), self.text(probe)
        if isinstance(part, Failure) or isinstance(whole, Failure):
            return True
        spans = locate([each for each in probe.parts if each.message < cut], part)
        end = end_of(spans)
        common = common_prefix(part, whole)
        # What stands behind the last text may be printed after the last message only, as an end-of-text token is.
        return common >= end and not (self.tags.paired and self._tagged(part[common:]))

    def _tagged(self, text: str) -> bool:
        return self.tags.open in text or self.tags.close in text

    def _prompted(self, probe: Probe, turn: int) -> bool:
        prompt, whole = self.text(probe, turn, prompt=True), self.text(probe, turn + 1)
        return isinstance(prompt, Failure) or isinstance(whole, Failure) or whole.startswith(prompt)


class Rendering(NamedTuple):
    """The first ``upto`` messages of a conversation, with the generation prompt or without."""

    probe: Probe
    upto: int
    prompt: bool = False

    def text(self, examined: Examination) -> str | Failure:
        """Return what a template prints of it."""
        return examined.text(self.probe, self.upto, self.prompt)

    def describe(self) -> str:
        """Say in words what is rendered."""
        first = f"its first {self.upto} messages" if self.upto > 1 else "its first message"
        told = self.probe.describe() + (f"; {first}" if self.upto < len(self.probe.messages) else "")
        return told + ("; with the generation prompt" if self.prompt else "")


class Case(NamedTuple):
    """A template as it renders by itself, and with ``preserve_thinking=false``."""

    itself: Examination
    off: Examination


def generation_header(examined: Examination, probe: Probe, turn: int) -> str:
    """Return the generation prompt in front of a turn without any reasoning tag that it ends in.

    Where a template prints no prompt, or prints it always, that is what stands in front of a plain answer.
    """
    plain = next((seen for seen in examined if seen.probe.shape == "ua" and seen.text is not None), None)
    prompt = generation_prompt(examined, probe, turn) or (printed_in_front(plain, 1) if plain else "")
    return min((prompt.partition(tag)[0] for tag in (examined.tags.open, examined.tags.close)), key=len).strip()


def generation_prompt(examined: Examination, probe: Probe, turn: int) -> str | None:
    """Return what ``add_generation_prompt`` adds behind the last text in front of a turn."""
    key = (probe.shape[:turn], probe.key, probe.tools is None)
    if key not in examined.prompts:
        plain, asked = (behind_texts(examined, probe, turn, prompt) for prompt in (False, True))
        examined.prompts[key] = None if plain is None or asked is None else asked[common_prefix(plain, asked) :]
    return examined.prompts[key]


def behind_texts(examined: Examination, probe: Probe, turn: int, prompt: bool) -> str | None:
    """Return what is printed behind the last text in front of a turn, with the generation prompt or without."""
    text = examined.text(probe, turn, prompt=prompt)
    if isinstance(text, Failure):
        return None
    return text[end_of(locate((part for part in probe.parts if part.message < turn), text)) :]


def printed_in_front(seen: Observation, message: int, upto: Span | None = None) -> str:
    """Return what is printed between the messages before a turn and ``upto``, or the turn's own first text."""
    start = seen.begin(message)
    own = (span.start for part, span in seen.placed if part.message == message and span.start >= start)
    return (seen.text or "")[start : upto.start if upto else min(own, default=start)]
