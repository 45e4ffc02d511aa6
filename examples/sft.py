#!/usr/bin/env python3
"""Fine-tune a reasoning model with TRL, without losing its reasoning.

    sft.py MODEL TRAIN --output DIR

MODEL is a directory or a repository on the Hub, TRAIN a JSONL file of rows with ``messages``. The tokenizer is repaired
in memory and saved with the model; the run stops before its first step where reasoning doesn't reach the labels, and
logs with each evaluation how many answers still reason.
It needs: pip install 'template-fix[train]'
"""

from __future__ import annotations

import argparse

import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from template_fix import PreflightCallback, preflight


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("train")
    parser.add_argument("--output", required=True)
    parser.add_argument("--steps", type=int, default=-1, help="stop after so many; by default, after three epochs")
    arguments = parser.parse_args()

    rows = load_dataset("json", data_files=arguments.train, split="train").train_test_split(test_size=0.1, seed=0)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    preflight(tokenizer, rows["train"], fix=True)  # the line that matters

    config = SFTConfig(
        output_dir=arguments.output,
        max_steps=arguments.steps,
        eval_strategy="epoch",
        report_to="none",
        bf16=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(arguments.model),
        args=config,
        train_dataset=rows["train"],
        eval_dataset=rows["test"],
        processing_class=tokenizer,
    )
    held_out = [row["messages"][:-1] for row in rows["test"].select(range(min(8, len(rows["test"]))))]
    trainer.add_callback(PreflightCallback(rows["train"], prompts=held_out, max_new_tokens=64, log=trainer.log))
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
