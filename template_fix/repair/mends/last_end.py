"""The last turn without an end: it is owed the one that the template prints where another message follows."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import Rendering
from template_fix.contract.mended import Owed
from template_fix.contract.placing import end_of, locate
from template_fix.contract.turn_ends import parts_around_texts, turn_ends
from template_fix.conversations.probe import Key, Probe
from template_fix.jinja.renderer import Failure
from template_fix.jinja.templates import Template, lex
from template_fix.repair.mends import Mend
from template_fix.repair.proposers import Proposal, short
from template_fix.repair.splice import literal, tag_behind
from template_fix.repair.study import Study
from template_fix.repair.trials import find_flips
from template_fix.text.edits import Edit, Span
from template_fix.trace.recorder import Site, Trace

_WHY = "The last message ends as it does where another one follows; nothing else is printed differently."


def _probes(study: Study) -> Iterator[Probe]:
    for shape in ("su", "uct", "uctaua", "suaua"):
        yield study.asked(shape)


def _owed(study: Study) -> Owed:
    ends, examined = turn_ends(study.examined), study.examined
    end = ends.between if ends else ""
    usual = _tail("", (parts_around_texts(examined, "uaua") or ["", "", ""])[2], end)

    def owed(each: Rendering, old: str | Failure) -> tuple[str, ...]:
        plain, (followed, said) = examined.text(each.probe, each.upto), _followed(study, each)
        if isinstance(old, Failure) or isinstance(plain, Failure) or isinstance(followed, Failure) or not usual:
            return ()
        parts = [part for part in each.probe.parts if part.message < each.upto]
        behind, going_on = (text[end_of(locate(parts, text)) :] for text in (plain, followed))
        tail = _tail(behind, going_on.partition(said)[0] if said else going_on, end)
        if not tail or not old.startswith(plain) or end in old[len(plain) :]:
            return ()
        return tuple(f"{plain}{ended}{old[len(plain) :]}" for ended in dict.fromkeys((tail, tail.rstrip(), usual)))

    return owed


def _followed(study: Study, each: Rendering) -> tuple[str | Failure, str]:
    """Return what is printed of a conversation that goes on, and how it does: by its next message, or by another one.

    It goes on by another where the next one makes it fail, or there is none.
    """
    probe, upto = each.probe, each.upto
    other = {"role": "assistant" if probe.messages[upto - 1]["role"] == "user" else "user", "content": "And then?"}
    for message in (*probe.messages[upto : upto + 1], other):
        given = [*probe.messages[:upto], message]
        text = study.examined.renderer(given, probe.tools, **study.examined.set_for(probe))
        if isinstance(text, str):
            said = message.get("content")
            return text, said if isinstance(said, str) else ""
    return Failure("it doesn't go on"), ""


def _tail(behind: str, going_on: str, end: str) -> str:
    """Return the end of a turn, with the white space around it, in what is printed up to the next message's text.

    ``behind`` is what stands behind the last text where nothing follows. A turn may be printed differently where it
    isn't the last one, as to its reasoning, or an id of its call: its end is what counts.
    """
    if going_on.startswith(behind):
        behind, going_on = "", going_on[len(behind) :]
    front, found, rest = going_on.partition(end) if end else (going_on, "", "")
    if not found:
        return ""
    blank = front[len(front.rstrip()) :].removeprefix(behind[len(behind.rstrip()) :])
    return blank + found + rest[: len(rest) - len(rest.lstrip())]


def _proposals(study: Study, owed: Owed) -> Iterator[Proposal]:
    ended = study.examined.probes.get(("ua", Key("plain")))
    for site, outcome in _ending(study, study.trace, ended, owed) if ended and study.trace else ():
        title = f"end the last message, too, whatever comes of {short(site.span.of(study.source))}"
        edits = _unwrapped(study.template, site.node, outcome)
        if edits:
            yield Proposal("TF210", "mend", title, _WHY, site.span, edits)
        yield Proposal("TF210", "mend", title, _WHY, site.span, (Edit(site.span, str(outcome).lower()),))
    yield from _behind_loops(study)


def _ending(study: Study, trace: Trace, ended: Probe, owed: Owed) -> Iterator[tuple[Site, bool]]:
    """Yield the tests with whose other outcome the last turn has its end, with that outcome."""
    asked = Rendering(ended, len(ended.messages))
    wanted = owed(asked, asked.text(study.examined))
    for number, outcome in find_flips(trace, ended):
        forced = trace.forced(tests={number: outcome})
        if forced(ended.messages, ended.tools, **study.examined.set_for(ended)) in wanted:
            yield trace.tests[number], outcome


def _unwrapped(template: Template, test: nodes.Node, outcome: bool) -> tuple[Edit, ...]:
    """Return the edits that leave of an ``if`` what one outcome prints, none where its test isn't a whole ``if``."""
    node = next((each for each in template.all_nodes if isinstance(each, nodes.If) and each.test is test), None)
    span = template.span(node) if node else None
    if node is None or span is None or node.elif_ or not (node.body if outcome else node.else_):
        return ()
    tags = _tags(template, span)
    if len(tags) < 2 or (node.else_ and len(tags) != 3):
        return ()
    first, *middle, last = tags
    kept = Span(first.end, (*middle, last)[0].start) if outcome else Span(middle[0].end, last.start)
    gone = (Span(first.start, kept.start), Span(kept.end, last.end))
    return tuple(Edit(_whole_lines(template.source, span), "") for span in gone)


def _whole_lines(source: str, span: Span) -> Span:
    """Return a span with the indentation and the line break around it, where it has its lines for itself."""
    start, end = source.rfind("\n", 0, span.start) + 1, source.find("\n", span.end) + 1
    if end and not source[start : span.start].strip() and not source[span.end : end].strip():
        return Span(start, end)
    return span


def _tags(template: Template, statement: Span) -> list[Span]:
    """Return the tags of a statement itself: those of its ``if``, ``else`` and ``endif``."""
    found: list[Span] = []
    depth, start, named = 0, 0, True
    for token in lex(template.source):
        if token.kind == "block_begin":
            start, named = token.start, False
        elif token.kind == "name" and not named:
            named = True
            if start + 2 > statement.end or token.start < statement.start:
                start = -1
            elif token.text == "if":
                depth += 1
                start = start if depth == 1 else -1
            elif token.text == "endif":
                start = start if depth == 1 else -1
                depth -= 1
            elif token.text != "else" or depth != 1:
                start = -1
        elif token.kind == "block_end" and start >= 0 and named:
            found.append(Span(start, token.start + len(token.text.rstrip())))
            start = -1
    return found


def _behind_loops(study: Study) -> Iterator[Proposal]:
    """Yield edits that print the end behind a loop over the messages."""
    ends = turn_ends(study.examined)
    between = (parts_around_texts(study.examined, "uaua") or ["", "", ""])[2]
    tail = _tail("", between, ends.between if ends else "")
    eos = str(study.variables.get("eos_token") or "")
    said = f"eos_token ~ {literal(tail[len(eos) :])}" if eos and tail.startswith(eos) else literal(tail)
    said = said.removesuffix(" ~ ''")
    loops = [study.template.span(node) for node in study.template.tree.body if isinstance(node, nodes.For)]
    for span in filter(None, loops if tail else ()):
        for test in ("messages", "messages[-1].role == 'assistant'"):
            edit = tag_behind(study.template, span.end, (test, f"{{{{- {said} }}}}"))
            yield Proposal("TF210", "mend", "end the last message, too", _WHY, span, (edit,))


MEND = Mend(_probes, _owed, _proposals)
