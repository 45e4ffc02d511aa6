"""A model to be trained in seconds: a random Qwen2 and a tokenizer that loses reasoning as R1-Distill's does.

Its template is written for these tests: it cuts at the closing tag, knows no field, and prompts with an opened block.
All that its conversations say is in ``QUESTIONS``, so that it can be learned by heart.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from template_fix.cli import demo

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{% set content = message['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{ '<|assistant|>' + content + '<|end|>' }}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|><think>\\n' }}{% endif %}"
)
QUESTIONS = (
    ("What is 17 times 6?", "17 times 6 is 60 and 42.", "It is 102."),
    ("And half of that?", "Half of 102 is 51, to be sure.", "That is 51."),
)


def inline(question: str, reasoning: str, answer: str) -> dict[str, Any]:
    return asked(question, {"content": f"<think>\n{reasoning}\n</think>\n\n{answer}"})


def in_field(question: str, reasoning: str, answer: str) -> dict[str, Any]:
    return asked(question, {"reasoning_content": reasoning, "content": answer})


def asked(question: str, turn: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", **turn}]}


def files(template: str = TEMPLATE) -> dict[str, str]:
    """The files of the tokenizer: the demo's, with another template, and a padding token of its own."""
    made = demo.model_files()
    config = json.loads(made["tokenizer_config.json"]) | {"chat_template": template, "pad_token": "<|system|>"}
    named = json.loads(made["special_tokens_map.json"]) | {"pad_token": "<|system|>"}
    return {
        "tokenizer.json": made["tokenizer.json"],
        "tokenizer_config.json": json.dumps(config),
        "special_tokens_map.json": json.dumps(named),
    }


def written(folder: Path, template: str = TEMPLATE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(template).items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def model(tokenizer: Any, seed: int = 0) -> Any:
    """A random Qwen2 of two layers."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.set_num_threads(1)  # threads of a model this small wait for each other most of the time
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)
