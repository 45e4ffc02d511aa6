"""Finds and repairs chat templates and tokenizers that lose the reasoning of reasoning models."""
