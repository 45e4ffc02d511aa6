"""Tells people and programs what came of a command."""
