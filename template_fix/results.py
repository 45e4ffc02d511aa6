"""What a check and a patch come to: findings, repairs and reports, plain values that can be told in any format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256

from template_fix.options import Flags
from template_fix.text.display import cut
from template_fix.text.edits import Edit, Span, differing_spans
from template_fix.text.html import escape_text, tag_parts

# How much of a text is shown in a notebook.
_SHOWN = 4_000
# How far in front of what differs a text is shown, at most.
_BESIDE = 200


class Level(str, Enum):
    """How much a finding matters; see the table in docs/rules.md."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Place:
    """Where a finding is.

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
    """One experiment: what went in, what came out, and what of it was lost.

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
    """Return the experiment that gave two texts, with the part in which they differ as what is lost, and stray."""
    lost, stray = (
        _differing_part(text, span) for text, span in zip((one, other), differing_spans(one, other), strict=True)
    )
    return Evidence(subject, one, other, lost, stray, labels)


def _differing_part(text: str, span: Span) -> tuple[str, ...]:
    """Return a part of a text, from so far in front of it that it stands nowhere before; nothing of an empty one."""
    if span.start == span.end:
        return ()
    starts = range(span.start, max(span.start - _BESIDE, -1), -1)
    start = next((start for start in starts if text.find(text[start : span.end]) == start), span.start)
    return (text[start : span.end],)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, as a rule reports it.

    ``message`` is one sentence that a stranger understands, ``fix`` one sentence on what to do about it, or None
    where nothing can be done by an edit. ``patch_with`` are the options with which ``patch`` looks for a repair of it,
    "" where it needs none, None where it doesn't.
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
        """What stays the same of a finding where lines move: its code, its file and template, and the line at fault."""
        place = self.place or Place("")
        said = (self.code, place.file, place.template or "", (place.source or "").strip())
        return sha256("\0".join(said).encode("utf-8", "surrogatepass")).hexdigest()[:20]


@dataclass(frozen=True)
class NotRendered:
    """A template's reason for refusing conversations, and those, in words."""

    reason: str
    conversations: tuple[str, ...]


@dataclass(frozen=True)
class Unevaluated:
    """A rule of which nothing can be said of a template, and why: that it found nothing means nothing."""

    code: str
    reason: str


@dataclass(frozen=True)
class TemplateSummary:
    """What was learned about one chat template.

    ``tags`` are its reasoning delimiters, as pairs of opening and closing text; ``reasoning`` tells whether the
    template has any notion of reasoning; of ``probes`` conversations it rendered ``accepted``, and ``refused``
    has the others by the reason. Where a repair was looked for, its conversations took ``exercised``
    of the template's ``tests`` both ways. ``versions`` says, a sentence each, what one of transformers 4.57 and 5 loses
    that the other prints. ``forms`` are those that the template refuses as a whole, such as a system prompt, and
    ``fitting`` of its conversations are of none of these. ``unevaluated`` are the rules that could not be asked.
    ``source`` is its text.
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
        """Why nothing can be said of the template's reasoning, "" where it was tried."""
        if self.probes and not self.reasoning:
            return "no reasoning tags were found in the template"
        return "the template refuses most of the conversations" if self.mostly_refused else ""

    @property
    def mostly_refused(self) -> bool:
        """Whether more conversations were refused than rendered, without those of a form that is refused as a whole."""
        return self.accepted * 2 < (self.fitting or self.probes)


@dataclass(frozen=True)
class Report:
    """What ``check`` has to say of one model; ``findings`` are in the order of their codes and places.

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
        """Why there is no verdict on the reasoning of templates: without a trial nothing is right or wrong."""
        return tuple(dict.fromkeys(filter(None, (template.unjudged for template in self.templates))))

    @property
    def verdict(self) -> str:
        """What it comes to: ``2 errors, 1 note``."""
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
    """A model that could not be worked on, and why, in one line."""

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

    ``codes`` are what it resolves; of a repair that was refused, what it was meant to resolve. ``edits`` pairs each
    edit with the file it is made in, ``title`` says what is done in a few words, ``why`` what that brings, ``source``
    what proposed it (``patch split-last``, ``token flags``, …), ``target`` what is changed.
    """

    codes: tuple[str, ...]
    title: str
    why: str
    source: str
    edits: tuple[tuple[str, Edit], ...]
    target: Target = Target.TEMPLATE


@dataclass(frozen=True)
class Refusal:
    """A repair that the judge turned down, and the reason, in one sentence."""

    repair: Repair
    reason: str


@dataclass(frozen=True)
class Elsewhere:
    """What repaired templates are to other engines, and to programs that read templates as text.

    ``engines`` maps each engine of the table to the constructs of these templates that it runs otherwise than
    transformers: where there are none, the repair takes effect there. ``unread`` says what was read before and no
    longer is. ``leaks`` shows a conversation that goes wrong from now on where loops leak, see `leak`.
    """

    engines: Mapping[str, tuple[str, ...]]
    unread: tuple[str, ...] = ()
    leaks: Evidence | None = None


@dataclass(frozen=True)
class PatchResult:
    """What ``patch`` did to one model, in memory: nothing is written yet.

    ``changed`` maps each changed file to its text before and after. ``asked`` are the template variables that ``after``
    was checked with, where the repaired template does what it used to until it is asked. ``served`` shows what changes
    for those who pass none, see `serving.changed_prompt`, ``elsewhere`` what the repair is outside of transformers.
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
        """Whether generation markers were asked for, and a template could not be given any."""
        return any(refusal.repair.target is Target.MARKERS for refusal in self.refused)

    def __repr__(self) -> str:
        files = f" in {', '.join(sorted(self.changed))}" if self.changed else ""
        return f"<PatchResult of {self.before.model}: {len(self.kept)} repairs{files}; after: {self.after.verdict}>"

    def _repr_html_(self) -> str:
        return _findings_html(repr(self).strip("<>"), self.after.findings)

    def changes(self, *targets: Target) -> bool:
        """Whether a repair that stands changes one of these."""
        return any(repair.target in targets for repair in self.kept)


@dataclass(frozen=True)
class Patched:
    """What became of a model's patch.

    ``written`` is the directory that it was written to, None where nothing was to be written. Where that isn't the
    model's own, ``left`` are the files that stayed behind, ``copied`` those that went along unchanged. ``text`` is what
    becomes of a template that came from stdin.
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
    """Return findings as a table, each with its experiments, for notebooks."""
    rows = "".join(
        f"<tr><td>{finding.level.value}</td><td>{finding.code}</td>"
        f"<td>{escape_text(finding.message)}{''.join(map(_experiment_html, finding.evidence))}</td>"
        f"<td>{escape_text(finding.fix or '')}</td></tr>"
        for finding in findings
    )
    return f"<p><b>{escape_text(title)}</b></p>" + (f"<table>{rows}</table>" if rows else "")


def _experiment_html(evidence: Evidence) -> str:
    """Return an experiment that can be opened: what was lost is struck out, and what is stray is marked."""
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
