"""A model's tokenizer files, as immutable text."""
