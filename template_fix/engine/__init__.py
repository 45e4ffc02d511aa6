"""Checks and patches a whole checkpoint."""
