"""A template with proposals made, rendered without compiling each of their sets.

Compiling takes longer than rendering a battery, and a search tries dozens of sets. So proposals that are apart are made
in one template, each behind a name of its own besides the switch that all share: any set of them is then that template
with some names set. The result of a search is compiled by itself in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from jinja2 import TemplateSyntaxError

from template_fix.contract.another import AnotherExamination, Known
from template_fix.contract.examination import Case, Examination
from template_fix.jinja.folding import CAPTURED, SWITCH, capture, equal_when_off, guard
from template_fix.jinja.renderer import Failure, Renderer, RenderError, Variables
from template_fix.repair.proposers import Proposal
from template_fix.repair.splice import in_front
from template_fix.text.edits import Edit, Span, apply

# What a template asks which proposals are made in it.
_MADE = "template_fix_made"


class _Made(dict[str, bool]):
    """Answers a template which proposals are made: the names of those are ``true``. What it is asked for stays in it.

    That is what a template reads in the least time.
    """

    def __init__(self, true: frozenset[str]) -> None:
        self.true = true

    def __missing__(self, name: str) -> bool:
        answer = self[name] = name in self.true
        return answer


class _Rendered:
    """What is known of a conversation once some proposals are made: the names that are asked for next, in their order.

    Those that were true lead on; ``text`` comes out where none of them is, None where that is unknown.
    """

    __slots__ = ("asked", "text")

    def __init__(self) -> None:
        self.asked: dict[str, _Rendered | None] = {}
        self.text: str | Failure | None = None

    def find(self, names: frozenset[str]) -> str | Failure | None:
        """Return what comes out with these proposals made, if that is known."""
        found: _Rendered | None = self
        while found and (name := next(filter(names.__contains__, found.asked), None)):
            found = found.asked[name]
        return found.text if found else None

    def note(self, asked: Mapping[str, bool], text: str | Failure) -> None:
        """Note what came out, and the answers that it was asked for."""
        found = self
        for name, true in asked.items():
            following = found.asked.setdefault(name, None)
            if true:
                found.asked[name] = found = following or _Rendered()
        found.text = text


class _Union(NamedTuple):
    """Proposals compiled into one template: those of ``made`` for good, each of ``switches`` where its names are true.

    ``texts`` has what was rendered of each conversation.
    """

    renderer: Renderer
    made: frozenset[Proposal]
    switches: Mapping[Proposal, frozenset[str]]
    texts: dict[object, _Rendered]

    def has(self, chosen: frozenset[Proposal]) -> bool:
        """Whether this union can render with just these proposals made."""
        return self.made <= chosen and chosen - self.made <= self.switches.keys()

    def examination(
        self, chosen: frozenset[Proposal], before: Examination, known: Known, flags: Variables
    ) -> Examination:
        """Return an examination over the battery of ``before`` with just these proposals made."""
        names = frozenset[str]().union(*(self.switches[each] for each in chosen - self.made))
        made = _Made(names)

        def rendered(key: object, render: Callable[[], str | Failure]) -> str | Failure:
            told = self.texts.setdefault(key, _Rendered())
            text = told.find(names)
            if text is None:
                made.clear()
                text = render()
                told.note(made, text)
            return text

        renderer = self.renderer.with_variables({_MADE: made})
        return AnotherExamination(before, known, renderer, flags, rendered)


class Candidates:
    """One template with any set of proposals made.

    ``before`` is the template's own case, ``default`` what an absent switch is taken for in the edits; they are looked
    at with the switch on in either case. ``captured`` says that edits ask for it by the name that notes it.
    """

    def __init__(
        self, source: str, before: Case, variables: Variables, default: bool, *, captured: bool = False
    ) -> None:
        self.source, self.before, self.variables = source, before, variables
        self.flags = ({}, {SWITCH: False}) if default else ({SWITCH: True}, {})
        self.guard = CAPTURED if captured else guard(default)
        self.noted = in_front(source, capture(default)) if captured else None
        self._offered: dict[Proposal, None] = {}
        self._unions: list[_Union] = []
        self._folding: dict[Proposal, bool] = {}
        self._cases: dict[frozenset[Proposal], Case | str] = {}
        self._known: Known = {}

    def offer(self, proposals: Iterable[Proposal]) -> None:
        """Take note of proposals that are going to be tried, so that they can be compiled in with others."""
        self._offered.update(dict.fromkeys(proposals))

    def edited(self, chosen: Sequence[Proposal]) -> str:
        """Return the template with the edits of these proposals."""
        return apply(self.source, self.edits(chosen))

    def edits(self, chosen: Iterable[Proposal]) -> list[Edit]:
        """Return the edits of these proposals, with the one that notes the switch where they need it."""
        made = [edit for each in chosen for edit in each.edits]
        return [self.noted, *made] if self.noted and made else made

    def case(self, chosen: Sequence[Proposal]) -> Case | str:
        """Return how the template renders with these proposals, or why it doesn't.

        Where they are compiled in with others, how it renders with the switch off is taken for granted.
        """
        key = frozenset(chosen)
        if key not in self._cases:
            examined = self._together(chosen)
            self._cases[key] = Case(examined, self.before.off) if examined else self.alone(chosen)
        return self._cases[key]

    def _together(self, chosen: Sequence[Proposal]) -> Examination | None:
        """Return an examination with just these proposals made, compiled in with others, or None."""
        made = frozenset(chosen)
        union = next((each for each in self._unions if each.has(made)), None)
        with suppress(RenderError):  # of one that is no template: each is compiled by itself, and tells
            if union is None:
                union = self._union(chosen)
                self._unions.append(union)
        return (
            union.examination(made, self.before.itself, self._known, self.flags[0])
            if union and union.has(made)
            else None
        )

    def _union(self, chosen: Sequence[Proposal]) -> _Union:
        """Compile proposals with as many of those offered as can be told from them and from each other."""
        self._prove(filter(self._inserts, {**dict.fromkeys(chosen), **self._offered}))
        made = frozenset(each for each in chosen if not self._switched(each))
        together = [each for each in chosen if each not in made]
        for each in self._offered:
            if self._switched(each) and each not in together and self._fits(each, together, made):
                together.append(each)
        names = {each: f"p{number}" for number, each in enumerate(together)}
        by_span: dict[Span, list[tuple[str, Edit]]] = {}
        for each in together:
            for edit in each.edits:
                by_span.setdefault(edit.span, []).append((names[each], edit))
        edits = self.edits(made) + self._nested(by_span)
        if self.noted and not made:
            edits.append(self.noted)
        switches = {
            each: frozenset([name, *(_any(by_span[edit.span]) for edit in each.edits)]) for each, name in names.items()
        }
        return _Union(Renderer(apply(self.source, edits), self.variables), made, switches, {})

    def _switched(self, proposal: Proposal) -> bool:
        """Whether a proposal changes nothing where it isn't made: a tag that is inserted may take white space away."""
        guarded = all(self.guard in edit.text for edit in proposal.edits)
        return guarded and (not self._inserts(proposal) or self.folds(proposal))

    def _inserts(self, proposal: Proposal) -> bool:
        return any(edit.span.start == edit.span.end for edit in proposal.edits)

    def _prove(self, proposals: Iterable[Proposal]) -> None:
        """Note that the switch brings the original back where each is made, if it does where they are made together."""
        together: list[Proposal] = []
        for each in proposals:
            if each not in self._folding and are_apart([*together, each]):
                together.append(each)
        if len(together) > 1 and self._folds(together):
            self._folding.update(dict.fromkeys(together, True))

    def folds(self, proposal: Proposal) -> bool:
        """Whether the switch brings the original back where a proposal alone is made; it doesn't if that won't parse.

        What is compiled in with others and what is judged both ask this, so it is proved once.
        """
        if proposal not in self._folding:
            self._folding[proposal] = self._folds([proposal])
        return self._folding[proposal]

    def _folds(self, proposals: Sequence[Proposal]) -> bool:
        try:
            return equal_when_off(self.source, self.edited(proposals))
        except TemplateSyntaxError:
            return False

    def _fits(self, proposal: Proposal, together: Iterable[Proposal], made: Iterable[Proposal]) -> bool:
        """Whether a proposal can be compiled in with others: where it claims a text of theirs, as an alternative."""
        edits = [edit for each in together for edit in each.edits]
        return are_apart([proposal, *made]) and all(
            _apart(one, other) or _alternatives(one, other) for one in proposal.edits for other in edits
        )

    def _nested(self, by_span: Mapping[Span, Sequence[tuple[str, Edit]]]) -> list[Edit]:
        """Return the edits of each place as one, those of its parts in what stands there where none of them is made."""
        found: list[Edit] = []
        for span in sorted(by_span, key=lambda span: span.end - span.start):
            parts = [edit for edit in found if _inside(edit.span, span)]
            kept = apply(self.source[: span.end], parts)[span.start :] if parts else ""
            found = [*(edit for edit in found if edit not in parts), self._either(span, kept, by_span[span])]
        return found

    def _either(self, span: Span, kept: str, named: Sequence[tuple[str, Edit]]) -> Edit:
        """Return edits of one place as one, each made only where its name is true, too, else what is ``kept``."""
        if span.start == span.end or (len(named) == 1 and not kept):
            behind = (edit.text.replace(self.guard, f"({_MADE}['{name}'] and {self.guard})") for name, edit in named)
            return Edit(span, "".join(behind))
        # All are asked for at once: where none is made, that is one question for each place.
        choices = "".join(f"{edit.text} if {_MADE}['{name}'] else " for name, edit in named[:-1])
        kept = kept or span.of(self.source)
        return Edit(span, f"(({choices}{named[-1][1].text}) if {_MADE}['{_any(named)}'] else {kept})")

    def alone(self, chosen: Sequence[Proposal]) -> Case | str:
        """Return the same of the template that has these proposals made and nothing else compiled in."""
        try:
            renderer = Renderer(self.edited(chosen), self.variables)
        except RenderError as error:
            return f"the edited template doesn't compile: {error}"
        return Case(self._examination(renderer, 0), self._examination(renderer, 1))

    def _examination(self, renderer: Renderer, off: int) -> Examination:
        return AnotherExamination(self.before.itself, self._known, renderer, self.flags[off])


def _any(named: Iterable[tuple[str, Edit]]) -> str:
    """Return the name that is true where any edit of one place is made."""
    return " ".join(name for name, _ in named)


def are_apart(chosen: Iterable[Proposal]) -> bool:
    """Whether no two edits of these proposals claim the same text."""
    edits = sorted((edit for each in chosen for edit in each.edits), key=lambda edit: edit.span)
    return all(_apart(one, other) for one, other in pairwise(edits))


def _apart(one: Edit, other: Edit) -> bool:
    first, second = sorted((one.span, other.span))
    return first.end <= second.start and first.start != second.start


def _alternatives(one: Edit, other: Edit) -> bool:
    """Whether two edits put an expression in the place of one, or of a part of it, or insert at the same place."""
    if one.span == other.span and one.span.start == one.span.end:
        return True
    expressions = all(edit.text.startswith("(") and edit.text.endswith(")") for edit in (one, other))
    return expressions and (_inside(one.span, other.span) or _inside(other.span, one.span))


def _inside(one: Span, other: Span) -> bool:
    return other.start <= one.start < one.end <= other.end
