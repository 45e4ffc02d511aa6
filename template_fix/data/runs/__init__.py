"""A training run as its trainer's own file tells of it, and what it would lose."""
