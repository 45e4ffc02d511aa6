"""Whether transformers 5 encodes text otherwise than tokenizer.json says, and what it makes of it.

Some of its tokenizer classes build the normalizer and the pre-tokenizer anew and take only the vocabulary and the
merges of the file. Where that comes to other tokens, the model meets ids that it was not trained on. It is tried with
the tokenizers library on texts in which such rules differ: the words first, then, where those differ, the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from template_fix.checkpoint.checkpoint import Checkpoint
from template_fix.checkpoint.template_copies import CONFIG
from template_fix.checkpoint.token_records import TOKENIZER
from template_fix.jinja.tables import table
from template_fix.tokens.stub_tokenizer import Vocabulary

# Each holds what rules to split text treat apart: digits, contractions, blanks, line ends, marks, scripts, signs.
SAMPLES = (
    "It cost 12345 in 1999.",
    "I'LL say they'll don't",
    "Two  blanks\n\n and\t tabs\r\n",
    "cafe\u0301 nai\u0308ve \ufb01ne",
    "\u6f22\u5b57 \u304b\u306a \ud55c\uad6d\uc5b4",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e20\u0e32\u0e29\u0e32",
    "x_1 += y[2:]; // (ok)",
)
PARTS = ("normalizer", "pre_tokenizer")


@dataclass(frozen=True)
class Otherwise:
    """A text that ``releases`` encode otherwise than tokenizer.json says, as the class ``name``.

    ``today`` tells that the newest release is among them, ``stored`` and ``built`` are the tokens of both.
    """

    name: str
    releases: str
    today: bool
    text: str
    stored: tuple[str, ...]
    built: tuple[str, ...]


def otherwise(checkpoint: Checkpoint) -> Otherwise | None:
    """Return the first text that transformers 5 encodes otherwise than tokenizer.json says, None where none is known.

    Raises CheckpointError where the tokenizers library can't read the file.
    """
    document = checkpoint.document(TOKENIZER)
    name = _class_of(checkpoint)
    if document is None or name is None:
        return None
    form = _classes()["classes"][name]
    stored, built = ({part: source.get(part) for part in PARTS} for source in (dict(document.plain()), form))
    if stored == built or (not form.get("today", True) and not _is_byte_level(stored["pre_tokenizer"])):
        return None
    vocabulary = Vocabulary(checkpoint)
    for text in SAMPLES:
        if vocabulary.words(text, stored) == vocabulary.words(text, built):
            continue
        before, after = (vocabulary.encoded(text, parts) for parts in (stored, built))
        if before != after:
            return Otherwise(name, form["releases"], form.get("today", True), text, before, after)
    return None


def takes_file_as_it_is(checkpoint: Checkpoint) -> bool:
    """Whether transformers 5 would go by tokenizer.json if tokenizer_class were PreTrainedTokenizerFast."""
    return checkpoint.value("config.json", "model_type") not in _classes()["model_types"]


def _class_of(checkpoint: Checkpoint) -> str | None:
    """Return the class that builds its own rules, None where none does, or where more would have to be known."""
    kind = checkpoint.value("config.json", "model_type")
    named = checkpoint.value(CONFIG, "tokenizer_class")
    if any(checkpoint.value(CONFIG, key) is not None for key in ("auto_map", "add_prefix_space")):
        return None
    table = _classes()
    if kind in table["stored"]:
        return None
    forced: str | None = table["model_types"].get(kind)
    own = named.removesuffix("Fast") if isinstance(named, str) else None
    return forced or (own if own in table["classes"] else None)


def _is_byte_level(pre_tokenizer: object) -> bool:
    parts = pre_tokenizer.get("pretokenizers", [pre_tokenizer]) if isinstance(pre_tokenizer, dict) else []
    return any(isinstance(part, dict) and part.get("type") == "ByteLevel" for part in parts)


@lru_cache(maxsize=1)
def _classes() -> dict[str, Any]:
    return table("tokenizer_classes.toml", "template_fix.tokens")
