"""What can be wrong with a row of training data: each kind once, with its sentence and what to do about it.

To add a kind, add an entry here, and what finds it in `reasoning` or `calls`. It is then counted, told and listed
like the others.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from template_fix.conversations.rows import Trouble

__all__ = ["KINDS", "OF_REASONING", "Kind", "Trouble"]

Level = Literal["error", "warning", "note"]


class Kind(NamedTuple):
    """One kind of trouble: its name in JSON, how much it matters, what is said of rows that have it, and the way on.

    Rows with an error aren't trained on as they are; a note is for information.
    """

    name: str
    level: Level
    says: str
    do: str = ""


_REWRITE = "--rewrite OUT.jsonl gives the rows with their reasoning where this template prints it"
_ALL = (
    Kind("failed", "error", "aren't rendered"),
    Kind("broken", "error", "are broken"),
    Kind("layout", "error", "hold no conversation, by their columns"),
    Kind("lost", "error", "lose reasoning or answers"),
    Kind("reasoning_as_text", "error", "print reasoning as plain text, and not as this model's reasoning", _REWRITE),
    Kind("reasoning_twice", "error", "print the same reasoning twice", f"keep it in one place; {_REWRITE}"),
    Kind(
        "unclosed",
        "error",
        "have a block of reasoning that is never closed, or by another tag",
        "close it with the tag that belongs to it, or all behind it is learned as reasoning",
    ),
    Kind(
        "block_added",
        "error",
        "are given an empty block of reasoning, which no prompt of this template has",
        "the model learns to write it into each answer; train with a template that prints it for reasoning alone",
    ),
    Kind(
        "message_lost",
        "error",
        "have a message that isn't printed",
        "use a role, a place, or a form of content that the template prints",
    ),
    Kind(
        "printed_as_data",
        "error",
        "have contents that are lists of blocks, and print them as they stand, with their braces",
        "the model learns the braces; give contents as text, as --rewrite OUT.jsonl does of lists with one text",
    ),
    Kind(
        "call_lost",
        "error",
        "have a tool call whose name isn't printed",
        "give tool_calls the form that the template reads, or take a template that prints calls",
    ),
    Kind(
        "empty_first",
        "warning",
        "print an empty block in front of the reasoning",
        f"take it out of the row, if it stands there; {_REWRITE}",
    ),
    Kind(
        "closed_at_once",
        "warning",
        "have a turn without reasoning, which closes at once the block that the prompt opens",
        "the model learns not to reason; add reasoning to these turns, or leave the rows out",
    ),
    Kind(
        "encoded_twice",
        "warning",
        "print JSON that is encoded twice, with escaped quotes",
        "pass an object and no text: json.loads",
    ),
    Kind(
        "nulls",
        "warning",
        "print null for keys without a value, as Arrow pads them",
        "drop keys that are null from tools and arguments before the template is applied, or keep them as JSON text",
    ),
    Kind("empty_calls", "warning", "are printed differently because tool_calls is an empty list", "leave the key out"),
    Kind(
        "column_unread",
        "warning",
        "have reasoning in a column of its own, which no template prints",
        "--column reasoning=NAME reads it as that of the last answer; --rewrite OUT.jsonl puts it there",
    ),
    Kind(
        "versions_differ",
        "warning",
        "are printed differently by transformers 4.57 than by 5",
        "--transformers 4.57 or 5 renders as the version that you train with",
    ),
    Kind(
        "block_unasked",
        "note",
        "have a turn without reasoning, and are given the empty block that stands for none in this model",
        "it is trained on unless it is in the prompt: pass enable_thinking=false to the template with these rows, in a "
        "column chat_template_kwargs",
    ),
    Kind("messages_as_text", "note", "have messages as JSON text", "parse it before training: json.loads"),
    Kind("no_turn", "note", "have no turn of the model, so that nothing of them is judged but their prompt"),
)
KINDS = {kind.name: kind for kind in _ALL}
# What a rewritten row must not have.
OF_REASONING = frozenset(
    {"reasoning_as_text", "reasoning_twice", "unclosed", "empty_first", "column_unread", "printed_as_data"}
)
