"""What is wrong with the reasoning tags among the tokens, found by running the tokenizers library."""
