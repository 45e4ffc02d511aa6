"""The results of a check and a patch: findings, repairs and reports, as plain values for any output format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from template_fix.options import Flags
from template_fix.text.display import cut
from template_fix.text.edits import Edit, Span, differing_spans

# The most characters of a text that a notebook shows.
_SHOWN = 4_000
# The most characters that are shown in front of a difference.
_BESIDE = 200


class Level(str, Enum):
    """How much a finding matters; see the table in docs/rules.md."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Place:
    """The place of a finding.

    ``file`` is relative to the model directory, ``line`` and ``column`` count from 1 in that file. For a template,
    ``template`` names the variant (``default``, ``tool_use``, …), ``template_line`` and ``template_column`` count in
    the template's own text (the same as the file's where the template is a file of its own), ``source`` is that line
    and ``width`` the number of its characters, from ``template_column`` on, that are at fault. ``end_line`` and
    ``end_column`` are where that ends in the file, which may be lines further on.
    """

    file: str
    line: int | None = None
    column: int | None = None
    template: str | None = None
    template_line: int | None = None
    template_column: int | None = None
    source: str | None = None
    width: int = 0
    end_line: int | None = None
    end_column: int | None = None


@dataclass(frozen=True)
class Evidence:
    """One experiment: the input, the output, and what was lost between them.

    ``subject`` says in a few words what was tried, ``given`` is the input as text, ``printed`` the output, ``lost``
    the parts of ``given`` that are missing from ``printed``, ``stray`` the parts of ``printed`` that shouldn't be.
    ``labels`` say what the two texts are, where they aren't input and output.
    """

    subject: str
    given: str = ""
    printed: str = ""
    lost: tuple[str, ...] = ()
    stray: tuple[str, ...] = ()
    labels: tuple[str, str] = ("in", "out")


def compare_texts(subject: str, one: str, other: str, labels: tuple[str, str]) -> Evidence:
    """Return an experiment that compares two outputs; where they differ, ``one`` has ``lost``, ``other`` ``stray``."""
    lost, stray = (
        _differing_part(text, span) for text, span in zip((one, other), differing_spans(one, other), strict=True)
    )
    return Evidence(subject, one, other, lost, stray, labels)


def _differing_part(text: str, span: Span) -> tuple[str, ...]:
    """Return the text of ``span``, with text in front of it until it is unique in ``text``; () for an empty span."""
    if span.start == span.end:
        return ()
    starts = range(span.start, max(span.start - _BESIDE, -1), -1)
    start = next((start for start in starts if text.find(text[start : span.end]) == start), span.start)
    return (text[start : span.end],)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, as a rule reports it.

    ``message`` is one sentence for readers who don't know this program. ``fix`` is one sentence on what to do, or None
    if no edit helps. ``patch_with`` are the options that ``patch`` needs to look for a repair, "" if it needs none, and
    None if it never looks for one.
    """

    code: str
    level: Level
    message: str
    place: Place | None = None
    evidence: tuple[Evidence, ...] = ()
    fix: str | None = None
    patch_with: str | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of code, file, template and the text of the line at fault; it stays the same if lines move."""
        place = self.place or Place("")
        said = (self.code, place.file, place.template or "", (place.source or "").strip())
        return sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:20]


@dataclass(frozen=True)
class NotRendered:
    """A template's reason for refusing conversations, and descriptions of these conversations."""

    reason: str
    conversations: tuple[str, ...]


@dataclass(frozen=True)
class Unevaluated:
    """A rule of which nothing can be said of a template, and why: that it found nothing means nothing."""

    code: str
    reason: str


@dataclass(frozen=True)
class TemplateSummary:
    """Facts about one chat template.

    ``tags`` are its reasoning tags, as pairs of opening and closing text; ``reasoning`` says whether the template knows
    reasoning at all. Of ``probes`` conversations it rendered ``accepted``, and ``refused`` has the others by reason. If
    a repair was looked for, the conversations took ``exercised`` of the template's ``tests`` both ways. ``versions``
    are sentences on what one of transformers 4.57 and 5 loses and the other prints. ``forms`` are the forms of
    conversations that the template refuses as a whole, such as a system prompt; ``fitting`` conversations have none of
    these. ``unevaluated`` are the rules that could not be applied. ``source`` is its text.
    """

    file: str = ""
    variant: str = ""
    reasoning: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    probes: int = 0
    accepted: int = 0
    tests: int = 0
    exercised: int = 0
    refused: tuple[NotRendered, ...] = ()
    versions: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    fitting: int = 0
    unevaluated: tuple[Unevaluated, ...] = ()
    source: str = field(default="", repr=False)

    @property
    def unjudged(self) -> str:
        """Why the template's reasoning could not be judged, "" if it was."""
        if self.probes and not self.reasoning:
            return "no reasoning tags were found in the template"
        return "the template refuses most of the conversations" if self.mostly_refused else ""

    @property
    def mostly_refused(self) -> bool:
        """Whether more conversations were refused than rendered; forms that are refused as a whole don't count."""
        return self.accepted * 2 < (self.fitting or self.probes)


@dataclass(frozen=True)
class Report:
    """The result of ``check`` for one model; ``findings`` are in the order of their codes and places.

    ``revision`` is the commit that was looked at where the model lies on the Hub, None where it is a directory.
    ``known`` are findings that a baseline has, and that count no more. ``unevaluated`` are the rules on files and
    tokens of which nothing can be said.
    """

    model: str
    findings: tuple[Finding, ...]
    templates: tuple[TemplateSummary, ...]
    revision: str | None = None
    known: tuple[Finding, ...] = ()
    unevaluated: tuple[Unevaluated, ...] = ()

    @property
    def unjudged(self) -> tuple[str, ...]:
        """Why the reasoning of some templates could not be judged."""
        return tuple(dict.fromkeys(filter(None, (template.unjudged for template in self.templates))))

    @property
    def verdict(self) -> str:
        """The verdict in words, such as ``2 errors, 1 note``."""
        counts = [(sum(finding.level is level for finding in self.findings), level.value) for level in Level]
        parts = [f"{number} {noun}{'s' * (number != 1)}" for number, noun in counts if number]
        nothing = "nothing new" if self.known else "nothing wrong"
        return ", ".join([*parts, *(f"not judged: {why}" for why in self.unjudged)]) or nothing

    def __repr__(self) -> str:
        return f"<Report of {self.model}: {self.verdict}>"

    def _repr_html_(self) -> str:
        return _findings_html(f"{self.model}: {self.verdict}", self.findings)


@dataclass(frozen=True)
class Failed:
    """A model that could not be checked or patched, and why, in one line."""

    model: str
    message: str


class Target(str, Enum):
    """What a repair changes."""

    TEMPLATE = "template"
    MARKERS = "markers"
    TOKENS = "tokens"
    FILES = "files"


@dataclass(frozen=True)
class Repair:
    """Edits that belong together and are kept or refused as one.

    ``codes`` are the findings that it resolves, or was meant to resolve if it was refused. ``edits`` pairs each edit
    with its file. ``title`` says in a few words what is done, ``why`` what was wrong, ``source`` what proposed it
    (``patch split-last``, ``token flags``, …), ``target`` what is changed.
    """

    codes: tuple[str, ...]
    title: str
    why: str
    source: str
    edits: tuple[tuple[str, Edit], ...]
    target: Target = Target.TEMPLATE


@dataclass(frozen=True)
class Refusal:
    """A repair that was refused, and the reason.

    ``evidence`` shows it in a conversation, ``decide`` says what the repair mends and what a person has to decide.
    """

    repair: Repair
    reason: str
    evidence: tuple[Evidence, ...] = ()
    decide: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """How repaired templates work in other engines, and for programs that read templates as text.

    ``engines`` maps each engine of the table to the constructs of these templates that it runs differently from
    transformers; if there are none, the repair takes effect there. ``unread`` are sentences on what such programs found
    in the text before and no longer find. ``leaks`` shows a conversation that goes wrong in engines with leaking loops.
    """

    engines: Mapping[str, tuple[str, ...]]
    unread: tuple[str, ...] = ()
    leaks: Evidence | None = None


@dataclass(frozen=True)
class PatchResult:
    """The result of ``patch`` for one model, in memory: nothing is written yet.

    ``changed`` maps each changed file to its text before and after. ``asked`` are the template variables with which
    ``after`` was checked, if the repaired template behaves like the original unless they are passed. ``served`` shows
    what changes for callers who pass none, see `serving.changed_prompt`. ``elsewhere`` is on other engines.
    """

    before: Report
    after: Report
    kept: tuple[Repair, ...]
    refused: tuple[Refusal, ...]
    changed: Mapping[str, tuple[str, str]]
    asked: Flags = ()
    served: Evidence | None = None
    elsewhere: Elsewhere | None = None

    @property
    def unmarked(self) -> bool:
        """Whether generation markers were requested, and some template could not get any."""
        return any(refusal.repair.target is Target.MARKERS for refusal in self.refused)

    def __repr__(self) -> str:
        files = f" in {', '.join(sorted(self.changed))}" if self.changed else ""
        return f"<PatchResult of {self.before.model}: {len(self.kept)} repairs{files}; after: {self.after.verdict}>"

    def _repr_html_(self) -> str:
        return _findings_html(repr(self).strip("<>"), self.after.findings)

    def changes(self, *targets: Target) -> bool:
        """Whether any repair that was made changes one of these targets."""
        return any(repair.target in targets for repair in self.kept)


@dataclass(frozen=True)
class Patched:
    """The result of ``patch`` for one model, and what was written.

    ``written`` is the directory that was written to, None if nothing was to be written. If it is another directory than
    the model's, ``copied`` are the files that were copied unchanged, ``left`` those that were not copied. ``text`` is
    the repaired text of a template from stdin.
    """

    result: PatchResult
    written: str | None
    left: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()
    text: str = ""

    def __repr__(self) -> str:
        written = f"written to {self.written}" if self.written else "nothing written"
        return f"<Patched: {written}; {self.result!r}>"

    def _repr_html_(self) -> str:
        return self.result._repr_html_()


def _findings_html(title: str, findings: Iterable[Finding]) -> str:
    """Return an HTML table of findings, each with its experiments, for notebooks."""
    from template_fix.text.html import escape_text

    rows = "".join(
        f"<tr><td>{finding.level.value}</td><td>{finding.code}</td>"
        f"<td>{escape_text(finding.message)}{''.join(map(_experiment_html, finding.evidence))}</td>"
        f"<td>{escape_text(finding.fix or '')}</td></tr>"
        for finding in findings
    )
    return f"<p><b>{escape_text(title)}</b></p>" + (f"<table>{rows}</table>" if rows else "")


def _experiment_html(evidence: Evidence) -> str:
    """Return an experiment as a foldable HTML element: lost text is struck out, stray text is marked."""
    from template_fix.text.html import escape_text, tag_parts

    sides = (
        (evidence.labels[0], evidence.given, evidence.lost, "del"),
        (evidence.labels[1], evidence.printed, evidence.stray, "mark"),
    )
    texts = "".join(
        f"<div>{escape_text(label)}</div><pre>{tag_parts(cut(text, _SHOWN), parts, tag)}</pre>"
        for label, text, parts, tag in sides
        if text
    )
    return f"<details><summary>{escape_text(evidence.subject)}</summary>{texts}</details>"


Outcome = Report | Patched | Failed
