"""A reasoning tag is special, so decoding skips it.

## What
`decode(ids, skip_special_tokens=True)`, the default of pipelines and servers, leaves the reasoning tags out of what
the model says. A tag can be called special in five places: `added_tokens` of tokenizer.json, `added_tokens_decoder`,
`additional_special_tokens` and `extra_special_tokens` of tokenizer_config.json, an attribute such as `think_token`,
and special_tokens_map.json. Released versions of transformers read different ones, so one directory may keep the tags
here and lose them there. In a GGUF file it is a control token: llama.cpp prints such a one with `--special`, and in
chats with a template that it takes for one that reasons.

## Why
Without its tags reasoning runs into the answer: parsers find no reasoning, users read it as the reply, and text that
is decoded to build the next training set has lost its blocks for good.

## Example
tokenizer.json says `{"content": "<think>", "special": true, …}`: the ids of `<think>yes</think>42` decode to `yes42`.

## Fix
The tag becomes an ordinary added token in every file at once, under the same id; nothing is encoded differently. An
attribute that the template prints is kept. For families whose delimiters are control tokens by design, such as
`[THINK]`, this is a note, and nothing is changed unless the code is selected.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import islice

from template_fix.results import Evidence, Finding, Level
from template_fix.tokens.loaders import LLAMA_CPP, describe, is_gguf, loaders_of, skipped_by
from template_fix.tokens.reasoning_tokens import listed, tokens_in
from template_fix.tokens.stub_tokenizer import Vocabulary
from template_fix.tokens.tagged_checkpoint import TOKEN_FILES, Subject
from template_fix.tokens.unflag import flag_span, unflag

CODE = "TF301"
LEVEL = Level.ERROR
SUMMARY = "a reasoning tag is special: decoding skips it"
NEEDS = TOKEN_FILES
UNFLAGGED = True
# A tag as in markup; <s> and the like are control tokens.
_OTHER = re.compile(r"<[A-Za-z][\w-]{2,30}>")
# Of more pairs than these, no model makes use.
_MOST = 8
_BUT = "and out of chats but where it takes the template for one that reasons"
_BY_DESIGN = ": they are control tokens by design, so read what the model says with skip_special_tokens=False"


def check(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each pair of tags of which a released loader skips one. Raises CheckpointError."""
    checkpoint = subject.checkpoint
    loaders = loaders_of(checkpoint)
    for pair in subject.tags:
        tokens = dict.fromkeys(token for tag in pair for token in tokens_in(checkpoint, tag))
        causes = {token: skipped_by(checkpoint, token) for token in tokens}
        records = [record for found in causes.values() for loader in loaders for record in found[loader]]
        tried = _tried(subject, pair, {loader: {t: bool(causes[t][loader]) for t in tokens} for loader in loaders})
        if records and any(evidence.lost for evidence in tried.values()):
            by_design = pair in subject.control_tags
            fix, mended = _fix(subject, pair, sorted({describe(record) for record in records}))
            yield Finding(
                CODE,
                Level.NOTE if by_design else LEVEL,
                f"{_message(tried)}{_BY_DESIGN * by_design}",
                checkpoint.place(records[0].file, flag_span(checkpoint, records[0])),
                tuple(dict.fromkeys(evidence for evidence in tried.values() if evidence.lost)),
                None if by_design else fix,
                "" if mended and not by_design else None,
            )
    yield from _others(subject)


def _others(subject: Subject) -> Iterator[Finding]:
    """Yield a note for the other pairs of tags, written as in markup, that decoding skips and no template prints."""
    checkpoint, known = subject.checkpoint, {tag for pair in subject.tags for tag in pair}
    if is_gguf(checkpoint):  # what its users look for in a reply is none of its own
        return
    sources = "".join(copy.source for copy in checkpoint.templates)
    contents = dict.fromkeys(record.content for record in checkpoint.records if not record.name)
    pairs = [(opening, f"</{opening[1:]}") for opening in contents if _OTHER.fullmatch(opening)]
    unknown = [pair for pair in pairs if pair[1] in contents and not {*pair} & known and pair[0] not in sources]
    skipping = (
        (pair, record)
        for pair in unknown
        for record in [each for tag in pair for found in skipped_by(checkpoint, tag).values() for each in found][:1]
    )
    some = list(islice(skipping, _MOST))
    if some:
        tags = [tag for pair, _ in some for tag in pair]
        patch_with = " ".join(f"--plain-token {shlex.quote(opening)}" for (opening, _), _ in some)
        first = some[0][1]
        yield Finding(
            CODE,
            Level.NOTE,
            f"decoding with skip_special_tokens=True drops {listed(tags)}, too, which name no reasoning: "
            "rewards and parsers that look for them find nothing",
            checkpoint.place(first.file, flag_span(checkpoint, first)),
            fix=f"where your rows have them, make them ordinary: patch {patch_with} does it",
            patch_with=patch_with,
        )


def _tried(subject: Subject, pair: tuple[str, str], special: Mapping[str, Mapping[str, bool]]) -> dict[str, Evidence]:
    """Encode and decode a text as each loader has the tokens; loaders that have them alike share the evidence."""
    given = f"{pair[0]}\n6 times 7\n{pair[1]}\n\n42"
    alike: dict[tuple[bool, ...], list[str]] = {}
    for loader, flags in special.items():
        alike.setdefault(tuple(flags.values()), []).append(loader)
    tried: dict[str, Evidence] = {}
    for loaders in alike.values():
        flags = special[loaders[0]]
        printed = Vocabulary(subject.checkpoint).round_trip(given, flags) if any(flags.values()) else given
        lost = tuple(token for token in flags if printed.count(token) < given.count(token))
        where = listed(loaders) if len(loaders) < len(special) else "every loader"
        subject_of = f"decode(encode(…), skip_special_tokens=True) in {where}"
        if is_gguf(subject.checkpoint):
            subject_of = f"a reply as {loaders[0]} prints it, without control tokens"
        evidence = Evidence(subject_of, given, printed, lost)
        tried |= dict.fromkeys(loaders, evidence)
    return tried


def _message(tried: Mapping[str, Evidence]) -> str:
    losing = [loader for loader, evidence in tried.items() if evidence.lost]
    keeping = [loader for loader, evidence in tried.items() if not evidence.lost]
    lost = dict.fromkeys(token for loader in losing for token in tried[loader].lost)
    if LLAMA_CPP in losing:
        return f"{LLAMA_CPP} leaves {listed(lost)} out of completions, {_BUT}"
    dropped = f"decoding with skip_special_tokens=True drops {listed(lost)}"
    return f"{dropped} in {listed(losing)}, not in {listed(keeping)}" if keeping else f"{dropped} in every loader"


def _fix(subject: Subject, pair: tuple[str, str], causes: list[str]) -> tuple[str, bool]:
    """Return what is to be done about a pair of tags, and whether an edit does any of it."""
    unflagged = unflag(subject.checkpoint, pair)
    files = sorted({file for file, _ in unflagged.edits})
    steps = [f"make them ordinary added tokens in {listed(files)}, with the same ids"] if files else []
    fix = "; ".join([*steps, *unflagged.notes]) or f"undo what makes them special: {listed(causes)}"
    return fix, bool(files)
