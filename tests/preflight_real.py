"""Runs a pre-flight with the transformers of the Python that runs this, and tells what each step came to.

Takes the directory of a model, and the kind of object to load from it; prints a JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from typing import Any

import tiny_model
from transformers import AutoTokenizer, ProcessorMixin

from template_fix import PreflightError, preflight
from template_fix.conversations.tags import USUAL


class Processor(ProcessorMixin):  # type: ignore[misc]
    """The least that a processor is: a tokenizer, and a chat template of its own."""

    attributes = ["tokenizer"]  # noqa: RUF012 - the library reads it from the class
    tokenizer_class = "PreTrainedTokenizerFast"

    def __init__(self, tokenizer: Any, chat_template: Any = None) -> None:
        super().__init__(tokenizer, chat_template=chat_template)


def loaded(folder: str, kind: str) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=kind != "slow")
    if kind == "named":
        tokenizer.chat_template = {"default": tokenizer.chat_template, "tool_use": tokenizer.chat_template + "\n"}
    if kind == "attribute":
        tokenizer.add_special_tokens({"additional_special_tokens": list(USUAL)})
    return Processor(tokenizer, tokenizer.chat_template) if kind == "processor" else tokenizer


def steps(folder: str, kind: str) -> dict[str, Any]:
    row = tiny_model.inline(*tiny_model.QUESTIONS[0])
    made = loaded(folder, kind)
    inner = getattr(made, "tokenizer", made)
    inner.padding_side = "left"
    text = row["messages"][1]["content"]
    ids = inner.encode(text, add_special_tokens=False)
    told: dict[str, Any] = {"before": inner.decode(ids, skip_special_tokens=True) == text, "text": text}
    for name, given in (("alone", [made]), ("rows", [made, [row] * 3])):
        try:
            preflight(*given)
            told[name] = ""
        except PreflightError as error:
            told[name] = str(error)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        preflight(made, mode="warn")
    told["warned"] = [each.category.__name__ for each in caught if "reasoning" in str(each.message)]
    told["repaired"] = preflight(made, [row], fix=True).repaired
    told["again"] = preflight(made, [row]).repaired
    with tempfile.TemporaryDirectory() as saved:
        made.save_pretrained(saved)
        later = AutoTokenizer.from_pretrained(saved, use_fast=kind != "slow")
    told["decoded"] = [each.decode(ids, skip_special_tokens=True) for each in (inner, later)]
    told["ids"] = all(each.encode(text, add_special_tokens=False) == ids for each in (inner, later))
    told["rendered"] = [each.apply_chat_template(row["messages"], tokenize=False) for each in (made, later)]
    told["padding_side"] = inner.padding_side
    return told


if __name__ == "__main__":
    print(json.dumps(steps(*sys.argv[1:])))
