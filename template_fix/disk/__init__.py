"""Writes all files of a change or none, undoes it, and caches what was learned about a template."""
