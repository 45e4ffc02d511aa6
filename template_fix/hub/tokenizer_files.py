"""Which files of a repository belong to a tokenizer, by name.

Files are fetched from the Hub and shared there by a list of names, so that nothing else is sent by mistake: the
vocabularies that transformers' tokenizers name. See `own_code` for the Python modules of a tokenizer.
"""

from __future__ import annotations

from fnmatch import fnmatch

from template_fix.checkpoint.checkpoint import CONFIGS, EDITABLE
from template_fix.checkpoint.links import is_plain
from template_fix.checkpoint.template_copies import ADDITIONAL

CARD = "README.md"
# What a check reads.
READ = (*EDITABLE, *CONFIGS, f"{ADDITIONAL}*.jinja")
# Without config.json, transformers may choose another class.
_OWN = (*EDITABLE, "config.json", f"{ADDITIONAL}*.jinja")
_VOCABULARIES = (
    *("tokenizer*.json", "*vocab*.json", "*vocab*.txt", "vocab.bpe", "merges*.txt", "tekken.json"),
    *("*.model", "*.model.v[0-9]*", "*.tiktoken", "*.tokenizer"),
    *("bpe.codes", "dict.txt", "emoji.json", "normalizer.json", "byte_maps.json", "word_*.json"),
)


def is_read(name: str) -> bool:
    """Whether a check reads the file with this name."""
    return _is_one_of(name, READ)


def is_tokenizer_file(name: str) -> bool:
    """Whether a tokenizer needs the file with this name; Python modules are not looked at."""
    return _is_one_of(name, (*_OWN, *_VOCABULARIES))


def _is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    return is_plain(name) and any(
        fnmatch(name, pattern) and name.count("/") == pattern.count("/") for pattern in patterns
    )
