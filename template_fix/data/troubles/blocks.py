"""What can be wrong with contents that are lists of blocks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from template_fix.data.shapes.operations import recorded
from template_fix.data.texts import find, reasoning_blocks
from template_fix.data.troubles.calls import RESULTS
from template_fix.data.troubles.kinds import Trouble
from template_fix.data.troubles.reasoning import between
from template_fix.data.troubles.view import View


def troubles_of_blocks(view: View, printed: str) -> Iterator[Trouble]:
    """Yield contents of which a block is printed as it stands, and blocks of reasoning that are printed without tags.

    Results of tools are left out, which some templates print as JSON.
    """
    for number, message in enumerate(view.row.messages):
        content = message.get("content") if message["role"] not in RESULTS else None
        blocks = list(enumerate(content)) if isinstance(content, list) else []
        stand = (at for at, block in blocks if isinstance(block, Mapping) and block and _as_it_stands(block, printed))
        if (at := next(stand, None)) is not None:
            yield Trouble("printed_as_data", number + 1, f"messages[{number}].content[{at}]")
        elif kinds := reasoning_blocks(message):
            yield from _without_tags(view, printed, number, kinds[0])


def _without_tags(view: View, printed: str, number: int, kind: str) -> Iterator[Trouble]:
    """Find reasoning in blocks of its own type that is printed like an answer, as templates do that read any text."""
    own = view.template.own
    said = [each.text for each in view.texts if each.message == number and each.part == "reasoning"] if own else []
    if any(find(printed, text) >= 0 and not any(between(a, text, b, printed) for a, b in own) for text in said):
        yield Trouble("reasoning_as_text", number + 1, f"a block of type {kind}, between no tags of the model's")


@recorded
def _as_it_stands(block: object, printed: str) -> bool:
    return str(block) in printed or any(
        json.dumps(block, ensure_ascii=ascii, default=str) in printed for ascii in (False, True)
    )
