"""A tokenizer of bytes, for templates that are tried in the real transformers."""

from __future__ import annotations

import re
from typing import Any

MARKUP = re.compile(r"<[^<>\s%{}]{1,60}>")


def tokenizer(template: str) -> Any:
    """A tokenizer of bytes, with the template's markup as added tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_tokens([AddedToken(text, normalized=False) for text in sorted({*MARKUP.findall(template), "<s>", "</s>"})])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        chat_template=template,
        bos_token="<s>",
        eos_token="</s>",
        clean_up_tokenization_spaces=False,
    )
