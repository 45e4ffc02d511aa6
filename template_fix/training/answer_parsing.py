"""What parses a model's answers: trainers that know a template by its text are asked for it before the text changes."""

from __future__ import annotations

from typing import Any

# A tokenizer or processor of transformers, whose classes have no types.
Tokenizer = Any


def keep_parsing(tokenizer: Tokenizer, inner: Tokenizer) -> None:
    """Have TRL attach its response template to a tokenizer or processor whose chat template is still the original.

    ``inner`` is the tokenizer of a processor, or the tokenizer itself. What it has already stays. Nothing is attached
    where TRL isn't installed, has none for this template, or needs other versions of other packages.
    """
    if any(getattr(inner, name, None) is not None for name in ("response_template", "response_schema")):
        return
    try:
        from trl import add_response_schema

        add_response_schema(tokenizer)
    except Exception:  # whatever is missing in some release of TRL, there is only nothing to attach
        return
