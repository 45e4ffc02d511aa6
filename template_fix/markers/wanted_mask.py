"""The assistant mask as it should be: what of a rendered conversation the model itself has to write.

A turn begins where its generation prompt ends and goes on through the token that ends it. Both are found by rendering:
the prompt is what ``add_generation_prompt`` adds, the end is what the model must write to stop, and everything between
is the turn's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise

from template_fix.contract.examination import (
    Examination,
    Observation,
    behind_texts,
    generation_prompt,
    printed_in_front,
)
from template_fix.conversations.probe import CALLS, Key, Probe, as_lists
from template_fix.conversations.tags import closings
from template_fix.jinja.renderer import REASONING_FIELDS, Failure
from template_fix.text.edits import Span, common_prefix

# What looks like one token of markup: <|im_end|>, </s>, <<END>>, [|endofturn|], [/INST].
MARKUP = re.compile(r"<<[^<>\s]{1,60}>>|<[^<>\s]{1,60}>|\[\|[^\[\]]{1,60}\|\]|\[/?[A-Z][A-Z_]{1,30}\]")
_ATTRIBUTES = re.compile(r"[=\s][^>]*")
# White space that nobody meant to print: in front of a turn's text it is the template's.
_INDENT = re.compile(r"[ \t]{2,}")
_THINKING = "enable_thinking"


@dataclass(frozen=True)
class Mask:
    """The wanted masks of a template over its battery. Use it inside `limits.run_bounded`.

    ``ends`` are the texts of the tokens that generation stops at, as far as they are known.
    """

    examined: Examination
    ends: tuple[str, ...] = ()

    def enlarged(self, probes: Iterable[Probe]) -> Mask:
        """Return the masks over a larger battery."""
        return replace(self, examined=self.examined.enlarged(self.as_taken(probes)))

    def as_taken(self, probes: Iterable[Probe]) -> Iterable[Probe]:
        """Return conversations in the form in which the template takes contents."""
        return map(as_lists, probes) if any(each.listed for each in self.examined.probes.values()) else probes

    def of(self, probe: Probe) -> tuple[Span, ...] | None:
        """Return what the model has to write of a conversation, turn by turn.

        None where that is unknown: the conversation isn't rendered, or one of its turns is not printed, or a call or
        its result isn't, on which the next turn stands, or a turn's text is left out, but not its traces.
        """
        key = (probe.shape, probe.key)
        if key not in self._found:
            self._found[key] = self._of(probe)
        return self._found[key]

    @cached_property
    def _found(self) -> dict[tuple[str, Key], tuple[Span, ...] | None]:
        return {}

    def _of(self, probe: Probe) -> tuple[Span, ...] | None:
        seen = self.examined.observe(probe)
        text = seen.text
        if text is None or any(part.kind in ("call", "result") and part.text not in text for part in probe.parts):
            return None
        if self._marked_by_silence(seen):
            return None
        found = [self._turn(seen, turn) for turn in probe.turns()]
        spans = [span for each in found for span in each]
        apart = all(one.end <= other.start for one, other in pairwise(spans))
        return tuple(spans) if all(found) and apart else None

    def _marked_by_silence(self, seen: Observation) -> bool:
        """Whether a turn of which nothing but the calls is printed comes out differently from one that says nothing."""
        silenced = [turn for turn in seen.probe.turns() if _silenced(seen, turn)]
        if not silenced:
            return False
        messages = [
            {
                key: "" if key == "content" and value else value
                for key, value in each.items()
                if key not in REASONING_FIELDS
            }
            if turn in silenced
            else each
            for turn, each in enumerate(seen.probe.messages)
        ]
        examined = self.examined
        return examined.renderer(messages, seen.probe.tools, **examined.set_for(seen.probe)) != seen.text

    def _turn(self, seen: Observation, turn: int) -> list[Span]:
        """Return what the model writes of a turn, in several spans where the results of its calls come in between."""
        own = _own(seen, turn)
        others = [span for part, span in seen.placed if part.message > turn or part.kind == "result"]
        spans: list[Span] = []
        for _, group in groupby(own, key=lambda span: sum(other.start < span.start for other in others)):
            texts = list(group)
            last = max(texts, key=lambda span: span.end)
            start = self._resumed(seen, spans[-1], texts[0]) if spans else self._start(seen, turn, texts[0].start)
            spans.append(Span(start, last.end + self._end(seen, turn, last)))
        return spans

    def _resumed(self, seen: Observation, before: Span, first: Span) -> int:
        """Return where a turn goes on behind the results that interrupt it: with a text, or the tag in front of it."""
        opening = (seen.text or "").rfind(self.examined.tags.open, before.end, first.start)
        return first.start if opening < 0 else opening

    def _start(self, seen: Observation, turn: int, first: int) -> int:
        before = max((span.end for span in _placed(seen, 0, turn) if span.end <= first), default=0)
        start = min(before + self._prompt(seen, turn, before, first), first)
        content = str(seen.probe.messages[turn].get("content") or "")
        indent = _INDENT.match(seen.text or "", start, max(first - len(content) + len(content.lstrip()), start))
        return indent.end() if indent else start

    def _prompt(self, seen: Observation, turn: int, before: int, first: int) -> int:
        """Return how much of what stands behind the last text before a turn is what the model is prompted with."""
        printed = (seen.text or "")[before:]
        shorter, asked = (behind_texts(self.examined, seen.probe, turn, prompt) for prompt in (False, True))
        if shorter is None or asked is None or asked == shorter[: len(asked)]:
            return self._through_header(printed[: first - before], shorter or "", self._header)
        kept = common_prefix(shorter, asked)
        own = self._asked(seen.probe, turn, asked[kept:])
        if not own:  # it is only prompted with where thinking is set one way
            return self._through_header(printed[: first - before], shorter, self._header)
        shared = _whole(asked[:kept] + own, printed)
        # A turn that doesn't follow its prompt may have the prompt's own part all the same, if with other space around.
        if shared < kept + len(own.rstrip()):
            # White space alone tells nothing: the header may stand behind other space, and have other space in it.
            blank = not printed[:shared].strip()
            for part in filter(None, (own, own.strip(), *(own.split()[:1] if blank else ()))):
                elsewhere = printed.find(part, 0, first - before)
                if elsewhere >= 0:
                    return elsewhere + len(part)
        return shared

    def _asked(self, probe: Probe, turn: int, own: str) -> str:
        """Return as much of what a prompt adds as it adds however thinking is set."""
        flags = tuple(flag for flag in probe.flags if flag[0] != _THINKING)
        for setting in ((), ((_THINKING, True),), ((_THINKING, False),)):
            added = generation_prompt(self.examined, replace(probe, flags=(*flags, *setting)), turn)
            own = own if added is None else own[: _whole(own, added)]
        return own

    @cached_property
    def _plain(self) -> Observation | None:
        """Return a question with a plain answer, where that is printed."""
        return next((seen for seen in self.examined if seen.probe.shape == "ua" and seen.text is not None), None)

    @cached_property
    def _usual(self) -> str:
        """Return what the prompt for a plain answer adds."""
        added = generation_prompt(self.examined, self._plain.probe, 1) if self._plain else ""
        return self._asked(self._plain.probe, 1, added) if self._plain and added else ""

    def _through_header(self, printed: str, shorter: str, header: str) -> int:
        """Return how much of what stands in front of a turn's first text is no part of it: where none is prompted with.

        ``shorter`` is what stands there where the conversation ends before the turn.
        """
        kept = _whole(shorter, printed)
        if (bare := header.strip()) and printed[kept:].lstrip().startswith(bare):  # with other space in front of it
            rest = printed[kept:].lstrip()
            return printed.index(bare, kept) + max(
                len(bare), *(_whole(each.lstrip(), rest) for each in (header, self._usual))
            )
        shared = _whole(header, printed[kept:])
        return kept + (shared if shared == len(header) or header[:shared].strip() else 0)

    @cached_property
    def _header(self) -> str:
        """Return what the template prints in front of a plain answer, up to a reasoning tag."""
        if not self._plain or not _placed(self._plain, 1, 2):
            return ""
        printed = printed_in_front(self._plain, 1)
        shorter = behind_texts(self.examined, self._plain.probe, 1, prompt=False) or ""
        header = printed[_whole(shorter, printed) :]
        return min((header.partition(tag)[0] for tag in (self.examined.tags.open, self.examined.tags.close)), key=len)

    def _end(self, seen: Observation, turn: int, last: Span) -> int:
        """Return how many characters behind the last text of a turn the model has to write, too."""
        behind = (seen.text or "")[last.end : self._next(seen, turn, last.end)]
        stops = [(behind.find(stop), -len(stop)) for stop in self.stops if stop in behind]
        if stops:
            at, length = min(stops)
            return at - length
        return len(self._own_tail(seen, turn, last, behind).rstrip())

    def _next(self, seen: Observation, turn: int, last: int) -> int:
        later = [span.start for span in _placed(seen, turn, len(seen.probe.messages)) if span.start >= last]
        return min(later, default=len((seen.text or "").removesuffix(self._asked_always)))

    @cached_property
    def _asked_always(self) -> str:
        """Return the generation prompt, where it is printed at the end whether or not one is asked for, else ""."""
        plain = {seen.probe.shape: seen for seen in self.examined if seen.probe.key == Key("plain")}
        one, two = plain.get("ua"), plain.get("uaua")
        if not one or not two or not one.text or not two.text or None in (*one.spans, *two.spans):
            return ""
        shorter, asked = (behind_texts(self.examined, one.probe, 1, prompt) for prompt in (False, True))
        spans, longer = _placed(one, 0, 2), _placed(two, 0, 4)
        tail, between = one.text[spans[1].end :], two.text[longer[1].end : longer[2].start]
        always = shorter and shorter == asked and tail.endswith(shorter) and one.text.startswith(shorter, spans[0].end)
        # What a turn ends with whatever follows is no prompt.
        return shorter[_whole(shorter, between) :] if shorter and always and not between.startswith(tail) else ""

    def _own_tail(self, seen: Observation, turn: int, last: Span, behind: str) -> str:
        """Return what stands behind a text of a turn whatever follows the turn: what closes a call, for one."""
        text = last.of(seen.text or "")
        shorter, asked = (self.examined.text(seen.probe, turn + 1, prompt=prompt) for prompt in (False, True))
        whole = asked if turn + 1 == len(seen.probe.messages) or isinstance(shorter, Failure) else shorter
        if isinstance(whole, Failure) or text not in whole:
            return behind
        return behind[: _whole(whole[whole.rfind(text) + len(text) :], behind)]

    @cached_property
    def stops(self) -> tuple[str, ...]:
        """Return the texts that end a turn: those known among what the template prints behind answers and calls.

        Where it has no token for that, the header of what follows is where the model stops. Where answers have one,
        calls without it don't stop at a header: a token that only stands behind calls ends no generation.
        """
        answers = self._stops_of({}, calls=False, headers=True)
        headers = not answers or any(answers.values())
        return tuple(self._stops_of(answers, calls=True, headers=headers))

    def _stops_of(self, known: Mapping[str, bool], *, calls: bool, headers: bool) -> dict[str, bool]:
        """Add to the texts that are known those that end answers, or calls, and whether each begins what follows."""
        found = dict(known)
        for seen in self.examined:
            if (
                seen.text is None
                or seen.probe.form != "plain"
                or seen.probe.special
                or seen.probe.text_lists
                or None in seen.spans
            ):
                continue
            for turn in seen.probe.turns():
                own = _own(seen, turn)
                if not own or (seen.probe.shape[turn] in CALLS) != calls:
                    continue
                start, last = self._start(seen, turn, own[0].start), max(own, key=lambda span: span.end)
                behind = seen.text[last.end : self._next(seen, turn, last.end)]
                if not any(stop in behind for stop in found):
                    tail = self._own_tail(seen, turn, last, behind)
                    found.update(self._stop(seen.text[start : last.end], behind, tail, calls, headers))
        return found

    def _stop(self, turn: str, behind: str, own: str, call: bool, headers: bool) -> dict[str, bool]:
        """Return the text that ends a turn, if there is one, among what stands behind its last text.

        What is its ``own`` stands there whatever follows; markup that closes what was opened in the turn ends no turn.
        """
        known = [(behind.find(end), end) for end in self.ends if end in behind]
        marks = set(MARKUP.findall(turn))
        inside = marks.union(*(closings(_ATTRIBUTES.sub("", mark)) for mark in marks))
        ending = [mark.group() for mark in MARKUP.finditer(own) if mark.group() not in inside]
        following = MARKUP.match(behind[len(own) :].lstrip()) if headers else None
        if known:
            return {min(known)[1]: False}
        if ending:
            return {ending[0]: False}
        if own.strip() and not call and not MARKUP.search(own):
            return {own.strip(): False}
        return {following.group(): True} if following else {}


def _placed(seen: Observation, start: int, end: int) -> list[Span]:
    """Return where the printed texts of some messages stand, in their order."""
    return sorted(span for part, span in seen.placed if start <= part.message < end)


def _own(seen: Observation, turn: int) -> list[Span]:
    """Return where the texts stand that a turn's model wrote: not the results that come in the same message."""
    return sorted(span for part, span in seen.placed if part.message == turn and part.kind != "result")


def _silenced(seen: Observation, turn: int) -> bool:
    """Whether of all that a turn says besides its calls nothing is printed."""
    said = [part for part in seen.probe.parts if part.message == turn and part.kind not in ("call", "result")]
    return bool(said) and not any(part in said for part, _ in seen.placed)


def _whole(one: str, other: str) -> int:
    """Return how much two texts have in common from their beginning on, without the half of a token of markup."""
    shared = common_prefix(one, other)
    for text in (one, other):
        for mark in MARKUP.finditer(text):
            if mark.start() < shared < mark.end():
                shared = mark.start()
    return shared
