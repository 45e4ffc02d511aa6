"""What can be wrong with a checkpoint: one file a rule, and the rule's docstring is its page.

A rule has ``CODE``, ``LEVEL``, ``SUMMARY`` and ``check``: those on templates look at a `Study` and yield `Found`, those
on the whole checkpoint look at a `Subject` and yield `Finding`.
"""

from __future__ import annotations

from typing import Any

from template_fix.finding import Level
from template_fix.rules import (
    tf101_no_template,
    tf102_template_does_not_parse,
    tf103_template_fails,
    tf201_last_reasoning_dropped,
    tf202_earlier_reasoning_dropped,
    tf203_reasoning_field_ignored,
    tf204_turn_changes,
    tf205_prompt_is_not_the_beginning,
    tf206_text_lost,
    tf207_not_one_block,
    tf208_lone_closing_tag,
    tf301_special_tag,
    tf302_flags_disagree,
    tf303_tag_is_split,
    tf304_swallows_whitespace,
    tf401_copies_disagree,
    tf402_not_loadable,
    tf403_journal,
    tf404_other_engine,
    tf501_no_generation_markers,
    tf502_wrong_mask,
    tf503_end_does_not_stop,
    tf504_padding_is_the_end,
)

TEMPLATE_RULES: tuple[Any, ...] = (
    tf102_template_does_not_parse,
    tf103_template_fails,
    tf201_last_reasoning_dropped,
    tf202_earlier_reasoning_dropped,
    tf203_reasoning_field_ignored,
    tf204_turn_changes,
    tf205_prompt_is_not_the_beginning,
    tf206_text_lost,
    tf207_not_one_block,
    tf208_lone_closing_tag,
    tf501_no_generation_markers,
    tf502_wrong_mask,
)
# These take long, and are asked only where their findings are wanted.
ENGINE_RULES: tuple[Any, ...] = (tf404_other_engine,)
FILE_RULES: tuple[Any, ...] = (
    tf101_no_template,
    tf401_copies_disagree,
    tf402_not_loadable,
    tf403_journal,
    tf503_end_does_not_stop,
    tf504_padding_is_the_end,
)
# These run the tokenizers library on a stranger's tokenizer, so they belong inside of `limits.bounded`.
TOKEN_RULES: tuple[Any, ...] = (
    tf301_special_tag,
    tf302_flags_disagree,
    tf303_tag_is_split,
    tf304_swallows_whitespace,
)
CHECKPOINT_RULES: tuple[Any, ...] = (*FILE_RULES, *TOKEN_RULES)
RULES: tuple[Any, ...] = tuple(
    sorted(TEMPLATE_RULES + ENGINE_RULES + CHECKPOINT_RULES, key=lambda rule: str(rule.CODE))
)


def level_of(code: str) -> Level:
    """Return how grave the findings of a rule are."""
    level: Level = next(rule.LEVEL for rule in RULES if code == rule.CODE)
    return level
