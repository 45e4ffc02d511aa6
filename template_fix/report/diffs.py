"""Changes as unified diffs: of whole files, and of the templates in them as separate texts."""

from __future__ import annotations

from collections.abc import Iterator

from template_fix.checkpoint.checkpoint import Checkpoint, TemplateCopy
from template_fix.results import PatchResult
from template_fix.text.edits import unified_diff


def raw_diff(result: PatchResult) -> str:
    """Return all changes of a patch as one unified diff of the files, for ``git apply``."""
    return "".join(unified_diff(before, after, file) for file, (before, after) in sorted(result.changed.items()))


def readable_diff(result: PatchResult) -> str:
    """Return all changes of a patch, with templates line by line, even if they are stored inside of JSON."""
    before, after = (
        Checkpoint(result.before.model, {file: texts[which] for file, texts in result.changed.items()})
        for which in (0, 1)
    )
    return "".join([*_template_diffs(before, after), *_file_diffs(before, after)])


def _template_diffs(before: Checkpoint, after: Checkpoint) -> Iterator[str]:
    for one, other in zip(before.templates, after.templates, strict=True):
        if one.source != other.source:
            name = one.file if one.literal is None else f"{one.file}, its {one.variant} template"
            yield unified_diff(one.source, other.source, name)


def _file_diffs(before: Checkpoint, after: Checkpoint) -> Iterator[str]:
    own = {copy.file for copy in before.templates if copy.literal is None}
    for file in sorted(before.files.keys() - own):
        yield unified_diff(_without_templates(before, file), _without_templates(after, file), file)


def _without_templates(checkpoint: Checkpoint, file: str) -> str:
    text = checkpoint.files[file]
    for copy in sorted((each for each in checkpoint.templates if each.file == file), key=_literal_start, reverse=True):
        if copy.literal is not None:
            text = f'{text[: copy.literal.span.start]}"…"{text[copy.literal.span.end :]}'
    return text


def _literal_start(copy: TemplateCopy) -> int:
    return copy.literal.span.start if copy.literal else 0
