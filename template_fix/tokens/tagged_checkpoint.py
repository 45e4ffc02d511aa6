"""What the rules on a checkpoint look at."""

from __future__ import annotations

from typing import NamedTuple

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import CONFIG
from template_fix.checkpoint.token_records import ADDED, GGUF_TOKENS, MAP, TOKENIZER
from template_fix.tokens.reasoning_tokens import listed

TOKEN_FILES = frozenset({TOKENIZER, CONFIG, ADDED, MAP, GGUF_TOKENS})
_NO_FILES = "no tokenizer files are here"


class Subject(NamedTuple):
    """A checkpoint and what is known of its reasoning.

    ``tags`` are the pairs of opening and closing reasoning tags that its templates and its vocabulary name,
    ``control_tags`` those among them that are control tokens by design. ``stops`` are the texts that its templates
    print at the end of a turn, ``begins`` those of special tokens that they print in front of all else.
    """

    checkpoint: Checkpoint
    tags: tuple[tuple[str, str], ...]
    control_tags: frozenset[tuple[str, str]]
    stops: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()

    def without(self, *files: str) -> str:
        """Return in words that the checkpoint has none of these files, or none on tokens; "" where it has one."""
        if self.checkpoint.files.keys() & {*files}:
            return ""
        known = self.checkpoint.files.keys() & TOKEN_FILES
        return f"there is no {listed(files, 'or')}" if known or files[0] not in TOKEN_FILES else _NO_FILES
