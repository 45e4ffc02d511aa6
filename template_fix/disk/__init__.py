"""Writes all files of a change or none, and takes it back."""
