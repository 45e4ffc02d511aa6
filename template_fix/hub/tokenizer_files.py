"""Which files of a repository are a tokenizer's, by their names.

What is fetched from the Hub and what is shared there goes by a list of names, since nothing else may be sent by
mistake: the vocabularies that transformers' tokenizers name. The code of a tokenizer that brings its own is
`own_code`'s business.
"""

from __future__ import annotations

from fnmatch import fnmatch

from template_fix.checkpoint.checkpoint import CONFIGS, EDITABLE
from template_fix.checkpoint.links import is_plain
from template_fix.checkpoint.template_copies import ADDITIONAL

CARD = "README.md"
# What a check reads; the templates of a directory are all files in it.
READ = (*EDITABLE, *CONFIGS, f"{ADDITIONAL}*.jinja")
# Without config.json, transformers may choose another class.
_OWN = (*EDITABLE, "config.json", f"{ADDITIONAL}*.jinja")
_VOCABULARIES = (
    *("tokenizer*.json", "*vocab*.json", "*vocab*.txt", "vocab.bpe", "merges*.txt", "tekken.json"),
    *("*.model", "*.model.v[0-9]*", "*.tiktoken", "*.tokenizer"),
    *("bpe.codes", "dict.txt", "emoji.json", "normalizer.json", "byte_maps.json", "word_*.json"),
)


def is_read(name: str) -> bool:
    """Whether a check reads the file of this name."""
    return _is_one_of(name, READ)


def belongs(name: str) -> bool:
    """Whether a tokenizer needs the file of this name, code apart."""
    return _is_one_of(name, (*_OWN, *_VOCABULARIES))


def _is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return is_plain(name) and any(
        fnmatch(name, pattern) and name.count("/") == pattern.count("/") for pattern in patterns
    )
