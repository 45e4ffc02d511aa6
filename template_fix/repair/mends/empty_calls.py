"""Calls without content that fail in one form: they are owed the text that the same calls have in another form."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from template_fix.contract.examination import Rendering
from template_fix.contract.mended import Owed, renderings
from template_fix.conversations.probe import Probe
from template_fix.jinja.renderer import Failure, Message, Renderer, RenderError
from template_fix.repair import places
from template_fix.repair.mends import Mend
from template_fix.repair.proposers import Proposal, short
from template_fix.repair.splice import put_expression, tidy
from template_fix.repair.study import Study
from template_fix.text.edits import Edit, Span, apply

_MOST = 6
_SHAPES = ("uct", "ucta", "suctaua", "uctcta", "uctua")
_FORMS = (("", False), (None, False), (None, True))
_ABSENT: object = object()
_WHY = "A call without content is printed as the same call with an empty text; all else is printed as before."


def _probes(study: Study) -> Iterator[Probe]:
    for shape in _SHAPES:
        for empty, legacy in _FORMS:
            yield study.asked(shape, empty=empty, legacy=legacy)


def _owed(study: Study) -> Owed:
    def owed(each: Rendering, old: str | Failure) -> tuple[str, ...]:
        messages = each.probe.messages[: each.upto]
        if not isinstance(old, Failure) or old.raised or not any(map(_says_nothing, messages)):
            return ()
        set_for = study.examined.set_for(each.probe)
        for content in ("", _ABSENT, None):
            other = [_with_content(message, content) for message in messages]
            text = study.examined.renderer(other, each.probe.tools, each.prompt, **set_for)
            if isinstance(text, str):
                return (text,)
        return ()

    return owed


def _says_nothing(message: Message) -> bool:
    return bool(message.get("tool_calls")) and not message.get("content")


def _with_content(message: Message, content: object) -> Message:
    """Return a message with its content in another form, where it is one that says nothing."""
    if not _says_nothing(message):
        return message
    rest = {key: value for key, value in message.items() if key != "content"}
    return rest if content is _ABSENT else {**rest, "content": content}


def _proposals(study: Study, owed: Owed) -> Iterator[Proposal]:
    failing = [
        (each, wanted)
        for each in renderings(study.examined.probes.values())
        if isinstance(old := each.text(study.examined), Failure)
        for wanted in owed(each, old)
    ]
    for default in ("''", "none"):
        edits = _mended(study, failing, default)
        if edits:
            first = min(edit.span for edit in edits)
            title = f"read {short(first.of(study.source))} as {default} where a call has no content"
            yield Proposal("TF211", "mend", title, _WHY, first, tuple(edits))


def _mended(study: Study, failing: list[tuple[Rendering, str]], default: str) -> list[Edit] | None:
    """Return the edits of reads of contents with which every conversation prints what is owed, found one by one."""
    made: dict[Span, Edit] = {}
    reads = [span for node in study.template.all_nodes if _reads_content(node) and (span := study.template.span(node))]
    for _ in range(_MOST):
        renderer = _compiled(study, made)
        still = next(((each, text) for each, text in failing if _rendered(study, renderer, each) != text), None)
        if still is None:
            return tidy(study.template, list(made.values()))
        better = _better(study, made, [span for span in reads if span not in made], still, default)
        if better is None:
            return None
        made[better.span] = better
    return None


def _better(
    study: Study, made: dict[Span, Edit], reads: list[Span], still: tuple[Rendering, str], default: str
) -> Edit | None:
    """Return the edit after which a conversation prints what is owed, else the one that brings it furthest."""
    each, wanted = still
    old = _rendered(study, _compiled(study, made), each)
    at = places.line(study, old.line) if isinstance(old, Failure) else None
    near = sorted(reads, key=lambda span: abs(span.start - at.start) if at else 0)
    further: Edit | None = None
    for span in near:
        edit = put_expression(span, f"{span.of(study.source)} or {default}")
        new = _rendered(study, _compiled(study, {**made, span: edit}), each)
        if new == wanted:
            return edit
        if isinstance(old, Failure) and (not isinstance(new, Failure) or new.line > old.line or new != old):
            further = further or edit
    return further


def _compiled(study: Study, made: dict[Span, Edit]) -> Renderer | None:
    try:
        return Renderer(apply(study.source, made.values()), study.variables)
    except RenderError:
        return None


def _rendered(study: Study, renderer: Renderer | None, each: Rendering) -> str | Failure:
    if renderer is None:
        return Failure("it doesn't compile")
    messages = each.probe.messages[: each.upto]
    return renderer(messages, each.probe.tools, each.prompt, **study.examined.set_for(each.probe))


def _reads_content(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Getattr):
        return node.ctx == "load" and node.attr == "content"
    return (
        isinstance(node, nodes.Getitem)
        and node.ctx == "load"
        and isinstance(node.arg, nodes.Const)
        and node.arg.value == "content"
    )


MEND = Mend(_probes, _owed, _proposals, adds=True, whole=True)
