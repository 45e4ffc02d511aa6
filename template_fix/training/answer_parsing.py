"""Keeps the parsing of a model's answers: TRL finds its response template by the original template's text."""

from __future__ import annotations

from typing import Any

# A tokenizer or processor of transformers, whose classes have no types.
Tokenizer = Any


def keep_parsing(tokenizer: Tokenizer, inner: Tokenizer) -> None:
    """Have TRL attach its response template to a tokenizer or processor whose chat template is still the original.

    ``inner`` is the tokenizer of a processor, or the tokenizer itself. A response template that is there already is
    kept. Nothing is attached if TRL isn't installed, has none for this template, or needs other versions of packages.
    """
    if any(getattr(inner, name, None) is not None for name in ("response_template", "response_schema")):
        return
    try:
        from trl import add_response_schema

        add_response_schema(tokenizer)
    except Exception:  # if a release of TRL lacks anything, nothing can be attached
        return
