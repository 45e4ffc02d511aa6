"""Compares two models by what they do: which conversations are printed otherwise, and how tokens are recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from template_fix.bounds.limits import LimitExceeded, run_in_turn
from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.stop_tokens import read_stop_tokens
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.conversations.battery import battery
from template_fix.conversations.probe import CALLS, Probe
from template_fix.conversations.tags import USUAL, Tags
from template_fix.engine.checked import check
from template_fix.engine.studies import CHECK_SECONDS, special_tokens
from template_fix.jinja.renderer import Failure, Renderer, RenderError, Variables
from template_fix.options import Options
from template_fix.results import Evidence, Finding, Level, Report, compare_texts
from template_fix.tokens.stub_tokenizer import within_limits

# How many conversations are shown that are printed otherwise.
_SHOWN = 3
LABELS = ("base", "tuned")
# What of tokenizer.json decides how text is encoded and decoded, and what it takes to read two large ones.
_ENCODING = ("normalizer", "pre_tokenizer", "model", "post_processor", "decoder")
_SECONDS, _MEGABYTES = 12.0, 2048


@dataclass(frozen=True)
class TemplateComparison:
    """How two templates of one name print the same conversations.

    ``tried`` conversations were rendered, each with the generation prompt and without, and ``otherwise`` of them come
    out otherwise; ``shown`` has the shortest of the usual ones. ``failure`` is why nothing is known, "" where they were
    compared, ``missing`` that one model has no such template, and ``same_text`` says that the two are the same to the
    letter.
    """

    variant: str
    same_text: bool = False
    tried: int = 0
    otherwise: int = 0
    shown: tuple[Evidence, ...] = ()
    failure: str = ""
    missing: bool = False

    @property
    def differs(self) -> bool:
        """Whether the templates print anything otherwise, or one of the models has none of that name."""
        return bool(self.otherwise or self.missing)


class TokenChange(NamedTuple):
    """What two models record otherwise of a token, or of what goes by a name such as ``eos_token``, in words."""

    token: str
    base: str
    tuned: str


@dataclass(frozen=True)
class Comparison:
    """What two models do otherwise; ``parts`` are what differs in tokenizer.json besides added tokens."""

    base: Report
    tuned: Report
    templates: tuple[TemplateComparison, ...]
    tokens: tuple[TokenChange, ...]
    parts: tuple[str, ...] = ()

    @property
    def inherited(self) -> tuple[Finding, ...]:
        """What is wrong with both, as the tuned model has it."""
        return tuple(each for each in self.tuned.findings if each.code in _codes(self.base))

    @property
    def added(self) -> tuple[Finding, ...]:
        """What is wrong with the tuned model alone."""
        return tuple(each for each in self.tuned.findings if each.code not in _codes(self.base))

    @property
    def repaired(self) -> tuple[Finding, ...]:
        """What is wrong with the base alone."""
        return tuple(each for each in self.base.findings if each.code not in _codes(self.tuned))

    @property
    def differs(self) -> bool:
        """Whether the models differ in what matters: in texts, in tokens, or in an error or a warning that is new."""
        grave = any(each.level is not Level.NOTE for each in self.added)
        return grave or bool(self.tokens or self.parts) or any(each.differs for each in self.templates)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why templates could not be compared, for each of which that is so."""
        return tuple(each.failure for each in self.templates if each.failure and not each.missing)


def compare(base: Checkpoint, tuned: Checkpoint, options: Options | None = None) -> Comparison:
    """Return what two checkpoints do otherwise. Changes nothing; templates run within limits."""
    options = options or Options()
    reports = check(base, options), check(tuned, options)
    templates = _templates(base, tuned, reports, options)
    return Comparison(*reports, tuple(templates), tuple(_tokens(base, tuned)), _parts(base, tuned))


def _codes(report: Report) -> frozenset[str]:
    return frozenset(finding.code for finding in report.findings)


# Templates


def _templates(
    base: Checkpoint, tuned: Checkpoint, reports: tuple[Report, Report], options: Options
) -> Iterator[TemplateComparison]:
    """Yield how the templates compare that transformers sees, by their names."""
    ours, theirs = ({name: copy.source for name, copy in _seen(each).items()} for each in (base, tuned))
    printed = [tags for report in reports for template in report.templates for tags in template.tags]
    tags = (tuple(dict.fromkeys((*options.tags, *printed))) or (USUAL,))[:2]
    given = [{**special_tokens(each), **dict(options.flags)} for each in (base, tuned)]
    both = [name for name in ours if name in theirs]
    pairs = [(ours[name], theirs[name], tags, *given) for name in both]
    tried = dict(zip(both, run_in_turn(_printed, pairs, computing=CHECK_SECONDS), strict=True))
    for name in dict.fromkeys((*ours, *theirs)):
        if name not in tried:
            yield TemplateComparison(name, failure=f"only the {LABELS[name in theirs]} model has it", missing=True)
            continue
        same, result = ours[name] == theirs[name], tried[name]
        if isinstance(result, LimitExceeded):
            yield TemplateComparison(name, same, failure=f"the comparison was stopped: it {result}")
        elif isinstance(result, str):
            yield TemplateComparison(name, same, failure=result)
        else:
            yield TemplateComparison(name, same, *result)


def _seen(checkpoint: Checkpoint) -> Mapping[str, Any]:
    return next((copies for copies in checkpoint.seen.values() if copies), {})


def _printed(
    one: str, other: str, tags: tuple[tuple[str, str], ...], ours: Variables, theirs: Variables
) -> tuple[int, int, tuple[Evidence, ...]] | str:
    """Return how many conversations were tried, how many of them are printed otherwise, and the shortest of these."""
    try:
        renderers = [Renderer(source, variables) for source, variables in ((one, ours), (other, theirs))]
    except RenderError as error:
        return str(error)
    tried = 0
    found: list[tuple[bool, Evidence]] = []
    for probe in (each for pair in tags for each in _asked(Tags(*pair))):
        bare, asked = (
            [renderer(probe.messages, probe.tools, prompt, **dict(probe.flags)) for renderer in renderers]
            for prompt in (False, True)
        )
        tried += not all(isinstance(text, Failure) for text in (*bare, *asked))
        for texts, suffix in ((bare, ""), (asked, ", generation prompt")):
            one, other = map(_text, texts)
            if one != other:
                usual = probe.ordinary and not (probe.flags or probe.legacy or probe.text_lists)
                found.append((usual, compare_texts(f"{probe.describe()}{suffix}", one, other, LABELS)))
                break
    found.sort(key=lambda each: (not each[0], len(each[1].given) + len(each[1].printed)))
    return tried, len(found), tuple(evidence for _, evidence in found[:_SHOWN])


def _asked(tags: Tags) -> Iterator[Probe]:
    """Yield the conversations of a battery, those with calls with their arguments as mappings and as text."""
    yield from battery(tags, dict)
    yield from (probe for probe in battery(tags, str) if set(probe.shape) & set(CALLS))


def _text(printed: str | Failure) -> str:
    return f"(refused: {printed.reason})" if isinstance(printed, Failure) else printed


# Tokens


def _tokens(base: Checkpoint, tuned: Checkpoint) -> Iterator[TokenChange]:
    """Yield what is recorded otherwise of each token that both record, of named ones, and of those that stop."""
    ours, theirs = (_recorded(each) for each in (base, tuned))
    if bool(ours) != bool(theirs):
        yield TokenChange("added tokens", *(f"{len(each) or 'none'} recorded" for each in (ours, theirs)))
    elif ours != theirs:
        for token in dict.fromkeys((*ours, *theirs)):
            one, other = (each.get(token) for each in (ours, theirs))
            if one != other:
                yield TokenChange(token, _words(one), _words(other))
    names, others = map(_names, (base, tuned))
    for name in dict.fromkeys((*names, *others)):
        if names.get(name) != others.get(name):
            yield TokenChange(name, *(" and ".join(sorted(each.get(name, {"none"}))) for each in (names, others)))
    stops, ends = (", ".join(sorted((read_stop_tokens(each) or ("", ()))[1])) for each in (base, tuned))
    if stops != ends:
        yield TokenChange("what generation stops at", stops or "not said", ends or "not said")


def _names(checkpoint: Checkpoint) -> dict[str, set[str]]:
    """Return the token that goes by each name, or those where the files disagree."""
    found: dict[str, set[str]] = {}
    for record in checkpoint.records:
        if record.name:
            found.setdefault(record.name, set()).add(record.content)
    return found


class _Recorded(NamedTuple):
    """What the files say of one added token; a set with several values where they disagree."""

    id: frozenset[int] = frozenset()
    special: frozenset[bool] = frozenset()


def _recorded(checkpoint: Checkpoint) -> dict[str, _Recorded]:
    found: dict[str, _Recorded] = {}
    for record in checkpoint.records:
        known = found.get(record.content, _Recorded())
        ids = known.id | ({record.id} if record.id is not None else frozenset())
        special = known.special | ({record.special} if record.special is not None else frozenset())
        found[record.content] = _Recorded(ids, special)
    return found


def _words(found: _Recorded | None) -> str:
    if found is None:
        return "not recorded"
    ids = " and ".join(map(str, sorted(found.id)))
    flags = " and ".join("special" if each else "not special" for each in sorted(found.special))
    return ", ".join(filter(None, (ids and f"id {ids}", flags))) or "recorded alone"


def _parts(base: Checkpoint, tuned: Checkpoint) -> tuple[str, ...]:
    """Return the members of tokenizer.json by which text is encoded and which differ. Raises CheckpointError."""
    ours, theirs = (each.files.get(TOKENIZER) for each in (base, tuned))
    if ours is None or theirs is None or ours == theirs:
        return ()
    purpose = "compare it with the base's"
    return within_limits(tuned, purpose, _differing, ours, theirs, computing=_SECONDS, megabytes=_MEGABYTES)


def _differing(ours: str, theirs: str) -> tuple[str, ...]:
    one, other = json.loads(ours), json.loads(theirs)
    return tuple(key for key in _ENCODING if one.get(key) != other.get(key))
