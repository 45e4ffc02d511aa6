"""Shows what a template makes of conversations, and what becomes of that."""
