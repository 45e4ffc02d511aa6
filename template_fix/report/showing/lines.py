"""The lines of ``show``: what is printed and dropped, the tokens, and which of them are trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from template_fix.report.alignment import Run
from template_fix.report.showing.mask import Masked
from template_fix.report.showing.rendering import Shown
from template_fix.report.showing.show import Showing, TagTokens
from template_fix.report.terminal import Line, Piece, Style, line
from template_fix.text.display import cut, short

_STYLES: dict[str, Style] = {"kept": "", "dropped": "lost", "template": "dim"}


def showing_lines(showing: Showing) -> Iterator[Line]:
    """Yield the report of ``show`` on one model."""
    named = "" if showing.variant == "default" else f" {short(showing.variant)}"
    yield line(Piece(short(showing.model), "title"), f", template{named} in {short(showing.template)}")
    if showing.engine:
        otherwise = len(showing.otherwise)
        told = Piece(f"{otherwise} of {len(showing.shown)} differently", "warning") if otherwise else "the same"
        yield line(f"as {showing.engine} prints it; transformers prints ", told, indent=2)
    for number, shown in enumerate(showing.shown):
        yield line("")
        yield from shown_lines(shown)
        if showing.masks:
            yield from _mask_lines(showing.masks[number])
    yield line("")
    if showing.mask_note:
        yield line(cut(showing.mask_note), hang=2)
    if showing.note:
        yield line(cut(showing.note))
    else:
        yield from token_lines(showing.tags)


def shown_lines(shown: Shown) -> Iterator[Line]:
    """Yield one conversation, role by role."""
    yield line(Piece(short(shown.title), "title"))
    if shown.failure is not None:
        yield line(Piece("the template refuses it: ", "warning"), cut(shown.failure), indent=2)
    for turn in shown.turns:
        yield line(Piece(short(turn.role), "code"), indent=2)
        yield from _run_lines(turn.runs)


def _run_lines(runs: Sequence[Run]) -> Iterator[Line]:
    """Yield the runs, with a new line at each of their line breaks."""
    pieces: list[Piece] = []
    for run in runs:
        first, *more = run.text.split("\n")
        pieces.append(Piece(first, _STYLES[run.kind]))
        for part in more:
            yield _run_line(pieces)
            pieces = [Piece(part, _STYLES[run.kind])]
    if any(piece.text for piece in pieces):
        yield _run_line(pieces)


def _run_line(pieces: Sequence[Piece]) -> Line:
    return line(*(piece for piece in pieces if piece.text), indent=4)


def _mask_lines(masked: Masked) -> Iterator[Line]:
    """Yield the tokens of one conversation; those that are trained on have their own style."""
    trained = sum(token.trained for token in masked.tokens)
    what = "tokens" if masked.tokenized else "pieces of text"
    yield line(Piece(f"{len(masked.tokens)} {what}, {trained} of them trained on:", "dim"), indent=2)
    pieces: list[Piece] = []
    for token in masked.tokens:
        style: Style = "added" if token.trained else ""
        if pieces and pieces[-1].style == style:
            pieces[-1] = Piece(f"{pieces[-1].text}·{token.text}", style)
        else:
            pieces += [Piece("·")] * bool(pieces) + [Piece(token.text, style)]
        if token.text.endswith("\n"):
            yield line(*pieces, indent=4)
            pieces = []
    if pieces:
        yield line(*pieces, indent=4)


def token_lines(tags: Sequence[TagTokens]) -> Iterator[Line]:
    """Yield how each tag becomes tokens."""
    yield line(Piece("tags as tokens", "title"))
    for tag in tags:
        tokens = " ".join(f"{number}={short(token)}" for number, token in tag.tokens)
        fate = (
            Piece("decode(skip_special_tokens=True) drops it", "error") if tag.special else Piece("survives decoding")
        )
        many = "1 token" if len(tag.tokens) == 1 else f"{len(tag.tokens)} tokens"
        yield line(short(tag.tag), f": {many}, {tokens}; ", fate, indent=2, hang=2)
