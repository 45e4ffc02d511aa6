"""Training rows, and what a template loses of them."""
