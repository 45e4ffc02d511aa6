"""The Hugging Face Hub, and models as they lie there or in a directory."""
