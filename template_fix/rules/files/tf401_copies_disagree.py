"""Copies of the template disagree, so engines render differently.

## What
The directory holds several copies of one template, they aren't the same, and readers look in different places:
transformers takes chat_template.jinja, llama.cpp's converter and TGI take tokenizer_config.json.

## Why
The model is trained with one template and served with another. Nothing fails; answers just get worse, and a defect that
was repaired in one copy lives on in the other.

## Example
`save_pretrained` wrote chat_template.jinja beside an older `chat_template` in tokenizer_config.json: transformers
renders the new one, a GGUF made from the directory carries the old one.

## Fix
Keep the copy that you mean, and make the others equal or delete them. No tool can know which one that is; `patch`
repairs every copy by itself. Copies whose texts differ but print the same are no finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from template_fix.bounds.limits import LimitExceeded, run_in_turn
from template_fix.checkpoint.checkpoint import Checkpoint, TemplateCopy
from template_fix.conversations.battery import battery
from template_fix.conversations.probe import Probe
from template_fix.conversations.tags import USUAL, Tags
from template_fix.jinja.renderer import Failure, Renderer, RenderError
from template_fix.results import Evidence, Finding, Level, compare_texts
from template_fix.tokens.reasoning_tokens import listed
from template_fix.tokens.tagged_checkpoint import Subject

CODE = "TF401"
LEVEL = Level.WARNING
SUMMARY = "copies of the template disagree, so engines render differently"
# Computing time for all copies of a model together.
SECONDS = 4.0


class Disagreement(NamedTuple):
    """What was tried, and what the first and the second template print of it."""

    tried: str
    printed: str
    instead: str


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each copy that prints something else than the one that the tokenizer reads."""
    checkpoint = subject.checkpoint
    variants = dict.fromkeys(copy.variant for copy in checkpoint.templates)
    by_variant = [_readers(checkpoint, variant) for variant in variants]
    pairs = [(readers, first, other) for readers in by_variant for first, *rest in [list(readers)] for other in rest]
    found = _differences(subject, [(first.source, other.source) for _, first, other in pairs])
    for (readers, first, other), difference in zip(pairs, found, strict=True):
        if difference:
            tried = f"{difference.tried}: {first.file}, then {other.file}"
            yield _finding(readers, first, other, compare_texts(tried, *difference[1:], ("first", "second")))


def _readers(checkpoint: Checkpoint, variant: str) -> dict[TemplateCopy, list[str]]:
    """Return the copies of a variant that differ in more than line ends, each with those who read it."""
    readers: dict[TemplateCopy, list[str]] = {}
    by_text: dict[str, TemplateCopy] = {}
    for reader, views in checkpoint.seen.items():
        copy = views.get(variant)
        if copy:
            # Jinja reads every line end as LF and drops the last one.
            same = by_text.setdefault(copy.source.replace("\r\n", "\n").removesuffix("\n"), copy)
            readers.setdefault(same, []).append(reader)
    return readers


def _differences(subject: Subject, pairs: Sequence[tuple[str, str]]) -> list[Disagreement | None]:
    """Return for each pair of templates the first conversation that they print differently."""
    tags = Tags(*(subject.tags or (USUAL,))[0])
    names = {record.name: record.content for record in subject.checkpoint.records if record.name}
    tried = run_in_turn(_first_difference, [(*pair, tags, names) for pair in pairs], computing=SECONDS)
    return [
        Disagreement("the templates", "", f"it {each}") if isinstance(each, LimitExceeded) else each for each in tried
    ]


def _first_difference(one: str, other: str, tags: Tags, names: dict[str, str]) -> Disagreement | None:
    """Return a conversation that two templates print differently, and what they print."""
    try:
        return _compared(one, other, tags, names)
    except RenderError as error:
        return Disagreement("the templates", "", str(error))


def _compared(one: str, other: str, tags: Tags, names: dict[str, str]) -> Disagreement | None:
    renderers = Renderer(one, names), Renderer(other, names)
    for probe in battery(tags, dict):
        for prompt in (False, True):
            printed, instead = (_printed(renderer, probe, prompt) for renderer in renderers)
            if printed != instead:
                tried = probe.describe() + (", with the generation prompt" if prompt else "")
                return Disagreement(tried, printed, instead)
    return None


def _printed(renderer: Renderer, probe: Probe, prompt: bool) -> str:
    printed = renderer(probe.messages, probe.tools, prompt, **dict(probe.flags))
    return f"(fails: {printed.reason})" if isinstance(printed, Failure) else printed


def _finding(
    readers: dict[TemplateCopy, list[str]], first: TemplateCopy, other: TemplateCopy, evidence: Evidence
) -> Finding:
    at = next((i for i, (a, b) in enumerate(zip(first.source, other.source, strict=False)) if a != b), 0)
    named = f"the template {other.variant!r}" if other.variant != "default" else "the template"
    return Finding(
        CODE,
        LEVEL,
        f"{named} in {other.file}, read by {listed(readers[other])}, prints something else than the one in "
        f"{first.file}, read by {listed(readers[first])}",
        other.place(min(at, len(other.source))),
        (evidence,),
        "keep the copy that you mean, and make the others equal or delete them",
    )
